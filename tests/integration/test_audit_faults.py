"""Whatever breaks, nothing is done unrecorded: database gone, commits of which nobody knows, disks full, processes killed."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import asyncpg
import pytest

from okno.audit.checkpoint import Seals
from okno.audit.records import Event, Outcome, Phase, RecordRef
from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.errors import Unavailable, UnknownOutcome
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, Line, open_journal, superuser, unlock


@pytest.fixture
async def line(committed: Cloned, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    socket = Path(unquote(committed.app_url.partition("?host=")[2])) / ".s.PGSQL.5432"
    async with Line(str(socket), tmp_path_factory.mktemp("line")) as made:
        yield made


@pytest.fixture
async def far_db(committed: Cloned, line: Line) -> AsyncIterator[Database]:
    """The database at the other end of the line."""
    database = Database.connect(line.url(committed.app_url), role=None)
    yield database
    await database.dispose()


async def _until(connection: "asyncpg.Connection[Any]", query: str) -> None:
    """Waits for a condition in the database; the test's time limit ends it."""
    while not await connection.fetchval(query):
        await connection.execute("SELECT pg_sleep(0.01)")


async def _commands(journal: Journal) -> list[tuple[Phase, Outcome | None]]:
    records = (await journal.list_records(Window(1000), event_type="operation.run")).records
    return [(record.phase, record.outcome) for record in sorted(records, key=lambda each: each.ref)]


