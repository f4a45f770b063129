"""The values of privacy: an erasure and how far it is, a corporate system that holds more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from okno.storage.personal_data import Subject

#: domain -> table -> rows
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure. Once finished `subject` is nobody.

    Attributes:
        accounts: ids under which the person acted.
        bars_index: whether the index is kept from taking the person in again.
        intent: the journal's record of it.
        done: what was erased so far; a domain that is not in it comes next.
    """

    digest: bytes
    subject: Subject
    accounts: Sequence[UUID]
    bars_index: bool
    intent: str
    begun_at: datetime
    done: Counts = field(default_factory=dict)
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do now.

    Attributes:
        counts: rows by domain and table.
        kept: the person's deeds on others that stay until `kept_until` at the latest.
        working: HR lists the person as one who has not left.
    """

    counts: Counts
    kept: int
    kept_until: datetime
    working: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did, its record, and whether it had been begun before."""

    counts: Counts
    record: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class CorporateSystem:
    """A system that holds more about people than Okno does: ask its owner.

    Attributes:
        holds: the fields that Okno reads there, as people call them.
    """

    id: str
    title: Mapping[str, str]
    holds: Sequence[Mapping[str, str]]
