"""Signing in under attack: limits of an address, waits and locks, and ending all sessions; over HTTP with a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.routing import Route

from okno.asgi import Application
from okno.clock import ManualClock
from okno.identity.access_cli import access_group
from okno.identity.http import SessionMiddleware, identity_routes
from okno.identity.service import Identity
from okno.identity.store import HeldSession
from okno.limits.service import RequestLimits
from okno.settings import Settings
from okno.storage.engine import Database
from tests.integration.identity_world import ORIGIN, RecorderInMemory, _probe, identity_of

HERE, THERE = "203.0.113.1", "203.0.113.2"


@dataclass
class Door:
    """Identity behind the limits of a deployment."""

    identity: Identity
    limits: RequestLimits
    recorder: RecorderInMemory
    clock: ManualClock
    app: Application

    def browser(self, address: str = HERE, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)

    async def sign_in(self, login: str, address: str = HERE) -> httpx.Response:
        async with self.browser(address) as browser:
            return await browser.post("/auth/development", json={"login": login})


@asynccontextmanager
async def door_of(db: Database, clock: ManualClock, **limits: int) -> AsyncIterator[Door]:
    settings = Settings.model_validate(
        {"mode": "development", "limits": limits, "http": {"trusted_proxies": ["10.0.0.0/8"]}}
    )
    counted = RequestLimits(db, clock, settings)
    recorder = RecorderInMemory()
    identity = identity_of(db, clock, recorder, settings)
    identity._attempts = counted.attempts
    probe = Route(
        "/probe",
        _probe,
        methods=["GET", "POST"],
        middleware=[Middleware(SessionMiddleware, identity=identity)],
    )
    app = Application([*identity_routes(identity), probe], https=False, limits=counted)
    try:
        yield Door(identity, counted, recorder, clock, app)
    finally:
        await counted.close()


async def test_repeated_failures_make_wait_then_lock_and_tell_nothing_of_who_exists(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock) as door:
        told = {}
        for login in ("nobody.here", "maria.nobody"):
            answers = []
            for _ in range(12):
                answer = await door.sign_in(login)
                answers.append((answer.status_code, answer.json()["code"], answer.headers.get("retry-after")))
                if answer.status_code == 429:
                    clock.advance(timedelta(seconds=int(answer.headers["retry-after"])))
            told[login] = answers
        assert told["nobody.here"] == told["maria.nobody"]
        codes = [code for _, code, _ in told["nobody.here"]]
        assert codes[:4] == ["UNKNOWN_LOGIN"] * 4
        assert "TOO_MANY_ATTEMPTS" in codes[4:]


async def test_a_lock_is_of_one_login_from_one_address_and_is_recorded_once(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock, free_failures=10, lock_after=3) as door:
        for _ in range(3):
            assert (await door.sign_in("nobody.here")).status_code == 403
        locked = await door.sign_in("NOBODY.here")
        assert (locked.status_code, locked.json()["code"]) == (429, "TOO_MANY_ATTEMPTS")
        assert locked.headers["retry-after"] == "900"
        assert locked.json()["retryAfterSeconds"] == 900
        assert (await door.sign_in("anna.sorokina")).status_code == 200, "others sign in from there"
        assert (await door.sign_in("nobody.here", THERE)).status_code == 403, "and the same from elsewhere"
        assert door.recorder.types.count("session.locked") == 1
        (record,) = [detail for kind, _, detail in door.recorder.records if kind == "session.locked"]
        assert (record["login"], record["address"], record["failures"]) == ("nobody.here", HERE, 3)
        assert record["until"].startswith("2026-11-02T09:15")


async def test_an_administrator_unlocks_and_that_is_recorded(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock, lock_after=3) as door:
        for _ in range(3):
            await door.sign_in("nobody.here")
        assert [each.login for each in await door.identity.list_locks()] == ["nobody.here"]
        assert await door.identity.unlock(login="nobody.here", address=None) == 1
        assert (await door.sign_in("nobody.here")).status_code == 403
        assert "session.unlocked" in door.recorder.types


def test_the_command_line_can_do_so() -> None:
    group = access_group(lambda: pytest.fail("no command is run"))
    assert set(group.commands) == {"locks", "unlock", "sign-out"}


async def test_sign_ins_of_an_address_are_limited_and_the_limit_is_named(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock, sign_ins_per_minute=10) as door:
        statuses = [(await door.sign_in(f"nobody.{number}")).status_code for number in range(14)]
        assert statuses[:10] == [403] * 10
        assert statuses[-1] == 429
        refused = await door.sign_in("anna.sorokina")
        assert refused.json()["code"] == "RATE_LIMITED"
        assert (refused.json()["limit"], refused.json()["allowed"]) == ("sign-ins of an address", 10)
        assert int(refused.headers["retry-after"]) >= 1
        assert (await door.sign_in("anna.sorokina", THERE)).status_code == 200
        clock.advance(timedelta(minutes=1))
        assert (await door.sign_in("anna.sorokina")).status_code == 200


async def test_tokens_that_are_none_are_limited_and_do_not_stop_one_that_is(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock, bad_tokens_per_minute=10) as door:
        good = (await door.identity.issue_token("anna.sorokina", timedelta(hours=1))).token
        async with door.browser() as tool:
            assert (await tool.get("/probe", headers={"authorization": f"Bearer {good}"})).status_code == 200
            statuses = []
            for number in range(14):
                bad = f"okno_pat_{number:043d}"
                statuses.append(
                    (await tool.get("/probe", headers={"authorization": f"Bearer {bad}"})).status_code
                )
            assert statuses[:10] == [401] * 10
            assert statuses[-1] == 429
            assert (await tool.get("/probe", headers={"authorization": f"Bearer {good}"})).status_code == 200


async def test_requests_of_a_person_are_limited_whatever_address_they_come_from(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock, person_per_minute=20) as door:
        token = (await door.identity.issue_token("anna.sorokina", timedelta(hours=1))).token
        statuses = []
        for number in range(26):
            async with door.browser(f"203.0.113.{number}", authorization=f"Bearer {token}") as tool:
                statuses.append((await tool.get("/probe")).status_code)
        assert statuses[:20] == [200] * 20
        assert statuses[-1] == 429


async def test_an_address_is_limited_before_anything_is_looked_at_and_on_every_route(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock, address_per_minute=10) as door:
        async with door.browser() as client:
            statuses = [(await client.get(f"/nowhere/{number}")).status_code for number in range(14)]
            assert statuses[:10] == [404] * 10
            answer = await client.get("/auth/session")
        assert answer.status_code == 429
        assert answer.json()["code"] == "RATE_LIMITED"
        assert "retry-after" in answer.headers
        assert "content-security-policy" in answer.headers
        async with door.browser(THERE) as other:
            assert (await other.get("/auth/session")).status_code == 200


async def test_x_forwarded_for_counts_as_far_as_proxies_are_trusted(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock) as door:
        of = door.limits.addresses.of

        def seen(peer: str | None, *lines: str) -> str:
            headers = [(b"x-forwarded-for", line.encode()) for line in lines]
            return of({"type": "http", "client": None if peer is None else (peer, 1), "headers": headers})

        assert seen("203.0.113.9", "1.1.1.1") == "203.0.113.9", "whoever is no proxy of ours says nothing"
        assert seen("10.1.1.1", "198.51.100.7") == "198.51.100.7"
        assert seen("10.1.1.1", "1.1.1.1, 198.51.100.7, 10.2.2.2") == "198.51.100.7"
        assert seen("10.1.1.1", "1.1.1.1", "198.51.100.7") == "198.51.100.7", "several lines are one list"
        assert seen("10.1.1.1", "198.51.100.7:5123") == "198.51.100.7"
        assert seen("10.1.1.1", "[2001:db8::7]:5123") == "2001:db8::/64"
        assert seen("10.1.1.1", "1.1.1.1, garbage") == "10.1.1.1", "what cannot be read is not passed over"
        assert seen("10.1.1.1") == "10.1.1.1"
        assert seen("::ffff:10.1.1.1", "198.51.100.7") == "198.51.100.7"
        assert seen("2001:db8::1") == seen("2001:db8::ffff") == "2001:db8::/64"
        assert seen(None) == "unknown"


async def test_signing_out_everywhere_ends_all_sessions_of_the_person_and_no_others(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock) as door:
        browsers = [door.browser() for _ in range(3)]
        logins = ("anna.sorokina", "anna.sorokina", "elena.kim")
        csrf = [
            (await browser.post("/auth/development", json={"login": login})).json()["csrfToken"]
            for browser, login in zip(browsers, logins, strict=True)
        ]
        refused = await browsers[0].post("/auth/sign-out-everywhere", json={})
        assert refused.json()["code"] == "CSRF"
        ended = await browsers[0].post("/auth/sign-out-everywhere", headers={"x-okno-csrf": csrf[0]}, json={})
        assert ended.json()["signedIn"] is False
        assert "Max-Age=0" in ended.headers["set-cookie"]
        signed_in = [(await browser.get("/auth/session")).json()["signedIn"] for browser in browsers]
        assert signed_in == [False, False, True]
        assert door.recorder.types.count("session.ended_all") == 1
        for browser in browsers:
            await browser.aclose()


async def test_no_session_slips_through_by_changing_the_team_while_all_are_ended(
    committed_db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stole a session could otherwise go on from team to team, until once it is not there when all are ended."""
    async with door_of(committed_db, clock) as door, door.browser() as browser:
        signed_in = (await browser.post("/auth/development", json={"login": "anna.sorokina"})).json()
        sessions = door.identity._sessions
        get = sessions.get

        async def get_and_end_all(session_id: UUID) -> HeldSession:
            held = await get(session_id)
            await door.identity.end_access("anna.sorokina", tokens=False)
            return held

        monkeypatch.setattr(sessions, "get", get_and_end_all)
        changed = await browser.post(
            "/auth/team", headers={"x-okno-csrf": signed_in["csrfToken"]}, json={"team": signed_in["team"]}
        )
        assert changed.status_code == 401
        assert "set-cookie" not in changed.headers
        assert (await door.identity.end_access("anna.sorokina", tokens=False))[0] == 0
        assert door.recorder.types.count("session.started") == 1


