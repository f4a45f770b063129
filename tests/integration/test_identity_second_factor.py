"""What the request makes true of an actor: a fresh second factor, working hours; and duties that one person may not hold."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from okno.clock import ManualClock
from okno.errors import InvalidInput, Unauthenticated
from okno.identity.oidc import SignInRefused
from okno.identity.service import Identity, Teams
from okno.policy.service import Incompatible
from okno.storage.engine import Database
from tests.integration.identity_world import (
    ROLES,
    RecorderInMemory,
    browser_of,
    identity_of,
    settings_of,
    sign_in,
)

LOGIN = "anna.sorokina"


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


async def facts(browser: httpx.AsyncClient) -> set[str]:
    answer = await browser.get("/probe")
    assert answer.status_code == 200, answer.text
    return set(answer.json()["facts"])


async def prove(browser: httpx.AsyncClient, login: str = LOGIN) -> None:
    answer = await browser.post("/auth/development", json={"login": login, "secondFactor": True})
    assert answer.json()["secondFactor"] is True, answer.text


async def test_a_second_factor_is_fresh_for_fifteen_minutes_and_not_for_one_second_more(
    browser: httpx.AsyncClient, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    await sign_in(browser)
    assert "second_factor" not in await facts(browser)
    assert (await browser.get("/auth/session")).json()["secondFactor"] is False

    await prove(browser)

    assert "second_factor" in await facts(browser)
    assert [record[2]["second_factor"] for record in recorder.records if "team" in record[2]] == [False, True]
    clock.advance(timedelta(minutes=15) - timedelta(seconds=3))
    assert "second_factor" in await facts(browser)
    clock.advance(timedelta(seconds=3))
    assert "second_factor" not in await facts(browser)
    assert (await browser.get("/auth/session")).json()["secondFactor"] is False


async def test_how_long_it_is_fresh_is_a_setting(
    db: Database, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    identity = identity_of(db, clock, recorder, settings_of(second_factor_minutes=1))
    async with browser_of(identity) as browser:
        await prove(browser)
        clock.advance(timedelta(seconds=57))
        assert "second_factor" in await facts(browser)
        clock.advance(timedelta(seconds=3))
        assert "second_factor" not in await facts(browser)


async def test_a_clock_that_was_set_back_proves_nothing(
    browser: httpx.AsyncClient, identity: Identity, clock: ManualClock, db: Database
) -> None:
    await prove(browser)
    clock.set_wall(clock.now() - timedelta(minutes=1))
    # another process, which has not kept the actor
    elsewhere = identity_of(db, clock, RecorderInMemory())
    actor = await elsewhere.authenticate({"okno_session": browser.cookies["okno_session"]}, None)
    assert actor is not None
    assert "second_factor" not in actor.rights.facts


async def test_only_a_plain_yes_counts_as_a_tick(browser: httpx.AsyncClient) -> None:
    for value in ("true", 1, [True], None):
        answer = await browser.post("/auth/development", json={"login": LOGIN, "secondFactor": value})
        assert answer.json()["secondFactor"] is False, value


async def test_a_token_never_has_a_second_factor_whoever_issued_it(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await prove(browser)
    issued = await identity.issue_token(LOGIN, timedelta(hours=1))
    actor = await identity.authenticate({}, f"Bearer {issued.token}")
    assert actor is not None
    assert actor.rights.facts == {"token", "working_hours"}
    assert actor.stepped_up is None


async def test_stepping_up_goes_on_in_the_same_team_and_choosing_another_keeps_the_proof(
    db: Database, clock: ManualClock, recorder: RecorderInMemory, tmp_path: Path
) -> None:
    members = f'members:\n  - {{login: {LOGIN}, display_name: Anna Sorokina, personnel_number: "100005"}}\n'
    for file in ROLES.glob("first-line-*.yaml"):
        whole = file.read_text(encoding="utf-8").partition("members:")[0]
        (tmp_path / file.name).write_text(whole + members, encoding="utf-8")
    identity = identity_of(db, clock, recorder, teams=Teams.load(tmp_path))
    async with browser_of(identity) as browser:
        csrf = await sign_in(browser)
        chosen = await browser.post(
            "/auth/team", json={"team": "first-line-south-america"}, headers={"X-Okno-CSRF": csrf}
        )
        assert chosen.json()["team"] == "first-line-south-america"

        await prove(browser)

        session = (await browser.get("/auth/session")).json()
        assert (session["team"], session["secondFactor"]) == ("first-line-south-america", True)
        other = await browser.post(
            "/auth/team", json={"team": "first-line-cis"}, headers={"X-Okno-CSRF": session["csrfToken"]}
        )
        assert (other.json()["team"], other.json()["secondFactor"]) == ("first-line-cis", True)
        # another person at the same browser begins in the team of their own
    assert recorder.types.count("session.ended") == 3


async def test_working_hours_are_those_of_the_acting_team_at_each_request(
    browser: httpx.AsyncClient, clock: ManualClock
) -> None:
    clock.set_wall(datetime(2026, 11, 2, 10, 59, tzinfo=UTC))  # Monday, 07:59 in São Paulo, 16:59 in Almaty
    await sign_in(browser, "lucia.torres")
    assert "working_hours" in await facts(browser)
    clock.advance(timedelta(days=5, hours=14, minutes=1))  # Sunday, 22:00 of Saturday in São Paulo
    await sign_in(browser, "lucia.torres")
    assert "working_hours" not in await facts(browser)
    clock.advance(timedelta(hours=33))  # Monday, 07:00: the session is the same
    await sign_in(browser, "lucia.torres")
    assert "working_hours" in await facts(browser)
    clock.advance(timedelta(hours=7, minutes=59))
    assert "working_hours" in await facts(browser)


async def test_hours_end_under_an_open_session_and_an_open_connection(
    browser: httpx.AsyncClient, identity: Identity, clock: ManualClock
) -> None:
    clock.set_wall(datetime(2026, 11, 2, 12, 55, tzinfo=UTC))  # Monday, 17:55 in Almaty
    await sign_in(browser, "aigerim.sadykova")
    cookies = {"okno_session": browser.cookies["okno_session"]}
    actor = await identity.authenticate(cookies, None)
    assert actor is not None
    assert "working_hours" in actor.rights.facts
    clock.advance(timedelta(minutes=5))
    assert "working_hours" not in (await identity.renew(actor, None)).rights.facts
    assert "working_hours" not in await facts(browser)


DUTIES = Incompatible(
    frozenset({"auditor", "domain_operator"}), "who reads does no deeds", "policies/roles.polar", 26
)


async def test_whose_teams_give_duties_that_are_to_be_separate_does_not_sign_in_and_does_not_go_on(
    db: Database, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    """The policy changes under an open session; then sign-in, session, connection and token are all refused."""
    duties: list[Incompatible] = []
    recorder.db = db
    identity = Identity(
        db, clock, settings_of(), Teams.load(ROLES), recorder, incompatible=lambda: tuple(duties)
    )
    async with browser_of(identity) as browser:
        await sign_in(browser)
        issued = await identity.issue_token(LOGIN, timedelta(hours=1))
        cookies = {"okno_session": browser.cookies["okno_session"]}
        actor = await identity.authenticate(cookies, None)
        assert actor is not None
        async with db.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO identity_membership (account_id, team_id, origin, created_at) "
                    "SELECT id, 'security', 'database', created_at FROM identity_account"
                )
            )
        clock.advance(timedelta(seconds=3))
        assert (await browser.get("/probe")).status_code == 200

        duties.append(DUTIES)
        clock.advance(timedelta(seconds=3))

        answer = await browser.get("/probe")
        assert answer.status_code == 401
        assert "(first-line-cis, security)" in answer.json()["message"]
        assert "who reads does no deeds" in answer.json()["message"]
        with pytest.raises(Unauthenticated, match="one person must not hold"):
            await identity.renew(actor, None)
        with pytest.raises(Unauthenticated, match="one person must not hold"):
            await identity.authenticate({}, f"Bearer {issued.token}")
        with pytest.raises(InvalidInput, match="one person must not hold"):
            await identity.issue_token(LOGIN, timedelta(hours=1), team_id="security")
        with pytest.raises(SignInRefused) as refused:
            await identity.dev_sign_in(LOGIN)
        assert refused.value.code == "DUTIES_CONFLICT"
        assert recorder.records[-1] == (
            "session.failed",
            None,
            {"method": "development", "code": "DUTIES_CONFLICT", "login": LOGIN},
        )
