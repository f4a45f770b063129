"""What a browser may be asked and told: cookies, origins, CSRF, and where it may be sent."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.responses import Response

from okno.errors import OknoError
from okno.identity.model import Actor
from okno.identity.oidc import ATTEMPT_LIFETIME
from okno.settings import Settings

CSRF_HEADER = "X-Okno-CSRF"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_LONGEST_PATH = 2000


class CsrfRefused(OknoError):
    """The request may have been made by another site in the name of the signed-in person."""

    code = "CSRF"
    http_status = 403


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of the cookies. Over https the `__Host-` prefix keeps other subdomains from setting them."""

    secure: bool
    session_seconds: int

    @property
    def session_name(self) -> str:
        return "__Host-okno_session" if self.secure else "okno_session"

    @property
    def attempt_name(self) -> str:
        return "__Host-okno_sign_in" if self.secure else "okno_sign_in"

    def set_session(self, response: Response, value: str) -> None:
        self._set(response, self.session_name, value, self.session_seconds)

    def clear_session(self, response: Response) -> None:
        self._set(response, self.session_name, "", 0)

    def set_attempt(self, response: Response, value: str) -> None:
        self._set(response, self.attempt_name, value, int(ATTEMPT_LIFETIME.total_seconds()))

    def clear_attempt(self, response: Response) -> None:
        self._set(response, self.attempt_name, "", 0)

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="lax"
        )


class Browser:
    """The rules for browsers at this deployment's address."""

    def __init__(self, settings: Settings) -> None:
        public = urlsplit(settings.public_url)
        self.cookies = Cookies(
            secure=public.scheme == "https", session_seconds=settings.identity.session_lifetime_seconds
        )
        self._origins = {f"{public.scheme}://{public.netloc}"}
        if settings.http.public_url is None:
            self._origins |= {f"http://{host}:{settings.http.port}" for host in _LOOPBACK}

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Refuses a request that a page of another origin made. Tools outside browsers send no Origin.

        Raises:
            CsrfRefused: the Origin is another one, or the browser says that another site is behind the request.
        """
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            raise CsrfRefused("The request comes from another origin than this application's.")
        if origin is None and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise CsrfRefused("The request comes from another site than this application's.")

    def check_csrf(self, actor: Actor, headers: Mapping[str, str]) -> None:
        """For requests that change something. Those with a bearer token pass: no browser adds one by itself.

        Raises:
            CsrfRefused: the origin is another one, or the header does not hold the session's CSRF token.
        """
        if actor.csrf_token is None:
            return
        self.check_origin(headers)
        shown = headers.get(CSRF_HEADER, "") or headers.get(CSRF_HEADER.lower(), "")
        if not hmac.compare_digest(shown.encode(), actor.csrf_token.encode()):
            raise CsrfRefused(f"The header {CSRF_HEADER} has to hold the csrfToken that /auth/session tells.")


def safe_path(path: str | None) -> str:
    """The path within this application where a browser may be sent after sign-in; `/` for anything else.

    Browsers read `//host`, `/\\host` and paths with tabs or line breaks as addresses of other hosts.
    """
    if (
        not path
        or len(path) > _LONGEST_PATH
        or not path.startswith("/")
        or path.startswith(("//", "/auth/"))
        or "\\" in path
        or not path.isascii()
        or not path.isprintable()
    ):
        return "/"
    parts = urlsplit(path)
    return "/" if parts.scheme or parts.netloc else path
