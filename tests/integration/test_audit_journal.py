"""The journal on a real database: intent before effect, outcome after it, once per idempotency key."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select
from structlog.contextvars import bound_contextvars

from okno.audit.command import ABANDONED_AFTER
from okno.audit.models import AuditCommandRow, AuditRecordRow, AuditValueRow
from okno.audit.records import SYSTEM, ActorRef, Event, Outcome, Phase, RecordRef
from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.errors import ConfigurationError, Conflict, InvalidInput, NotFound, Unavailable, UnknownOutcome
from okno.storage import migrate
from okno.storage.engine import Database
from okno.storage.keyset import Window
from okno.storage.models import Base
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, IVAN, open_journal, superuser, unlock


async def _phases(journal: Journal) -> list[tuple[Phase, Outcome | None]]:
    """Of the commands, oldest first."""
    records = (await journal.list_records(Window(1000), event_type="operation.run")).records
    return [(record.phase, record.outcome) for record in sorted(records, key=lambda each: each.ref)]


async def test_the_intent_is_committed_before_the_effect_and_the_outcome_after_it(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as other:
        async with journal.command(**unlock()) as command:
            seen = await other.fetch("SELECT phase, seq FROM audit_record WHERE event_type = 'operation.run'")
            assert [tuple(row) for row in seen] == [("intent", command.ref.seq)]
            assert not command.replayed
            command.succeeded({"locked": False})
        outcome = (await journal.tail(1))[0]
        assert (outcome.phase, outcome.outcome, outcome.refers) == (
            Phase.OUTCOME,
            Outcome.SUCCEEDED,
            command.ref,
        )
        assert outcome.detail == {"result": {"locked": False}}


async def test_a_record_reads_back_as_it_was_written(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        with bound_contextvars(request_id="req-1"):
            ref = await journal.record(
                Event(
                    "access.denied",
                    ANNA,
                    IVAN,
                    {"operation": "domain.unlock", "text": "a\x00b"},
                    Outcome.FAILED,
                    "v1",
                    "r",
                )
            )
        record = await journal.get_record(ref)
        assert (record.actor_login, record.actor_name, record.subject_label) == (
            "anna.sorokina",
            "Анна Сорокина",
            "Иван Петров",
        )
        assert (record.actor_id, record.subject_id, record.at) == (ANNA.id, str(IVAN.id), clock.now())
        assert record.detail == {"operation": "domain.unlock", "text": "a\x00b"}
        assert (record.policy_version, record.rule, record.request_id) == ("v1", "r", "req-1")
        assert record.outcome is Outcome.FAILED
        assert not record.erased
        assert await journal.find_record(RecordRef(ref.chain, 99)) is None
        with pytest.raises(NotFound):
            await journal.get_record(RecordRef(ref.chain, 99))


async def test_an_exception_is_the_outcome_failed_and_its_text_stays_out(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        with pytest.raises(RuntimeError):
            async with journal.command(**unlock()):
                raise RuntimeError("password=hunter2")
        outcome = (await journal.tail(1))[0]
        assert outcome.outcome is Outcome.FAILED
        assert outcome.detail == {"code": "INTERNAL", "message": "RuntimeError"}


async def test_an_unknown_outcome_is_recorded_as_unknown(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        with pytest.raises(UnknownOutcome):
            async with journal.command(**unlock()):
                raise UnknownOutcome("The source did not answer.")
        outcome = (await journal.tail(1))[0]
        assert outcome.outcome is Outcome.UNKNOWN
        assert outcome.detail == {"code": "UNKNOWN_OUTCOME", "message": "The source did not answer."}


async def test_a_cancelled_effect_is_unknown(committed: Cloned, clock: ManualClock, tmp_path: Path) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        entered = asyncio.Event()

        async def run() -> None:
            async with journal.command(**unlock()):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(run())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await journal.record(Event("session.ended", ANNA))  # written after what was queued before it
        assert await _phases(journal) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.UNKNOWN)]


async def test_an_intent_whose_caller_has_gone_ends_as_not_started(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:

        async def run() -> None:
            async with journal.command(**unlock()):
                pytest.fail("the body ran")

        task = asyncio.create_task(run())
        await asyncio.sleep(0)  # one turn of the loop: the intent is queued, its commit is under way
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await journal.record(Event("session.ended", ANNA))
        await journal.record(Event("session.ended", ANNA))
        assert await _phases(journal) == [(Phase.INTENT, None), (Phase.OUTCOME, Outcome.FAILED)]
        assert await journal.list_unsettled(timedelta(seconds=-1)) == []


async def test_a_body_that_says_nothing_leaves_the_outcome_unknown_and_what_it_said_stands(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock()):
            pass
        with pytest.raises(RuntimeError, match="afterwards"):
            async with journal.command(**unlock()) as command:
                command.succeeded()
                raise RuntimeError("afterwards")
        with pytest.raises(RuntimeError, match="has said already"):
            async with journal.command(**unlock()) as command:
                command.failed("REFUSED", "The directory refused.")
                command.succeeded()
        outcomes = [outcome for phase, outcome in await _phases(journal) if phase is Phase.OUTCOME]
        assert outcomes == [Outcome.UNKNOWN, Outcome.SUCCEEDED, Outcome.FAILED]


async def test_a_result_that_is_no_json_does_not_cost_the_outcome(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock()) as command:
            command.succeeded(object())
        assert (await journal.tail(1))[0].outcome is Outcome.SUCCEEDED


async def test_a_repeated_command_gets_the_first_result_and_no_second_effect(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with (
        open_journal(committed.db, clock, tmp_path) as journal,
        journal.command(**unlock(idempotency_key="k")) as first,
    ):
        with pytest.raises(RuntimeError, match="first time"):
            _ = first.first
        first.succeeded({"n": 1})
    # in another process, too
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock(idempotency_key="k")) as again:
            assert again.replayed
            assert (again.ref, again.first.outcome, again.first.result) == (
                first.ref,
                Outcome.SUCCEEDED,
                {"n": 1},
            )
            with pytest.raises(RuntimeError, match="must not be repeated"):
                again.succeeded()
        assert len(await _phases(journal)) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"detail": {"operation": "domain.unlock", "input": {"reason": "another"}}},
        {"subject": None},
        {"event_type": "token.issued"},
    ],
)
async def test_a_key_used_for_another_command_is_a_conflict(
    committed: Cloned, clock: ManualClock, tmp_path: Path, other: dict[str, Any]
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock(idempotency_key="k")) as first:
            first.succeeded()
        with pytest.raises(Conflict, match="another command"):
            async with journal.command(**unlock(idempotency_key="k", **other)):
                pytest.fail("the body ran")
        boris = ActorRef(UUID(int=8), "person", "boris", "Boris")
        async with journal.command(**unlock(idempotency_key="k", actor=boris)) as of_another:
            assert not of_another.replayed
            of_another.succeeded()


async def test_failed_and_unknown_commands_are_repeated_as_they_ended(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock(idempotency_key="f")) as command:
            command.failed("REFUSED", "The directory refused.")
        async with journal.command(**unlock(idempotency_key="u")) as command:
            command.unknown("TIMEOUT", "No answer.")
        async with journal.command(**unlock(idempotency_key="f")) as again:
            assert (again.first.outcome, again.first.code) == (Outcome.FAILED, "REFUSED")
        async with journal.command(**unlock(idempotency_key="u")) as again:
            assert (again.first.outcome, again.first.message) == (Outcome.UNKNOWN, "No answer.")


async def test_one_key_used_twice_at_once_has_one_effect(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    """Within one process, and between two that share the database and the data folder."""
    other_db = Database.connect(committed.app_url, role=None)
    async with (
        open_journal(committed.db, clock, tmp_path) as here,
        open_journal(other_db, clock, tmp_path) as there,
    ):
        effects = 0

        async def run(journal: Journal, key: str) -> str:
            nonlocal effects
            try:
                async with journal.command(**unlock(idempotency_key=key)) as command:
                    if command.replayed:
                        return "replayed"
                    effects += 1
                    command.succeeded()
                    return "done"
            except Conflict:
                return "running"

        keys = [f"k{number}" for number in range(20)]
        said = await asyncio.gather(
            *(
                run(journal, key)
                for number, key in enumerate(keys)
                for journal in (here, here, there, there)[number % 2 :]
            ),
            *(run(journal, key) for key in reversed(keys) for journal in (there, here)),
        )
        assert effects == len(keys) == said.count("done")
        assert (await here.verify()).whole
    await other_db.dispose()


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "\ud800"])
async def test_a_malformed_key_is_refused_and_harms_nobody_else(
    committed: Cloned, clock: ManualClock, tmp_path: Path, key: str
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        with pytest.raises(InvalidInput, match="idempotency"):
            async with journal.command(**unlock(idempotency_key=key)):
                pytest.fail("the body ran")


async def test_an_effect_needs_a_command_and_an_event_none(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        with pytest.raises(ConfigurationError, match="writes the intent first"):
            await journal.record(Event("operation.run", ANNA))
        with pytest.raises(ConfigurationError, match=r"use Journal\.record"):
            async with journal.command(**unlock(event_type="sensitive.read")):
                pytest.fail("the body ran")
        with pytest.raises(ConfigurationError, match="knows no event type"):
            await journal.record(Event("door.opened", ANNA))


async def test_200_commands_at_once_keep_the_chain_whole_and_share_commits(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal, superuser(committed) as other:

        async def run(number: int) -> RecordRef:
            async with journal.command(**unlock(idempotency_key=f"k{number}")) as command:
                command.succeeded({"number": number})
            return command.ref

        refs = await asyncio.gather(*(run(number) for number in range(200)))
        assert len(set(refs)) == 200
        transactions = await other.fetchval("SELECT count(DISTINCT xmin::text) FROM audit_record")
        assert transactions < 100
        report = await journal.verify()
        assert (report.whole, report.records, report.unproven) == (True, 401, 0)


async def test_a_restart_begins_a_chain_of_its_own_and_the_old_one_stays_provable(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    for _ in range(3):
        async with open_journal(committed.db, clock, tmp_path) as journal:
            await journal.record(Event("session.started", ANNA))
    async with open_journal(committed.db, clock, tmp_path) as journal:
        report = await journal.verify()
        assert (report.whole, report.chains, report.records) == (True, 4, 10)
        kinds = [record.event_type for record in await journal.tail(10)]
        assert kinds.count("journal.started") == 4
        assert kinds.count("journal.stopped") == 3


async def test_unsettled_commands_are_listed_and_settled_once(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock(idempotency_key="k")) as command:
            command.unknown("TIMEOUT", "No answer.")
        assert await journal.list_unsettled(timedelta(minutes=1)) == []
        clock.advance(timedelta(minutes=2))
        (unsettled,) = await journal.list_unsettled(timedelta(minutes=1))
        assert (unsettled.intent.ref, unsettled.state) == (command.ref, "unknown")
        assert unsettled.intent.detail == {"operation": "domain.unlock", "input": {}}
        assert await journal.list_unsettled(timedelta(minutes=1), begun_after=unsettled.started_at) == []
        with pytest.raises(Conflict):
            await journal.settle(command.ref, Outcome.UNKNOWN)
        ref = await journal.settle(
            command.ref, Outcome.SUCCEEDED, "Read back: unlocked.", result={"locked": False}
        )
        settled = await journal.get_record(ref)
        assert (settled.actor_id, settled.refers, settled.outcome) == (
            SYSTEM.id,
            command.ref,
            Outcome.SUCCEEDED,
        )
        assert await journal.list_unsettled(timedelta(0)) == []
        with pytest.raises(Conflict, match="ended already"):
            await journal.settle(command.ref, Outcome.FAILED)
        with pytest.raises(NotFound):
            await journal.settle(ref, Outcome.FAILED)
        async with journal.command(**unlock(idempotency_key="k")) as again:
            assert (again.first.outcome, again.first.result) == (Outcome.SUCCEEDED, {"locked": False})


async def test_the_word_of_the_one_who_did_it_outweighs_what_was_settled_meanwhile(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        async with journal.command(**unlock(idempotency_key="k")) as command:
            await journal.settle(command.ref, Outcome.FAILED)
            command.succeeded()
        async with journal.command(**unlock(idempotency_key="k")) as again:
            assert again.first.outcome is Outcome.SUCCEEDED
        async with journal.command(**unlock(idempotency_key="j")) as command:
            await journal.settle(command.ref, Outcome.SUCCEEDED)
            command.unknown("TIMEOUT", "No answer.")
        async with journal.command(**unlock(idempotency_key="j")) as again:
            assert again.first.outcome is Outcome.SUCCEEDED


async def test_a_command_whose_process_died_counts_as_running_at_first_and_as_unknown_later(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        gone = journal.command(**unlock(idempotency_key="k"))
        command = await gone.__aenter__()
        with pytest.raises(Conflict, match="still running"):
            async with journal.command(**unlock(idempotency_key="k")):
                pytest.fail("the body ran")
        clock.advance(ABANDONED_AFTER)
        async with journal.command(**unlock(idempotency_key="k")) as again:
            assert (again.replayed, again.first.outcome) == (True, Outcome.UNKNOWN)
        (unsettled,) = await journal.list_unsettled(timedelta(0))
        assert unsettled.state == "running"
        command.succeeded()
        await gone.__aexit__(None, None, None)


async def test_pages_hold_every_record_once_newest_first(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        for number in range(12):
            subject = IVAN if number % 3 else None
            await journal.record(Event("sensitive.read", ANNA, subject, {"n": number}))
            if number % 2:
                clock.advance(timedelta(seconds=1))  # several records share a moment
        found, after = [], None
        while True:
            page = await journal.list_records(Window(5, after), event_type="sensitive.read", actor_id=ANNA.id)
            found += page.records
            after = page.records[-1].place
            if not page.has_next:
                break
        assert sorted(record.detail["n"] for record in found if record.detail) == list(range(12))
        assert [record.at for record in found] == sorted((record.at for record in found), reverse=True)
        of_ivan = (await journal.list_records(Window(50), subject_id=IVAN.id)).records
        assert len(of_ivan) == 8
        refs = [record.ref for record in found]
        unknown = RecordRef(UUID(int=1), 1)
        assert await journal.get_records([*refs, unknown]) == {record.ref: record for record in found}


async def test_the_application_cannot_change_or_remove_a_record(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        await journal.record(Event("session.started", ANNA))
    connection = await asyncpg.connect(committed.app_url)
    try:
        for statement in (
            "UPDATE audit_record SET outcome = 'failed'",
            "DELETE FROM audit_record",
            "TRUNCATE audit_record",
            "ALTER TABLE audit_record DISABLE TRIGGER ALL",
            "DROP TABLE audit_record",
            "UPDATE audit_value SET value = '{}'",
            "TRUNCATE audit_value",
            "DELETE FROM audit_command",
            "TRUNCATE audit_command",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_journal_that_is_not_open_lets_nothing_happen(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    closed = Journal(committed.db, clock, tmp_path)
    await closed.close()
    async with open_journal(committed.db, clock, tmp_path) as journal:
        await journal.ping()
    for each in (closed, journal):
        with pytest.raises(Unavailable):
            await each.ping()
        with pytest.raises(Unavailable):
            await each.record(Event("session.started", ANNA))
        with pytest.raises(Unavailable):
            async with each.command(**unlock()):
                pytest.fail("the body ran")


async def test_it_works_within_a_test_that_rolls_back(
    db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(db, clock, tmp_path) as journal:
        async with journal.command(**unlock(idempotency_key="k")) as command:
            command.succeeded()
        assert (await journal.get_record(command.ref)).actor_login == "anna.sorokina"


async def test_migrated_tables_equal_the_models(committed: Cloned) -> None:
    tables = {AuditRecordRow.__tablename__, AuditValueRow.__tablename__, AuditCommandRow.__tablename__}
    found = await migrate.differences(committed.owner_url, Base.metadata)
    assert [each for each in found if any(name in repr(each) for name in tables)] == []


async def test_those_who_read_the_journal_do_not_keep_it_from_being_written(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    writing = Database.connect(committed.app_url, role=None, pool_size=1, pool_timeout_seconds=0.1)
    reading = Database.connect(committed.app_url, role=None, pool_size=1, pool_timeout_seconds=0.1)
    try:
        async with open_journal(writing, clock, tmp_path, reads=reading) as journal:
            async with reading.transaction() as slow:
                await slow.execute(select(1))
                with pytest.raises(Unavailable):
                    await journal.tail()
                ref = await journal.record(Event("session.ended", ANNA))
            assert [record.ref for record in await journal.tail(1)] == [ref]
            assert (await journal.verify()).whole
    finally:
        await writing.dispose()
        await reading.dispose()
