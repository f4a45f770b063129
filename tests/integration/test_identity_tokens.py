"""Bearer tokens of people and services, and the command line that issues them."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from okno.clock import ManualClock
from okno.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from okno.identity.cli import token_group
from okno.identity.service import Actor, Identity
from okno.storage.embedded import APP, SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database
from tests.integration.identity_world import (
    RecorderInMemory,
    browser_of,
    identity_of,
    settings_of,
    stored_text,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def recorder() -> RecorderInMemory:
    return RecorderInMemory()


@pytest.fixture
def identity(db: Database, clock: ManualClock, recorder: RecorderInMemory) -> Identity:
    return identity_of(db, clock, recorder)


async def actor_of(identity: Identity, token: str) -> Actor:
    actor = await identity.authenticate({}, f"Bearer {token}")
    assert actor is not None
    return actor


async def test_a_persons_token_acts_as_the_person_for_the_team(identity: Identity) -> None:
    issued = await identity.issue_token("anna.sorokina", HOUR)
    assert issued.token.startswith("okno_pat_")
    assert issued.token not in repr(issued)
    actor = await actor_of(identity, issued.token)
    assert (actor.kind, actor.login, actor.team, actor.token_id) == (
        "person",
        "anna.sorokina",
        "first-line-cis",
        issued.id,
    )
    assert actor.rights.facts == {"token", "working_hours"}
    assert (actor.csrf_token, actor.session_id) == (None, None)


async def test_a_services_token_has_its_scopes_and_no_roles(identity: Identity) -> None:
    issued = await identity.issue_service_token("ticket-tracker", ["employees.read", "schema.read"], HOUR)
    assert issued.token.startswith("okno_svc_")
    actor = await actor_of(identity, issued.token)
    assert (actor.kind, actor.login, actor.employee_id) == ("service", "ticket-tracker", None)
    assert actor.rights.scopes == {"employees.read", "schema.read"}
    assert actor.rights.facts == {"service", "token"}
    assert actor.rights.roles | actor.rights.teams | actor.rights.countries == frozenset()
    another = await identity.issue_service_token("ticket-tracker", ["schema.read"], HOUR)
    assert (await actor_of(identity, another.token)).id == actor.id
    assert (await actor_of(identity, another.token)).rights.scopes == {"schema.read"}


async def test_a_token_is_good_until_its_second_even_when_it_is_remembered(
    identity: Identity, clock: ManualClock
) -> None:
    issued = await identity.issue_token("anna.sorokina", timedelta(seconds=10))
    clock.advance(timedelta(seconds=9))
    await actor_of(identity, issued.token)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="expired"):
        await actor_of(identity, issued.token)


async def test_a_revoked_token_is_refused_at_once_here_and_within_two_seconds_elsewhere(
    db: Database, identity: Identity, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    elsewhere = identity_of(db, clock, recorder)
    issued = await identity.issue_token("anna.sorokina", HOUR)
    await actor_of(identity, issued.token)
    await actor_of(elsewhere, issued.token)
    assert await identity.revoke(issued.id) is True
    with pytest.raises(Unauthenticated, match="revoked"):
        await actor_of(identity, issued.token)
    clock.advance(timedelta(seconds=2))
    with pytest.raises(Unauthenticated, match="revoked"):
        await actor_of(elsewhere, issued.token)
    assert await identity.revoke(issued.id) is False
    assert recorder.types[:4] == [
        "token.issued intent",
        "token.issued outcome",
        "token.revoked intent",
        "token.revoked outcome",
    ]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer okno_pat_x",
        "Basic YTpi",
        "okno_pat_" + "a" * 43,
        "Bearer okno_pat_" + "a" * 43,
        "Bearer \x00",
    ],
)
async def test_what_is_no_valid_token_is_unauthenticated_and_does_not_fall_back_to_the_cookie(
    identity: Identity, header: str
) -> None:
    cookie = (await identity.dev_sign_in("anna.sorokina")).cookie
    with pytest.raises(Unauthenticated):
        await identity.authenticate({"okno_session": cookie}, header)


async def test_a_token_dies_with_the_membership_and_with_the_service(
    db: Database, identity: Identity, clock: ManualClock
) -> None:
    service = await identity.issue_service_token("ticket-tracker", ["schema.read"], HOUR)
    person = await identity.issue_token("anna.sorokina", HOUR)
    async with db.transaction() as session:
        await session.execute(text("UPDATE identity_service SET disabled_at = created_at"))
        await session.execute(
            text("UPDATE identity_token SET team_id = 'security' WHERE account_id IS NOT NULL")
        )
    with pytest.raises(Unauthenticated, match="disabled"):
        await actor_of(identity, service.token)
    with pytest.raises(Unauthenticated, match="no longer a member"):
        await actor_of(identity, person.token)


async def test_last_use_is_noted_coarsely(db: Database, identity: Identity, clock: ManualClock) -> None:
    issued = await identity.issue_token("anna.sorokina", HOUR)
    start = clock.now()

    async def noted() -> object:
        return (await identity.list_tokens())[0].last_used_at

    assert await noted() is None
    await actor_of(identity, issued.token)
    assert await noted() == start
    clock.advance(timedelta(minutes=9))
    await actor_of(identity, issued.token)
    assert await noted() == start
    clock.advance(timedelta(minutes=1))
    await actor_of(identity, issued.token)
    assert await noted() == start + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("name", "scopes", "ttl"),
    [
        ("Ticket Tracker", ["schema.read"], HOUR),
        ("", ["schema.read"], HOUR),
        ("tool", [], HOUR),
        ("tool", ["*"], HOUR),
        ("tool", ["Schema.Read"], HOUR),
        ("tool", ["schema.reed"], HOUR),
        ("tool", ["schema.read"], timedelta(0)),
        ("tool", ["schema.read"], timedelta(days=367)),
    ],
)
async def test_a_wrong_name_scope_or_time_makes_no_token(
    identity: Identity, recorder: RecorderInMemory, name: str, scopes: list[str], ttl: timedelta
) -> None:
    with pytest.raises(InvalidInput):
        await identity.issue_service_token(name, scopes, ttl)
    assert recorder.records == []


async def test_a_person_gets_tokens_for_own_teams_only_and_not_for_ever(identity: Identity) -> None:
    with pytest.raises(InvalidInput, match="no member of security, but of first-line-cis"):
        await identity.issue_token("anna.sorokina", HOUR, team_id="security")
    with pytest.raises(InvalidInput, match="at most 90 days"):
        await identity.issue_token("anna.sorokina", timedelta(days=91))
    with pytest.raises(NotFound, match="Nobody with the login nobody"):
        await identity.issue_token("nobody", HOUR)
    with pytest.raises(NotFound, match="No token has the id"):
        await identity.revoke(uuid4())


async def test_a_token_that_cannot_be_recorded_is_not_issued(
    db: Database, identity: Identity, recorder: RecorderInMemory
) -> None:
    recorder.down = True
    with pytest.raises(Unavailable):
        await identity.issue_token("anna.sorokina", HOUR)
    with pytest.raises(Unavailable):
        await identity.issue_service_token("tool", ["schema.read"], HOUR)
    assert await stored_text(db, ("identity_token",)) == ""


async def test_a_bearer_token_posts_without_a_csrf_token(identity: Identity) -> None:
    issued = await identity.issue_token("anna.sorokina", HOUR)
    async with browser_of(identity) as browser:
        answer = await browser.post("/probe", headers={"Authorization": f"Bearer {issued.token}"})
        assert (answer.status_code, answer.json()["login"]) == (200, "anna.sorokina")
        wrong = await browser.post("/probe", headers={"Authorization": "Bearer wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "UNAUTHENTICATED")


async def test_no_token_is_stored_in_any_form_that_opens_anything(db: Database, identity: Identity) -> None:
    person = await identity.issue_token("anna.sorokina", HOUR)
    service = await identity.issue_service_token("tool", ["schema.read"], HOUR)
    await actor_of(identity, person.token)
    await actor_of(identity, service.token)
    stored = await stored_text(db)
    assert stored.count("schema.read") == 1
    for token in (person.token, service.token):
        secret = token[len("okno_pat_") :]
        raw = base64.urlsafe_b64decode(secret + "=")
        for form in (secret, secret.encode().hex(), token.encode().hex(), raw.hex()):
            assert form not in stored


async def test_the_remembered_token_costs_no_query(db: Database, identity: Identity) -> None:
    issued = await identity.issue_token("anna.sorokina", HOUR)
    await actor_of(identity, issued.token)
    async with db.transaction() as session:
        await session.execute(text("DELETE FROM identity_token"))
    assert (await actor_of(identity, issued.token)).login == "anna.sorokina"


@pytest.fixture
def committed_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of this test's own; the command line opens its own event loop, so the fixture uses none."""
    name = "okno_token_cli"
    asyncio.run(postgres.ensure_database(name, template="okno_template"))
    yield postgres.url(name, APP)
    asyncio.run(_drop(postgres, name))


