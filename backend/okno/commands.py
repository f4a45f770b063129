"""The command groups of the domains, each given what it needs of the others."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from okno.audit.cli import audit_commands
from okno.audit.export.cli import add_export_commands
from okno.audit.feed import Announcer
from okno.audit.keeping_cli import Keeping, add_keeping_commands
from okno.audit.service import Journal
from okno.clock import SystemClock
from okno.errors import NotFound, OknoError
from okno.graph.members import read_coordinates, schema_members
from okno.identity.access_cli import access_group
from okno.identity.cli import token_group
from okno.identity.members import TeamMember, list_configured, list_stored
from okno.identity.recorder import JournalRecorder
from okno.identity.service import Identity
from okno.identity.teams import DemoPerson, Teams
from okno.limits.attempts import Attempts
from okno.people.service import People
from okno.policy.cli import Asker, SchemaNames, policy_commands
from okno.policy.deployment import Deployment, Members
from okno.policy.names import Holder, HolderKind, Member
from okno.policy.recorded import RecordedDecisions
from okno.policy.review_cli import add_review_commands
from okno.policy.service import Policy, Rights
from okno.privacy.cli import privacy_group
from okno.privacy.digests import Digests
from okno.privacy.service import Privacy, systems_of
from okno.schema_names import names_of
from okno.settings import Settings, load_settings
from okno.sources.service import Sources, load_sources_manifests
from okno.storage.embedded import APP, DATABASE, EmbeddedPostgres
from okno.storage.engine import Database
from okno.usage.cli import breaks_command, usage_command
from okno.usage.service import Usage
from okno.wiring import open_database, open_owner_database, read_graph


@asynccontextmanager
async def _database() -> AsyncIterator[Database]:
    """Okno's database; the embedded server is started for the time of the command when it does not run."""
    settings = load_settings()
    server: EmbeddedPostgres | None = None
    if settings.database.url is None and settings.database.app_url is None:
        server = EmbeddedPostgres(settings.data_dir / "postgres")
        if not server.exists:
            raise NotFound(f"there is no data in {settings.data_dir} yet; start Okno once with `make run`")
        server.start()
        database = settings.database.model_copy(update={"app_url": server.url(DATABASE, APP)})
        settings = settings.model_copy(update={"database": database})
    try:
        db = open_database(settings, "okno-cli")
        try:
            yield db
        finally:
            await db.dispose()
    finally:
        if server is not None:
            server.stop()


@asynccontextmanager
async def _identity() -> AsyncIterator[Identity]:
    settings, clock = load_settings(), SystemClock()
    async with _database() as db:
        announcer = Announcer(db)
        journal = Journal(db, clock, settings.data_dir, process="okno-cli", committed=announcer.committed)
        await journal.start()
        try:
            rules = Policy.load(settings.policies_dir)
            identity = Identity.of_settings(
                settings,
                db,
                clock,
                JournalRecorder(journal),
                known_scopes=rules.scopes,
                incompatible=lambda: rules.incompatible,
                attempts=Attempts(db, clock, settings.limits),
            )
            try:
                yield identity
            finally:
                await identity.close()
        finally:
            await journal.close()
            await announcer.close()


def schema_names(settings: Settings) -> SchemaNames:
    """What the policy has to cover in this deployment."""
    graph, _, manifests = read_graph(settings)
    return names_of(graph, manifests, Teams.load(settings.config_dir / "roles"))


def _load_policy() -> Policy:
    return Policy.load(load_settings().policies_dir)


def _demo_people() -> Sequence[DemoPerson]:
    settings = load_settings()
    return (
        Teams.load(settings.config_dir / "roles").list_demo_people() if settings.mode == "development" else ()
    )


def _load_rights(login: str, *, team: str | None = None, at: datetime | None = None) -> Asker:
    """The rights of a login as it would sign in: a demo person from the configuration, else an account."""
    settings, now = load_settings(), at or SystemClock().now()
    teams = Teams.load(settings.config_dir / "roles")

    def rights_of(ids: Sequence[str], facts: frozenset[str]) -> Rights:
        if team is not None and team not in ids:
            raise NotFound(f"{login} is not in the team {team}; there is {', '.join(ids) or 'none'}")
        chosen = teams.find(team or ids[0])
        assert chosen is not None, "memberships of teams that do not exist are left out"
        return chosen.rights((facts - {"working_hours"}) | chosen.facts_at(now))

    for person in _demo_people():
        if person.login == login:
            ids = [each.id for each in person.teams]
            return Asker(rights_of(ids, frozenset()), None, person.employee_id)

    async def of_account() -> Asker:
        async with _identity() as identity:
            actor = await identity.actor_of_login(login)
            return Asker(rights_of(actor.teams, actor.rights.facts), actor.id, actor.employee_id)

    return asyncio.run(of_account())


