"""OpenID Connect against providers that answer wrongly: each wrong answer is refused, and says which check failed."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import Key, KeySet, OctKey, RSAKey

from okno.clock import ManualClock
from okno.errors import ConfigurationError, Unavailable
from okno.identity.oidc import Attempt, OidcProvider, SignInRefused
from okno.settings import OidcSettings

ISSUER = "https://id.example"
REDIRECT = "https://okno.example/auth/oidc/callback"
SETTINGS = OidcSettings(issuer=ISSUER, client_id="okno & co", client_secret="env:SECRET")
KEY = RSAKey.generate_key(2048, {"kid": "first"}, private=True)
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "first"}, private=True)
NEXT_KEY = RSAKey.generate_key(2048, {"kid": "second"}, private=True)


class Provider:
    """A provider whose every answer a test may change."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
        }
        self.published: list[Key] = [KEY]
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(
            {"alg": "RS256", "kid": "first"}, claims, KEY
        )
        self.token_status = 200
        self.requests: list[httpx.Request] = []
        self.broken: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if (response := self.broken(request)) is not None:
            return response
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self.metadata)
            case "/jwks":
                return httpx.Response(200, json=KeySet(self.published).as_dict(private=False))
            case "/token":
                tokens = {"access_token": "at", "token_type": "Bearer", "id_token": self.sign(self.claims)}
                return httpx.Response(self.token_status, json=tokens)
            case "/userinfo":
                return httpx.Response(200, json=self.userinfo)
        raise AssertionError(request.url)

    def count(self, path: str) -> int:
        return sum(request.url.path == path for request in self.requests)


@pytest.fixture
def provider(clock: ManualClock) -> Provider:
    return Provider(clock)


@pytest.fixture
def client(provider: Provider, clock: ManualClock) -> OidcProvider:
    return OidcProvider(SETTINGS, "s:cr/t", REDIRECT, clock, transport=httpx.MockTransport(provider.answer))


@pytest.fixture
def attempt(provider: Provider, clock: ManualClock) -> Attempt:
    """An attempt, and a provider that answers it rightly."""
    attempt = Attempt.start("/people/42", clock.now())
    now = int(clock.now().timestamp())
    provider.claims = {
        "iss": ISSUER,
        "aud": SETTINGS.client_id,
        "sub": "0042",
        "iat": now,
        "exp": now + 300,
        "nonce": attempt.nonce,
        "preferred_username": "Anna.Sorokina ",
        "name": "Anna Sorokina",
        "groups": ["okno-first-line-cis"],
    }
    return attempt


def answered(attempt: Attempt, **changes: str) -> dict[str, str]:
    return {"state": attempt.state, "code": "c0de", **changes}


async def refused(client: OidcProvider, attempt: Attempt | None, answer: dict[str, str]) -> SignInRefused:
    with pytest.raises(SignInRefused) as error:
        await client.finish(attempt, answer)
    return error.value


async def test_the_browser_is_sent_with_state_nonce_and_the_challenge_of_a_secret_it_does_not_carry(
    client: OidcProvider, attempt: Attempt
) -> None:
    url = urlsplit(await client.authorization_url(attempt))
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    challenge = (
        base64.urlsafe_b64encode(hashlib.sha256(attempt.code_verifier.encode()).digest())
        .rstrip(b"=")
        .decode()
    )
    assert query == {
        "tenant": "1",
        "response_type": "code",
        "client_id": SETTINGS.client_id,
        "redirect_uri": REDIRECT,
        "scope": "openid profile email",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert attempt.key not in url.query


async def test_a_right_answer_is_a_person(client: OidcProvider, provider: Provider, attempt: Attempt) -> None:
    person = await client.finish(attempt, answered(attempt))
    assert (person.issuer, person.subject) == (ISSUER, "0042")
    assert (person.login, person.display_name) == ("anna.sorokina", "Anna Sorokina")
    assert person.groups == ("okno-first-line-cis",)
    (exchange,) = [request for request in provider.requests if request.url.path == "/token"]
    form = {key: values[0] for key, values in parse_qs(exchange.content.decode()).items()}
    assert form == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": REDIRECT,
        "code_verifier": attempt.code_verifier,
    }
    basic = base64.b64decode(exchange.headers["authorization"].removeprefix("Basic ")).decode()
    assert basic == "okno+%26+co:s%3Acr%2Ft"
    assert provider.count("/userinfo") == 0


