"""What reading and changing corporate systems gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from okno.sources.breaker import BreakerState
from okno.sources.errors import Code


class PersonKeys(NamedTuple):
    """What the systems know one person by."""

    person_id: UUID
    personnel_number: str
    login: str | None = None
    email: str | None = None
    dn: str | None = None

    def find(self, name: str) -> str | None:
        """The key of that kind (`KeyName`); None where the person has none."""
        value = getattr(self, name)
        return value if isinstance(value, str) and value else None


class HasKeys(Protocol):
    """Whatever knows a person's keys: `PersonKeys`, or the person of the index."""

    @property
    def personnel_number(self) -> str: ...
    @property
    def login(self) -> str | None: ...
    @property
    def email(self) -> str | None: ...
    @property
    def dn(self) -> str | None: ...


class State(StrEnum):
    """What a section is worth."""

    OK = "OK"
    STALE = "STALE"
    FAILED = "FAILED"
    DENIED = "DENIED"


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """Why a source gave no fresh answer. `message` is for developers and holds no key, value or secret."""

    code: Code
    message: str


class SectionData(dict[str, Any]):
    """What a source said about one person: typed values by field, never changed.

    Attributes:
        completed: a place for who shows the data: what made them ready to be shown, and what came of it. Gone when they are.
    """

    __slots__ = ("completed",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.completed: tuple[object, Any] | None = None


class SectionResult(NamedTuple):
    """One section of one person. `data` has every field of the section (absent ones None) when OK or STALE, else None.

    A tuple, like the keys, since a page of people has hundreds of both: a frozen dataclass takes three times as long to make.
    """

    state: State
    data: Mapping[str, Any] | None
    as_of: datetime | None
    error: SourceFailure | None


@dataclass(frozen=True, slots=True)
class ScanPage:
    """Some people of a source as columns of the index. `cursor` continues after this page; None: there are no more."""

    records: list[Mapping[str, Any]]
    cursor: str | None
    rejected: int = 0
    """Records left out because a column had the wrong type."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes what in a system. `path` is the section's field, as `domain.locked`; values are JSON or moments."""

    source: str
    path: str
    title: Mapping[str, str]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What an operation changed, as read back from the source where it could be read."""

    changes: list[Change]


Settled = Literal["done", "not_done", "unknown"]


@dataclass(frozen=True, slots=True)
class LastError:
    """The last failure of a source."""

    code: Code
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source does. `state`: up; degraded (failing since less than `warn_after`); down."""

    id: str
    title: Mapping[str, str]
    kind: str
    state: Literal["up", "degraded", "down"]
    breaker: BreakerState
    latency_ms_median: float | None
    last_success_at: datetime | None
    last_error: LastError | None