def _load_teams(directory: Path | None) -> Sequence[Holder]:
    """The teams of a folder, by default the deployment's, as the policy's commands know them."""
    teams = Teams.load(directory or load_settings().config_dir / "roles")
    return [Holder(HolderKind.TEAM, team.id, team.rights(()), team.title.en) for team in teams]


def _load_members() -> Members:
    settings = load_settings()
    found: list[TeamMember] = []
    if settings.mode == "development":
        found += list_configured(Teams.load(settings.config_dir / "roles"))

    async def stored() -> Sequence[TeamMember]:
        async with _database() as db:
            return await list_stored(db)

    unasked = None
    try:
        found += asyncio.run(stored())
    except OknoError as error:
        unasked = error.message
    once = {(each.team, each.login): each for each in reversed(found)}
    members = [
        Member(each.team, each.login, each.display_name, each.origin, each.employee_id)
        for each in once.values()
    ]
    return Members(tuple(members), unasked)


@asynccontextmanager
async def _recorded() -> AsyncIterator[RecordedDecisions]:
    async with _database() as db:
        yield RecordedDecisions(db, SystemClock())


def _load_facts(employee: str) -> Mapping[str, object]:
    """The facts of an employee in the index, by login, personnel number or id."""

    async def find() -> Mapping[str, object]:
        async with _database() as db:
            people = People(db, Sources({}, SystemClock()), SystemClock())
            for kind in ("login", "personnel_number"):
                if (person := await people.find_by_key(kind, employee)) is not None:
                    return person.facts()
            try:
                return (await people.get(UUID(employee))).facts()
            except ValueError:
                raise NotFound(f"no employee {employee}; give a login, a personnel number or an id") from None

    return asyncio.run(find())


@asynccontextmanager
async def _usage() -> AsyncIterator[Usage]:
    graph, _, _ = read_graph(load_settings())
    async with _database() as db:
        yield Usage(db, SystemClock(), schema_members(graph.core))


@asynccontextmanager
async def _privacy() -> AsyncIterator[Privacy]:
    settings, clock = load_settings(), SystemClock()
    manifests = load_sources_manifests(settings.config_dir / "sources")
    async with _database() as db:
        announcer = Announcer(db)
        journal = Journal(db, clock, settings.data_dir, process="okno-cli", committed=announcer.committed)
        await journal.start()
        try:
            digests = Digests.load(settings.data_dir)
            systems = systems_of(manifests)
            yield Privacy(db, journal, clock, digests, settings.privacy.retention, systems=systems)
        finally:
            await journal.close()
            await announcer.close()


privacy = privacy_group(_privacy)


@asynccontextmanager
async def _recording() -> AsyncIterator[tuple[Database, Journal]]:
    settings = load_settings()
    async with _database() as db:
        announcer = Announcer(db)
        journal = Journal(
            db, SystemClock(), settings.data_dir, process="okno-cli", committed=announcer.committed
        )
        await journal.start()
        try:
            yield db, journal
        finally:
            await journal.close()
            await announcer.close()


@asynccontextmanager
async def _owner() -> AsyncIterator[Database]:
    db = open_owner_database(load_settings(), "okno-cli-retention")
    try:
        yield db
    finally:
        await db.dispose()


@asynccontextmanager
async def _journal() -> AsyncIterator[Journal]:
    async with _recording() as (_, journal):
        yield journal


def _archive() -> Path | None:
    settings = load_settings()
    return settings.data_dir / "audit" / "archive" if settings.audit.archive else None


audit = audit_commands(_database, lambda: load_settings().data_dir)
add_keeping_commands(
    audit,
    Keeping(
        data_dir=lambda: load_settings().data_dir,
        journal=_journal,
        owner=_owner,
        keep_days=lambda: load_settings().audit.keep_days,
        archive=_archive,
        clock=SystemClock(),
        exports=lambda: load_settings().audit.export,
    ),
)
add_export_commands(audit, _database, _recording)
access = access_group(_identity)
token = token_group(_identity, _demo_people)
policy = policy_commands(
    load_policy=_load_policy,
    load_rights=_load_rights,
    load_facts=_load_facts,
    schema_names=lambda: schema_names(load_settings()),
)
add_review_commands(
    policy,
    Deployment(
        policies_dir=lambda: load_settings().policies_dir,
        load_policy=_load_policy,
        schema_names=lambda: schema_names(load_settings()),
        load_teams=_load_teams,
        load_members=_load_members,
        load_facts=_load_facts,
        open_recorded=_recorded,
    ),
)
schema_usage = usage_command(_usage)
schema_breaks = breaks_command(_usage, read_coordinates)
