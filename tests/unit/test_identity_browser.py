"""What protects a browser: where it may be sent, which origins may speak, and the cookies' attributes."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.responses import Response

from okno.clock import ManualClock
from okno.identity.browser import Browser, CsrfRefused, safe_path
from okno.identity.credentials import SessionCookie, derive, digest, is_token, new_secret
from okno.identity.model import Actor
from okno.identity.recent import MEMORY_SECONDS, Recent
from okno.policy.service import Rights
from okno.settings import Settings
from tests.integration.identity_world import settings_of


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/people/42",
        "/people?search=%D0%B8&x=1#top",
        "/a:b",
        "/people//x",
        "/?next=https://elsewhere.example",
    ],
)
def test_a_path_of_the_application_is_where_one_goes_on(path: str) -> None:
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "people",
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "/\r\nSet-Cookie: x=1",
        "javascript:alert(1)",
        " /people",
        "/auth/oidc/start",
        "/" + "a" * 2000,
        "/люди",
    ],
)
def test_every_other_address_becomes_the_front_page(path: str | None) -> None:
    assert safe_path(path) == "/"


@given(st.text())
def test_no_text_leads_out_of_the_application(text: str) -> None:
    path = safe_path("/" + text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert not any(character in path for character in "\t\r\n\\")


SOMEBODY = UUID(int=7)


def _actor(csrf_token: str | None) -> Actor:
    return Actor(SOMEBODY, "person", "a.b", "A B", None, Rights(), csrf_token=csrf_token)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Okno-CSRF": "right"},
        {"X-Okno-CSRF": "right", "Origin": "http://localhost:8000"},
        {"X-Okno-CSRF": "right", "Origin": "http://127.0.0.1:8000"},
        {"X-Okno-CSRF": "right", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_a_request_of_the_application_itself_passes(headers: dict[str, str]) -> None:
    Browser(settings_of()).check_csrf(_actor("right"), Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Okno-CSRF": ""},
        {"X-Okno-CSRF": "wrong"},
        {"X-Okno-CSRF": "rïght"},
        {"X-Okno-CSRF": "right", "Origin": "https://elsewhere.example"},
        {"X-Okno-CSRF": "right", "Origin": "https://localhost:8000"},
        {"X-Okno-CSRF": "right", "Origin": "http://localhost:8001"},
        {"X-Okno-CSRF": "right", "Origin": "null"},
        {"X-Okno-CSRF": "right", "Sec-Fetch-Site": "cross-site"},
        {"X-Okno-CSRF": "right", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_request_that_another_site_may_have_made_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(CsrfRefused) as error:
        Browser(settings_of()).check_csrf(_actor("right"), Headers(headers))
    assert (error.value.code, error.value.http_status) == ("CSRF", 403)


def test_a_bearer_token_needs_no_csrf_token_because_no_browser_adds_it_by_itself() -> None:
    Browser(settings_of()).check_csrf(_actor(None), Headers({"Origin": "https://elsewhere.example"}))


def test_a_deployment_with_an_address_speaks_from_that_origin_alone() -> None:
    browser = Browser(settings_of("production", public_url="https://okno.example"))
    browser.check_origin(Headers({"Origin": "https://okno.example"}))
    with pytest.raises(CsrfRefused):
        browser.check_origin(Headers({"Origin": "http://localhost:8000"}))


@pytest.mark.parametrize(
    ("settings", "name", "secure"),
    [
        (settings_of(), "okno_session", False),
        (settings_of("production", public_url="https://okno.example"), "__Host-okno_session", True),
    ],
)
def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(
    settings: Settings, name: str, secure: bool
) -> None:
    response = Response()
    Browser(settings).cookies.set_session(response, "value")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{name}=value; ")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert ("Secure" in cookie) is secure


def test_secrets_are_256_bits_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 43 for secret in made)


def test_only_what_has_the_form_of_a_token_is_looked_up() -> None:
    assert is_token("okno_pat_" + new_secret())
    assert is_token("okno_svc_" + new_secret())
    for text in (
        "",
        "okno_pat_",
        "okno_pat_short",
        "okno_abc_" + new_secret(),
        "okno_pat_" + new_secret() + "\n",
    ):
        assert not is_token(text)


def test_a_rotated_cookie_keeps_the_key_and_the_csrf_token() -> None:
    cookie = SessionCookie.new()
    rotated = cookie.rotated()
    assert rotated.key == cookie.key
    assert rotated.secret != cookie.secret
    assert rotated.csrf_token == cookie.csrf_token
    assert SessionCookie.parse(cookie.value) == cookie
    assert cookie.key not in repr(cookie)
    assert cookie.secret not in repr(cookie)


@pytest.mark.parametrize(
    "text", ["", ".", "a.b", "a" * 43, "a" * 43 + "." + "b" * 44, "a" * 43 + "." + "б" * 43]
)
def test_another_form_is_no_session_cookie(text: str) -> None:
    assert SessionCookie.parse(text) is None


def test_what_is_derived_for_one_purpose_says_nothing_about_another() -> None:
    key = new_secret()
    assert derive(key, "csrf") == derive(key, "csrf")
    assert len({key, derive(key, "csrf"), derive(key, "nonce"), digest(key).hex()}) == 4


def test_what_was_found_is_forgotten_after_two_seconds_and_the_oldest_first(clock: ManualClock) -> None:
    recent: Recent[int] = Recent(clock, limit=2)
    for key, value in ((b"a", 1), (b"b", 2), (b"c", 3)):
        recent.put(key, value, generation=recent.generation)
    assert (recent.find(b"a"), recent.find(b"b"), recent.find(b"c")) == (None, 2, 3)
    clock.advance(timedelta(seconds=MEMORY_SECONDS))
    assert recent.find(b"c") is None


def test_what_was_read_before_a_revocation_is_not_remembered_after_it(clock: ManualClock) -> None:
    recent: Recent[int] = Recent(clock)
    asked = recent.generation
    recent.clear()  # while the database was answering
    recent.put(b"a", 1, generation=asked)
    assert recent.find(b"a") is None
