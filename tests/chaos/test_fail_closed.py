"""Whatever breaks, wherever it breaks: no mutation has an effect that the journal does not know, and nobody is told a lie.

Every mutation of the schema, of the command line, of HTTP and of the worker is tried against every fault. The wire to the
database breaks at the first statement, at the second, and so on until the mutation gets through.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote

import asyncpg
import click
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.routing import BaseRoute, Mount, Route

from okno.audit.records import Event
from okno.audit.registry import EVENT_TYPES
from okno.cli import main
from okno.errors import Unavailable
from okno.identity.http import identity_routes
from okno.identity.service import Identity
from okno.storage.embedded import APP, SUPERUSER, EmbeddedPostgres
from okno.storage.engine import Database, driver_url
from tests.api.world import Parts
from tests.chaos.mutations import OTHERS, Front, Mutation, Stage, Told, operations_of
from tests.chaos.wire import Break, Wire

pytestmark = [pytest.mark.xdist_group("fail-closed"), pytest.mark.timeout(300)]

_NAME = "okno_fail_closed"
_MOST_STATEMENTS = 80

PARTS = Parts.load()
FRONT = Front.of(PARTS)
OPERATIONS = [mutation.name.rpartition(" ")[2] for mutation in operations_of(PARTS)]
ALL = [*OPERATIONS, *(kind.name for kind in OTHERS)]
# Operations differ in what they ask of the systems, not in what they ask of the database: one of them breaks at every place
WAYS = [OPERATIONS[0], *(kind.name for kind in OTHERS)]

# A disk that is full from the n-th write on, as the server tells it
_DISK = """
    CREATE SEQUENCE disk_writes; CREATE SEQUENCE disk_limit;
    CREATE FUNCTION disk() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF nextval('disk_writes') >= (SELECT last_value FROM disk_limit) THEN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
        END IF;
        RETURN NULL;
    END $$;
"""


def mutation_of(name: str) -> Mutation:
    """A fresh one."""
    if name in OPERATIONS:
        return operations_of(PARTS)[OPERATIONS.index(name)]
    return next(kind for kind in OTHERS if kind.name == name)()


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A database of these tests' own, with a disk that can be filled."""

    async def make() -> None:
        await postgres.ensure_database(_NAME, template="okno_template")
        connection = await asyncpg.connect(postgres.url(_NAME, SUPERUSER))
        try:
            await connection.execute(_DISK)
            await connection.execute("SELECT setval('disk_limit', 1000000000)")
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace"
            ):
                await connection.execute(
                    f'CREATE TRIGGER disk BEFORE INSERT OR UPDATE ON "{row["relname"]}" EXECUTE FUNCTION disk()'
                )
        finally:
            await connection.close()

    async def drop() -> None:
        connection = await asyncpg.connect(postgres.url("postgres", SUPERUSER))
        try:
            await connection.execute(f'DROP DATABASE "{_NAME}" WITH (FORCE)')
        finally:
            await connection.close()

    asyncio.run(make())
    yield postgres
    asyncio.run(drop())


class Theatre:
    """A stage behind a wire, and what it takes to break and mend it."""

    def __init__(self, stage: Stage, wire: Wire, engine: Any) -> None:
        self.stage = stage
        self.wire = wire
        self._engine = engine

    async def mend(self, *, killed: bool = False) -> None:
        """Brings everything back; `killed`: the process is another one then."""
        if killed:
            self.wire.cut()
            await self.stage.stop()
        self.wire.mend()
        await self._engine.dispose()
        if killed:
            await self.stage.start()

    async def forget_connections(self) -> None:
        await self._engine.dispose()

    async def assert_truth(self, mutation: Mutation, told: Told, where: str) -> None:
        """After the worker has swept: what was told, what is there and what the journal says are one."""
        await self.stage.sweep()
        done = await mutation.is_done(self.stage)
        said = await mutation.said(self.stage)
        what = f"{mutation.name}, {where}: told {told.value}, done {done}, the journal says {said}"
        assert told is Told.UNKNOWN or done == (told is Told.DONE), what
        if done:
            assert said, f"{what}: done unrecorded"
            assert said[-1] in ("succeeded", "event"), what
        else:
            assert not {"succeeded", "event"} & set(said), what
        strangers = await self.stage.one(
            "SELECT count(*) FROM identity_session s WHERE NOT EXISTS (SELECT FROM audit_record r JOIN audit_value v"
            " ON v.chain_id = r.chain_id AND v.seq = r.seq WHERE r.event_type = 'session.started'"
            " AND v.value LIKE '%' || s.id || '%')"
        )
        assert strangers == 0, f"{what}: a session that the journal does not know"
        unsettled = await self.stage.one(
            "SELECT string_agg(event_type || ' ' || state, ', ') FROM audit_command WHERE state IN ('running', 'unknown')"
        )
        assert unsettled is None, f"{what}: nobody has settled {unsettled}"

    async def assert_whole(self) -> None:
        report = await self.stage.journal.verify()
        assert report.whole, report.findings


