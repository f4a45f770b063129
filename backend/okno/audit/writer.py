"""The one writer of a process's chain: what arrives while a commit is under way is committed together by the next one.

A waiter is woken after the commit of its record. What could not be committed is refused and is not in the chain.

Ambiguous commits. When the connection is lost during COMMIT, nobody has told whether it took place, and merely looking
is no answer: the server may still be working on it, and the row may appear after we looked. So the batch is kept in
doubt, and nothing more is written until the doubt is resolved by *taking its first place*: a fence record
(`journal.interrupted`) is inserted at the number of the batch's first record, with ON CONFLICT DO NOTHING. The batch had
been inserted before COMMIT was sent, so if its transaction still lives, the unique index makes the fence wait for its
end. Then either the fence went in, so the batch was rolled back and can never come; or the place is taken, and the hash
there says by whom: by the batch (a transaction is atomic, so all of it is there), by an earlier try of the same fence
(its own COMMIT may have been cut off too), or by a stranger, in which case this chain is retired and a new one begun.
Waiters are not held meanwhile: a caller told "unavailable" has not done anything, and if its intent turns out to be
written after all, the outcome "not started" is written behind it. Outcomes are never dropped: the effect has happened,
so they are tried again before anything else.

Failures before COMMIT was sent need none of this: the server rolls back when it notices that its client has gone.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog

from okno.audit import store
from okno.audit.batch import Answer, Batch, Effect, RacedError, Refused, Ticket, Written
from okno.audit.chain import NO_HASH, Head, first_chain_id, new_chain_id
from okno.audit.checkpoint import Seals, Signer
from okno.audit.drafts import Draft, journal_event, not_done, not_started
from okno.clock import Clock
from okno.errors import OknoError, Unavailable, UnknownOutcome
from okno.storage.engine import Database

_log = structlog.get_logger("okno.audit")

LARGEST_BATCH = 500
MOST_WAITING = 20_000
DEADLINE_SECONDS = 15.0


@dataclass(slots=True)
class _Doubt:
    """A batch of which nobody knows whether it was committed, and the fence that will find out."""

    batch: Batch
    fence: Batch


class Writer:
    """Owns the head of this process's chain. Start with `announce` and `open`, end with `close`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        seals: Seals,
        signer: Signer,
        *,
        process: str,
        window_seconds: float,
        committed: Callable[[UUID], None] = lambda _chain: None,
    ) -> None:
        """
        Args:
            committed: told the chain after each commit; it has to return at once and must not raise.
        """
        self._db = db
        self._committed = committed
        self._clock = clock
        self._seals = seals
        self._signer = signer
        self._process = process
        self._window_seconds = window_seconds
        self._head = self._new_chain()
        self._retired: list[Head] = []
        self._looking = False
        self._sealed: Head | None = None
        self._behind_seal = False
        self._waiting: deque[Ticket] = deque()
        self._late: deque[Ticket] = deque()
        self._doubt: _Doubt | None = None
        self._committing: Batch | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._busy = False

    @property
    def chain(self) -> UUID:
        """The chain that is written now."""
        return self._head.chain

    @property
    def behind(self) -> bool:
        """Whether something could not be written and waits for another try."""
        return bool(self._late) or self._doubt is not None or self._behind_seal

    async def announce(self) -> None:
        """Signs the coming chain outside the database, so that a chain which nobody announced is known as foreign.

        Raises:
            Unavailable: the folder of heads cannot be written.
        """
        if not await self._seal():
            raise Unavailable(
                "The journal cannot write its signed heads; see the log. Nothing can be done without it."
            )

    async def open(self) -> None:
        """Begins the chain.

        Raises:
            Unavailable: the database cannot be written.
        """
        await self._flush([])
        if self._head.seq < 0:
            raise Unavailable("The journal cannot be written: the database does not answer.")
        self._task = asyncio.create_task(self._run(), name="okno-audit-writer")

    def submit(self, draft: Draft, effect: Effect | None = None) -> asyncio.Future[Answer]:
        """Queues a record. The future never fails: it is answered with what became of the record.

        Args:
            effect: committed together with the record, or neither of them.

        Raises:
            Unavailable: the journal is not open, or more waits than can be written.
        """
        if self._task is None or self._task.done() or self._closing:
            raise Unavailable("The journal is not open, so nothing can be done.")
        if len(self._waiting) >= MOST_WAITING and draft.finish is None:
            raise Unavailable("The journal cannot keep up; nothing was done. Try again in a moment.")
        return self._enqueue(draft, effect)

    def nudge(self) -> None:
        """Tries again what could not be written, without waiting for the next record."""
        if self.behind or self._is_of_past_month():
            self._wake.set()

    def look(self) -> None:
        """Has it looked whether somebody else has written to this chain."""
        self._looking = True
        self._wake.set()

    def use(self, signer: Signer) -> None:
        """Names another key in chains to come; the seals sign."""
        self._signer = signer

    async def close(self) -> None:
        """Writes what waits, ends the chain, and marks its head as the last one. Needs no working database."""
        if self._task is None or self._closing:
            return
        self._closing = True
        last = self._enqueue(journal_event("journal.stopped", self._clock.now(), process=self._process))
        answer = await last
        await self._task
        if isinstance(answer, Written) and not self._late:
            self._head = Head(self._head.chain, self._head.seq, self._head.hash, self._head.at, ended=True)
            await self._seal()

    def _enqueue(self, draft: Draft, effect: Effect | None = None) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(Ticket(draft, future, effect))
        self._wake.set()
        return future

    async def _run(self) -> None:
        try:
            while not (self._closing and not self._waiting):
                await self._wake.wait()
                self._wake.clear()
                while True:
                    if self._busy and self._window_seconds:
                        # others came while the last commit was under way: more will, and one commit serves them all
                        await asyncio.sleep(self._window_seconds)
                    batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_BATCH))]
                    self._busy = len(batch) > 1
                    await self._flush(batch)
                    if not self._waiting:
                        break  # what could not be written is tried again by the next record or nudge
        finally:
            self._refuse(list(self._waiting), Unavailable("The journal was stopped; nothing was done."))
            self._waiting.clear()

    async def _flush(self, tickets: Sequence[Ticket]) -> None:
        """One commit. Answers every ticket."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._resolve_doubt()
                await self._leave_chain()
                if not await self._seal():
                    # one batch may be ahead of its signed head, but not two: only what has happened is still recorded
                    unsealed = Unavailable("The journal cannot write its signed heads; nothing was done.")
                    if self._head.seq < 0:
                        raise unsealed
                    self._refuse([each for each in tickets if each.draft.finish is None], unsealed)
                    tickets = [each for each in tickets if each.draft.finish is not None]
                tickets = [*self._late, *tickets]
                self._late.clear()
                batch = await self._commit(tickets)
        except asyncio.CancelledError:
            self._refuse(tickets, Unavailable("The journal was stopped; nothing was done."))
            raise
        except Exception as error:
            # only the kind of the error: its text may quote parameters, which are personal
            _log.error("audit.write_failed", error=type(error).__name__, records=len(tickets))
            await self._after_failure(tickets, error)
        else:
            await self._accept(batch)

    async def _commit(self, tickets: Sequence[Ticket]) -> Batch:
        while True:
            batch = Batch(tickets, self._head)
            try:
                async with self._db.transaction() as session:
                    await batch.write(session, self._genesis)
                    self._committing = batch  # from here to the end of the block COMMIT may take place unseen
                self._committing = None
            except RacedError:
                continue  # the other process has committed: this time its command is found, and ours is answered with it
            return batch

    def _genesis(self) -> Draft:
        return journal_event(
            "journal.started",
            self._clock.now(),
            process=self._process,
            pid=os.getpid(),
            key=self._signer.key_id,
        )

    async def _after_failure(self, tickets: Sequence[Ticket], error: Exception) -> None:
        batch, self._committing = self._committing, None
        if isinstance(error, store.ChainTakenError):
            self._retire()
        if batch is not None and batch.records:
            fence = Batch((), self._head)
            fence.link(journal_event("journal.interrupted", self._clock.now(), process=self._process))
            self._doubt = _Doubt(batch, fence)
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    committed = await self._resolve_doubt()
            except Exception as second:
                _log.error("audit.commit_in_doubt", error=type(second).__name__, chain=str(self.chain))
            else:
                if committed:
                    return
        self._refuse(
            tickets, Unavailable("The journal cannot be written, so nothing was done. Try again in a moment.")
        )

    async def _resolve_doubt(self) -> bool:
        """Finds out what became of the batch in doubt; True if it was committed after all.

        Raises:
            Unavailable: the database still does not answer; the doubt stays.
        """
        if (doubt := self._doubt) is None:
            return False
        fence = doubt.fence.records[0]
        async with self._db.transaction() as session:
            found = await store.append_or_read(session, fence)
        self._doubt = None
        if found is None or found == fence.hash:
            for ticket, answer in doubt.batch.answers:
                if ticket.effect is not None and ticket.draft.finish and isinstance(answer, Written):
                    self._enqueue(not_done(ticket.draft, self._clock.now()))
            await self._accept(doubt.fence)
            return False
        if found != doubt.batch.records[0].hash:
            self._retire()
            return False
        for ticket, answer in doubt.batch.answers:
            if ticket.future.done() and ticket.draft.claim and isinstance(answer, Written):
                # its caller had been told "unavailable" and gave up
                self._enqueue(not_started(ticket.draft, answer.ref, self._clock.now()))
        # an outcome of this batch may wait for another try: it is written already
        written = {id(ticket) for ticket, answer in doubt.batch.answers if isinstance(answer, Written)}
        self._late = deque(ticket for ticket in self._late if id(ticket) not in written)
        await self._accept(doubt.batch)
        return True

    async def _accept(self, batch: Batch) -> None:
        """The batch is committed: its head goes outside, then its waiters wake."""
        self._head = batch.head
        await self._seal()
        for ticket, answer in batch.answers:
            ticket.answer(answer)
        self._committed(batch.head.chain)

    def _refuse(self, tickets: Sequence[Ticket], error: OknoError) -> None:
        for ticket in tickets:
            finish = ticket.draft.finish
            if ticket.effect is not None:
                # the effect is in the transaction: it has happened if its outcome was written, and else it has not
                if self._doubt is not None and any(each is ticket for each, _ in self._doubt.batch.answers):
                    ticket.answer(Refused(UnknownOutcome("The connection was lost while it was committed.")))
            elif finish is not None and not finish.settles:
                if len(self._late) >= MOST_WAITING:
                    _log.error("audit.outcome_dropped", intent=str(finish.intent))  # the sweep will settle it
                else:
                    self._late.append(ticket)
            ticket.answer(Refused(error))

    def _new_chain(self) -> Head:
        now = self._clock.now()
        return Head(new_chain_id(now), -1, NO_HASH, now)

    def _is_of_past_month(self) -> bool:
        return first_chain_id(_month(self._clock.now())) > self.chain

    async def _leave_chain(self) -> None:
        """Goes on with a new chain where this one is not ours alone any more, or where a new month has begun.

        Chains of a month lie in one partition, which retention cuts off as a whole.
        """
        if self._looking:
            self._looking = False
            async with self._db.transaction() as session:
                last = await store.find_head(session, self.chain)
            if last is not None and last > self._head.seq:
                self._retire()
        if self._head.seq >= 0 and self._is_of_past_month():
            now = self._clock.now()
            last_words = journal_event("journal.stopped", now, process=self._process, reason="a new month")
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            await self._accept(await self._commit([Ticket(last_words, future)]))
            self._end_chain()

    def _retire(self) -> None:
        """A stranger has written to this chain: what it has behind our last record is told as forged from now on."""
        old = self._head
        _log.error("audit.chain_retired", chain=str(old.chain), seq=old.seq)
        self._end_chain()
        self._enqueue(
            journal_event("journal.intruded", self._clock.now(), chain=str(old.chain), seq=old.seq + 1)
        )

    def _end_chain(self) -> None:
        old = self._head
        self._retired.append(Head(old.chain, old.seq, old.hash, old.at, ended=True))
        self._head = self._new_chain()

    async def _seal(self) -> bool:
        """Writes the signed head if it is behind; says whether the head outside is that of the chain."""
        head = self._head
        if self._sealed == head and not self._retired:
            self._behind_seal = False
            return True
        try:
            for each in [*self._retired, head]:
                signed = Head(each.chain, each.seq, each.hash, self._clock.now(), each.ended)
                await asyncio.to_thread(self._seals.write_head, signed)
                if each in self._retired:
                    self._retired.remove(each)
        except OSError as error:
            _log.error("audit.head_not_written", error=error.strerror, chain=str(head.chain))
            self._behind_seal = True
            return False
        self._sealed, self._behind_seal = head, False
        return True


def _month(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
