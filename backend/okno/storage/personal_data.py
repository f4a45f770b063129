"""The words in which each domain says what its tables hold about people: `personal_data.py` beside its `models.py`.

`okno.privacy` exports, erases and forgets by these words alone; a table or column that nobody speaks of fails a test.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Table, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession


class Kind(StrEnum):
    """What a column tells about a person."""

    IDENTIFIER = "identifier"  # a name, number, login or id that stands for the person
    CONTACT = "contact"  # how the person is reached
    WORK = "work"  # post, place and state of the work
    CONDUCT = "conduct"  # what the person did, and when
    SECRET = "secret"  # digests of credentials: erased, never exported  # noqa: S105


@dataclass(frozen=True, slots=True)
class PersonalTable:
    """A table with personal data. `columns` and `rest` together are all of its columns.

    Attributes:
        rest: columns that say nothing about a person.
        kept: how long a row stays and which setting says so.
    """

    name: str
    columns: Mapping[str, Kind]
    rest: frozenset[str]
    kept: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A person under every name that Okno knows.

    Attributes:
        logins: folded logins, in the directory and of accounts.
        accounts: ids under which the person acts.
        things: ids of the person's sessions and tokens, which the journal speaks of too.
    """

    employee_id: UUID | None = None
    personnel_number: str | None = None
    logins: frozenset[str] = frozenset()
    accounts: frozenset[UUID] = frozenset()
    things: frozenset[UUID] = frozenset()

    @property
    def known(self) -> bool:
        """Whether anything is known of the person at all."""
        return self.employee_id is not None or bool(self.accounts)

    @property
    def ids(self) -> list[str]:
        """All that the journal may call the person or the person's things by."""
        every = {*self.accounts, *self.things, *([self.employee_id] if self.employee_id else [])}
        return sorted(str(each) for each in every)

    def joined(self, other: "Subject") -> "Subject":
        """The same person with what the other knows beside."""
        return replace(
            self,
            employee_id=self.employee_id or other.employee_id,
            personnel_number=self.personnel_number or other.personnel_number,
            logins=self.logins | other.logins,
            accounts=self.accounts | other.accounts,
            things=self.things | other.things,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "employee_id": None if self.employee_id is None else str(self.employee_id),
            "personnel_number": self.personnel_number,
            "logins": sorted(self.logins),
            "accounts": sorted(map(str, self.accounts)),
            "things": sorted(map(str, self.things)),
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> "Subject":
        """The inverse of `as_json`."""
        return cls(
            None if document["employee_id"] is None else UUID(document["employee_id"]),
            document["personnel_number"],
            frozenset(document["logins"]),
            frozenset(map(UUID, document["accounts"])),
            frozenset(map(UUID, document["things"])),
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """Rows that go when they are older than a setting of `[privacy.retention]` says.

    Attributes:
        setting: the key, in days.
        due: which rows, given the moment before which is too old.
    """

    setting: str
    table: Table
    due: Callable[[datetime], ColumnElement[bool]]


Rows = Mapping[str, Sequence[Mapping[str, Any]]]
Find = Callable[[AsyncSession, str], Awaitable[Subject]]
Widen = Callable[[AsyncSession, Subject], Awaitable[Subject]]
Export = Callable[[AsyncSession, Subject], Awaitable[Rows]]
Erase = Callable[[AsyncSession, Subject, datetime], Awaitable[Mapping[str, int]]]


async def _nobody(session: AsyncSession, asked: str) -> Subject:
    return Subject()


async def _no_more(session: AsyncSession, subject: Subject) -> Subject:
    return subject


async def _nothing(session: AsyncSession, subject: Subject) -> Rows:
    return {}


async def _none(session: AsyncSession, subject: Subject, now: datetime) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What one domain holds about people and how it is found, shown, erased and forgotten.

    Attributes:
        others: tables without personal data, and why there is none in them.
        find: whom the domain knows under what somebody typed; nobody by default.
        widen: what else the domain knows of a person.
        export: rows by table, as JSON values.
        erase: removes or blanks the rows, and says how many by table; done twice it does nothing more.
        limits: in the order in which they are applied.
    """

    domain: str
    tables: tuple[PersonalTable, ...] = ()
    others: Mapping[str, str] | None = None
    find: Find = _nobody
    widen: Widen = _no_more
    export: Export = _nothing
    erase: Erase = _none
    limits: tuple[Limit, ...] = ()


async def read_rows(
    session: AsyncSession, of: PersonalTable, table: Table, where: ColumnElement[bool]
) -> list[Mapping[str, Any]]:
    """The rows as JSON values, without secrets."""
    shown = [column for column in table.columns if of.columns.get(column.name) is not Kind.SECRET]
    rows = await session.execute(select(*shown).where(where).order_by(*table.primary_key.columns))
    return [{name: plain(value) for name, value in row._mapping.items()} for row in rows]


async def delete_rows(session: AsyncSession, table: Table, where: ColumnElement[bool]) -> int:
    """Deletes, and says how many."""
    return cast(CursorResult[Any], await session.execute(delete(table).where(where))).rowcount


async def count_rows(session: AsyncSession, table: Table, where: ColumnElement[bool]) -> int:
    """How many there are."""
    return await session.scalar(select(func.count()).select_from(table).where(where)) or 0


def plain(value: Any) -> Any:
    """A value of a column as JSON has it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping | list | tuple):
        return json.loads(json.dumps(value, default=str))
    return value


def table_of(row_class: type[Any]) -> Table:
    """The table of a row class."""
    return cast(Table, row_class.__table__)


def columns(kind: Kind, names: Iterable[str]) -> dict[str, Kind]:
    """Several columns of one kind."""
    return dict.fromkeys(names, kind)
