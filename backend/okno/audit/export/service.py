"""The exports of a deployment, each on its own: order first, then the sink, then the cursor.

What is sent next is put in an order and committed before the first byte leaves. So whatever dies afterwards, the same records
go out again in the same order and under the same numbers; the cursor moves on only once the sink has taken them. An
export is held by one process at a time, by a lock that dies with its connection.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from okno.audit.chain_store import list_heads
from okno.audit.export import store
from okno.audit.export.formats import FORMATS
from okno.audit.export.order import merged
from okno.audit.export.sinks import Sink, SinkError
from okno.audit.export.told import Exported
from okno.audit.records import SYSTEM, Event, Record
from okno.audit.service import Journal
from okno.clock import Clock
from okno.errors import OknoError
from okno.storage.engine import Database

_log = structlog.get_logger("okno.audit")

POLL_SECONDS = 1.0
# To look where all chains end is to ask for each that there ever was: it may take this share of the time
_SHARE = 0.05
_RETRY_SECONDS = (1.0, 60.0)


@dataclass(frozen=True)
class Export:
    """One export as it is configured. `to` is shown to people, with nothing secret in it."""

    name: str
    format: str
    to: str
    sink: Sink
    personal: bool = False
    from_now: bool = False
    batch: int = 500

    @property
    def settings(self) -> str:
        """What a reviewer wants to know when it changes."""
        return json.dumps({"format": self.format, "to": self.to, "personal": self.personal}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export has come. `behind`: records that it has not sent yet."""

    name: str
    position: int
    behind: int
    sent_at: datetime | None
    failed_at: datetime | None
    failure: str | None


@dataclass
class Exporter:
    """Sends one export for as long as it is asked to. `run` in one process or in several: they take turns."""

    export: Export
    db: Database
    journal: Journal
    clock: Clock
    poll_seconds: float = POLL_SECONDS
    retry_seconds: tuple[float, float] = _RETRY_SECONDS
    _most: int = field(init=False)
    _failing: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._most = self.export.batch

    async def run(self) -> None:
        """Goes on until it is cancelled; nothing that happens to the sink or to the database ends it."""
        pause = self.retry_seconds[0]
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            try:
                sent = await self.step()
            except OknoError as error:
                _log.warning(
                    "audit.export_waits", export=self.export.name, code=error.code, message=error.message
                )
            except SinkError as error:
                await self._note(str(error))
            except Exception:
                _log.exception("audit.export_failed", export=self.export.name)
            else:
                pause = self.retry_seconds[0]
                if not sent:
                    await asyncio.sleep(max(self.poll_seconds, (clock() - started) / _SHARE))
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.retry_seconds[1])

    async def step(self) -> int:
        """Sends the next batch. Gives how many records the sink has taken: none when there is nothing, or another process is at it.

        Raises:
            SinkError: the sink did not take it.
            Unavailable: the database or the journal does not answer.
        """
        if not await self._order():
            return 0
        return await self._send()

    async def _order(self) -> bool:
        """Puts what comes next in an order, unless that stands already. False: there is nothing, or it is held elsewhere."""
        name = self.export.name
        async with self.db.transaction() as session:
            if await store.add(session, name) and self.export.from_now:
                heads = await list_heads(session)
                await store.move(session, name, {chain: head.seq for chain, head in heads.items()})
            state = await store.lock(session, name)
            if state is None:
                return False
            if state.settings != self.export.settings:
                # before anything leaves under them
                await self.journal.record(
                    Event(
                        "journal.exporting",
                        SYSTEM,
                        None,
                        {"export": name, **json.loads(self.export.settings)},
                    )
                )
                await store.change(session, name, settings=self.export.settings)
            if state.pending is not None:
                return True
            behind = await store.find_cursors(session, name)
            heads = await list_heads(session)
            upto = {chain: head.seq for chain, head in heads.items()}
            # commit order and not time decides, so what is ordered is what is there
            marks = {
                record.ref.chain: record.ref.seq
                async for record in merged(session, behind, upto, self.export.batch)
            }
            if marks:
                await store.change(session, name, pending=marks)
            return bool(marks)

    async def _send(self) -> int:
        name = self.export.name
        async with self.db.transaction() as session:
            state = await store.lock(session, name)
            if state is None or state.pending is None:
                return 0
            behind = await store.find_cursors(session, name)
            records = [each async for each in merged(session, behind, state.pending, self._most)]
            try:
                await asyncio.to_thread(
                    self.export.sink.take,
                    self._numbered(records, state.position),
                    FORMATS[self.export.format],
                )
            except SinkError as error:
                if error.slow:
                    self._most = max(1, self._most // 2)
                raise
            self._most = min(self.export.batch, self._most * 2)
            taken = {record.ref.chain: record.ref.seq for record in records}
            reached = {**behind, **taken}
            rest = {
                chain: seq for chain, seq in state.pending.items() if records and seq > reached.get(chain, -1)
            }
            # what is no longer there, since its time was over, is passed by
            await store.move(session, name, taken if rest else state.pending)
            await store.change(
                session,
                name,
                pending=rest or None,
                position=state.position + len(records),
                sent_at=self.clock.now(),
                failed_at=None,
                failure=None,
            )
        if self._failing:
            self._failing = False
            _log.info("audit.export_restored", export=name)
        return len(records)

    def _numbered(self, records: Sequence[Record], position: int) -> list[Exported]:
        return [
            Exported(record, position + number, self.export.personal)
            for number, record in enumerate(records, start=1)
        ]

    async def _note(self, failure: str) -> None:
        if not self._failing:
            _log.warning("audit.export_refused", export=self.export.name, message=failure)
        self._failing = True
        try:
            async with self.db.transaction() as session:
                await store.change(session, self.export.name, failed_at=self.clock.now(), failure=failure)
        except OknoError:
            pass  # the database is away too: what is in the log is all there is


async def list_progress(db: Database) -> list[Progress]:
    """How far every export has come that ever began."""
    async with db.transaction() as session:
        heads = await list_heads(session)
        found = []
        for state in await store.list_states(session):
            cursors = await store.find_cursors(session, state.name)
            behind = sum(max(0, head.seq - cursors.get(chain, -1)) for chain, head in heads.items())
            found.append(
                Progress(state.name, state.position, behind, state.sent_at, state.failed_at, state.failure)
            )
    return found
