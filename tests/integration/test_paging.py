"""Pages of people and of journal records: what rows that come, go and move do to them, in both directions."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.dialects import postgresql

from okno.audit.models import AuditRecordRow
from okno.audit.records import Event, Record, RecordPage
from okno.audit.records import Place as RecordPlace
from okno.clock import ManualClock
from okno.people.model import Found, Match, Matching, Page, Place
from okno.people.models import PersonRow
from okno.people.service import People
from okno.policy.condition import Compare
from okno.storage.engine import Database
from okno.storage.keyset import Window, select_window
from tests.conftest import Cloned
from tests.integration.audit_stage import ANNA, IVAN, open_journal
from tests.integration.people_sources import MemorySources, account, person

ALL: Matching = dict.fromkeys(Match)
NAMES = ["Bo", "Da", "Fe", "Ha", "Ju", "La", "No", "Pe", "Ra"]
WHOLE: Window[Place] = Window(100)
#: The whole list, one that is ranked, and one that is found by resemblance only.
SEARCHES = [None, "okafor", "okaffro"]


class Office:
    """People whose list can be changed while it is read."""

    def __init__(self, db: Database, clock: ManualClock) -> None:
        self._db = db
        self._sources = MemorySources([])
        self._sources.hr.page_size = self._sources.directory.page_size = 1000
        self.people = People(db, self._sources, clock)

    async def hire(self, *given_names: str) -> None:
        for given_name in given_names:
            number = 100_001 + len(self._sources.hr.records)
            self._sources.hr.records.append(person(number, f"{given_name} Okafor"))
            self._sources.directory.records.append(account(number, f"{given_name.lower()}.o"))
        await self.people.refresh_index()

    async def change(self, given_name: str, **columns: object) -> None:
        async with self._db.transaction() as session:
            named = PersonRow.full_name == f"{given_name} Okafor"
            await session.execute(update(PersonRow).where(named).values(**columns))

    async def page(self, search: str | None, window: Window[Place]) -> Page:
        return await self.people.search(search, matching=ALL, window=window)


@pytest.fixture
async def office(db: Database, clock: ManualClock) -> Office:
    made = Office(db, clock)
    await made.hire(*NAMES)
    return made


def given(page: Page) -> list[str]:
    return [found.person.full_name.split()[0] for found in page.items]


@pytest.mark.parametrize("search", SEARCHES)
async def test_every_window_is_what_the_whole_list_has_there_and_tells_what_lies_beyond(
    office: Office, search: str | None
) -> None:
    whole = await office.page(search, WHOLE)
    assert given(whole) == NAMES
    ends: list[Found | None] = [None, whole.items[0], whole.items[4], whole.items[8]]
    for after in ends:
        for before in ends:
            inside = [
                found
                for found in whole.items
                if (after is None or found.person.full_name > after.person.full_name)
                and (before is None or found.person.full_name < before.person.full_name)
            ]
            for size in (1, 2, 9):
                for backwards in (False, True):
                    places = (after.place if after else None, before.place if before else None)
                    asked: Window[Place] = Window(size, *places, backwards)
                    page = await office.page(search, asked)
                    expected = inside[-size:] if backwards else inside[:size]
                    assert list(page.items) == expected
                    if expected:
                        assert page.has_previous == (expected[0] != whole.items[0])
                        assert page.has_next == (expected[-1] != whole.items[-1])


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
async def test_who_comes_and_goes_between_pages_repeats_and_hides_nobody_else(
    office: Office, search: str | None, backwards: bool
) -> None:
    def go_on(page: Page) -> Window[Place]:
        if backwards:
            return Window(3, before=page.items[0].place, backwards=True)
        return Window(3, after=page.items[-1].place)

    first = await office.page(search, Window(3, backwards=backwards))
    middle = await office.page(search, go_on(first))
    # Two on the side that was read already, one where the next page begins, and who stands at the cursor leaves.
    read, ahead = (("So", "Ta"), "Ce") if backwards else (("Aa", "Ab"), "Om")
    await office.hire(*read, ahead)
    at_cursor = given(middle)[0 if backwards else -1]
    await office.change(at_cursor, gone=True, sort_name="zz")
    last = await office.page(search, go_on(middle))
    expected = ["Bo", "Ce", "Da", "Fe"][-3:] if backwards else ["No", "Om", "Pe"]
    assert given(last) == expected
    assert (last.has_previous, last.has_next) == (True, True)


async def test_at_an_end_that_people_have_left_nothing_is_said_to_lie_beyond(office: Office) -> None:
    visible = Compare("country", "=", "RU")
    page = await office.people.search(None, matching=ALL, where=visible, window=Window(2))
    for name in ("Bo", "Da"):
        await office.change(name, country="NG")
    second = await office.people.search(
        None, matching=ALL, where=visible, window=Window(2, page.items[-1].place)
    )
    assert (given(second), second.has_previous, second.has_next) == (["Fe", "Ha"], False, True)
    back = await office.people.search(
        None, matching=ALL, where=visible, window=Window(2, before=second.items[0].place, backwards=True)
    )
    assert (given(back), back.has_previous, back.has_next) == ([], False, True)


async def test_records_of_one_moment_are_paged_in_both_directions_without_gap_or_overlap(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:
        for number in range(12):
            await journal.record(Event("sensitive.read", ANNA, IVAN if number % 3 else None, {"n": number}))
            if number % 2:
                clock.advance(timedelta(seconds=1))  # several records share a moment
        for subject in (None, IVAN.id):
            read = partial(journal.list_records, subject_id=subject)
            whole = (await read(Window(100))).records
            assert [each.at for each in whole] == sorted((each.at for each in whole), reverse=True)
            assert await _walk(read, backwards=False) == whole
            assert await _walk(read, backwards=True) == whole


async def test_records_written_between_pages_of_the_journal_repeat_and_hide_none(
    committed: Cloned, clock: ManualClock, tmp_path: Path
) -> None:
    async with open_journal(committed.db, clock, tmp_path) as journal:

        async def write(*numbers: int) -> None:
            for number in numbers:
                clock.advance(timedelta(seconds=1))
                await journal.record(Event("sensitive.read", ANNA, IVAN, {"n": number}))

        def told(page: RecordPage) -> list[int]:
            return [record.detail["n"] for record in page.records if record.detail]

        read = partial(journal.list_records, event_type="sensitive.read")
        await write(1, 2, 3, 4)
        newest = await read(Window(2))
        await write(5)
        older = await read(Window(2, newest.records[-1].place))
        assert (told(newest), told(older)) == ([4, 3], [2, 1])
        assert (older.has_previous, older.has_next) == (True, False)
        back = await read(Window(2, before=newest.records[0].place, backwards=True))
        assert (told(back), back.has_previous, back.has_next) == ([5], False, True)


async def _walk(
    read: Callable[[Window[RecordPlace]], Awaitable[RecordPage]], *, backwards: bool
) -> list[Record]:
    found: list[Record] = []
    window: Window[RecordPlace] = Window(5, backwards=backwards)
    while True:
        page = await read(window)
        assert (page.has_next if backwards else page.has_previous) == bool(found)
        found = [*page.records, *found] if backwards else [*found, *page.records]
        if not (page.has_previous if backwards else page.has_next):
            return found
        if backwards:
            window = Window(5, before=page.records[0].place, backwards=True)
        else:
            window = Window(5, after=page.records[-1].place)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
async def test_pages_are_read_from_an_index_in_both_directions(db: Database, backwards: bool) -> None:
    async with db.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))  # the tables of a test are small
        await session.execute(text("SET LOCAL enable_sort = off"))

        async def explain(order: Sequence[ColumnElement[Any]], at: Sequence[Any], *, descending: bool) -> str:
            window = Window(10, None if backwards else at, at if backwards else None, backwards)
            asked = select_window(select(*order), order, window, descending=descending)
            sql = asked.compile(
                dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
                compile_kwargs={"literal_binds": True},
            )
            plan = await (await session.connection()).exec_driver_sql(f"EXPLAIN {sql}")
            return "\n".join(row[0] for row in plan)

        person, record = PersonRow.__table__.c, AuditRecordRow.__table__.c
        by_name = [person.gone, person.sort_name, person.id]
        people = await explain(by_name, (False, "m", UUID(int=1)), descending=False)
        by_time = [record.at, record.chain_id, record.seq]
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        records = await explain(by_time, (moment, UUID(int=1), 1), descending=True)
    # each partition of the journal has this index, under a name made by PostgreSQL
    for plan, index in ((people, "ix_people_person_sorted"), (records, "_at_chain_id_seq_idx")):
        assert index in plan
        assert "Index Cond: (ROW" in plan
        assert "->  Sort" not in plan
    assert ("Backward" in people) is backwards
    assert ("Backward" in records) is not backwards
