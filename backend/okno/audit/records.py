"""The words of the journal: who, whom, what, how it ended, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from okno.errors import InvalidInput

#: Where a record stands in a list by time: when it was written, its chain, its number in it.
Place = tuple[datetime, UUID, int]


class Phase(StrEnum):
    """What a record is: a command is an intent and, after it, an outcome; everything else is an event."""

    INTENT = "intent"
    OUTCOME = "outcome"
    EVENT = "event"


class Outcome(StrEnum):
    """How a command ended. Unknown: an effect was started and nobody knows whether it took place."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ActorRef:
    """Who acts. `id`, `kind` and `team` stand in the chain; login and name are personal values and can be erased.

    `team`: the one as whose member a person acts; None for services and the system.
    """

    id: UUID
    kind: str
    login: str
    display_name: str
    team: str | None = None


SYSTEM = ActorRef(UUID(int=0), "system", "okno", "Okno")


@dataclass(frozen=True, slots=True)
class SubjectRef:
    """Whom or what it is done to, for example `Employee`. The label is a personal value and can be erased."""

    kind: str
    id: UUID | str
    label: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class RecordRef:
    """The place of a record: its chain, and its number in it from 0."""

    chain: UUID
    seq: int

    def __str__(self) -> str:
        return f"{self.chain}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "RecordRef":
        """The inverse of `str`.

        Raises:
            InvalidInput: the text has another form.
        """
        chain, _, seq = text.partition(":")
        try:
            if not (seq.isascii() and seq.isdigit() and len(seq) < 19):
                raise ValueError
            return cls(UUID(chain), int(seq))
        except ValueError:
            raise InvalidInput(
                "a journal record is named <chain>:<number>, and this is no such name"
            ) from None


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be recorded that is no command of its own: a sign-in, a denied attempt, a sensitive read."""

    event_type: str
    actor: ActorRef | None = None
    subject: SubjectRef | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    policy_version: str | None = None
    rule: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read back. What was erased is None, and `erased` says so."""

    ref: RecordRef
    at: datetime
    event_type: str
    phase: Phase
    outcome: Outcome | None
    actor_id: UUID | None
    actor_kind: str | None
    actor_login: str | None
    actor_name: str | None
    subject_kind: str | None
    subject_id: str | None
    subject_label: str | None
    detail: Mapping[str, Any] | None
    refers: RecordRef | None
    policy_version: str | None
    rule: str | None
    request_id: str | None
    digest: bytes
    prev_hash: bytes
    hash: bytes
    erased: bool
    team: str | None = None  # as whose member the actor acted

    @property
    def place(self) -> Place:
        """Where it stands in a list by time."""
        return self.at, self.ref.chain, self.ref.seq


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Records, newest first, and whether the list has newer and older ones."""

    records: list[Record]
    has_previous: bool
    has_next: bool


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A command nobody knows the end of: its outcome is unknown, or its process died before it wrote one."""

    intent: Record
    state: str  # running | unknown
    started_at: datetime