async def test_without_a_database_the_body_never_runs_and_with_it_back_all_goes_on(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(far_db, clock, tmp_path) as journal:
        line.refusing = True
        line.cut()
        for _ in range(3):
            with pytest.raises(Unavailable):
                async with journal.command(**unlock(idempotency_key="k")):
                    pytest.fail("the body ran")
            with pytest.raises(Unavailable):
                await journal.record(Event("sensitive.read", ANNA))
        line.refusing = False
        async with journal.command(**unlock(idempotency_key="k")) as command:
            assert not command.replayed
            command.succeeded()
        await journal.ping()
        report = await journal.verify()
        assert (report.whole, report.chains, report.records) == (True, 1, 3)


async def test_a_journal_does_not_start_without_its_database(
    line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    line.refusing = True
    journal = Journal(far_db, clock, tmp_path)
    with pytest.raises(Unavailable):
        await journal.start()
    line.refusing = False
    await journal.start()
    await journal.close()
    assert (await journal.verify()).whole


async def test_a_journal_closes_without_its_database(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(far_db, clock, tmp_path) as journal:
        await journal.record(Event("session.started", ANNA))
        line.refusing = True
        line.cut()
    async with open_journal(committed.db, clock, tmp_path) as journal:
        assert (await journal.verify()).whole


async def test_an_outcome_that_cannot_be_written_is_told_as_unknown_and_written_when_the_database_is_back(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(far_db, clock, tmp_path, checkpoint_seconds=0.05) as journal:
        with pytest.raises(UnknownOutcome):
            async with journal.command(**unlock(idempotency_key="k")) as command:
                command.succeeded({"locked": False})
                line.refusing = True
                line.cut()
        with pytest.raises(Unavailable):
            await journal.ping()
        line.refusing = False
        async with superuser(committed) as other:
            await _until(other, "SELECT state = 'succeeded' FROM audit_command")
        async with journal.command(**unlock(idempotency_key="k")) as again:
            assert again.first.result == {"locked": False}
        assert await _commands(journal) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.SUCCEEDED)]
        assert (await journal.verify()).whole


_HOLD_COMMIT = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON audit_record DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.event_type = 'operation.run') EXECUTE FUNCTION hold();
"""
_COMMIT_HELD = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
_FENCE_WAITS = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"


@contextlib.asynccontextmanager
async def _held_commits(committed: Cloned) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """While it lasts, a COMMIT that holds an operation waits in the server until `pg_advisory_unlock(1)`."""
    async with superuser(committed) as connection:
        await connection.execute(_HOLD_COMMIT)
        await connection.execute("SELECT pg_advisory_lock(1)")
        yield connection


async def test_a_commit_whose_answer_was_lost_counts_when_it_took_place(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    """The wire breaks during COMMIT and the server does not notice: looking at once would find nothing."""
    async with open_journal(far_db, clock, tmp_path) as journal, _held_commits(committed) as server:
        ran: list[RecordRef] = []

        async def run() -> None:
            async with journal.command(**unlock(idempotency_key="k")) as command:
                ran.append(command.ref)
                command.succeeded()

        running = asyncio.create_task(run())
        await _until(server, _COMMIT_HELD)
        line.cut(server_notices=False)
        await _until(server, _FENCE_WAITS)
        assert not ran
        await server.execute("SELECT pg_advisory_unlock(1)")
        await running
        assert await _commands(journal) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.SUCCEEDED)]
        report = await journal.verify()
        assert (report.whole, report.chains, report.records) == (True, 1, 3)


async def test_a_commit_that_was_rolled_back_leaves_a_fence_and_refuses(
    committed: Cloned, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(far_db, clock, tmp_path) as journal, _held_commits(committed) as server:

        async def run() -> None:
            async with journal.command(**unlock(idempotency_key="k")):
                pytest.fail("the body ran")

        running = asyncio.create_task(run())
        await _until(server, _COMMIT_HELD)
        await server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        )
        with pytest.raises(Unavailable):
            await running
        await server.execute("SELECT pg_advisory_unlock(1)")
        async with journal.command(**unlock(idempotency_key="k")) as command:
            assert not command.replayed
            command.succeeded()
        kinds = [record.event_type for record in sorted(await journal.tail(10), key=lambda each: each.ref)]
        assert kinds == ["journal.started", "journal.interrupted", "operation.run", "operation.run"]
        assert (await journal.verify()).whole


@pytest.mark.parametrize("committed_after_all", [True, False])
async def test_a_doubt_outlasts_an_outage_and_its_intents_end_as_not_started(
    committed: Cloned,
    line: Line,
    far_db: Database,
    clock: ManualClock,
    tmp_path: Path,
    committed_after_all: bool,
) -> None:
    async with open_journal(far_db, clock, tmp_path) as journal, _held_commits(committed) as server:

        async def run() -> None:
            async with journal.command(**unlock(idempotency_key="k")):
                pytest.fail("the body ran")

        running = asyncio.create_task(run())
        await _until(server, _COMMIT_HELD)
        line.refusing = True
        line.cut(server_notices=False)
        with pytest.raises(Unavailable):  # the caller is not held until the doubt is resolved
            await running
        if not committed_after_all:
            await server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
        await server.execute("SELECT pg_advisory_unlock(1)")
        line.refusing = False
        await journal.record(Event("session.ended", ANNA))
        await journal.record(Event("session.ended", ANNA))
        if committed_after_all:
            assert await _commands(journal) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.FAILED)]
            async with journal.command(**unlock(idempotency_key="k")) as again:
                assert (again.first.outcome, again.first.code) == (Outcome.FAILED, "NOT_STARTED")
        else:
            assert await _commands(journal) == []
        assert await journal.list_unsettled(timedelta(seconds=-1)) == []
        assert (await journal.verify()).whole


async def test_an_outcome_in_doubt_is_written_exactly_once(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(far_db, clock, tmp_path) as journal, superuser(committed) as server:

        async def run() -> None:
            async with journal.command(**unlock(idempotency_key="k")) as command:
                await server.execute(_HOLD_COMMIT)
                await server.execute("SELECT pg_advisory_lock(1)")
                command.succeeded()

        running = asyncio.create_task(run())
        await _until_held(running, committed)
        line.refusing = True
        line.cut(server_notices=False)
        with pytest.raises(UnknownOutcome):
            await running
        await server.execute("SELECT pg_advisory_unlock(1)")
        line.refusing = False
        await journal.record(Event("session.ended", ANNA))
        await journal.ping()
        assert await _commands(journal) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.SUCCEEDED)]
        assert (await journal.verify()).whole


async def _until_held(running: "asyncio.Task[None]", committed: Cloned) -> None:
    async with superuser(committed) as watcher:
        await _until(watcher, _COMMIT_HELD)
    assert not running.done()


async def test_a_stranger_on_the_chain_makes_the_journal_begin_a_new_one(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as attacker:
        first = await journal.record(Event("session.started", ANNA))
        await attacker.execute(
            "INSERT INTO audit_record (chain_id, seq, at, event_type, phase, digest, prev_hash, hash)"
            " SELECT chain_id, seq + 1, at, event_type, phase, digest, prev_hash, hash FROM audit_record WHERE seq = 1"
        )
        with pytest.raises(Unavailable):
            await journal.record(Event("session.ended", ANNA))
        second = await journal.record(Event("session.ended", ANNA))
        assert second.chain != first.chain
        report = await journal.verify()
        assert {(each.kind, each.chain, each.seq) for each in report.findings} == {
            ("altered", first.chain, 2),
            ("forged", first.chain, 2),
        }
        assert "journal.intruded" in [each.event_type for each in await journal.tail(10)]


async def test_a_read_only_database_lets_nothing_happen(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as admin:
        await admin.execute(f'ALTER DATABASE "{committed.name}" SET default_transaction_read_only = on')
        await committed.db.dispose()  # the setting holds for new connections
        with pytest.raises(Unavailable):
            async with journal.command(**unlock()):
                pytest.fail("the body ran")
        await admin.execute(f'ALTER DATABASE "{committed.name}" RESET default_transaction_read_only')
        await committed.db.dispose()
        async with journal.command(**unlock()) as command:
            command.succeeded()
        assert (await journal.verify()).whole


async def test_when_heads_cannot_be_written_only_what_has_happened_is_recorded(
    committed: Cloned, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Seals, head: object) -> None:
        raise OSError(28, "No space left on device")

    async with open_journal(committed.db, clock, tmp_path) as journal:
        with pytest.MonkeyPatch.context() as broken:
            async with journal.command(**unlock()) as command:
                broken.setattr(Seals, "write_head", full)
                command.succeeded()
            with pytest.raises(Unavailable, match="signed heads"):
                async with journal.command(**unlock()):
                    pytest.fail("the body ran")
            with pytest.raises(Unavailable):
                await journal.ping()
            report = await journal.verify()
            assert (report.whole, report.unproven) == (True, 1)
            with pytest.raises(Unavailable):
                await Journal(committed.db, clock, tmp_path).start()
        async with journal.command(**unlock()) as command:
            command.succeeded()
        report = await journal.verify()
        assert (report.whole, report.unproven) == (True, 0)


async def test_a_clock_moved_back_leaves_the_chain_whole(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        await journal.record(Event("session.started", ANNA))
        clock.set_wall(clock.now() - timedelta(days=1))
        async with journal.command(**unlock()) as command:
            command.succeeded()
        assert (await journal.verify()).whole


_WRITER = """
import asyncio, sys
from pathlib import Path
from uuid import UUID, uuid4
from okno.audit.records import ActorRef
from okno.audit.service import Journal
from okno.clock import SystemClock
from okno.storage.engine import Database

ANNA = ActorRef(UUID(int=7), "person", "anna.sorokina", "Anna")

async def main() -> None:
    database = Database.connect(sys.argv[1], role=None)
    journal = Journal(database, SystemClock(), Path(sys.argv[2]), checkpoint_seconds=0.05)
    await journal.start()

    async def work(worker: int) -> None:
        number = 0
        while True:
            async with journal.command(
                actor=ANNA, event_type="operation.run", subject=None, detail={"n": number},
                idempotency_key=str(uuid4()), policy_version=None, rule=None,
            ) as command:
                print(command.ref, flush=True)
                command.succeeded()
            number += 1

    await asyncio.gather(*(work(worker) for worker in range(8)))

asyncio.run(main())
"""


async def test_a_killed_writer_leaves_a_journal_that_proves_all_it_had_promised(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    promised: list[RecordRef] = []
    for count in (25, 60, 111):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, committed.app_url, str(tmp_path), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(count):
            promised.append(RecordRef.parse((await process.stdout.readline()).decode().strip()))
        process.kill()
        await process.wait()
        # what was still in the pipe was promised, too; the last line may be cut off
        rest = (await process.stdout.read()).decode().split("\n")[:-1]
        promised += [RecordRef.parse(each) for each in rest]
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as other:
        report = await journal.verify()
        assert report.whole, report.findings
        assert report.chains == 4
        intents = {
            RecordRef(UUID(str(row["chain_id"])), row["seq"])
            for row in await other.fetch("SELECT chain_id, seq FROM audit_record WHERE phase = 'intent'")
        }
        assert set(promised) <= intents
        orphans = await other.fetchval("SELECT count(*) FROM audit_command WHERE state = 'running'")
        clock.set_wall((await journal.tail(1))[0].at + timedelta(days=3650))
        unsettled = await journal.list_unsettled()
        assert len(unsettled) == orphans > 0
        for each in unsettled:
            await journal.settle(each.intent.ref, Outcome.UNKNOWN, "The process was killed.")
        assert {each.state for each in await journal.list_unsettled()} == {"unknown"}
        assert (await journal.verify()).whole


async def test_a_start_without_a_database_announces_no_chain(clock: ManualClock, tmp_path: Path) -> None:
    nowhere = Database.connect(f"postgresql://nobody@/nothing?host={tmp_path}")
    try:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await Journal(nowhere, clock, tmp_path / "data").start()
    finally:
        await nowhere.dispose()
    assert list((tmp_path / "data").rglob("*.json*")) == []
