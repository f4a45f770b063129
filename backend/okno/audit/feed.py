"""The feed of the journal: every process learns what any process committed, in the order of each chain.

After a commit the writing process tells the chain's id by NOTIFY, and only that: what is new is read from the table behind
the cursor of the chain. So a notification that is lost, with its connection or its process, costs time and no record.

NOTIFY is not part of the journal's transaction: at commit it takes one lock for the whole cluster, and all journals would queue
for it while they hold their commits. It follows in a transaction of its own, many commits with one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from okno.audit import chain_store, store
from okno.audit.chain import begun_at, first_chain_id
from okno.audit.fanout import Fanout
from okno.audit.records import Phase, Record
from okno.errors import OknoError, Unavailable
from okno.storage.engine import Database, Listening

CHANNEL = "okno_journal"
PAGE = 200
# The first commit is told at once, those that follow it closely are told together
PAUSE_SECONDS = 0.02
# The same for reading, and while only the caches are to hear of outcomes
IDLE_PAUSE_SECONDS = 0.25
# What a process that died between its commit and its NOTIFY has left is found after at most this long
POLL_SECONDS = 15.0
RETRY_SECONDS = (0.1, 5.0)
# The clocks of two machines differ by less
_CLOCKS_DIFFER = timedelta(hours=1)

log = structlog.get_logger("okno.audit")

# What has to be done with outcomes before anybody else hears of them, such as emptying caches. Called again with the same
# records when it raises an OknoError.
BeforeOthers = Callable[[Sequence[Record]], Awaitable[None]]


async def _nothing(_outcomes: Sequence[Record]) -> None:
    return


class Announcer:
    """Tells the other processes that this one has committed. What cannot be told now is told later."""

    def __init__(self, db: Database, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._db = db
        self._pause_seconds = pause_seconds
        self._chains: set[UUID] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="okno-audit-announcer")

    def committed(self, chain: UUID) -> None:
        """Notes a commit; returns at once."""
        self._chains.add(chain)
        self._wake.set()

    async def close(self) -> None:
        """Tells what is left, if the database still listens."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(OknoError, TimeoutError):
            async with asyncio.timeout(2):
                await self._tell()

    async def _run(self) -> None:
        pause = self._pause_seconds
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._tell()
                pause = self._pause_seconds
            except OknoError:
                self._wake.set()
                pause = min(max(pause, RETRY_SECONDS[0]) * 2, RETRY_SECONDS[1])
            except Exception as error:
                # the commits stand and the others find them without being told
                log.error("audit.not_announced", error=type(error).__name__)
            await asyncio.sleep(pause)

    async def _tell(self) -> None:
        chains, self._chains = self._chains, set()
        try:
            for chain in chains:
                await self._db.notify(CHANNEL, str(chain))
        except BaseException:
            self._chains |= chains
            raise