async def test_an_administrator_ends_sessions_and_tokens_of_somebody(
    committed_db: Database, clock: ManualClock
) -> None:
    async with door_of(committed_db, clock) as door:
        token = (await door.identity.issue_token("anna.sorokina", timedelta(hours=1))).token
        async with door.browser() as browser, door.browser(authorization=f"Bearer {token}") as tool:
            await browser.post("/auth/development", json={"login": "anna.sorokina"})
            assert (await tool.get("/probe")).status_code == 200
            assert await door.identity.end_access("anna.sorokina", tokens=False) == (1, 0)
            assert (await browser.get("/auth/session")).json()["signedIn"] is False
            assert (await tool.get("/probe")).status_code == 200
            assert await door.identity.end_access("anna.sorokina", tokens=True) == (0, 1)
            assert (await tool.get("/probe")).status_code == 401


async def test_a_session_that_somebody_else_prepared_is_not_taken_over(
    committed_db: Database, clock: ManualClock
) -> None:
    """Session fixation: neither an invented cookie nor one of the attacker's becomes the session of who signs in."""
    async with door_of(committed_db, clock) as door:
        attacker = door.browser()
        await attacker.post("/auth/development", json={"login": "elena.kim"})
        prepared = attacker.cookies["okno_session"]
        for planted in (prepared, "A" * 43 + "." + "B" * 43):
            async with door.browser() as victim:
                victim.cookies.set("okno_session", planted, domain="localhost.local")
                answer = await victim.post(
                    "/auth/development",
                    json={"login": "anna.sorokina"},
                    headers={"cookie": f"okno_session={planted}"},
                )
                assert answer.status_code == 200
                given = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
                assert given.split(".")[0] != planted.split(".")[0]
                assert given.split(".")[1] != planted.split(".")[1]
        session = (await attacker.get("/auth/session")).json()
        assert session["login"] != "anna.sorokina"
        await attacker.aclose()


async def test_the_cookie_over_https_belongs_to_this_host_alone(
    committed_db: Database, clock: ManualClock
) -> None:
    settings = Settings.model_validate(
        {"mode": "development", "http": {"public_url": "https://okno.example"}}
    )
    identity = identity_of(committed_db, clock, RecorderInMemory(), settings)
    app = Application(identity_routes(identity), https=True)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://okno.example") as browser:
        answer = await browser.post("/auth/development", json={"login": "anna.sorokina"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-okno_session=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
        assert attribute.lower() in cookie.lower()
    assert "domain" not in cookie.lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    assert answer.headers["cache-control"] == "no-store"
