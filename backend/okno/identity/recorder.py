"""What identity asks of the journal. What cannot be recorded does not happen."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from okno.audit.service import SYSTEM, ActorRef, Event, Journal, Outcome, SubjectRef
from okno.identity.model import Actor


class Recorder(Protocol):
    """The journal, as identity sees it."""

    async def event(self, event_type: str, actor: Actor | None, detail: Mapping[str, Any]) -> None:
        """One record, durable when this returns.

        Raises:
            Unavailable: it could not be written.
        """

    def command(
        self, event_type: str, *, holder: tuple[str, UUID, str], detail: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[None]:
        """The intent before the body, the outcome after it. `holder` is kind, id and name of whom a token is for."""


class JournalRecorder:
    """Records in the journal. Tokens are issued and revoked at the machine's command line, hence by the system."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def event(self, event_type: str, actor: Actor | None, detail: Mapping[str, Any]) -> None:
        who = None if actor is None else ActorRef(actor.id, actor.kind, actor.login, actor.display_name)
        outcome = Outcome.FAILED if event_type == "session.failed" else Outcome.SUCCEEDED
        await self._journal.record(Event(event_type, who, detail=detail, outcome=outcome))

    @asynccontextmanager
    async def command(
        self, event_type: str, *, holder: tuple[str, UUID, str], detail: Mapping[str, Any]
    ) -> AsyncIterator[None]:
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
            yield
            command.succeeded()