async def test_a_provider_that_takes_the_client_secret_in_the_form_only_gets_it_there(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await client.finish(attempt, answered(attempt))
    (exchange,) = [request for request in provider.requests if request.url.path == "/token"]
    assert parse_qs(exchange.content.decode())["client_secret"] == ["s:cr/t"]
    assert "authorization" not in exchange.headers


async def test_the_attempt_survives_the_way_through_the_cookie(attempt: Attempt) -> None:
    assert Attempt.parse(attempt.cookie) == attempt
    for cookie in (
        "",
        "x",
        attempt.key,
        attempt.cookie.replace(".", "", 1),
        f"{attempt.key}.1.a",
        f"{attempt.key}.1._-8",
    ):
        assert Attempt.parse(cookie) is None


async def test_an_exchanged_destination_is_not_this_attempt_any_more(
    client: OidcProvider, attempt: Attempt
) -> None:
    other = Attempt(attempt.key, attempt.started_at, "/elsewhere")
    assert (await refused(client, other, answered(attempt))).code == "STATE_MISMATCH"


async def test_an_answer_to_another_browser_is_refused(client: OidcProvider, attempt: Attempt) -> None:
    assert (await refused(client, attempt, answered(attempt, state="guessed"))).code == "STATE_MISMATCH"
    assert (await refused(client, attempt, {"code": "c0de"})).code == "STATE_MISMATCH"
    assert (await refused(client, None, answered(attempt))).code == "STATE_MISMATCH"


async def test_an_attempt_is_over_after_ten_minutes(
    client: OidcProvider, attempt: Attempt, clock: ManualClock
) -> None:
    clock.advance(timedelta(minutes=10))
    assert (await refused(client, attempt, answered(attempt))).code == "SIGN_IN_EXPIRED"


@pytest.mark.parametrize(
    "answer", [{"error": "access_denied"}, {"code": ""}, {"iss": "https://evil.example"}]
)
async def test_a_provider_that_says_no_or_is_another_one_signs_nobody_in(
    client: OidcProvider, provider: Provider, attempt: Attempt, answer: dict[str, str]
) -> None:
    assert (await refused(client, attempt, answered(attempt, **answer))).code == "PROVIDER_REFUSED"
    assert provider.count("/token") == 0


async def test_a_code_that_the_provider_does_not_know_signs_nobody_in(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    provider.token_status = 400
    assert (await refused(client, attempt, answered(attempt))).code == "PROVIDER_REFUSED"


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "of another attempt"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"aud": "another client"},
        {"aud": None},
        {"aud": ["okno & co", "another"], "azp": "another"},
        {"exp": 1},
        {"exp": None},
        {"iat": 99_999_999_999},
        {"sub": None},
        {"sub": 42},
        {"at_hash": "wrong"},
    ],
    ids=str,
)
async def test_an_id_token_with_a_wrong_claim_is_refused(
    client: OidcProvider, provider: Provider, attempt: Attempt, wrong: dict[str, Any]
) -> None:
    provider.claims = {key: value for key, value in (provider.claims | wrong).items() if value is not None}
    assert (await refused(client, attempt, answered(attempt))).code == "ID_TOKEN_INVALID"


def _unsigned(claims: dict[str, Any]) -> str:
    signed: str = jwt.encode({"alg": "RS256"}, claims, KEY)
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{header}.{signed.split('.')[1]}."


def _signed_with_the_public_key_as_a_password(claims: dict[str, Any]) -> str:
    secret = OctKey.import_key(base64.urlsafe_b64encode(KEY.as_pem(private=False)).decode())
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, secret, algorithms=["HS256"])


@pytest.mark.parametrize(
    "sign",
    [
        lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, OTHER_KEY),
        _unsigned,
        _signed_with_the_public_key_as_a_password,
        lambda claims: "no.token.atall",
        lambda claims: "",
    ],
    ids=["another key", "no signature", "public key as password", "nonsense", "nothing"],
)
async def test_an_id_token_that_the_provider_did_not_sign_is_refused(
    client: OidcProvider, provider: Provider, attempt: Attempt, sign: Callable[[dict[str, Any]], str]
) -> None:
    provider.sign = sign
    assert (await refused(client, attempt, answered(attempt))).code == "ID_TOKEN_INVALID"


async def test_a_provider_may_change_its_keys_without_a_restart(
    client: OidcProvider, provider: Provider, attempt: Attempt, clock: ManualClock
) -> None:
    await client.finish(attempt, answered(attempt))
    provider.published = [NEXT_KEY]
    provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "second"}, claims, NEXT_KEY)
    clock.advance(timedelta(seconds=1))
    await client.finish(attempt, answered(attempt))
    assert (provider.count("/jwks"), provider.count("/.well-known/openid-configuration")) == (2, 1)


