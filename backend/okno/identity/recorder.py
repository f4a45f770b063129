"""What identity asks of the journal. What cannot be recorded does not happen."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar
from uuid import UUID

from okno.audit.service import SYSTEM, ActorRef, Event, Journal, Outcome, SubjectRef
from okno.identity.model import Actor

T = TypeVar("T")

# Statements in the database session that it is given
LocalEffect = Callable[[Any], Awaitable[T]]


class Commit(Protocol):
    """Runs an effect, commits it, and gives what it gave."""

    async def __call__(self, effect: LocalEffect[T]) -> T: ...


class Recorder(Protocol):
    """The journal, as identity sees it."""

    async def event(
        self,
        event_type: str,
        actor: Actor | None,
        detail: Mapping[str, Any],
        *,
        effect: LocalEffect[object] | None = None,
    ) -> None:
        """One record, durable when this returns.

        Args:
            effect: what is recorded, committed together with its record or not at all.

        Raises:
            Unavailable: it could not be written.
        """

    def command(
        self, event_type: str, *, holder: tuple[str, UUID, str], detail: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Commit]:
        """The intent before the body, the outcome after it. `holder` is kind, id and name of whom a token is for.

        The body is given what commits a local effect together with the outcome.
        """


class JournalRecorder:
    """Records in the journal. Tokens are issued and revoked at the machine's command line, hence by the system."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def event(
        self,
        event_type: str,
        actor: Actor | None,
        detail: Mapping[str, Any],
        *,
        effect: LocalEffect[object] | None = None,
    ) -> None:
        who = (
            None
            if actor is None
            else ActorRef(actor.id, actor.kind, actor.login, actor.display_name, actor.team)
        )
        outcome = Outcome.FAILED if event_type == "session.failed" else Outcome.SUCCEEDED
        event = Event(event_type, who, detail=detail, outcome=outcome)
        if effect is None:
            await self._journal.record(event)
            return

        async def done(session: Any) -> Event:
            await effect(session)
            return event

        await self._journal.record_with(done)

    @asynccontextmanager
    async def command(
        self, event_type: str, *, holder: tuple[str, UUID, str], detail: Mapping[str, Any]
    ) -> AsyncIterator[Commit]:
        kind, holder_id, name = holder
        async with self._journal.command(
            actor=SYSTEM,
            event_type=event_type,
            subject=SubjectRef(kind, holder_id, name),
            detail=detail,
            idempotency_key=None,
            policy_version=None,
            rule=None,
        ) as command:
            yield command.commit
            if not command.is_written:
                command.succeeded()