class Feed:
    """Reads what was committed anywhere and publishes it to the fanout of this process."""

    def __init__(
        self,
        db: Database,
        fanout: Fanout,
        *,
        before_others: BeforeOthers = _nothing,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """
        Args:
            db: two of its connections are used at a time, one of them for good.
        """
        self.fanout = fanout
        self._db = db
        self._before_others = before_others
        self._poll_seconds = poll_seconds
        self._cursors: dict[UUID, int] | None = None
        self._behind: set[UUID] = set()
        self._open: set[UUID] = set()
        self._newest = UUID(int=0)
        self._unreadable: set[UUID] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to read; what was committed before is not published."""
        self.fanout.begin()
        self._task = asyncio.create_task(self._run(), name="okno-audit-feed")

    async def close(self) -> None:
        """Ends all subscribers and stops reading."""
        self.fanout.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_ready(self, seconds: float = 5.0) -> None:
        """Waits until the feed knows where to read from: from then on nothing that is committed escapes it.

        Raises:
            Unavailable: it does not, because the database does not answer.
        """
        await self.fanout.wait_ready(seconds)

    def committed(self, chain: UUID) -> None:
        """This process has committed: no need to wait until the database says so."""
        self._behind.add(chain)
        self._wake.set()

    def _heard(self, payload: str) -> None:
        # whoever may enter the database may say anything on the channel
        with contextlib.suppress(ValueError):
            self.committed(UUID(payload))

    async def _run(self) -> None:
        pause = RETRY_SECONDS[0]
        while True:
            connected = False
            try:
                async with self._db.listen(CHANNEL, self._heard) as line:
                    await self._look_everywhere()
                    if pause > RETRY_SECONDS[0]:
                        log.info("audit.feed_restored")
                    connected, pause = True, RETRY_SECONDS[0]
                    await self._follow(line)
            except OknoError as error:
                if connected or pause == RETRY_SECONDS[0]:
                    log.warning("audit.feed_broken", code=error.code)
            except Exception:
                log.exception("audit.feed_failed")
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_SECONDS[1])

    async def _follow(self, line: Listening) -> None:
        clock = asyncio.get_running_loop().time
        lost = asyncio.create_task(line.lost.wait())
        look_at = clock() + self._poll_seconds
        try:
            while True:
                await self._catch_up()
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait(
                    {lost, woken}, timeout=max(0.0, look_at - clock()), return_when=asyncio.FIRST_COMPLETED
                )
                is_woken = woken.done()
                woken.cancel()
                if lost.done():
                    raise Unavailable("The connection that listens was lost.")
                if is_woken:
                    # the first commit is read at once, those that follow it closely are read together
                    await self._catch_up()
                    await asyncio.sleep(PAUSE_SECONDS if self.fanout.is_heard else IDLE_PAUSE_SECONDS)
                if clock() >= look_at:  # also while this process has enough to read: another may have died
                    await line.ping()
                    await self._look_everywhere()
                    look_at = clock() + self._poll_seconds
        finally:
            lost.cancel()

    async def _look_everywhere(self) -> None:
        """Compares the chains that may have grown with their cursors; the first time it only notes where all of them end."""
        async with self._db.transaction() as session:
            if self._cursors is None:
                heads = await chain_store.list_heads(session)
            else:
                # a chain that was closed gets no more records, and a new one has an id that says so: looking at all of them
                # would take longer with every chain that there ever was
                heads = await chain_store.find_heads(session, list(self._open))
                heads |= await chain_store.list_heads(session, begun_after=_shortly_before(self._newest))
        if self._cursors is None:
            self._cursors = {chain: head.seq for chain, head in heads.items()}
            self.fanout.be_ready()
        self._behind |= {chain for chain, head in heads.items() if head.seq > self._cursors.get(chain, -1)}
        self._open |= {chain for chain, head in heads.items() if not head.is_ended}
        self._open -= {chain for chain, head in heads.items() if head.is_ended}
        self._newest = max([self._newest, *(chain for chain in heads if begun_at(chain))])

    async def _catch_up(self) -> None:
        self._wake.clear()
        self._open |= self._behind
        while self._behind:
            chain = self._behind.pop()
            try:
                while await self._read(chain):
                    pass
            except (OknoError, asyncio.CancelledError):
                self._behind.add(chain)
                raise
            except Exception:
                # one chain that cannot be read, as after somebody's tampering, must not silence the others; it is tried again
                # with its next commit and whenever all are looked at
                if chain not in self._unreadable:
                    log.exception("audit.feed_chain_unreadable", chain=str(chain))
                self._unreadable.add(chain)
            else:
                self._unreadable.discard(chain)

    async def _read(self, chain: UUID) -> bool:
        """Publishes the next page of a chain; whether there may be more of it."""
        assert self._cursors is not None
        behind = self._cursors.get(chain, -1)
        # Outcomes are read always, for the caches; the rest would be read for nobody
        outcomes_only = not self.fanout.is_heard
        async with self._db.transaction() as session:
            head = await store.find_head(session, chain)
            if head is None or head <= behind:
                return False
            records = await store.read_chain(
                session, chain, behind=behind, upto=head, limit=PAGE, outcomes_only=outcomes_only
            )
        if outcomes_only and self.fanout.is_heard:
            return True  # somebody came meanwhile, and what we left out may have been committed after that: read again
        await self._prepare([record for record in records if record.phase is Phase.OUTCOME])
        self._cursors[chain] = records[-1].ref.seq if len(records) == PAGE else head
        self.fanout.publish(records)
        return len(records) == PAGE

    async def _prepare(self, outcomes: Sequence[Record]) -> None:
        if not outcomes:
            return
        try:
            await self._before_others(outcomes)
        except OknoError:
            raise
        except Exception:
            log.exception("audit.feed_before_others_failed")


def _shortly_before(chain: UUID) -> UUID:
    """Ids of chains that were begun after this one are greater than what this gives."""
    at = begun_at(chain)
    return chain if at is None else first_chain_id(at - _CLOCKS_DIFFER)
