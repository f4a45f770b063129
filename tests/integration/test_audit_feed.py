"""The feed of the journal on a real PostgreSQL: what one process commits, the others learn, whatever breaks between them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from okno.audit import store
from okno.audit.fanout import Fanout, FellBehind, Subscriber
from okno.audit.feed import CHANNEL, Announcer, Feed
from okno.audit.records import Event, Outcome, Phase, Record, RecordRef
from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.errors import Unavailable
from okno.storage.engine import Database
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, IVAN, Line, open_journal, superuser, unlock

# Longer than any test: what is told in time was not found by looking around
NEVER = 3600.0


class Process:
    """What one process of Okno has of the journal."""

    def __init__(self, journal: Journal, announcer: Announcer) -> None:
        self.journal = journal
        self.announcer = announcer

    async def record(self, count: int = 1) -> list[RecordRef]:
        """Writes events at once, which share commits."""
        events = (self.journal.record(Event("sensitive.read", ANNA, IVAN, {"n": n})) for n in range(count))
        return list(await asyncio.gather(*events))


@contextlib.asynccontextmanager
async def process(
    committed: Cloned, clock: ManualClock, data_dir: Path, *, feed: Feed | None = None, **options: Any
) -> AsyncIterator[Process]:
    """A process that writes, and tells; with a `feed` it also reads its own commits without being told."""
    db = Database.connect(committed.app_url, role=None, pool_size=2)
    announcer = Announcer(db)
    announcer.start()

    def told(chain: Any) -> None:
        announcer.committed(chain)
        if feed is not None:
            feed.committed(chain)

    try:
        async with open_journal(committed.db, clock, data_dir, committed=told, **options) as journal:
            yield Process(journal, announcer)
    finally:
        await announcer.close()
        await db.dispose()


@contextlib.asynccontextmanager
async def following(db: Database, **options: Any) -> AsyncIterator[Feed]:
    """A feed that is ready."""
    feed = Feed(db, Fanout(), **{"poll_seconds": NEVER, **options})
    feed.start()
    await feed.wait_ready()
    try:
        yield feed
    finally:
        await feed.close()


@pytest.fixture
async def line(committed: Cloned, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    socket = Path(unquote(committed.app_url.partition("?host=")[2])) / ".s.PGSQL.5432"
    async with Line(str(socket), tmp_path_factory.mktemp("line")) as made:
        yield made


@pytest.fixture
async def far_db(committed: Cloned, line: Line) -> AsyncIterator[Database]:
    """The database through the wire that can be cut."""
    database = Database.connect(line.url(committed.app_url), role=None, pool_size=3)
    yield database
    await database.dispose()


def everything(record: Record) -> bool:
    return True


def of_people(record: Record) -> bool:
    return record.event_type == "sensitive.read"


async def take(subscriber: Subscriber, count: int) -> list[Record]:
    async with asyncio.timeout(20):
        return [await subscriber.next() for _ in range(count)]


def numbers(records: Sequence[Record]) -> list[Any]:
    return [(record.detail or {})["n"] for record in records]


async def test_what_one_process_commits_reaches_the_subscribers_of_another(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with process(committed, clock, tmp_path / "a") as writer, following(committed.db) as feed:
        with feed.fanout.subscribe(everything) as subscriber:
            (ref,) = await writer.record()
            (record,) = await take(subscriber, 1)
        assert record.ref == ref
        assert (record.actor_login, record.subject_label) == ("anna.sorokina", "Иван Петров")


async def test_a_chain_that_begins_later_is_noticed_from_its_first_record_on(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with following(committed.db) as feed:
        with feed.fanout.subscribe(everything) as subscriber:
            async with process(committed, clock, tmp_path / "a") as writer:
                await writer.record()
            records = await take(subscriber, 3)
    assert [record.event_type for record in records] == [
        "journal.started",
        "sensitive.read",
        "journal.stopped",
    ]


async def test_many_records_of_two_processes_arrive_once_and_in_the_order_of_each_chain(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with (
        following(committed.db) as feed,
        process(committed, clock, tmp_path / "a", feed=feed) as one,
        process(committed, clock, tmp_path / "b") as other,
    ):
        with feed.fanout.subscribe(of_people) as subscriber:
            written = await asyncio.gather(one.record(450), other.record(450))
            records = await take(subscriber, 900)
    for refs in written:
        (chain,) = {ref.chain for ref in refs}
        read = [record.ref for record in records if record.ref.chain == chain]
        assert read == sorted(refs), "each once, in the order of the chain"


async def test_commits_that_follow_each_other_closely_are_told_together(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    said: list[str] = []
    async with superuser(committed) as ear:
        await ear.add_listener(CHANNEL, lambda _line, _pid, _channel, payload: said.append(str(payload)))
        async with (
            following(committed.db) as feed,
            process(committed, clock, tmp_path / "a", group_commit_milliseconds=0) as writer,
        ):
            with feed.fanout.subscribe(of_people) as subscriber:
                for _ in range(100):
                    await writer.record()
                await take(subscriber, 100)
        await ear.execute("SELECT 1")
    assert 1 <= len(said) < 100
    assert len(set(said)) == 1


async def test_a_broken_listener_reads_on_from_its_cursors(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    async with process(committed, clock, tmp_path / "a") as writer, following(far_db) as feed:
        with feed.fanout.subscribe(of_people) as subscriber:
            first = await writer.record(2)
            assert [record.ref for record in await take(subscriber, 2)] == sorted(first)
            line.refusing = True
            line.cut()
            missed = await writer.record(3)
            async with process(committed, clock, tmp_path / "b") as newcomer:
                missed += await newcomer.record(2)
            line.refusing = False
            assert sorted(record.ref for record in await take(subscriber, 5)) == sorted(missed)
            later = await writer.record(1)
            assert [record.ref for record in await take(subscriber, 1)] == later, "it is told again, too"


async def test_a_server_that_ends_the_listening_connection_loses_nothing(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    listening = Database.connect(committed.app_url, role=None, pool_size=3, application_name="the-feed")
    async with process(committed, clock, tmp_path / "a") as writer, following(listening) as feed:
        with feed.fanout.subscribe(of_people) as subscriber:
            async with superuser(committed) as admin:
                for n in range(3):
                    await admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the-feed'"
                    )
                    refs = await writer.record(n + 1)
                    assert [record.ref for record in await take(subscriber, n + 1)] == sorted(refs)
    await listening.dispose()


async def test_what_nobody_told_is_found_by_looking_around(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with (
        following(committed.db, poll_seconds=0.05) as feed,
        open_journal(committed.db, clock, tmp_path) as silent,
    ):
        with feed.fanout.subscribe(of_people) as subscriber:
            ref = await silent.record(Event("sensitive.read", ANNA, IVAN, {"n": 1}))
            assert [record.ref for record in await take(subscriber, 1)] == [ref]


async def test_what_nobody_told_is_found_also_while_there_is_enough_to_read(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with (
        following(committed.db, poll_seconds=0.1) as feed,
        process(committed, clock, tmp_path / "a", feed=feed) as busy,
        open_journal(committed.db, clock, tmp_path / "b") as silent,
    ):
        with feed.fanout.subscribe(lambda record: record.event_type == "access.denied") as subscriber:
            ref = await silent.record(Event("access.denied", ANNA, IVAN, {}))
            found = asyncio.create_task(subscriber.next())
            while not found.done():
                await busy.record()
            assert (await found).ref == ref


async def test_a_journal_writes_on_while_nobody_can_be_told(
    committed: Cloned, line: Line, far_db: Database, clock: ManualClock, tmp_path: Path
) -> None:
    announcer = Announcer(far_db)
    announcer.start()
    async with (
        following(committed.db) as feed,
        open_journal(committed.db, clock, tmp_path, committed=announcer.committed) as journal,
    ):
        with feed.fanout.subscribe(of_people) as subscriber:
            line.refusing = True
            line.cut()
            refs = [await journal.record(Event("sensitive.read", ANNA, IVAN, {"n": n})) for n in range(5)]
            line.refusing = False
            assert [record.ref for record in await take(subscriber, 5)] == refs, (
                "it was told once it could be"
            )
        await announcer.close()


async def test_what_was_committed_before_the_feed_began_is_not_published(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with process(committed, clock, tmp_path / "a") as writer:
        await writer.record(3)
        async with following(committed.db) as feed:
            with feed.fanout.subscribe(everything) as subscriber:
                (ref,) = await writer.record()
                assert [record.ref for record in await take(subscriber, 1)] == [ref]


async def test_outcomes_are_worked_up_before_anybody_hears_of_them_and_again_after_a_failure(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    seen: list[Record] = []

    async def forget(outcomes: Sequence[Record]) -> None:
        seen.extend(outcomes)
        if len(seen) == 1:
            raise Unavailable("not now")

    async with (
        following(committed.db, before_others=forget) as feed,
        process(committed, clock, tmp_path / "a", feed=feed) as writer,
    ):
        with feed.fanout.subscribe(lambda record: record.phase is Phase.OUTCOME) as subscriber:
            async with writer.journal.command(**unlock()) as command:
                command.succeeded()
            (record,) = await take(subscriber, 1)
            assert (record.outcome, record.subject_id) == (Outcome.SUCCEEDED, str(IVAN.id))
            assert [each.ref for each in seen] == [record.ref, record.ref]


async def test_outcomes_are_worked_up_also_while_nobody_listens(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    seen: asyncio.Queue[Record] = asyncio.Queue()

    async def forget(outcomes: Sequence[Record]) -> None:
        for outcome in outcomes:
            seen.put_nowait(outcome)

    async with (
        following(committed.db, before_others=forget) as feed,
        process(committed, clock, tmp_path / "a") as writer,
    ):
        assert not feed.fanout.is_heard
        await writer.record(250)
        async with writer.journal.command(**unlock()) as command:
            command.succeeded()
        async with asyncio.timeout(10):
            assert (await seen.get()).refers == command.ref


async def test_a_defect_in_working_up_outcomes_does_not_stop_the_feed(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async def defect(outcomes: Sequence[Record]) -> None:
        raise KeyError("a defect")

    async with (
        following(committed.db, before_others=defect) as feed,
        process(committed, clock, tmp_path / "a") as writer,
    ):
        with feed.fanout.subscribe(lambda record: record.phase is Phase.OUTCOME) as subscriber:
            async with writer.journal.command(**unlock()) as command:
                command.succeeded()
            await take(subscriber, 1)


async def test_a_chain_that_cannot_be_read_does_not_silence_the_others(
    committed: Cloned, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_chain, damaged = store.read_chain, set[UUID]()
    listen, listened = Database.listen, 0

    def count(*given: Any) -> Any:
        nonlocal listened
        listened += 1
        return listen(*given)

    monkeypatch.setattr(Database, "listen", count)

    async def read(session: AsyncSession, chain: UUID, **given: Any) -> list[Record]:
        if chain in damaged:
            raise ValueError("no record")
        return await read_chain(session, chain, **given)

    monkeypatch.setattr(store, "read_chain", read)
    async with (
        following(committed.db) as feed,
        process(committed, clock, tmp_path / "a") as one,
        process(committed, clock, tmp_path / "b") as other,
    ):
        with feed.fanout.subscribe(of_people) as subscriber:
            await one.record()
            damaged.add((await take(subscriber, 1))[0].ref.chain)
            (lost,) = await one.record()
            (ref,) = await other.record()
            (found,) = await take(subscriber, 1)
            assert (found.ref, listened) == (ref, 1)
            damaged.clear()
            (ref,) = await one.record()
            assert [each.ref for each in await take(subscriber, 2)] == [lost, ref]


async def test_a_slow_subscriber_is_ended_and_the_others_get_everything(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with following(committed.db) as feed, process(committed, clock, tmp_path / "a") as writer:
        with (
            feed.fanout.subscribe(of_people, most_pending=10) as slow,
            feed.fanout.subscribe(of_people) as quick,
            feed.fanout.subscribe(of_people, key=lambda record: record.subject_id, most_pending=1) as merging,
        ):
            await writer.record(50)
            assert numbers(await take(quick, 50)) == list(range(50))
            with pytest.raises(FellBehind, match="more than 10 events were pending"):
                await slow.next()
            assert (await take(merging, 1))[0].subject_id == str(IVAN.id), "fifty times the same is told once"


async def test_a_subscriber_with_a_defect_harms_only_itself(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    def defect(record: Record) -> bool:
        raise KeyError("a defect")

    async with following(committed.db) as feed, process(committed, clock, tmp_path / "a") as writer:
        with feed.fanout.subscribe(defect) as broken, feed.fanout.subscribe(of_people) as well:
            await writer.record(2)
            await take(well, 2)
            with pytest.raises(Unavailable):
                await broken.next()


async def test_closing_the_feed_ends_its_subscribers(committed: Cloned) -> None:
    async with following(committed.db) as feed:
        with feed.fanout.subscribe(everything) as subscriber:
            waiting = asyncio.create_task(subscriber.next())
            await feed.close()
            with pytest.raises(Unavailable):
                await waiting


async def test_garbage_on_the_channel_changes_nothing(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with following(committed.db) as feed, process(committed, clock, tmp_path / "a") as writer:
        with feed.fanout.subscribe(of_people) as subscriber:
            for payload in ("", "x", "7" * 5000, "00000000-0000-0000-0000-000000000000"):
                await committed.db.notify(CHANNEL, payload[:7000])
            await writer.record(1)
            await take(subscriber, 1)


async def test_without_a_database_one_is_told_that_the_feed_is_not_ready(
    line: Line, far_db: Database
) -> None:
    line.refusing = True
    feed = Feed(far_db, Fanout(), poll_seconds=NEVER)
    feed.start()
    try:
        with pytest.raises(Unavailable):
            await feed.wait_ready(0.05)
        line.refusing = False
        await feed.wait_ready()
    finally:
        await feed.close()
