"""What one process does for the journal every few seconds: checkpoints, the ends of chains whose processes died, new keys, the sink."""

import asyncio

import structlog

from okno.audit import chain_store
from okno.audit.chain import NO_HASH, Head
from okno.audit.checkpoint import Seals
from okno.audit.proof import row_hash
from okno.audit.sink import Shipper
from okno.audit.writer import Writer
from okno.clock import Clock
from okno.errors import ConfigurationError, OknoError
from okno.storage.engine import Database

_log = structlog.get_logger("okno.audit")

# A tail that nobody has signed is at most a batch, and the outcomes that came while heads could not be written
_MOST_UNSIGNED = 20_000


class Keeper:
    """Begins with `start`, ends with `close`. Nothing that fails here stops the journal from being written."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        seals: Seals,
        writer: Writer,
        *,
        every_seconds: float,
        shipper: Shipper | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._seals = seals
        self._writer = writer
        self._every_seconds = every_seconds
        self._shipper = shipper
        self._told_of_key = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks.append(asyncio.create_task(self._tick(), name="okno-audit-checkpoints"))
        if self._shipper is not None:
            self._tasks.append(asyncio.create_task(self._ship(self._shipper), name="okno-audit-sink"))

    async def close(self) -> None:
        """Stops; the last checkpoint is `checkpoint`'s, when the chain has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def tick(self) -> None:
        """One round."""
        self._writer.nudge()
        self._writer.look()
        await self._follow_key()
        try:
            await self.end_dead_chains()
        except (OknoError, OSError) as error:
            _log.warning("audit.dead_chains_not_ended", error=type(error).__name__)
        await self.checkpoint()

    async def checkpoint(self) -> None:
        """Signs a checkpoint if something has changed."""
        try:
            await asyncio.to_thread(self._seals.checkpoint, self._clock.now())
        except OSError as error:
            _log.error("audit.checkpoint_not_written", error=error.strerror)

    async def end_dead_chains(self) -> None:
        """Signs the ends of chains whose processes died, so that nobody can add to them without its being told.

        What such a process had committed and not signed any more is signed if it goes on from the signed head. That it is
        signed late is the one thing that cannot be closed: until then a superuser could have added it.
        """
        dead = self._seals.dead_chains(self._clock.now())
        heads = await asyncio.to_thread(dead.__enter__)
        try:
            for head in heads:
                end = await self._find_end(head)
                await asyncio.to_thread(self._seals.write_head, end)
                _log.warning(
                    "audit.chain_ended_for_another", chain=str(head.chain), seq=end.seq, signed=head.seq
                )
        finally:
            await asyncio.to_thread(dead.__exit__, None, None, None)

    async def _find_end(self, head: Head) -> Head:
        seq, digest = head.seq, head.hash
        async with self._db.transaction() as session:
            rows = await chain_store.read_part(session, head.chain, head.seq + 1, head.seq + _MOST_UNSIGNED)
        for row in rows:
            if row[1] != seq + 1 or row[16] != (digest if seq >= 0 else NO_HASH) or row_hash(row) != row[18]:
                break
            seq, digest = row[1], row[18]
        return Head(head.chain, seq, digest, self._clock.now(), ended=True)

    async def _follow_key(self) -> None:
        try:
            self._writer.use(await asyncio.to_thread(self._seals.follow_key))
        except ConfigurationError as error:
            if not self._told_of_key:
                _log.error("audit.key_lost", error=error.message)
            self._told_of_key = True
        else:
            self._told_of_key = False

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                await self.tick()
            except Exception:
                _log.exception("audit.tick_failed")

    async def _ship(self, shipper: Shipper) -> None:
        try:
            while True:
                try:
                    await shipper.ship()
                except Exception:
                    _log.exception("audit.sink_failed")
                await asyncio.sleep(self._every_seconds)
        finally:
            await shipper.close()
