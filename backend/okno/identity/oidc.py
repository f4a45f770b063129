"""OpenID Connect: the authorisation code flow with PKCE, state and nonce, against any provider by discovery.

The one secret of an attempt stays in the browser's cookie; state, nonce and PKCE verifier follow from it, so nothing
of it is stored here. Authlib builds requests and checks claims, joserfc the signature, httpx carries.
"""

import asyncio
import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from okno.clock import Clock
from okno.errors import ConfigurationError, OknoError, Unavailable
from okno.identity.credentials import derive, new_secret
from okno.identity.guarded import GuardedTransport
from okno.network import PRIVATE, NetworkGuard
from okno.settings import OidcSettings

ATTEMPT_LIFETIME = timedelta(minutes=10)
TIMEOUT_SECONDS = 5.0
# Of a whole answer, which may come in many pieces, each of them in time
ANSWER_SECONDS = 10.0
# The largest providers' keys and metadata have some 20 kB
_ANSWER_BYTES = 1024 * 1024
_PIECE_BYTES = 65_536
CLOCK_SKEW_SECONDS = 60
# Nothing older can be fresh by any setting, nor is every number a moment
_OLDEST_PROOF_SECONDS = 86_400.0
_METADATA_SECONDS = 3600.0
# Public-key signatures only: `none` and HS256 would let anybody, or any holder of the client secret, sign.
_ALGORITHMS = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_COOKIE = re.compile(r"([A-Za-z0-9_-]{43})\.([0-9]{1,12})\.([A-Za-z0-9_-]*)")


