"""Searching the journal: what may be asked, which rows somebody may find, and what concerns one employee.

Names are looked up in the values themselves, so that what is erased is found no more. `matches` says of one record what the
SQL in `search_store` says of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from okno.audit import search_store
from okno.audit.records import Outcome, Phase, Place, Record, RecordPage
from okno.audit.registry import EVENT_TYPES
from okno.audit.rows import Filter, Rows
from okno.errors import InvalidInput
from okno.storage.engine import Database
from okno.storage.keyset import Window

MIN_TEXT = 3
MAX_TEXT = 100
MAX_WORDS = 8
MAX_TYPES = 50


def words_of(text: str | None) -> tuple[str, ...]:
    """The words to look for, in lower case.

    Raises:
        InvalidInput: the text is too short to be looked up in an index, or too long.
    """
    words = tuple(dict.fromkeys((text or "").lower().split()))
    if not words:
        return ()
    if len(" ".join(words)) > MAX_TEXT or len(words) > MAX_WORDS:
        raise InvalidInput(f"text has at most {MAX_TEXT} characters in {MAX_WORDS} words.", field="text")
    # an index of trigrams knows letters and digits alone: for other signs all records would be read
    if max(sum(map(str.isalnum, word)) for word in words) < MIN_TEXT:
        raise InvalidInput(f"text needs a word with {MIN_TEXT} letters or digits or more.", field="text")
    return words


def types_titled(word: str) -> frozenset[str]:
    """The event types in whose id or title the word stands, in any language."""
    return frozenset(
        kind.id
        for kind in EVENT_TYPES.values()
        if any(word in text.lower() for text in (kind.id, *kind.sentence.values()))
    )


def matches(record: Record, asked: Filter) -> bool:
    """Whether the record is one of the list."""
    return (
        (asked.subject_id is None or record.subject_id == asked.subject_id)
        and (asked.actor_id is None or record.actor_id == asked.actor_id)
        and (asked.event_types is None or record.event_type in asked.event_types)
        and (asked.outcome is None or record.outcome is asked.outcome)
        and (asked.phase is None or record.phase is asked.phase)
        and (asked.since is None or record.at >= asked.since)
        and (asked.until is None or record.at < asked.until)
        and (asked.team is None or record.team == asked.team)
        and (asked.chain is None or record.ref.chain == asked.chain)
        and _named(record, asked.words)
    )


def _named(record: Record, words: Sequence[str]) -> bool:
    operation = (record.detail or {}).get("operation")
    names = (record.actor_login, record.actor_name, record.subject_label, operation)
    said = " ".join(name for name in names if isinstance(name, str)).lower()
    if all(word in said for word in words):
        return True
    titled = {word: types for word in words if (types := types_titled(word))}
    return (
        bool(titled)
        and all(record.event_type in types for types in titled.values())
        and all(word in said for word in words if word not in titled)
    )


@dataclass(frozen=True, slots=True)
class Concern:
    """A record that is about one employee: what was done to them, tried, or looked at.

    `fields`: of a sensitive read, those of this employee. `outcome`: how it ended, if it has an end.
    """

    record: Record
    fields: tuple[str, ...]
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class ConcernPage:
    """Concerns, newest first, and whether there are newer and older ones."""

    items: list[Concern]
    has_previous: bool
    has_next: bool


class Search:
    """Reads the journal for people. What they may find is handed in with each question."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list_records(
        self, window: Window[Place], asked: Filter, reach: Rows | None = None
    ) -> RecordPage:
        """Records, newest first.

        Args:
            reach: which records may be found; None is all. It is applied before the window's limit.
        """
        titled = {word: types for word in asked.words if (types := types_titled(word))}
        wanted = [asked]
        if titled:
            # by its names alone, or by what it is and the rest by its names: each of the two has an index
            types = frozenset.intersection(*titled.values())
            if asked.event_types is not None:
                types &= asked.event_types
            rest = tuple(word for word in asked.words if word not in titled)
            wanted.append(replace(asked, words=rest, event_types=types))
        async with self._db.transaction() as session:
            found = [
                await search_store.list_places(session, window, each, reach)
                for each in wanted
                if each.event_types is None or each.event_types
            ]
            places, has_previous, has_next = _merged(found, window)
            records = await search_store.records_at(session, places)
        return RecordPage(records, has_previous, has_next)

    async def list_concerns(self, window: Window[Place], employee_id: UUID, reach: Rows) -> ConcernPage:
        """What was done to an employee or looked at of theirs, newest first; commands stand once, with their outcome."""
        async with self._db.transaction() as session:
            found = await search_store.list_concerning(session, window, str(employee_id), reach)
            records = await search_store.records_at(session, found.places)
            intents = [record.ref for record in records if record.phase is Phase.INTENT]
            ends = await search_store.find_outcomes(session, intents)
        items = [
            Concern(record, fields_read(record, employee_id), ends.get(record.ref, record.outcome))
            for record in records
        ]
        return ConcernPage(items, found.has_previous, found.has_next)


def fields_read(record: Record, employee_id: UUID) -> tuple[str, ...]:
    """Which fields of the employee a sensitive read has shown; of another employee's in the same record nothing is told."""
    detail = record.detail or {}
    if record.subject_id == str(employee_id):
        return _texts(detail.get("fields"))
    employees = detail.get("employees")
    for each in employees if isinstance(employees, list) else ():
        if isinstance(each, Mapping) and each.get("id") == str(employee_id):
            return _texts(each.get("fields"))
    return ()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list | tuple) else ()


def _merged(found: Sequence[search_store.Places], window: Window[Place]) -> tuple[list[Place], bool, bool]:
    """Several lists of one order as one window of their union."""
    if len(found) == 1:
        return found[0].places, found[0].has_previous, found[0].has_next
    places = sorted({place for each in found for place in each.places}, reverse=True)
    has_previous = any(each.has_previous for each in found)
    has_next = any(each.has_next for each in found)
    if len(places) > window.size:
        if window.backwards:
            return places[-window.size :], True, has_next
        return places[: window.size], has_previous, True
    return places, has_previous, has_next
