"""The command groups of the domains, each given what it needs of the others."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from okno.audit.cli import audit_commands
from okno.audit.feed import Announcer
from okno.audit.service import Journal
from okno.clock import SystemClock
from okno.errors import NotFound
from okno.graph.members import read_coordinates, schema_members
from okno.identity.cli import token_group
from okno.identity.recorder import JournalRecorder
from okno.identity.service import Identity
from okno.identity.teams import DemoPerson, Teams
from okno.people.service import People
from okno.policy.cli import Asker, SchemaNames, policy_commands
from okno.policy.service import Policy
from okno.settings import Settings, load_settings
from okno.sources.service import Sources
from okno.storage.embedded import APP, DATABASE, EmbeddedPostgres
from okno.storage.engine import Database
from okno.usage.cli import breaks_command, usage_command
from okno.usage.service import Usage
from okno.wiring import open_database, read_graph


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
            scopes = Policy.load(settings.policies_dir).scopes
            identity = Identity.of_settings(
                settings, db, clock, JournalRecorder(journal), known_scopes=scopes
            )
            try:
                yield identity
            finally:
                await identity.close()
        finally:
            await journal.close()
            await announcer.close()


# what the action "use" may name: pages of the application and abilities of the API
PAGES = frozenset(
    {"people.search", "sources.read", "audit.read", "schema.usage", "graphiql.use", "introspection.use"}
)


def schema_names(settings: Settings) -> SchemaNames:
    """What the policy has to cover in this deployment."""
    graph, _, manifests = read_graph(settings)
    mutation = graph.core.mutation_type
    return SchemaNames(
        fields=frozenset(graph.fields()),
        mutations=frozenset(f"Mutation.{name}" for name in mutation.fields) if mutation else frozenset(),
        operations=frozenset(
            operation.id for manifest in manifests.values() for operation in manifest.operations
        ),
        pages=PAGES,
    )


def _load_policy() -> Policy:
    return Policy.load(load_settings().policies_dir)


def _demo_people() -> Sequence[DemoPerson]:
    settings = load_settings()
    return (
        Teams.load(settings.config_dir / "roles").list_demo_people() if settings.mode == "development" else ()
    )


def _load_rights(login: str) -> Asker:
    """The rights of a login as it would sign in now: a demo person from the configuration, else an account."""
    for person in _demo_people():
        if person.login == login:
            return Asker(person.teams[0].rights(()), None, person.employee_id)

    async def of_account() -> Asker:
        async with _identity() as identity:
            actor = await identity.actor_of_login(login)
            return Asker(actor.rights, actor.id, actor.employee_id)

    return asyncio.run(of_account())


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


audit = audit_commands(_database, lambda: load_settings().data_dir)
token = token_group(_identity, _demo_people)
policy = policy_commands(
    load_policy=_load_policy,
    load_rights=_load_rights,
    load_facts=_load_facts,
    schema_names=lambda: schema_names(load_settings()),
)
schema_usage = usage_command(_usage)
schema_breaks = breaks_command(_usage, read_coordinates)
