"""What one record of a source makes of a person's row. Pure: rows in, rows out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from okno.identity.model import employee_uuid
from okno.people.folding import fold, searchable_names, searchable_phone, sort_name
from okno.people.index.admission import HELD_OF_ALL
from okno.people.model import PersonState

Row = dict[str, Any]
KEY_KINDS = ("login", "email", "dn")
NAMELESS = "\U0010fffd"  # sorts behind every letter: who has no name here comes after those who have
MAX_VALUE = 500  # characters; longer ones are cut, so that no source can swell the index

_TEXTS = frozenset(
    {
        "full_name",
        "latin_name",
        "position",
        "department",
        "office",
        "country",
        "city",
        "time_zone",
        "work_phone",
    }
)
_STATES = frozenset(state.value for state in PersonState)


@dataclass(slots=True)
class Known:
    """A person's row and keys as they are in the index; `row` is None for somebody new. `keys`: kind → source → value."""

    row: Row | None = None
    keys: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Merged:
    """The row as it has to be, whether that differs from what was, and the source's keys for the person."""

    row: Row
    changed: bool
    keys: Mapping[str, str]


class Merger:
    """Merges the records of one source into rows.

    A column belongs to the first source, in the given order, whose manifest maps it; later ones do not touch it. Keys
    are kept from every source, and the first source that tells one decides what the row shows.
    """

    def __init__(self, source_id: str, order: Sequence[str], columns: Mapping[str, Sequence[str]]) -> None:
        """`order`: sources by precedence, the primary first. `columns`: the index columns that each maps."""
        self._source_id = source_id
        self._order = {source: place for place, source in enumerate(order)}
        earlier = {column for source in order[: self._order[source_id]] for column in columns[source]}
        self._own = [column for column in columns[source_id] if column not in earlier]
        self._kinds = [kind for kind in KEY_KINDS if kind in columns[source_id]]
        self._primary = order[0] == source_id

    def personnel_number(self, record: Mapping[str, Any]) -> str | None:
        return clean(record.get("personnel_number"))

    def merge(self, known: Known, record: Mapping[str, Any], now: datetime, run: int) -> Merged | None:
        """The person after this record; None when the record cannot be used (nobody's, or without a name)."""
        number = self.personnel_number(record)
        if number is None or (known.row is None and not self._primary):
            return None
        row: Row = dict(known.row or blank(number))
        for column in self._own:
            self._put(row, column, record.get(column))
        if not row["full_name"]:
            return None
        raw = {kind: value for kind in self._kinds if (value := clean(record.get(kind))) is not None}
        self._put_keys(row, known.keys, raw)
        keys = {kind: key_value(value) for kind, value in raw.items()}
        if self._primary:
            row |= {"vanished_at": None, "indexed_at": now, "index_run": run, "resident": True}
        elif row == known.row:
            return Merged(
                row, changed=False, keys=keys
            )  # what follows from the rest, HR's record has derived anew
        derive(row)
        return Merged(row, differs(known.row, row), keys)

    def outline(self, known: Known, record: Mapping[str, Any], now: datetime, run: int) -> Merged | None:
        """The person after HR's record, of whom no more may be held here than who it is."""
        number = self.personnel_number(record)
        if number is None:
            return None
        row = blank(number)
        for column in self._own:
            if column in HELD_OF_ALL:
                self._put(row, column, record.get(column))
        row |= {"full_name": "", "indexed_at": now, "index_run": run, "resident": False}
        derive(row)
        return Merged(row, differs(known.row, row), {})

    def without_keys(self, known: Known) -> Merged:
        """The person after the source no longer knows them."""
        assert known.row is not None
        row = dict(known.row)
        self._put_keys(row, known.keys, {})
        derive(row)
        return Merged(row, differs(known.row, row), {})

    def _put(self, row: Row, column: str, value: Any) -> None:
        if column in _TEXTS:
            row[column] = clean(value)
        elif column == "state":
            row["state"] = value if value in _STATES else None
        elif column == "protected":
            row["protected"] = value if isinstance(value, bool) else None
        elif column == "manager_personnel_number":
            number = clean(value)
            row["manager_id"] = None if number is None else employee_uuid(number)

    def _put_keys(self, row: Row, keys: Mapping[str, Mapping[str, str]], raw: Mapping[str, str]) -> None:
        for kind in KEY_KINDS:
            told = {
                source: value for source, value in keys.get(kind, {}).items() if source != self._source_id
            }
            if kind in raw:
                told[self._source_id] = key_value(raw[kind])
            if not told:
                row[kind] = None
                continue
            first = min(told, key=lambda source: self._order.get(source, len(self._order)))
            if first == self._source_id:
                row[kind] = raw[kind]
            elif row[kind] is None or key_value(row[kind]) != told[first]:
                row[kind] = told[first]


def blank(personnel_number: str) -> Row:
    """The row of a person of whom only the number is known."""
    nothing = dict.fromkeys((*KEY_KINDS, *sorted(_TEXTS), "state", "protected", "manager_id", "vanished_at"))
    known = {"id": employee_uuid(personnel_number), "personnel_number": personnel_number, "resident": True}
    return {**known, **nothing}


def derive(row: Row) -> None:
    """Fills the columns that follow from others."""
    row["search_names"] = searchable_names(row["full_name"], row["latin_name"])
    row["search_login"] = fold(row["login"]) if row["login"] else None
    row["search_email"] = fold(row["email"]).partition("@")[0] if row["email"] else None
    row["search_number"] = fold(row["personnel_number"])
    row["search_phone"] = searchable_phone(row["work_phone"], row["country"])
    row["sort_name"] = sort_name(row["full_name"]) if row["resident"] else NAMELESS + row["personnel_number"]
    row["gone"] = row["state"] == PersonState.DISMISSED or row["vanished_at"] is not None


def differs(old: Row | None, new: Row) -> bool:
    """Whether anything but the time of reading changed."""
    return old is None or any(
        old[name] != value for name, value in new.items() if name not in ("indexed_at", "index_run")
    )


def clean(value: object) -> str | None:
    """Text as the index keeps it: no NUL, no blank ends, bounded; None when nothing is left or it is no text."""
    if not isinstance(value, str):
        return None
    text = value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()[:MAX_VALUE]
    return text or None


def key_value(value: str) -> str:
    """The spelling of a key in `people_key`: letter case and blank ends do not part two keys."""
    return value.strip().casefold()
