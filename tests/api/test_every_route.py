"""All routes of a deployment, found by walking the application itself: whatever is asked, the answer carries its headers."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from okno.app import create_app
from okno.asgi import CONTENT_SECURITY_POLICY, SECURITY_HEADERS, Application
from okno.clock import SystemClock
from okno.errors import Unavailable
from okno.identity.oidc import OidcProvider
from okno.identity.service import Identity
from okno.settings import OidcSettings, Settings
from tests.api.sockets import Refused, connected
from tests.api.world import Parts, World
from tests.integration.identity_world import RecorderInMemory

ORIGIN = "https://okno.example"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class _Nobody:
    """Services that are not there: whoever needs them fails, and an error is an answer too."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable(f"There is no {name}.")


@pytest.fixture(scope="module")
def app(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Application:
    directory = tmp_path_factory.mktemp("dist")
    (directory / "assets").mkdir()
    (directory / "assets" / "index-1a2b.js").write_text("1", encoding="utf-8")
    (directory / "index.html").write_text("<!doctype html><title>Okno</title>", encoding="utf-8")
    settings = Settings.model_validate(
        {"mode": "development", "http": {"public_url": ORIGIN}, "frontend_dir": Path(directory)}
    )
    clock = SystemClock()
    provider = OidcSettings(issuer="https://id.example", client_id="okno", client_secret="env:X")
    identity = Identity(
        cast(Any, _Nobody()),
        clock,
        settings,
        parts.teams,
        RecorderInMemory(),
        oidc=OidcProvider(
            provider, "s", f"{ORIGIN}/auth/oidc/callback", clock, transport=httpx.MockTransport(_id_example)
        ),
    )
    services = SimpleNamespace(
        settings=settings,
        identity=identity,
        graph=parts.graph,
        for_graph=World(parts).services,
        limits=None,
        db=_Nobody(),
        journal=_Nobody(),
        people=_Nobody(),
    )
    return create_app(cast(Any, services))


def _id_example(request: httpx.Request) -> httpx.Response:
    base = "https://id.example"
    named = {key: f"{base}/{key}" for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    return httpx.Response(200, json={"issuer": base, **named})


def _paths(routes: tuple[BaseRoute, ...]) -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield from (
                f"{route.path}/",
                f"{route.path}/index-1a2b.js",
                f"{route.path}/missing.js",
                f"{route.path}/../x",
            )
        elif isinstance(route, Route):
            yield route.path.replace("{path:path}", "some/page")
    yield from ("/auth/nothing", "/v1/nothing", "/%00", "/" + "a" * 3000, "//evil.example/x")


@pytest.fixture(scope="module")
def answers(app: Application) -> list[tuple[str, httpx.Response]]:
    return asyncio.run(_answers(app))


async def _answers(app: Application) -> list[tuple[str, httpx.Response]]:
    found = []
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        for path in dict.fromkeys(_paths(app.routes)):
            for method in METHODS:
                for headers in (
                    {},
                    {"accept": "text/html", "origin": "https://evil.example"},
                    {"authorization": "Bearer x", "content-type": "application/json"},
                    {"cookie": "__Host-okno_session=x", "if-none-match": "*"},
                ):
                    body = "{}" if method in ("POST", "PUT", "PATCH") else None
                    answer = await client.request(method, path, headers=headers, content=body)
                    found.append((f"{method} {path[:40]} {headers}", answer))
    return found


def test_every_answer_of_every_route_is_protected(answers: list[tuple[str, httpx.Response]]) -> None:
    seen = {answer.status_code for _, answer in answers}
    assert {200, 204, 303, 400, 401, 403, 404, 405, 503} <= seen, seen
    for what, answer in answers:
        policies = answer.headers.get_list("content-security-policy")
        assert len(policies) == 1, what
        assert "unsafe" not in policies[0], what
        assert "frame-ancestors 'none'" in policies[0], what
        assert policies[0].startswith("default-src 'none'"), what
        for name, value in SECURITY_HEADERS:
            if name != b"content-security-policy":
                assert answer.headers.get_list(name.decode()) == [value.decode()], (what, name)
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains", what
        assert len(answer.headers["x-request-id"]) >= 8, what
        assert "access-control-allow-origin" not in answer.headers, what
        assert "server" not in answer.headers, what
        assert "Traceback" not in answer.text, what


def test_what_may_be_personal_is_kept_by_nobody(answers: list[tuple[str, httpx.Response]]) -> None:
    for what, answer in answers:
        kept = answer.headers["cache-control"]
        if "/assets/index-1a2b.js" in what and answer.status_code in (200, 304):
            assert kept == "public, max-age=31536000, immutable", what
        elif "<title>Okno</title>" in answer.text or (kept == "no-cache" and what.startswith("HEAD")):
            assert kept == "no-cache", f"{what}: the page of the application is the same for everybody"
        elif "/graphql/explorer/" not in what:
            assert kept == "no-store", what


def test_every_cookie_is_bound_to_the_host_and_hidden_from_scripts(
    answers: list[tuple[str, httpx.Response]],
) -> None:
    cookies = [cookie for _, answer in answers for cookie in answer.headers.get_list("set-cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-okno_session", "__Host-okno_sign_in"}
    for cookie in cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes, cookie
        assert not any(part.startswith("domain") for part in attributes), cookie


async def test_a_redirect_leads_only_to_the_provider_or_within_the_application(app: Application) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        for next_path in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
            answer = await client.get("/auth/oidc/start", params={"next": next_path})
            assert answer.headers["location"].startswith("https://id.example/authorization_endpoint?")
            assert "evil.example" not in answer.headers["location"]
            back = await client.get(
                "/auth/oidc/callback",
                params={"state": "x", "next": next_path},
                headers={"accept": "text/html"},
            )
            assert back.headers["location"] == "/?signInError=STATE_MISMATCH"


def test_the_policy_for_pages_lets_no_script_or_style_stand_in_the_page() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert (rules["base-uri"], rules["frame-ancestors"]) == ("'none'", "'none'")
    assert not {"script-src-attr", "style-src-attr"} & rules.keys()
    assert "*" not in CONTENT_SECURITY_POLICY


async def test_a_handshake_is_answered_with_the_same_headers(app: Application) -> None:
    sockets = [route for route in app.routes if isinstance(route, WebSocketRoute)]
    assert [route.path for route in sockets] == ["/graphql"]
    with pytest.raises(Refused) as refused:
        async with connected(app, {"origin": "https://evil.example"}):
            pass
    assert refused.value.status == 403
    headers = {name.lower(): value for name, value in refused.value.headers.items()}
    for name, value in SECURITY_HEADERS:
        assert headers[name.decode()] == value.decode()
