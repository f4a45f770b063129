"""HTTP of identity: the routes under /auth/, and how every other endpoint learns who asks."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from okno.errors import InvalidInput, OknoError, Unauthenticated
from okno.identity.browser import CsrfRefused, safe_path
from okno.identity.credentials import digest
from okno.identity.model import Actor
from okno.identity.service import CALLBACK_PATH, DEVELOPMENT, OIDC, Authentication, Identity, SignedIn
from okno.limits.address import UNKNOWN
from okno.limits.service import Asking

__all__ = [
    "CsrfRefused",
    "SessionMiddleware",
    "authenticated",
    "find_actor",
    "get_actor",
    "identity_routes",
]

Authenticated = TypeVar("Authenticated", Authentication | None, Actor | None)

_LARGEST_BODY = 4096
_STATE = "okno.authentication"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_Endpoint = Callable[[Request], Awaitable[Response]]


class SessionMiddleware:
    """Authenticates a request once and sends the session's cookie on when it rotated. For routes that ask who it is.

    It refuses nothing: `find_actor` and `get_actor` do, so that every endpoint answers in its own form.
    """

    def __init__(self, app: ASGIApp, identity: Identity) -> None:
        self._app = app
        self._identity = identity
        self._browser = identity.browser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _STATE in scope.setdefault("state", {}):
            await self._app(scope, receive, send)
            return
        authorization = _authorization(scope)
        found: Authentication | OknoError | None
        asking = Asking.find(scope)
        try:
            # an Authorization header wins over a cookie, which then need not be read
            cookies = {} if authorization else Request(scope).cookies
            if asking is None:
                found = await self._identity.authenticate_session(cookies, authorization)
            else:
                found = await authenticated(
                    self._identity.authenticate_session(cookies, authorization), authorization, asking
                )
        except OknoError as error:
            found = error
        scope["state"][_STATE] = (found, self._browser)
        renewed = found.renewed_cookie if isinstance(found, Authentication) else None
        if renewed is None:
            await self._app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_cookie(message, renewed)
            await send(message)

        await self._app(scope, receive, send_with_cookie)

    def _add_cookie(self, message: Message, value: str) -> None:
        """Unless the endpoint sets or clears the session's cookie itself, which then is the newer truth."""
        name = self._browser.cookies.session_name.encode() + b"="
        if any(
            key.lower() == b"set-cookie" and cookie.startswith(name) for key, cookie in message["headers"]
        ):
            return
        carrier = Response()
        self._browser.cookies.set_session(carrier, value)
        message["headers"] = [*message["headers"], *(h for h in carrier.raw_headers if h[0] == b"set-cookie")]


async def authenticated(
    authenticating: Coroutine[Any, Any, Authenticated], authorization: str | None, asking: Asking
) -> Authenticated:
    """Who it is, counted: each token that is none, and each request of whoever it is.

    Raises:
        RateLimited: too many of either. Of a token nothing was looked up.
        OknoError: what authenticating raises.
    """
    limits, address = asking.limits, asking.address
    token = digest(authorization) if authorization else None
    try:
        if token is not None:
            limits.show_token(address, token)
        found = await authenticating
    except Unauthenticated:
        if token is not None and (waiting := limits.token_was_bad(address, token)) is not None:
            await waiting
        raise
    finally:
        authenticating.close()
    if token is not None:
        limits.token_was_good(address, token)
    actor = found.actor if isinstance(found, Authentication) else found
    if actor is not None and (waiting := limits.act(actor.kind, actor.id)) is not None:
        await waiting
    return found


