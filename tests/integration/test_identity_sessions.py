"""Sessions in the real database, seen through the browser's side: cookies in, cookies out."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.errors import NotFound, Unavailable
from okno.identity.model import employee_uuid
from okno.identity.recorder import JournalRecorder
from okno.identity.service import Identity, Teams
from okno.storage.engine import Database
from tests.integration.identity_world import (
    ROLES,
    RecorderInMemory,
    browser_of,
    identity_of,
    settings_of,
    sign_in,
    stored_text,
)

TWO_TEAMS = 'members:\n  - {login: vera.lis, display_name: Vera Lis, personnel_number: "100016"}\n'


@pytest.fixture
def recorder() -> RecorderInMemory:
    return RecorderInMemory()


@pytest.fixture
def identity(db: Database, clock: ManualClock, recorder: RecorderInMemory) -> Identity:
    return identity_of(db, clock, recorder)


@pytest.fixture
async def browser(identity: Identity) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(identity) as browser:
        yield browser


async def test_a_demo_person_signs_in_acts_and_signs_out(
    browser: httpx.AsyncClient, recorder: RecorderInMemory
) -> None:
    before = (await browser.get("/auth/session")).json()
    assert before == {
        "signedIn": False,
        "csrfToken": None,
        "methods": ["development"],
        "displayName": None,
        "login": None,
        "team": None,
        "secondFactor": False,
        "teams": [],
    }
    csrf = await sign_in(browser)
    during = (await browser.get("/auth/session")).json()
    assert (during["signedIn"], during["displayName"], during["csrfToken"]) == (True, "Anna Sorokina", csrf)
    assert during["teams"] == [
        {"id": "first-line-cis", "title": {"en": "First line, CIS", "ru": "Первая линия, СНГ"}}
    ]
    probe = (await browser.get("/probe")).json()
    assert probe == {
        "login": "anna.sorokina",
        "team": "first-line-cis",
        "facts": ["development", "session", "working_hours"],
    }
    answer = await browser.post("/auth/sign-out", headers={"X-Okno-CSRF": csrf})
    assert answer.json()["signedIn"] is False
    assert "okno_session" not in browser.cookies
    assert (await browser.get("/probe")).status_code == 401
    assert recorder.records[0][:2] == ("session.started", "anna.sorokina")
    assert recorder.records[1][:2] == ("session.ended", "anna.sorokina")
    assert recorder.records[0][2]["session"] == recorder.records[1][2]["session"]


async def test_a_signed_out_cookie_opens_nothing_any_more(browser: httpx.AsyncClient) -> None:
    csrf = await sign_in(browser)
    kept = browser.cookies["okno_session"]
    await browser.post("/auth/sign-out", headers={"X-Okno-CSRF": csrf})
    browser.cookies.set("okno_session", kept, domain="localhost.local")
    answer = await browser.get("/probe", headers={"Cookie": f"okno_session={kept}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_the_actor_is_the_employee_of_the_personnel_number(db: Database, identity: Identity) -> None:
    signed_in = await identity.dev_sign_in("elena.kim")
    assert signed_in.actor.employee_id == employee_uuid("100009")
    assert signed_in.actor.rights.roles == {"support", "hr_desk", "hr_compensation"}
    again = await identity.dev_sign_in("elena.kim")
    assert (again.actor.id, again.actor.session_id != signed_in.actor.session_id) == (
        signed_in.actor.id,
        True,
    )


async def test_rights_of_a_login_are_told_without_signing_anybody_in(
    db: Database, identity: Identity, recorder: RecorderInMemory
) -> None:
    actor = await identity.actor_of_login("Anna.Sorokina")
    assert (actor.team, actor.session_id, actor.csrf_token) == ("first-line-cis", None, None)
    assert actor.rights.facts == {"session", "development", "working_hours"}
    assert await stored_text(db, ("identity_session",)) == ""
    assert recorder.records == []
    with pytest.raises(NotFound, match="Nobody with the login nobody"):
        await identity.actor_of_login("nobody")


async def test_the_demo_people_are_listed_with_team_and_roles(browser: httpx.AsyncClient) -> None:
    people = (await browser.get("/auth/people")).json()
    assert next(each for each in people if each["login"] == "anna.sorokina") == {
        "login": "anna.sorokina",
        "displayName": "Anna Sorokina",
        "team": {"id": "first-line-cis", "title": {"en": "First line, CIS", "ru": "Первая линия, СНГ"}},
        "roles": ["support", "first_line", "domain_operator"],
    }
    assert len({each["team"]["id"] for each in people}) == len(people) == 15


async def test_an_unknown_demo_login_is_refused_and_the_refusal_recorded(
    browser: httpx.AsyncClient, recorder: RecorderInMemory
) -> None:
    answer = await browser.post("/auth/development", json={"login": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (403, "UNKNOWN_LOGIN")
    assert recorder.records == [
        ("session.failed", None, {"method": "development", "code": "UNKNOWN_LOGIN", "login": "nobody"})
    ]
    assert "okno_session" not in browser.cookies


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"anna.sorokina"',
        b"{}",
        b'{"login": 7}',
        b'{"login": ""}',
        b'{"login": "a\\u0000b"}',
        b"[" * 4000,
    ],
)
async def test_a_malformed_body_is_one_clear_error(browser: httpx.AsyncClient, content: bytes) -> None:
    answer = await browser.post(
        "/auth/development", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")


async def test_a_body_that_is_too_large_or_no_json_is_refused(browser: httpx.AsyncClient) -> None:
    large = await browser.post("/auth/development", json={"login": "a" * 10_000})
    assert (large.status_code, "4096 bytes" in large.json()["message"]) == (400, True)
    form = await browser.post("/auth/development", data={"login": "anna.sorokina"})
    assert (form.status_code, "Content-Type" in form.json()["message"]) == (400, True)


async def test_another_origin_cannot_sign_a_browser_in(browser: httpx.AsyncClient) -> None:
    answer = await browser.post(
        "/auth/development", json={"login": "anna.sorokina"}, headers={"Origin": "https://elsewhere.example"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "CSRF")


@pytest.mark.parametrize(
    "headers", [{}, {"X-Okno-CSRF": "wrong"}, {"X-Okno-CSRF": "right", "Origin": "https://elsewhere.example"}]
)
async def test_a_post_with_the_cookie_needs_the_token_and_the_origin(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    csrf = await sign_in(browser)
    sent = {key: csrf if value == "right" else value for key, value in headers.items()}
    for path in ("/probe", "/auth/sign-out"):
        answer = await browser.post(path, headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "CSRF")
    assert (await browser.get("/probe")).status_code == 200
    assert (await browser.post("/probe", headers={"X-Okno-CSRF": csrf})).status_code == 200


async def test_the_development_sign_in_does_not_exist_in_production(
    db: Database, clock: ManualClock, recorder: RecorderInMemory, identity: Identity
) -> None:
    made_in_development = (await identity.dev_sign_in("anna.sorokina")).cookie
    token = (await identity.issue_token("anna.sorokina", timedelta(hours=1))).token
    production = identity_of(
        db, clock, recorder, settings_of("production", public_url="https://okno.example")
    )
    async with browser_of(production, base_url="https://okno.example") as browser:
        assert (await browser.post("/auth/development", json={"login": "anna.sorokina"})).status_code == 404
        assert (await browser.get("/auth/people")).status_code == 404
        assert (await browser.get("/auth/session")).json()["methods"] == []
        cookie = {"Cookie": f"__Host-okno_session={made_in_development}"}
        assert (await browser.get("/probe", headers=cookie)).status_code == 401
        assert (await browser.get("/probe", headers={"Authorization": f"Bearer {token}"})).status_code == 401
    assert production.list_demo_people() == ()
    with pytest.raises(Exception, match="No demo person"):
        await production.dev_sign_in("anna.sorokina")


async def test_an_idle_session_expires_and_the_browser_is_told_so(
    browser: httpx.AsyncClient, clock: ManualClock
) -> None:
    await sign_in(browser)
    clock.advance(timedelta(hours=8))
    answer = await browser.get("/probe")
    assert (answer.status_code, answer.json()["code"], "expired" in answer.json()["message"]) == (
        401,
        "UNAUTHENTICATED",
        True,
    )
    assert (await browser.get("/auth/session")).json()["signedIn"] is False
    assert "okno_session" not in browser.cookies


async def test_use_keeps_a_session_alive_until_its_absolute_end(
    browser: httpx.AsyncClient, clock: ManualClock, identity: Identity, db: Database
) -> None:
    await sign_in(browser)
    for _ in range(5):
        clock.advance(timedelta(hours=4, minutes=47))
        assert (await browser.get("/probe")).status_code == 200
    clock.advance(timedelta(minutes=5))
    assert (await browser.get("/probe")).status_code == 401
    assert await identity.delete_past_sessions() == 1
    assert await stored_text(db, ("identity_session",)) == ""


async def test_the_cookie_rotates_while_the_csrf_token_and_the_session_stay(
    browser: httpx.AsyncClient, clock: ManualClock
) -> None:
    csrf = await sign_in(browser)
    first = browser.cookies["okno_session"]
    clock.advance(timedelta(seconds=899))
    await browser.get("/probe")
    assert browser.cookies["okno_session"] == first
    clock.advance(timedelta(seconds=3))
    answer = await browser.get("/probe")
    second = browser.cookies["okno_session"]
    assert second != first
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert (await browser.post("/probe", headers={"X-Okno-CSRF": csrf})).status_code == 200


async def test_of_concurrent_requests_all_pass_and_one_rotates(
    committed_db: Database, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    processes = [identity_of(committed_db, clock, recorder) for _ in range(6)]
    signed_in = await processes[0].dev_sign_in("anna.sorokina")
    clock.advance(timedelta(seconds=900))
    cookies = {"okno_session": signed_in.cookie}
    answers = await asyncio.gather(*(process.authenticate_session(cookies, None) for process in processes))
    renewed = [answer.renewed_cookie for answer in answers if answer is not None and answer.renewed_cookie]
    assert len(renewed) == 1
    assert {answer.actor.id for answer in answers if answer is not None} == {signed_in.actor.id}
    later = identity_of(committed_db, clock, recorder)
    assert await later.authenticate({"okno_session": renewed[0]}, None) is not None


async def test_a_replaced_cookie_that_comes_back_ends_the_session_for_thief_and_owner(
    browser: httpx.AsyncClient, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    await sign_in(browser)
    stolen = {"Cookie": f"okno_session={browser.cookies['okno_session']}"}
    clock.advance(timedelta(seconds=900))
    await browser.get("/probe")
    clock.advance(timedelta(seconds=5))
    assert (await browser.get("/probe")).status_code == 200
    async with httpx.AsyncClient(transport=browser._transport, base_url=browser.base_url) as thief:
        assert (await thief.get("/probe", headers=stolen)).status_code == 200
        clock.advance(timedelta(seconds=31))
        assert (await thief.get("/probe", headers=stolen)).status_code == 401
    assert recorder.records[-1][0] == "session.ended"
    assert recorder.records[-1][2]["reason"] == "replayed"
    assert (await browser.get("/probe")).status_code == 401


async def test_a_client_that_missed_the_new_cookie_goes_on_with_the_old_one(
    identity: Identity, clock: ManualClock
) -> None:
    old = {"okno_session": (await identity.dev_sign_in("anna.sorokina")).cookie}
    clock.advance(timedelta(seconds=900))
    lost = await identity.authenticate_session(old, None)
    assert lost is not None
    assert lost.renewed_cookie is not None
    clock.advance(timedelta(seconds=61))
    again = await identity.authenticate_session(old, None)
    assert again is not None
    assert again.renewed_cookie not in (None, lost.renewed_cookie)


async def test_a_new_sign_in_ends_the_session_that_the_browser_had(
    browser: httpx.AsyncClient, recorder: RecorderInMemory
) -> None:
    await sign_in(browser)
    first = {"Cookie": f"okno_session={browser.cookies['okno_session']}"}
    await sign_in(browser, "vera.lis")
    assert (await browser.get("/probe")).json()["login"] == "vera.lis"
    browser.cookies.clear()
    assert (await browser.get("/probe", headers=first)).status_code == 401
    assert recorder.types == ["session.started", "session.ended", "session.started"]


async def test_whoever_left_every_team_is_out_within_seconds(
    browser: httpx.AsyncClient,
    db: Database,
    clock: ManualClock,
    recorder: RecorderInMemory,
    identity: Identity,
) -> None:
    await sign_in(browser)
    cookies = {"okno_session": browser.cookies["okno_session"]}
    without = identity_of(
        db, clock, recorder, teams=Teams(team for team in identity.teams if team.id == "security")
    )
    with pytest.raises(Exception, match="no longer a member of any team"):
        await without.authenticate(cookies, None)


async def test_a_disabled_account_is_out_within_seconds(
    browser: httpx.AsyncClient, db: Database, clock: ManualClock
) -> None:
    await sign_in(browser)
    assert (await browser.get("/probe")).status_code == 200
    async with db.transaction() as session:
        await session.execute(text("UPDATE identity_account SET disabled_at = created_at"))
    clock.advance(timedelta(seconds=2))
    assert (await browser.get("/probe")).status_code == 401


async def test_a_member_of_two_teams_acts_for_one_at_a_time_and_never_mixes_their_rights(
    db: Database, clock: ManualClock, recorder: RecorderInMemory, tmp_path: Path
) -> None:
    for file in ROLES.glob("*.yaml"):
        team = file.read_text(encoding="utf-8")
        if file.stem == "executives-support":
            team = team.partition("members:")[0] + TWO_TEAMS
        (tmp_path / file.name).write_text(team, encoding="utf-8")
    identity = identity_of(db, clock, recorder, teams=Teams.load(tmp_path))
    async with browser_of(identity) as browser:
        csrf = await sign_in(browser, "vera.lis")
        first = {"Cookie": f"okno_session={browser.cookies['okno_session']}"}
        assert (await browser.get("/probe")).json()["team"] == "executives-support"
        answer = await browser.post("/auth/team", json={"team": "security"}, headers={"X-Okno-CSRF": csrf})
        assert (answer.json()["team"], len(answer.json()["teams"])) == ("security", 2)
        assert answer.json()["csrfToken"] != csrf
        actor = await identity.authenticate({"okno_session": browser.cookies["okno_session"]}, None)
        assert actor is not None
        assert actor.rights.roles == {"security_reviewer", "auditor"}
        assert actor.rights.teams == {"security"}
        csrf = answer.json()["csrfToken"]
        foreign = await browser.post("/auth/team", json={"team": "devices"}, headers={"X-Okno-CSRF": csrf})
        assert (foreign.status_code, foreign.json()["code"]) == (400, "INVALID_INPUT")
        browser.cookies.clear()
        assert (await browser.get("/probe", headers=first)).status_code == 401
    assert recorder.types == ["session.started", "session.started", "session.ended"]


async def test_a_sign_in_that_cannot_be_recorded_does_not_happen(
    browser: httpx.AsyncClient, db: Database, recorder: RecorderInMemory
) -> None:
    recorder.down = True
    answer = await browser.post("/auth/development", json={"login": "anna.sorokina"})
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "okno_session" not in browser.cookies
    assert await stored_text(db, ("identity_session",)) == ""


async def test_a_sign_out_that_cannot_be_recorded_leaves_the_session_and_says_so(
    browser: httpx.AsyncClient, recorder: RecorderInMemory
) -> None:
    csrf = await sign_in(browser)
    recorder.down = True
    assert (await browser.post("/auth/sign-out", headers={"X-Okno-CSRF": csrf})).status_code == 503
    assert (await browser.get("/probe")).status_code == 200


async def test_the_real_journal_tells_who_signed_in_and_who_failed(
    committed_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    journal = Journal(committed_db, clock, tmp_path)
    await journal.start()
    try:
        identity = Identity(committed_db, clock, settings_of(), Teams.load(ROLES), JournalRecorder(journal))
        signed_in = await identity.dev_sign_in("kwame.mensah")
        with pytest.raises(Exception, match="No demo person"):
            await identity.dev_sign_in("nobody")
        await identity.sign_out(signed_in.actor)
        issued = await identity.issue_token("kwame.mensah", timedelta(hours=1))
        await identity.revoke(issued.id)
        records = await journal.tail(20)
    finally:
        await journal.close()
    told = [(record.event_type, record.phase, record.actor_login) for record in records]
    assert told[1:] == [
        ("session.started", "event", "kwame.mensah"),
        ("session.failed", "event", None),
        ("session.ended", "event", "kwame.mensah"),
        ("token.issued", "intent", "okno"),
        ("token.issued", "outcome", "okno"),
        ("token.revoked", "intent", "okno"),
        ("token.revoked", "outcome", "okno"),
    ]
    stored = await stored_text(committed_db, ("audit_record", "audit_value", "audit_command"))
    for secret in (issued.token, *signed_in.cookie.split(".")):
        assert secret.removeprefix("okno_pat_") not in stored


async def test_a_database_that_is_away_is_unavailable_and_not_a_trace(
    clock: ManualClock, recorder: RecorderInMemory, tmp_path: Path
) -> None:
    away = Database.connect(f"postgresql://nobody@/nothing?host={tmp_path}")
    identity = identity_of(away, clock, recorder)
    async with browser_of(identity) as browser:
        answer = await browser.post("/auth/development", json={"login": "anna.sorokina"})
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        cookie = {"Cookie": "okno_session=" + "a" * 43 + "." + "b" * 43}
        assert (await browser.get("/probe", headers=cookie)).status_code == 503
        assert (await browser.get("/auth/session", headers=cookie)).status_code == 503
    with pytest.raises(Unavailable):
        await identity.authenticate({"okno_session": "a" * 43 + "." + "b" * 43}, None)
    await away.dispose()


async def test_no_secret_of_a_session_is_stored_in_any_form_that_opens_it(
    browser: httpx.AsyncClient, db: Database, clock: ManualClock
) -> None:
    csrf = await sign_in(browser)
    shown = [csrf, *browser.cookies["okno_session"].split(".")]
    clock.advance(timedelta(seconds=900))
    await browser.get("/probe")
    shown += browser.cookies["okno_session"].split(".")
    stored = await stored_text(db)
    assert "anna.sorokina" in stored
    for secret in shown:
        raw = base64.urlsafe_b64decode(secret + "=")
        for form in (secret, secret.encode().hex(), raw.hex(), base64.b64encode(raw).decode()):
            assert form not in stored
