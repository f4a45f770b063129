"""The journal as other domains use it: `command` around every effect, `record` for everything else worth knowing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from okno.audit import chain_store, drafts, store
from okno.audit.batch import Answer, Existing, Raised, Refused, Written
from okno.audit.checkpoint import Seals, Signer
from okno.audit.command import ABANDONED_AFTER, Command, Effect, First
from okno.audit.keeper import Keeper
from okno.audit.records import (
    SYSTEM,
    ActorRef,
    Event,
    Outcome,
    Phase,
    Place,
    Record,
    RecordPage,
    RecordRef,
    SubjectRef,
    Unsettled,
)
from okno.audit.registry import event_type as registered
from okno.audit.sink import Shipper, Sink, sink_detail
from okno.audit.verify import Report, verify
from okno.audit.writer import Writer
from okno.clock import Clock
from okno.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    Unavailable,
    UnknownOutcome,
)
from okno.storage.engine import Database
from okno.storage.keyset import Window

__all__ = ["SYSTEM", "ActorRef", "Command", "Event", "Journal", "Outcome", "RecordRef", "SubjectRef"]

_log = structlog.get_logger("okno.audit")

# Holds the place of a record until its effect has said what it is
_TO_BE_SAID = Event("journal.interrupted", SYSTEM)


class Journal:
    """One for each process. `start` before anything is done, `close` at the end."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        data_dir: Path,
        *,
        reads: Database | None = None,
        process: str = "okno",
        group_commit_milliseconds: int = 2,
        checkpoint_seconds: float = 10.0,
        committed: Callable[[UUID], None] = lambda _chain: None,
        sink: Sink | None = None,
    ) -> None:
        """
        Args:
            sink: a second place for the checkpoints, see `okno.audit.sink`.
            db: written through; nobody else should take its connections, or everything that is done waits for them.
            reads: read through; by default `db`.
            committed: see `Writer`; `okno.audit.feed` listens to it.
        """
        self._db = db
        self._reads = reads or db
        self._clock = clock
        self._data_dir = data_dir
        self._process = process
        self._window_seconds = group_commit_milliseconds / 1000
        self._checkpoint_seconds = checkpoint_seconds
        self._committed = committed
        self._sink = sink
        self._open: tuple[Writer, Keeper] | None = None

    async def start(self) -> None:
        """Begins this process's chain: from here on things can be done.

        Raises:
            ConfigurationError: the key is missing or wrong.
            Unavailable: the database or the data folder cannot be written.
        """
        # before anything is signed: a process that tries to start again and again leaves no chains behind
        await self._db.ping()
        signer = await asyncio.to_thread(Signer.load_or_create, self._data_dir)
        try:
            seals = Seals(self._data_dir, signer)
            await asyncio.to_thread(seals.prepare)
            writer = Writer(
                self._db,
                self._clock,
                seals,
                signer,
                process=self._process,
                window_seconds=self._window_seconds,
                committed=self._committed,
            )
            await writer.announce()
            await asyncio.to_thread(seals.checkpoint, self._clock.now())
            await writer.open()
        except OSError as error:
            raise Unavailable(f"The journal cannot write below {self._data_dir}: {error.strerror}") from error
        shipper = None
        if self._sink is not None:
            shipper = Shipper(seals, self._sink, self._data_dir, self._clock, self.record)
        keeper = Keeper(
            self._db, self._clock, seals, writer, every_seconds=self._checkpoint_seconds, shipper=shipper
        )
        self._open = writer, keeper
        keeper.start()

    async def close(self) -> None:
        """Writes what waits, ends the chain and signs a last checkpoint."""
        if self._open is None:
            return
        writer, keeper = self._open
        await keeper.close()
        self._open = None
        await writer.close()
        await keeper.checkpoint()

    async def ping(self) -> None:
        """Whether the journal can be written, as far as it knows; whether the database answers is asked elsewhere.

        Raises:
            Unavailable: it is not open, or something waits to be written again.
        """
        writer = self._writer()
        if writer.behind:
            writer.nudge()
            raise Unavailable("The journal has something to write again and has not managed to yet.")

    async def record(self, event: Event) -> RecordRef:
        """Writes one record; it is durable when this returns.

        Raises:
            Unavailable: it could not be written; what it speaks of must not happen.
            ConfigurationError: the event type is not registered, or has an effect and so needs `command`.
        """
        return _written(await asyncio.shield(self._writer().submit(self._event(event))))

    async def record_with(self, effect: Effect[Event]) -> RecordRef:
        """Runs a local effect and commits it together with the record that it gives of itself: both, or neither.

        Args:
            effect: as of `Command.commit`.

        Raises:
            UnknownOutcome: the connection was lost while it was committed.
            Unavailable: nothing was done.
            Exception: whatever the effect raises; nothing was done.
        """

        async def run(session: Any) -> drafts.Draft:
            return self._event(await effect(session))

        return _written(await asyncio.shield(self._writer().submit(self._event(_TO_BE_SAID), run)))

    def _event(self, event: Event) -> drafts.Draft:
        if registered(event.event_type).kind != "event":
            raise ConfigurationError(
                f"{event.event_type} has an effect: use Journal.command, which writes the intent first"
            )
        return drafts.draft(event, phase=Phase.EVENT, at=self._clock.now())

    @asynccontextmanager
    async def command(
        self,
        *,
        actor: ActorRef,
        event_type: str,
        subject: SubjectRef | None,
        detail: Mapping[str, Any],
        idempotency_key: str | None,
        policy_version: str | None,
        rule: str | None,
        given: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Command]:
        """Wraps an effect: its intent is committed before the body runs, its outcome is written after it.

        An exception of the body is the outcome failed; `UnknownOutcome` and a cancellation are the outcome unknown.
        What the body has said itself stands, whatever happens after it.

        Args:
            given: what makes a repetition the same command; by default `detail`.

        Raises:
            Unavailable: the intent could not be written; the body has not run.
            Conflict: the key was used with another input, or its command is still running; the body has not run.
            UnknownOutcome: the body has run and its outcome could not be written yet.
        """
        if registered(event_type).kind != "command":
            raise ConfigurationError(f"{event_type} is an event without an effect: use Journal.record")
        event = Event(event_type, actor, subject, detail, policy_version=policy_version, rule=rule)
        given = detail if given is None else given
        intent = drafts.intent(event, actor=actor, key=idempotency_key, given=given, at=self._clock.now())
        answer = await self._intend(intent)
        if isinstance(answer, Existing):
            yield self._replay(answer.command, event, given)
            return
        command = Command(_written(answer), commit=partial(self._commit, event))
        try:
            yield command
        except BaseException as error:
            if command.is_written:
                raise
            command.ended_by(error)
            waiting = self._finish(event, command)
            if isinstance(error, Exception):
                await asyncio.shield(waiting)
            raise
        if command.is_written:
            return
        if command.outcome is None:
            command.unknown("NO_OUTCOME", "The command ended without saying how.")
        answer = await asyncio.shield(self._finish(event, command))
        if isinstance(answer, Refused):
            raise UnknownOutcome(
                "It may have been done, but the journal could not record how it ended. Do not repeat it blindly."
            )

    async def list_unsettled(
        self,
        older_than: timedelta = ABANDONED_AFTER,
        *,
        begun_after: datetime | None = None,
        limit: int = 100,
    ) -> list[Unsettled]:
        """Commands begun longer ago than this whose end is not known, oldest first.

        `unknown`: the source did not say; `running`: the process died, or stays beyond every deadline. What cannot be
        settled stays in the list: go on behind it with `begun_after`, the `started_at` of the last one.
        """
        async with self._reads.transaction() as session:
            found = await store.list_unsettled(
                session, before=self._clock.now() - older_than, after=begun_after, limit=limit
            )
        return [Unsettled(record, state, started_at) for record, state, started_at in found]

    async def settle(
        self,
        intent: RecordRef,
        outcome: Outcome,
        message: str | None = None,
        *,
        actor: ActorRef = SYSTEM,
        result: Any = None,
        code: str | None = None,
    ) -> RecordRef:
        """Writes the outcome of an unsettled command, found out by looking; `message` says how.

        Raises:
            NotFound: there is no such intent.
            Conflict: the command has ended meanwhile, or is unknown already and still is.
            Unavailable: it could not be written.
        """
        begun = await self.get_record(intent)
        subject = None
        if begun.subject_kind is not None and begun.subject_id is not None:
            subject = SubjectRef(begun.subject_kind, begun.subject_id, begun.subject_label)
        event = Event(begun.event_type, actor, subject, policy_version=begun.policy_version, rule=begun.rule)
        draft = drafts.ending(
            event,
            intent,
            outcome,
            at=self._clock.now(),
            result=result,
            code=code,
            message=message,
            settles=True,
        )
        return _written(await asyncio.shield(self._writer().submit(draft)))

    async def erase(self, refs: Sequence[RecordRef], *, actor: ActorRef, reason: str) -> list[RecordRef]:
        """Erases the personal values of records, with a record for each that says so. The chain stays whole.

        Raises:
            Unavailable: not all could be written; what is missing can be asked for again.
        """
        now = self._clock.now()
        waiting = [
            self._writer().submit(
                drafts.draft(
                    Event("journal.erased", actor, SubjectRef("AuditRecord", str(ref)), {"reason": reason}),
                    phase=Phase.EVENT,
                    at=now,
                    refers=ref,
                    erases=True,
                )
            )
            for ref in refs
        ]
        return [_written(answer) for answer in await asyncio.gather(*map(asyncio.shield, waiting))]

    async def list_records(
        self,
        window: Window[Place],
        *,
        subject_id: UUID | str | None = None,
        actor_id: UUID | None = None,
        event_type: str | None = None,
    ) -> RecordPage:
        """Records, newest first, between the places of records of the same list."""
        async with self._reads.transaction() as session:
            return await store.list_records(
                session,
                window,
                subject_id=None if subject_id is None else drafts.storable("subject_id", str(subject_id)),
                actor_id=actor_id,
                event_type=event_type,
            )

    async def get_record(self, ref: RecordRef) -> Record:
        """One record.

        Raises:
            NotFound: there is none at this place.
        """
        if (record := await self.find_record(ref)) is None:
            raise NotFound("no such journal record")
        return record

    async def find_record(self, ref: RecordRef) -> Record | None:
        """The record at this place, if there is one."""
        return (await self.get_records([ref])).get(ref)

    async def get_records(self, refs: Sequence[RecordRef]) -> dict[RecordRef, Record]:
        """Those of the records that there are, in one query; for a DataLoader."""
        async with self._reads.transaction() as session:
            return await store.find_records(session, refs)

    async def tail(self, count: int = 20) -> list[Record]:
        """The newest records, oldest of them first."""
        return (await self.list_records(Window(count))).records[::-1]

    async def add_partitions(self, months: int = 4) -> list[str]:
        """Makes the tables of this month and of those to come, where they are not there; gives the names of the new ones."""
        async with self._db.transaction() as session:
            return await chain_store.add_partitions(session, self._clock.now(), months)

    async def sink_detail(self) -> dict[str, Any] | None:
        """How the second place of the checkpoints does; None when there is none."""
        return None if self._sink is None else await asyncio.to_thread(sink_detail, self._data_dir)

    async def verify(self) -> Report:
        """Recomputes all chains and compares them with what was signed, see `okno.audit.verify`."""
        return await verify(self._reads, self._data_dir)

    async def _intend(self, intent: drafts.Draft) -> Answer:
        writer = self._writer()
        waiting = writer.submit(intent)
        try:
            answer = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            # the caller has gone; should its intent be written, then also that nothing came of it
            waiting.add_done_callback(partial(self._withdraw, writer, intent))
            raise
        if isinstance(answer, Refused):
            raise answer.error
        return answer

    def _withdraw(self, writer: Writer, intent: drafts.Draft, waiting: "asyncio.Future[Answer]") -> None:
        if not waiting.cancelled() and isinstance(answer := waiting.result(), Written):
            with contextlib.suppress(Unavailable):  # closing: the sweep will find the intent
                writer.submit(drafts.not_started(intent, answer.ref, self._clock.now()))

    def _replay(self, first: store.CommandState, event: Event, given: Mapping[str, Any]) -> Command:
        if drafts.input_digest(first.salt, event, given) != first.digest:
            raise Conflict("this idempotency key was used for another command", field="idempotencyKey")
        if first.state == "running" and self._clock.now() - first.started_at < ABANDONED_AFTER:
            raise Conflict("the command with this idempotency key is still running", field="idempotencyKey")
        return Command(first.intent, first=First.of_state(first))

    async def _commit(self, event: Event, command: Command, effect: Effect[None]) -> None:
        answer = await asyncio.shield(self._finish(event, command, effect))
        if not isinstance(answer, Written):
            _written(answer)

    def _finish(
        self, event: Event, command: Command, effect: Effect[None] | None = None
    ) -> "asyncio.Future[Answer]":
        assert command.outcome is not None
        write = partial(
            drafts.ending,
            event,
            command.ref,
            command.outcome,
            at=self._clock.now(),
            code=command.code,
            message=command.message,
        )
        try:
            draft = write(result=command.result)
        except InvalidInput as error:
            if effect is not None:
                raise
            # the effect has happened: its outcome is recorded, if without its result
            _log.error("audit.result_not_json", event_type=event.event_type, error=error.message)
            draft = write()
        try:
            return self._writer().submit(draft, effect)
        except Unavailable as error:
            refused: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            refused.set_result(Refused(error))
            return refused

    def _writer(self) -> Writer:
        if self._open is None:
            raise Unavailable("The journal is not open, so nothing can be done.")
        return self._open[0]


def _written(answer: Answer) -> RecordRef:
    if isinstance(answer, Written):
        return answer.ref
    if isinstance(answer, Refused | Raised):
        raise answer.error
    raise AssertionError("only commands have idempotency keys")
