"""The values of operations: what is offered, what a preview shows, how a run ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from okno.people.model import Person
from okno.sources.manifest import Operation as OperationManifest
from okno.sources.manifest import SourceManifest
from okno.sources.model import Change, PersonKeys

# What each mutation records. `graph.schema` refuses to build with a mutation that is missing here.
EVENT_TYPES: Mapping[str, str] = {"operationPreview": "operation.preview", "operationRun": "operation.run"}

# Code of an outcome that was found out afterwards, see `okno.operations.sweep`
SETTLED = "SETTLED"


@dataclass(frozen=True, slots=True)
class Offer:
    """An operation that an actor may run on an employee, or may once a fresh `second_factor` is proven."""

    operation: OperationManifest
    source: SourceManifest
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the user can mend, or has to know. `code` is stable; `field` is a path in the input."""

    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A change as JSON: moments and days are texts."""

    source: str
    source_title: Mapping[str, str]
    path: str
    title: Mapping[str, str]
    before: Any
    after: Any

    @classmethod
    def of_change(cls, change: Change, source_title: Mapping[str, str]) -> "ShownChange":
        """The JSON form of a change."""
        return cls(
            source=change.source,
            source_title=dict(source_title),
            path=change.path,
            title=dict(change.title),
            before=_json(change.before),
            after=_json(change.after),
        )

    def as_json(self) -> dict[str, Any]:
        """For the journal, and for comparing two previews."""
        return {
            "source": self.source,
            "sourceTitle": dict(self.source_title),
            "path": self.path,
            "title": dict(self.title),
            "before": self.before,
            "after": self.after,
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "ShownChange":
        """The inverse of `as_json`."""
        return cls(
            source=stored["source"],
            source_title=stored["sourceTitle"],
            path=stored["path"],
            title=stored["title"],
            before=stored["before"],
            after=stored["after"],
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What an operation would change. Without problems there is a token, which `run` wants to see."""

    changes: Sequence[ShownChange] | None
    token: str | None
    problems: Sequence[Problem] = ()


class RunOutcome(StrEnum):
    """How a run ended. Unknown: sent, and nobody knows yet whether it took effect; the sweep will find out."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended, and the record of its intent. Nothing was begun when `outcome` is None."""

    outcome: RunOutcome | None
    changes: Sequence[ShownChange] | None = None
    record: str | None = None
    replayed: bool = False
    problems: Sequence[Problem] = ()


def keys_of(person: Person) -> PersonKeys:
    """What the systems know the person by."""
    return PersonKeys(person.id, person.personnel_number, person.login, person.email, person.dn)


def _json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _json(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(part) for part in value]
    return value