async def test_groups_that_only_the_user_info_knows_count(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    provider.userinfo = {"sub": "0042", "groups": "okno-security", "name": "Another Name"}
    del provider.claims["groups"]
    person = await client.finish(attempt, answered(attempt))
    assert (person.groups, person.display_name) == (("okno-security",), "Anna Sorokina")


async def test_user_info_about_somebody_else_is_refused(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    provider.userinfo = {"sub": "0043", "groups": ["okno-security"]}
    del provider.claims["groups"]
    assert (await refused(client, attempt, answered(attempt))).code == "ID_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"preferred_username": None}, "LOGIN_MISSING"),
        ({"preferred_username": ""}, "LOGIN_MISSING"),
        ({"preferred_username": "a b"}, "LOGIN_MISSING"),
        ({"groups": {"a": 1}}, "GROUPS_MALFORMED"),
        ({"groups": [1]}, "GROUPS_MALFORMED"),
    ],
)
async def test_claims_of_another_form_are_refused_by_name(
    client: OidcProvider, provider: Provider, attempt: Attempt, claims: dict[str, Any], code: str
) -> None:
    provider.userinfo = {"sub": "0042"}
    provider.claims |= claims
    assert (await refused(client, attempt, answered(attempt))).code == code


def _cut(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("slow", request=request)


@pytest.mark.parametrize(
    "fault",
    [
        _cut,
        lambda request: httpx.Response(500),
        lambda request: httpx.Response(200, text="<html>"),
        lambda request: httpx.Response(200, json=[1]),
        lambda request: httpx.Response(302, headers={"Location": "http://127.0.0.1/"}),
    ],
    ids=["hangs", "500", "html", "list", "redirect"],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token"])
async def test_a_provider_that_is_broken_is_unavailable_and_signs_nobody_in(
    client: OidcProvider,
    provider: Provider,
    attempt: Attempt,
    path: str,
    fault: Callable[[httpx.Request], httpx.Response],
) -> None:
    provider.broken = lambda request: fault(request) if request.url.path == path else None
    with pytest.raises((Unavailable, SignInRefused)) as error:
        await client.finish(attempt, answered(attempt))
    assert error.value.code in ("UNAVAILABLE", "PROVIDER_REFUSED", "ID_TOKEN_INVALID")


async def test_a_provider_that_calls_itself_otherwise_is_a_mistake_of_the_configuration(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    provider.metadata["issuer"] = "https://id.example/"
    with pytest.raises(ConfigurationError, match="issuer"):
        await client.authorization_url(attempt)


def test_a_provider_without_tls_is_for_development_only(clock: ManualClock) -> None:
    settings = SETTINGS.model_copy(update={"issuer": "http://id.example"})
    with pytest.raises(ConfigurationError, match="https"):
        OidcProvider(settings, "s", REDIRECT, clock)
    OidcProvider(settings, "s", REDIRECT, clock, plain_http=True)


@pytest.mark.parametrize("keys", [{}, {"keys": None}, {"keys": ["no key"]}, {"keys": [{"kty": "RSA"}]}])
async def test_keys_that_are_none_are_a_provider_that_does_not_answer(
    client: OidcProvider, provider: Provider, attempt: Attempt, keys: dict[str, Any]
) -> None:
    provider.broken = lambda request: httpx.Response(200, json=keys) if request.url.path == "/jwks" else None
    with pytest.raises(Unavailable):
        await client.finish(attempt, answered(attempt))


async def test_an_answer_without_end_is_read_only_so_far(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            assert sent <= 2 * 1024 * 1024, "it is still being read"
            yield b" " * 65_536

    for path in ("/.well-known/openid-configuration", "/token", "/jwks"):
        sent = 0
        provider.broken = lambda request, path=path: (  # type: ignore[misc]
            httpx.Response(200, content=endless()) if request.url.path == path else None
        )
        with pytest.raises(Unavailable):
            await client.finish(attempt, answered(attempt))
        assert sent > 0
    provider.broken = lambda request: None
    assert (await client.finish(attempt, answered(attempt))).login == "anna.sorokina"


async def test_an_answer_nested_without_end_is_none(
    client: OidcProvider, provider: Provider, attempt: Attempt
) -> None:
    provider.broken = lambda request: httpx.Response(200, content=b"[" * 500_000)
    with pytest.raises(Unavailable):
        await client.finish(attempt, answered(attempt))
