"""Recorded decisions: counted while requests end, written every ten seconds, kept for some months, replayed."""

import asyncio
import contextlib
from datetime import datetime, timedelta

import structlog

from okno.clock import Clock
from okno.errors import OknoError
from okno.policy import store
from okno.policy.decisions import Decided, DecisionCounts
from okno.storage.engine import Database

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 10.0
_LAST_FLUSH_SECONDS = 5.0
_CHUNK = 1_000


class RecordedDecisions:
    """The decisions of this deployment, in the database. One for each process; all processes add to the same counts."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        counts: DecisionCounts | None = None,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self.counts = DecisionCounts(clock) if counts is None else counts
        self._db = db
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._stopping = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to write the counts again and again."""
        self._flushing = asyncio.create_task(self._flush_until_stopped(), name="okno-decisions-flush")

    async def close(self) -> None:
        """Writes what was counted, as far as the database lets it within a few seconds."""
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_FLUSH_SECONDS):
                if self._flushing is not None:
                    await self._flushing
                await self._try_to_flush()

    async def flush(self) -> None:
        """Adds the counts to those in the database. What cannot be written is kept for the next time.

        A commit whose answer is lost may be counted twice: these are numbers to decide by, not accounts.

        Raises:
            Unavailable: the database does not answer.
        """
        waiting = list(self.counts.take().items())
        written = 0
        try:
            while written < len(waiting):
                chunk = waiting[written : written + _CHUNK]
                async with self._db.transaction() as session:
                    await store.add(session, chunk)
                written += len(chunk)
        finally:
            self.counts.put_back(waiting[written:])

    async def forget(self, *, keep_days: int) -> int:
        """Deletes what was counted before the last `keep_days`; says how many rows."""
        async with self._db.transaction() as session:
            return await store.delete_before(session, self._since(timedelta(days=keep_days)))

    async def list_since(self, period: timedelta) -> tuple[list[tuple[Decided, int]], datetime | None]:
        """What was decided in that time, whole hours, how often; and since when anything is recorded.

        Raises:
            Unavailable: the database does not answer.
        """
        async with self._db.transaction() as session:
            found = await store.list_decided(session, self._since(period))
            return found, await store.find_oldest_hour(session)

    def _since(self, period: timedelta) -> datetime:
        return (self._clock.now() - period).replace(minute=0, second=0, microsecond=0)

    async def _flush_until_stopped(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._flush_seconds)
                return
            await self._try_to_flush()

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except OknoError as error:
            log.warning("decisions not written, the counts are kept", code=error.code, held=len(self.counts))
        except Exception:
            log.exception("decisions not written, the counts are kept", held=len(self.counts))
        if self.counts.lost:
            log.warning("decisions of too many kinds to hold were not counted", decisions=self.counts.lost)
            self.counts.lost = 0