async def _drop(postgres: EmbeddedPostgres, name: str) -> None:
    connection = await asyncpg.connect(postgres.url("postgres", SUPERUSER))
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


def test_the_command_line_issues_lists_and_revokes(
    committed_url: str, clock: ManualClock, recorder: RecorderInMemory
) -> None:
    @asynccontextmanager
    async def open_identity() -> AsyncIterator[Identity]:
        database = Database.connect(committed_url, role=None)
        try:
            yield identity_of(database, clock, recorder)
        finally:
            await database.dispose()

    people = identity_of(Database.connect(committed_url, role=None), clock, recorder).list_demo_people
    runner = CliRunner()
    group = token_group(open_identity, people)

    listed = runner.invoke(group, ["people"])
    assert listed.exit_code == 0
    lines = listed.stdout.splitlines()
    assert "anna.sorokina\tsupport, first_line, domain_operator\tfirst-line-cis\tAnna Sorokina" in lines
    assert len(lines) == 15

    person = runner.invoke(group, ["issue", "--as", "anna.sorokina", "--ttl", "1h"])
    assert person.exit_code == 0, person.output
    assert person.stdout.startswith("okno_pat_")
    assert person.stdout.count("\n") == 1
    service = runner.invoke(
        group,
        ["issue", "--service", "tool", "--scope", "schema.read", "--scope", "audit.read", "--ttl", "30d"],
    )
    assert service.stdout.splitlines()[-1].startswith("okno_svc_")

    tokens = runner.invoke(group, ["list"]).stdout
    assert "service\ttool\taudit.read schema.read\tuntil 2026-12-02T09:00+00:00\tnever used" in tokens
    assert "person\tanna.sorokina\tfirst-line-cis\tuntil 2026-11-02T10:00+00:00\tnever used" in tokens
    assert "okno_" not in tokens
    for line in tokens.splitlines():
        token_id = str(UUID(line.split("\t")[0]))
        assert runner.invoke(group, ["revoke", token_id]).stdout == f"revoked {token_id}\n"
        assert runner.invoke(group, ["revoke", token_id]).stdout == f"{token_id} was revoked before\n"
    assert runner.invoke(group, ["list"]).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["issue", "--ttl", "1h"], "give either --as LOGIN or --service NAME"),
        (["issue", "--as", "a", "--service", "b", "--ttl", "1h"], "give either --as LOGIN or --service NAME"),
        (["issue", "--as", "a", "--scope", "x.y", "--ttl", "1h"], "--scope is for services"),
        (["issue", "--service", "a", "--team", "b", "--ttl", "1h"], "--team is for people"),
        (["issue", "--as", "a", "--ttl", "soon"], "'soon' is no duration"),
        (["issue", "--as", "a"], "Missing option '--ttl'"),
        (["issue", "--as", "anna.sorokina", "--ttl", "0s"], "A token lives more than nothing"),
        (["revoke", "x"], "'x' is not a valid UUID"),
    ],
)
def test_a_wrong_command_says_what_is_wrong_and_prints_no_token(
    clock: ManualClock, recorder: RecorderInMemory, arguments: list[str], message: str
) -> None:
    @asynccontextmanager
    async def open_identity() -> AsyncIterator[Identity]:
        yield identity_of(Database.connect("postgresql://nobody@/nothing?host=/nowhere"), clock, recorder)

    result = CliRunner().invoke(token_group(open_identity, tuple), arguments)
    assert result.exit_code != 0
    assert message in result.stderr
    assert result.stdout == ""


def test_in_production_there_are_no_demo_people_to_list(
    clock: ManualClock, recorder: RecorderInMemory
) -> None:
    production = identity_of(
        Database.connect("postgresql://nobody@/nothing?host=/nowhere"),
        clock,
        recorder,
        settings_of("production"),
    )

    @asynccontextmanager
    async def open_identity() -> AsyncIterator[Identity]:
        yield production

    result = CliRunner().invoke(token_group(open_identity, production.list_demo_people), ["people"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "development mode only" in result.stderr