@contextlib.asynccontextmanager
async def theatre_of(
    server: EmbeddedPostgres,
    tmp_path: Path,
    *,
    command_timeout: float = 20.0,
    sink: Any = None,
) -> AsyncIterator[Theatre]:
    app_url = server.url(_NAME, APP)
    socket = Path(unquote(app_url.partition("?host=")[2])) / ".s.PGSQL.5432"
    wire_dir = tmp_path / "w"
    wire_dir.mkdir()
    witness = await asyncpg.connect(server.url(_NAME, SUPERUSER))
    try:
        tables = await witness.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
        )
        await witness.execute("TRUNCATE " + ", ".join(f'"{row["relname"]}"' for row in tables))
        async with Wire(str(socket), wire_dir) as wire:
            engine = create_async_engine(
                driver_url(wire.url(app_url)),
                pool_size=5,
                max_overflow=0,
                pool_timeout=5,
                hide_parameters=True,
                connect_args={"timeout": 5, "command_timeout": command_timeout},
            )
            stage = Stage(PARTS, FRONT, Database(engine), witness, tmp_path / "data", sink)
            await stage.start()
            try:
                yield Theatre(stage, wire, engine)
            finally:
                wire.mend()
                await stage.stop()
                await engine.dispose()
    finally:
        await witness.close()


@pytest.fixture
async def theatre(server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Theatre]:
    async with theatre_of(server, tmp_path) as made:
        yield made


async def break_everywhere(theatre: Theatre, name: str, how: Break, *, step: int = 1) -> int:
    """Breaks at the first statement, the second, … until it gets through; says how many statements it took."""
    for statement in range(1, _MOST_STATEMENTS, step):
        mutation = mutation_of(name)
        await mutation.prepare(theatre.stage)
        theatre.wire.arm(statement, how)
        told = await mutation.tried(theatre.stage)
        broken = theatre.wire.is_broken
        await theatre.mend(killed=broken and how == "before")
        await theatre.assert_truth(mutation, told, f"broken {how} statement {statement}")
        if not broken:
            assert told is Told.DONE, f"{name} does not get through a whole wire: {told}"
            return statement - 1
    raise AssertionError(f"{name} takes more than {_MOST_STATEMENTS} statements")


@pytest.mark.parametrize("name", ALL)
async def test_killed_between_any_two_statements_it_is_done_and_recorded_or_not_done(
    theatre: Theatre, name: str
) -> None:
    """The process dies with its connections; another one takes over and sweeps."""
    statements = await break_everywhere(theatre, name, "before", step=1 if name in WAYS else 5)
    assert statements >= 3, "the wire has seen what the mutation does"
    await theatre.assert_whole()


@pytest.mark.parametrize("name", WAYS)
async def test_with_any_answer_lost_it_is_done_and_recorded_or_not_done(theatre: Theatre, name: str) -> None:
    """The statement has run, COMMIT among them, and nobody has told: the same process goes on."""
    # an erasure is fifty statements, of a few kinds
    await break_everywhere(theatre, name, "after", step=3 if "erase" in name else 1)
    await theatre.assert_whole()


@pytest.mark.parametrize("name", [OPERATIONS[0], "okno token issue --as"])
async def test_a_statement_that_arrives_when_its_sender_has_given_up_changes_nothing_unrecorded(
    server: EmbeddedPostgres, tmp_path: Path, name: str
) -> None:
    async with theatre_of(server, tmp_path, command_timeout=0.4) as theatre:
        await break_everywhere(theatre, name, "late")
        await theatre.assert_whole()