def _authorization(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            decoded: str = value.decode("latin-1")
            return decoded
    return None


def find_actor(request: Request) -> Actor | None:
    """Who makes the request, as `SessionMiddleware` found out; None when it carries no credential.

    A request with a session's cookie and a method that may change something has passed the CSRF check.

    Raises:
        Unauthenticated: the credential is not valid (any more).
        CsrfRefused: see `Browser.check_csrf`.
        Unavailable: the database does not answer.
    """
    found, browser = request.scope["state"][_STATE]
    if isinstance(found, OknoError):
        raise found
    if found is None:
        return None
    actor: Actor = found.actor
    if request.method not in _SAFE_METHODS:
        browser.check_csrf(actor, request.headers)
    return actor


def get_actor(request: Request) -> Actor:
    """Like `find_actor`, for endpoints that are for nobody unknown.

    Raises:
        Unauthenticated: also when there is no credential at all.
    """
    actor = find_actor(request)
    if actor is None:
        raise Unauthenticated("Sign in, or send a bearer token.")
    return actor


def identity_routes(identity: Identity) -> list[Route]:
    """The routes of this deployment: what does not exist in its mode is not mounted."""
    endpoints = _Endpoints(identity)
    table: list[tuple[str, _Endpoint, str]] = [
        ("/auth/session", endpoints.session, "GET"),
        ("/auth/sign-out", endpoints.sign_out, "POST"),
        ("/auth/sign-out-everywhere", endpoints.sign_out_everywhere, "POST"),
        ("/auth/team", endpoints.choose_team, "POST"),
    ]
    if DEVELOPMENT in identity.methods:
        table += [
            ("/auth/people", endpoints.people, "GET"),
            ("/auth/development", endpoints.development, "POST"),
        ]
    if OIDC in identity.methods:
        table += [
            ("/auth/oidc/start", endpoints.oidc_start, "GET"),
            (CALLBACK_PATH, endpoints.oidc_callback, "GET"),
        ]
    middleware = [Middleware(SessionMiddleware, identity=identity)]
    return [
        Route(path, _answering(endpoint), methods=[method], middleware=middleware)
        for path, endpoint, method in table
    ]


class _Endpoints:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._browser = identity.browser

    async def session(self, request: Request) -> Response:
        try:
            actor = find_actor(request)
        except Unauthenticated:
            response = self._session_answer(None)
            self._browser.cookies.clear_session(response)
            return response
        return self._session_answer(actor)

    async def people(self, request: Request) -> Response:
        people = [
            {
                "login": person.login,
                "displayName": person.display_name,
                "team": {"id": person.teams[0].id, "title": person.teams[0].title.texts},
                "roles": person.teams[0].roles,
            }
            for person in self._identity.list_demo_people()
        ]
        return JSONResponse(people)

    async def development(self, request: Request) -> Response:
        self._browser.check_origin(request.headers)
        body = await _read_object(request)
        address = await _counted_sign_in(request)
        return self._signed_in(
            await self._identity.dev_sign_in(
                _text(body, "login"),
                replaces=self._cookie(request),
                address=address,
                second_factor=body.get("secondFactor") is True,
            )
        )

    async def choose_team(self, request: Request) -> Response:
        actor = get_actor(request)
        return self._signed_in(await self._identity.choose_team(actor, await _read_text(request, "team")))

    async def sign_out(self, request: Request) -> Response:
        try:
            actor = find_actor(request)
        except Unauthenticated:
            actor = None
        if actor is not None:
            await self._identity.sign_out(actor)
        response = self._session_answer(None)
        self._browser.cookies.clear_session(response)
        return response

    async def sign_out_everywhere(self, request: Request) -> Response:
        actor = get_actor(request)
        await self._identity.sign_out_everywhere(actor)
        response = self._session_answer(None)
        self._browser.cookies.clear_session(response)
        return response

    async def oidc_start(self, request: Request) -> Response:
        step_up = None
        if request.query_params.get("step_up") == "1":
            try:
                step_up = find_actor(request)
            except Unauthenticated:  # the session ended meanwhile: an ordinary sign-in
                step_up = None
        await _counted_sign_in(request)
        next_path = safe_path(request.query_params.get("next"))
        url, attempt = await self._identity.oidc_start(next_path, step_up=step_up)
        response = RedirectResponse(url, status_code=303)
        self._browser.cookies.set_attempt(response, attempt)
        return response

    async def oidc_callback(self, request: Request) -> Response:
        response: Response
        attempt = request.cookies.get(self._browser.cookies.attempt_name)
        try:
            signed_in, next_path = await self._identity.oidc_finish(
                attempt,
                request.query_params,
                replaces=self._cookie(request),
                address=await _counted_sign_in(request),
            )
        except OknoError as error:
            response = self._callback_failed(request, error)
        else:
            response = RedirectResponse(safe_path(next_path), status_code=303)
            self._browser.cookies.set_session(response, signed_in.cookie)
        self._browser.cookies.clear_attempt(response)
        return response

    def _callback_failed(self, request: Request, error: OknoError) -> Response:
        """A person who navigated here gets the sign-in page, which shows a text by the code; a tool gets JSON."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/?" + urlencode({"signInError": error.code}), status_code=303)
        return _error(error)

    def _cookie(self, request: Request) -> str | None:
        return request.cookies.get(self._browser.cookies.session_name)

    def _signed_in(self, signed_in: SignedIn) -> Response:
        response = self._session_answer(signed_in.actor)
        self._browser.cookies.set_session(response, signed_in.cookie)
        return response

    def _session_answer(self, actor: Actor | None) -> Response:
        answer: dict[str, Any] = {
            "signedIn": actor is not None,
            "csrfToken": actor.csrf_token if actor else None,
            "methods": self._identity.methods,
            "displayName": actor.display_name if actor else None,
            "login": actor.login if actor else None,
            "team": actor.team if actor else None,
            "secondFactor": actor is not None and "second_factor" in actor.rights.facts,
            "teams": [
                {"id": team.id, "title": team.title.texts}
                for team_id in (actor.teams if actor else ())
                if (team := self._identity.teams.find(team_id))
            ],
        }
        return JSONResponse(answer)


async def _counted_sign_in(request: Request) -> str:
    """The address from which somebody wants to sign in.

    Raises:
        RateLimited: too many from there.
    """
    asking = Asking.find(request.scope)
    if asking is None:
        return UNKNOWN
    waiting = asking.limits.sign_in(asking.address)
    if waiting is not None:
        await waiting
    return asking.address


async def _read_text(request: Request, key: str) -> str:
    """The text under `key` of a small JSON object.

    Raises:
        InvalidInput: see `_read_object`; or it has no such text.
    """
    return _text(await _read_object(request), key)


async def _read_object(request: Request) -> Mapping[str, Any]:
    """A small JSON object; an empty one for any other JSON.

    Raises:
        InvalidInput: the body is too large or is not declared JSON. JSON alone is accepted, because a page of another
            origin can send forms without being asked, but not JSON.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput("The body has to be JSON, with Content-Type: application/json.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise InvalidInput(f"The body is larger than {_LARGEST_BODY} bytes.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, Mapping) else {}


def _text(body: Mapping[str, Any], key: str) -> str:
    text = body.get(key)
    if not isinstance(text, str) or not 0 < len(text) <= 200 or not text.isprintable():
        raise InvalidInput(f'The body has to be {{"{key}": "…"}}.', field=key)
    return text


def _answering(endpoint: _Endpoint) -> _Endpoint:
    """Errors as JSON, and nothing of it kept by any cache."""

    async def answer(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except OknoError as error:
            response = _error(error)
        response.headers["Cache-Control"] = "no-store"
        return response

    return answer


def _error(error: OknoError) -> Response:
    message = (
        error.message if error.http_status < 500 or error.http_status == 503 else "Something went wrong here."
    )
    seconds = error.told.get("retryAfterSeconds")
    return JSONResponse(
        {"code": error.code, "message": message, **error.told},
        status_code=error.http_status,
        headers=None if seconds is None else {"Retry-After": str(seconds)},
    )