class SignInRefused(OknoError):
    """Nobody was signed in. `code` tells the front end which text to show."""

    http_status = 403

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way in one browser."""

    key: str = field(repr=False)
    started_at: int
    next_path: str

    @classmethod
    def start(cls, next_path: str, now: datetime) -> "Attempt":
        return cls(new_secret(), int(now.timestamp()), next_path)

    @classmethod
    def parse(cls, cookie: str) -> "Attempt | None":
        match = _COOKIE.fullmatch(cookie)
        if match is None:
            return None
        try:
            padded = match[3] + "=" * (-len(match[3]) % 4)
            next_path = base64.urlsafe_b64decode(padded).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return cls(match[1], int(match[2]), next_path)

    @property
    def cookie(self) -> str:
        next_path = base64.urlsafe_b64encode(self.next_path.encode()).rstrip(b"=").decode()
        return f"{self.key}.{self.started_at}.{next_path}"

    # The state covers the whole cookie, so that no part of it can be exchanged.
    @property
    def state(self) -> str:
        return derive(self.key, f"state {self.started_at} {self.next_path}")

    @property
    def nonce(self) -> str:
        return derive(self.key, "nonce")

    @property
    def code_verifier(self) -> str:
        return derive(self.key, "pkce")

    def is_past(self, now: datetime) -> bool:
        return now.timestamp() - self.started_at >= ATTEMPT_LIFETIME.total_seconds()


@dataclass(frozen=True, slots=True)
class ProvidedPerson:
    """Whom the provider vouches for."""

    issuer: str
    subject: str
    login: str
    display_name: str
    groups: tuple[str, ...]
    second_factor_at: datetime | None = None


class OidcProvider:
    """One provider. Its metadata and keys are fetched when first needed and again when they may have changed."""

    def __init__(
        self,
        settings: OidcSettings,
        client_secret: str,
        redirect_uri: str,
        clock: Clock,
        *,
        plain_http: bool = False,
        network: NetworkGuard = PRIVATE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        issuer = urlsplit(settings.issuer)
        if issuer.scheme != "https" and not (plain_http or issuer.hostname in _LOOPBACK):
            raise ConfigurationError(
                "identity.oidc.issuer has to start with https:// (plain http is for development)"
            )
        self._settings = settings
        self._secret = client_secret
        self._redirect_uri = redirect_uri
        self._clock = clock
        network.check_url(settings.issuer, ("https", "http"), what="identity.oidc.issuer")
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            transport=transport or GuardedTransport(network),
            follow_redirects=False,
            # what is packed small unpacks to any size at once
            headers={"Accept-Encoding": "identity"},
        )
        self._metadata: Mapping[str, Any] | None = None
        self._keys: KeySet | None = None
        self._metadata_at = 0.0
        self._keys_at = 0.0

    async def close(self) -> None:
        await self._http.aclose()

    async def authorization_url(self, attempt: Attempt, *, step_up: str | None = None) -> str:
        """Where the browser has to go.

        Args:
            step_up: the login of who is signed in and has to prove a second factor now. The provider may not answer from
                a session of its own (max_age=0, OpenID Connect Core, section 3.1.2.1).

        Raises:
            Unavailable: the provider does not tell its addresses.
        """
        metadata = await self._load_metadata()
        fresh = {}
        if step_up is not None:
            fresh = {"max_age": "0", "login_hint": step_up}
            if self._settings.second_factor_acr:
                fresh["acr_values"] = " ".join(self._settings.second_factor_acr)
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=self._redirect_uri,
            scope=" ".join(self._settings.scopes),
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.code_verifier),
            code_challenge_method="S256",
            **fresh,
        )
        return str(url)

    async def finish(self, attempt: Attempt | None, answer: Mapping[str, str]) -> ProvidedPerson:
        """Turns the parameters of the callback into a person.

        Raises:
            SignInRefused: the answer is not of this browser's attempt, the provider refused, or its token is wrong.
            Unavailable: the provider does not answer.
        """
        if attempt is None or not hmac.compare_digest(
            answer.get("state", "").encode(), attempt.state.encode()
        ):
            raise SignInRefused(
                "STATE_MISMATCH", "This sign-in was not started in this browser. Start it again."
            )
        if attempt.is_past(self._clock.now()):
            raise SignInRefused(
                "SIGN_IN_EXPIRED", "This sign-in took longer than ten minutes. Start it again."
            )
        # RFC 9207: an answer of another provider must not be taken for this one's.
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SignInRefused(
                "PROVIDER_REFUSED", "The answer came from another provider than the configured one."
            )
        if "error" in answer or not answer.get("code"):
            raise SignInRefused("PROVIDER_REFUSED", "The identity provider did not sign you in. Start again.")
        metadata = await self._load_metadata()
        tokens = await self._exchange(metadata, answer["code"], attempt)
        claims = await self._verify(metadata, tokens, attempt)
        wanted = {self._settings.login_claim, self._settings.groups_claim, "name"}
        if not wanted <= claims.keys() and "userinfo_endpoint" in metadata and "access_token" in tokens:
            claims = {**await self._user_info(metadata, tokens, claims["sub"]), **claims}
        return self._person(claims)

    def _person(self, claims: Mapping[str, Any]) -> ProvidedPerson:
        login = claims.get(self._settings.login_claim)
        if not isinstance(login, str) or not re.fullmatch(
            r"[a-z0-9][a-z0-9._@-]{0,127}", login := login.strip().lower()
        ):
            raise SignInRefused(
                "LOGIN_MISSING",
                f"The provider gives no usable login in the claim {self._settings.login_claim}.",
            )
        groups = claims.get(self._settings.groups_claim, [])
        if isinstance(groups, str):
            groups = [groups]
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise SignInRefused(
                "GROUPS_MALFORMED", f"The claim {self._settings.groups_claim} has to be a list of texts."
            )
        name = claims.get("name")
        display_name = name.strip()[:200] if isinstance(name, str) and name.strip() else login
        return ProvidedPerson(
            self._settings.issuer,
            claims["sub"],
            login,
            display_name,
            tuple(groups),
            self._second_factor_at(claims),
        )

    def _second_factor_at(self, claims: Mapping[str, Any]) -> datetime | None:
        """When the second factor was proven, if the provider says both that and when.

        Without `auth_time` it may have been proven days ago, in the provider's own session: that counts as never.
        """
        methods, context, at = claims.get("amr"), claims.get("acr"), claims.get("auth_time")
        proven = (
            isinstance(methods, list)
            and any(method in self._settings.second_factor_amr for method in methods)
        ) or (isinstance(context, str) and context in self._settings.second_factor_acr)
        if not proven or not isinstance(at, int | float) or isinstance(at, bool):
            return None
        now = self._clock.now()
        ahead = at - now.timestamp()
        if not -_OLDEST_PROOF_SECONDS < ahead <= CLOCK_SKEW_SECONDS:
            return None
        return min(datetime.fromtimestamp(at, UTC), now)

    async def _exchange(self, metadata: Mapping[str, Any], code: str, attempt: Attempt) -> Mapping[str, Any]:
        body = prepare_token_request(
            "authorization_code",
            code=code,
            redirect_uri=self._redirect_uri,
            code_verifier=attempt.code_verifier,
        )
        # RFC 6749, section 2.3.1: Basic is what every provider knows, with both parts form-encoded.
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            auth = ClientAuth(
                quote_plus(self._settings.client_id), quote_plus(self._secret), "client_secret_basic"
            )
        else:
            auth = ClientAuth(self._settings.client_id, self._secret, "client_secret_post")
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
        }
        url, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, body)
        response = await self._send("POST", url, headers=headers, content=body)
        if response.status_code >= 500:
            raise _unavailable()
        tokens = _json(response)
        if response.status_code != 200 or not isinstance(tokens.get("id_token"), str):
            raise SignInRefused(
                "PROVIDER_REFUSED", "The identity provider did not accept the sign-in. Start it again."
            )
        return tokens

    async def _verify(
        self, metadata: Mapping[str, Any], tokens: Mapping[str, Any], attempt: Attempt
    ) -> Mapping[str, Any]:
        """Claims of the ID token after the checks of OpenID Connect Core, section 3.1.3.7."""
        try:
            try:
                token = jwt.decode(
                    tokens["id_token"], await self._load_keys(metadata), algorithms=_ALGORITHMS
                )
            except (JoseError, ValueError):
                # The provider may have changed its keys since they were fetched.
                keys = await self._load_keys(metadata, fresh=True)
                token = jwt.decode(tokens["id_token"], keys, algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._settings.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                    "sub": {"essential": True},
                },
                params={
                    "nonce": attempt.nonce,
                    "client_id": self._settings.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=CLOCK_SKEW_SECONDS)
            if not isinstance(claims["sub"], str):
                raise ValueError("sub")
        except (JoseError, ValueError, TypeError) as error:
            raise SignInRefused(
                "ID_TOKEN_INVALID", f"The provider's ID token is not valid ({type(error).__name__})."
            ) from error
        return dict(claims)

    async def _user_info(
        self, metadata: Mapping[str, Any], tokens: Mapping[str, Any], subject: str
    ) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json"}
        response = await self._send("GET", metadata["userinfo_endpoint"], headers=headers)
        if response.status_code != 200:
            raise _unavailable()
        claims = _json(response)
        # OpenID Connect Core, section 5.3.2: claims of another subject must not be used.
        if claims.get("sub") != subject:
            raise SignInRefused("ID_TOKEN_INVALID", "The provider's user info is about somebody else.")
        return claims

    async def _load_metadata(self) -> Mapping[str, Any]:
        now = self._clock.monotonic()
        if self._metadata is None or now - self._metadata_at >= _METADATA_SECONDS:
            address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            response = await self._send("GET", address, headers={"Accept": "application/json"})
            metadata = _json(response) if response.status_code == 200 else {}
            needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if not all(isinstance(metadata.get(key), str) for key in needed):
                raise _unavailable()
            if metadata.get("issuer") != self._settings.issuer:
                raise ConfigurationError(
                    "The provider calls itself otherwise than identity.oidc.issuer says; copy its issuer exactly."
                )
            for key in (*needed, "userinfo_endpoint"):
                self._check_named(key, metadata.get(key))
            self._metadata, self._metadata_at = metadata, now
        return self._metadata

    def _check_named(self, key: str, address: Any) -> None:
        """An address that the provider names may be anywhere, as those of the large ones are, but not less protected than
        its issuer: secrets and tokens go there."""
        if address is None:
            return
        scheme = urlsplit(address).scheme if isinstance(address, str) else ""
        if scheme not in ("https", urlsplit(self._settings.issuer).scheme):
            raise ConfigurationError(
                f"The provider's {key} has to start with https://; that is a fault of the provider's settings."
            )

    async def _load_keys(self, metadata: Mapping[str, Any], *, fresh: bool = False) -> KeySet:
        now = self._clock.monotonic()
        age = now - self._keys_at
        if self._keys is None or age >= _METADATA_SECONDS or (fresh and age > 0):
            response = await self._send("GET", metadata["jwks_uri"], headers={"Accept": "application/json"})
            if response.status_code != 200:
                raise _unavailable()
            try:
                self._keys, self._keys_at = KeySet.import_key_set(_json(response)), now  # type: ignore[arg-type]
            except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
                raise _unavailable() from error
        return self._keys

    async def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """The answer with a body that is no larger and took no longer than an answer of a provider may."""
        body = b""
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                self._http.stream(method, url, **request) as response,
            ):
                async for piece in response.aiter_bytes(_PIECE_BYTES):
                    body += piece
                    if len(body) > _ANSWER_BYTES:
                        raise _unavailable()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _unavailable() from error
        return httpx.Response(response.status_code, content=body)


def _unavailable() -> Unavailable:
    return Unavailable(
        "The identity provider does not answer as it should; nobody was signed in. Try again in a moment."
    )


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _unavailable()
    return value