async def _down(theatre: Theatre) -> None:
    theatre.wire.cut()


async def _read_only(theatre: Theatre) -> None:
    await theatre.stage.witness.execute(f"ALTER DATABASE {_NAME} SET default_transaction_read_only = on")
    await theatre.forget_connections()


async def _disk_full(theatre: Theatre) -> None:
    await theatre.stage.witness.execute("SELECT setval('disk_limit', 1), setval('disk_writes', 1)")


async def _folder_full(theatre: Theatre) -> None:
    """The folder of the signed heads: what was committed last is not signed, so nothing more is begun."""
    heads = theatre.stage.data_dir / "audit" / "heads"
    for head in list(heads.glob("*.json")):
        head.with_suffix(".new").symlink_to("/dev/full")
    with contextlib.suppress(Unavailable):
        # the one batch that may be ahead of its signature
        await theatre.stage.journal.record(Event("access.denied"))


FAULTS = {
    "down": _down,
    "read-only": _read_only,
    "its disk full": _disk_full,
    "the folder full": _folder_full,
}


async def _heal(theatre: Theatre) -> None:
    for link in (theatre.stage.data_dir / "audit" / "heads").glob("*.new"):
        link.unlink()
    await theatre.stage.witness.execute(f"ALTER DATABASE {_NAME} RESET default_transaction_read_only")
    await theatre.stage.witness.execute("SELECT setval('disk_limit', 1000000000)")
    await theatre.mend()


@pytest.mark.parametrize("fault", FAULTS)
async def test_while_nothing_can_be_recorded_nothing_is_done_and_afterwards_all_is(
    theatre: Theatre, fault: str
) -> None:
    for name in ALL:
        mutation = mutation_of(name)
        await mutation.prepare(theatre.stage)
        await FAULTS[fault](theatre)
        told = await mutation.tried(theatre.stage)
        assert told is Told.NOT_DONE, f"{name} with the database {fault}: {told}"
        assert not await mutation.is_done(theatre.stage), f"{name} with the database {fault}"
        await _heal(theatre)
        await theatre.assert_truth(mutation, told, f"the database {fault}")
        again = mutation_of(name)
        await again.prepare(theatre.stage)
        assert await again.tried(theatre.stage) is Told.DONE, f"{name} after the database was {fault}"
    await theatre.assert_whole()


@pytest.mark.parametrize("name", WAYS)
async def test_a_disk_that_is_full_from_any_write_on_leaves_nothing_half_done(
    theatre: Theatre, name: str
) -> None:
    for write in range(2, _MOST_STATEMENTS):
        mutation = mutation_of(name)
        await mutation.prepare(theatre.stage)
        await theatre.stage.witness.execute(
            "SELECT setval('disk_writes', 1), setval('disk_limit', $1)", write
        )
        told = await mutation.tried(theatre.stage)
        full = await theatre.stage.one("SELECT last_value >= $1 FROM disk_writes", write)
        await _heal(theatre)
        await theatre.assert_truth(mutation, told, f"the disk full at write {write - 1}")
        if not full:
            assert told is Told.DONE
            return
    raise AssertionError(f"{name} writes more than {_MOST_STATEMENTS} times")


async def test_on_a_slow_wire_all_is_done_and_recorded(theatre: Theatre) -> None:
    for name in ALL:
        mutation = mutation_of(name)
        await mutation.prepare(theatre.stage)
        theatre.wire.seconds = 0.02
        told = await mutation.tried(theatre.stage)
        theatre.wire.seconds = 0
        assert told is Told.DONE, name
        await theatre.assert_truth(mutation, told, "a slow wire")
    await theatre.assert_whole()


async def test_with_the_clock_moved_back_all_is_done_and_recorded(theatre: Theatre) -> None:
    for name in ALL:
        mutation = mutation_of(name)
        await mutation.prepare(theatre.stage)
        theatre.stage.clock.set_wall(theatre.stage.clock.now() - timedelta(hours=1))
        told = await mutation.tried(theatre.stage)
        assert told is Told.DONE, name
        await theatre.assert_truth(mutation, told, "the clock an hour back")
    await theatre.assert_whole()


