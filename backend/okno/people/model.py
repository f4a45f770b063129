"""The values of people that other domains see: an employee, a page of them, and how a refresh of the index went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from okno.policy.condition import Condition


class PersonState(StrEnum):
    """Where an employee stands with the company."""

    WORKS = "WORKS"
    ON_LEAVE = "ON_LEAVE"
    LEAVING = "LEAVING"
    DISMISSED = "DISMISSED"


@dataclass(frozen=True, slots=True)
class Person:
    """An employee as the index knows them. None: no source told.

    `gone` says dismissed or vanished from HR; `vanished_at` says since when HR no longer lists the person. Who is not
    `resident` has data that may not be copied here: `full_name` is empty, and the systems are asked each time.
    """

    id: UUID
    personnel_number: str
    login: str | None
    email: str | None
    dn: str | None
    full_name: str
    latin_name: str | None
    position: str | None
    department: str | None
    office: str | None
    country: str | None
    city: str | None
    time_zone: str | None
    state: PersonState | None
    protected: bool | None
    manager_id: UUID | None
    work_phone: str | None
    gone: bool
    indexed_at: datetime
    vanished_at: datetime | None
    resident: bool = True

    def facts(self) -> Mapping[str, object]:
        """What the policy may decide by. A fact that no source told is absent, and an absent fact denies."""
        known = {
            "id": self.id,
            "country": self.country,
            "department": self.department,
            "office": self.office,
            "state": None if self.state is None else self.state.value,
            "protected": self.protected,
            "manager_id": self.manager_id,
        }
        return {name: value for name, value in known.items() if value is not None}


class Match(StrEnum):
    """What a search may look at. A right of its own each: what one may not read cannot be found by it."""

    NAMES = "names"  # full_name and latin_name, and the order of the list
    LOGIN = "login"
    EMAIL = "email"
    NUMBER = "number"  # personnel_number
    PHONE = "phone"
    STATE = "state"  # nothing to search for: whether who left comes last in the list


class Known(StrEnum):
    """What somebody may be found by who knows it whole, where one may not read it. A right of its own each."""

    NAME = "name"  # full_name
    LATIN_NAME = "latin_name"
    LOGIN = "login"
    EMAIL = "email"
    NUMBER = "number"  # personnel_number
    PHONE = "phone"


#: For each thing that one may know people by, the rows for which it may be used: None is all rows.
Knowing = Mapping[Known, Condition | None]

#: For each thing that may be matched, the rows for which it may be: None is all rows. What is absent is not matched.
Matching = Mapping[Match, Condition | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person stands in the results of a search, by the values that this reader's order is made of.

    None: the order is not made of it. A place stays one when its person moves, leaves or vanishes.
    """

    rank: int
    left: bool | None
    sort_name: str | None
    id: UUID


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a search and its place."""

    person: Person
    place: Place


@dataclass(frozen=True, slots=True)
class Page:
    """Results in the order of relevance, and whether there are others before and behind them."""

    items: tuple[Found, ...]
    has_previous: bool
    has_next: bool


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How the reading of one source went in this call.

    Attributes:
        resumed: an earlier call had read the first pages.
        failure: the code of the source's error that cut the reading off; the next call goes on from there.
        seen, changed: records read, people written.
        unmatched: records of nobody whom HR lists.
        rejected: records that could not be used.
        vanished: people whom the source listed before and does not list any more.
        withheld: so many people would have vanished at once that none was marked: look at the source.
    """

    source_id: str
    resumed: bool
    failure: str | None
    seen: int
    changed: int
    unmatched: int
    rejected: int
    vanished: int
    withheld: int


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far the index is: records read in the latest readings, how many there are to read (0 while nobody knows), and
    whether every source was read to the end once, so that everybody can be found."""

    done: int
    total: int
    complete: bool


#: Told after each page: source, records seen so far, and how many are expected (None when nobody knows).
Progress = Callable[[str, int, int | None], None]