class SinkDown:
    """A second place that takes nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def put(self, name: str, body: bytes) -> None:
        self.asked += 1
        raise Unavailable("The sink is down.")

    async def close(self) -> None:
        pass


async def test_with_the_second_place_of_checkpoints_down_all_is_done_and_that_is_recorded_too(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    sink = SinkDown()
    async with theatre_of(server, tmp_path, sink=sink) as theatre:
        for name in ALL:
            mutation = mutation_of(name)
            await mutation.prepare(theatre.stage)
            told = await mutation.tried(theatre.stage)
            assert told is Told.DONE, name
            await theatre.assert_truth(mutation, told, "the sink down")
        await theatre.mend(killed=True)
        assert sink.asked
        failed = "SELECT count(*) FROM audit_record WHERE event_type = 'journal.sink_failed'"
        while not await theatre.stage.one(failed):
            await theatre.stage.one("SELECT pg_sleep(0.02)")
        await theatre.assert_whole()


# The mutations that are tried elsewhere, with the tests that do
ELSEWHERE = {
    "journal.cut": "tests/integration/test_audit_keeping.py",
    "journal.key_rotated": "tests/integration/test_audit_keeping.py",
    "journal.exported": "tests/integration/test_audit_export.py",
}
# Commands that change nothing of Okno's, or only start it
READING = frozenset(
    {
        "access locks",
        "api",
        "audit check-archive",
        "audit exports",
        "audit key",
        "audit tail",
        "audit verify",
        "check",
        "migrate",
        "policy check",
        "policy diff",
        "policy explain",
        "policy matrix",
        "policy replay",
        "policy test",
        "policy who",
        "privacy tables",
        "sandbox fault",
        "sandbox generate",
        "sandbox serve",
        "schema breaks",
        "schema check",
        "schema print",
        "schema usage",
        "source check",
        "source list",
        "token list",
        "token people",
        "up",
        "worker",
    }
)
WRITING = {
    "access sign-out": "okno access sign-out",
    "access unlock": "okno access unlock",
    "audit cut": "journal.cut",
    "audit export": "journal.exported",
    "audit rotate-key": "journal.key_rotated",
    "privacy erase": "okno privacy erase",
    "privacy export": "okno privacy export",
    "privacy lift": "okno privacy lift",
    "token issue": "okno token issue --as",
    "token revoke": "okno token revoke",
}


def test_every_mutation_of_the_schema_and_every_command_of_the_journal_is_tried() -> None:
    mutation_type = PARTS.graph.core.mutation_type
    assert mutation_type is not None
    tried = {
        name.partition(" ")[0]
        for name in (each.name for each in (*operations_of(PARTS), *(k() for k in OTHERS)))
    }
    assert {f"Mutation.{name}" for name in mutation_type.fields} <= tried, (
        "add a case to tests/chaos/mutations.py"
    )
    commands = {kind.id for kind in EVENT_TYPES.values() if kind.kind == "command"}
    covered = {each.event_type for each in (*operations_of(PARTS), *(k() for k in OTHERS))}
    assert commands <= covered | ELSEWHERE.keys(), "add a case to tests/chaos/mutations.py"
    manifests = {each.id for manifest in PARTS.manifests.values() for each in manifest.operations}
    assert set(OPERATIONS) == manifests


def test_every_command_of_the_command_line_reads_or_is_tried() -> None:
    names = set(_commands(main))
    assert names - READING == WRITING.keys(), "say in READING or WRITING what the command does"
    assert set(WRITING.values()) <= {*ALL, *ELSEWHERE}


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, (*path, name))
    else:
        yield " ".join(path)


# Routes that are posted to, with the case that tries what they do
POSTED = {
    "/auth/development": "POST /auth/development",
    "/auth/sign-out": "POST /auth/sign-out",
    "/auth/sign-out-everywhere": "POST /auth/sign-out-everywhere",
    "/auth/team": "POST /auth/team",
}


def test_every_route_that_is_posted_to_is_tried() -> None:
    identity = cast(Identity, SimpleNamespace(methods=("development", "oidc"), browser=None))
    found = set(_posted(identity_routes(identity)))
    assert found == POSTED.keys(), "add a case to tests/chaos/mutations.py"
    assert set(POSTED.values()) <= set(ALL)


def _posted(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _posted(list(route.routes), prefix + route.path)
        elif isinstance(route, Route) and (route.methods or set()) - {"GET", "HEAD"}:
            yield prefix + route.path
