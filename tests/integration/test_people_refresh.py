"""Keeping the index fresh: what is written, what vanishes, and what a cut costs."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from okno.clock import ManualClock
from okno.errors import ConfigurationError, Conflict
from okno.identity.model import employee_uuid
from okno.people.model import IndexState, Match, SourceReport
from okno.people.models import IndexStateRow, KeyRow, PersonRow
from okno.people.service import People
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.integration.people_sources import MemorySource, MemorySources, account, person

COMPANY = [person(number, f"Имя Фамилия{number}") for number in range(1, 8)]
ACCOUNTS = [account(number, f"login{number}") for number in range(1, 8)]


def report(reports: list[SourceReport], source_id: str) -> SourceReport:
    return next(report for report in reports if report.source_id == source_id)


async def rows(db: Database) -> dict[str, PersonRow]:
    async with db.transaction() as session:
        found = (await session.scalars(select(PersonRow))).all()
        return {row.personnel_number: row for row in found}


async def test_hr_fills_the_index_and_the_others_enrich_it(db: Database, clock: ManualClock) -> None:
    domain = [{"personnel_number": "1", "login": "login1", "dn": "uid=login1,ou=people"}]
    sources = MemorySources(COMPANY, ACCOUNTS, domain)
    told: list[tuple[str, int, int | None]] = []
    reports = await People(db, sources, clock).refresh_index(lambda *told_now: told.append(told_now))
    assert [(r.source_id, r.seen, r.changed, r.failure) for r in reports] == [
        ("hr", 7, 7, None),
        ("directory", 7, 7, None),
        ("domain", 1, 1, None),
    ]
    first = (await rows(db))["1"]
    assert (first.login, first.email, first.dn) == ("login1", "login1@okno.example", "uid=login1,ou=people")
    assert told[0] == ("hr", 2, None)
    assert told[3] == ("hr", 7, None)
    assert told[-1] == ("domain", 1, 7)


async def test_a_second_refresh_changes_nothing_but_the_time(db: Database, clock: ManualClock) -> None:
    people = People(db, MemorySources(COMPANY, ACCOUNTS), clock)
    await people.refresh_index()
    before = {number: row.__dict__.copy() for number, row in (await rows(db)).items()}
    clock.advance(timedelta(minutes=5))
    reports = await people.refresh_index()
    assert [(r.seen, r.changed, r.vanished) for r in reports] == [(7, 0, 0), (7, 0, 0), (0, 0, 0)]
    for number, row in (await rows(db)).items():
        assert row.indexed_at == clock.now()
        same = {name for name, value in before[number].items() if row.__dict__[name] == value}
        assert before[number].keys() - same == {"_sa_instance_state", "indexed_at", "index_run"}


@pytest.mark.parametrize("source_id", ["hr", "directory"])
async def test_a_refresh_that_was_cut_off_goes_on_where_it_stopped(
    committed_db: Database, clock: ManualClock, source_id: str
) -> None:
    sources = MemorySources(COMPANY, ACCOUNTS)
    people = People(committed_db, sources, clock)
    source = sources.manifests[source_id]
    source.fails_at = 4
    cut = report(await people.refresh_index(), source_id)
    assert (cut.failure, cut.seen, cut.vanished) == ("UNREACHABLE", 4, 0)
    source.fails_at = None
    source.asked.clear()
    clock.advance(timedelta(minutes=1))
    rest = await people.refresh_index()
    assert source.asked == ["4"]
    assert [(r.source_id, r.resumed, r.seen, r.failure) for r in rest] == [(source_id, True, 3, None)]
    people_now = await rows(committed_db)
    assert len(people_now) == 7
    assert not any(row.gone for row in people_now.values())


async def test_a_cut_older_than_an_hour_begins_anew(db: Database, clock: ManualClock) -> None:
    sources = MemorySources(COMPANY)
    people = People(db, sources, clock)
    sources.hr.fails_at = 4
    await people.refresh_index()
    sources.hr.fails_at = None
    clock.advance(timedelta(hours=2))
    assert report(await people.refresh_index(), "hr").seen == 7
    assert sources.hr.asked == [None, None]


async def test_a_cursor_that_the_source_no_longer_takes_begins_anew(db: Database, clock: ManualClock) -> None:
    sources = MemorySources(COMPANY)
    people = People(db, sources, clock)
    sources.hr.fails_at = 4
    await people.refresh_index()
    sources.hr.fails_at, sources.hr.code = 4, "REFUSED"
    again = report(await people.refresh_index(), "hr")
    assert sources.hr.asked == [None, "4", None]
    assert (again.failure, again.seen) == ("REFUSED", 4)


async def test_a_source_that_is_down_does_not_hold_up_the_others(db: Database, clock: ManualClock) -> None:
    sources = MemorySources(COMPANY, ACCOUNTS, [{"personnel_number": "1", "dn": "uid=1"}])
    sources.directory.fails_at = 0
    reports = await People(db, sources, clock).refresh_index()
    assert [r.failure for r in reports] == [None, "UNREACHABLE", None]
    assert (await rows(db))["1"].dn == "uid=1"


async def test_the_index_is_complete_once_every_source_was_read_or_found_failing(
    db: Database, clock: ManualClock
) -> None:
    sources = MemorySources(COMPANY, ACCOUNTS)
    people = People(db, sources, clock)
    assert await people.index_state() == IndexState(0, 0, complete=False)
    sources.hr.fails_at = 4
    sources.directory.fails_at = 0
    await people.refresh_index()
    assert await people.index_state() == IndexState(4, 0, complete=False)
    sources.hr.fails_at = None
    await people.refresh_index()
    assert await people.index_state() == IndexState(7, 21, complete=True)
    sources.directory.fails_at = None
    await people.refresh_index()
    assert await people.index_state() == IndexState(14, 21, complete=True)
    sources.hr.fails_at = 2
    await people.refresh_index()
    assert (await people.index_state()).complete


async def test_a_process_that_died_before_the_end_ends_what_it_began(
    committed_db: Database, clock: ManualClock
) -> None:
    sources = MemorySources(COMPANY[:2])
    people = People(committed_db, sources, clock)
    await people.refresh_index()
    async with committed_db.transaction() as session:
        await session.execute(text("UPDATE people_index_state SET finished_at = NULL WHERE source_id = 'hr'"))
    sources.hr.asked.clear()
    ended = await people.refresh_index()
    assert sources.hr.asked == []
    assert [(r.source_id, r.resumed, r.failure) for r in ended] == [("hr", True, None)]


async def test_who_vanishes_from_hr_is_marked_and_found_last(db: Database, clock: ManualClock) -> None:
    sources = MemorySources(COMPANY)
    people = People(db, sources, clock)
    await people.refresh_index()
    gone = sources.hr.records.pop(0)
    clock.advance(timedelta(days=1))
    assert report(await people.refresh_index(), "hr").vanished == 1
    row = (await rows(db))["1"]
    assert (row.vanished_at, row.gone) == (clock.now(), True)
    page = await people.search("имя", matching={Match.NAMES: None, Match.STATE: None}, window=Window(20))
    assert page.items[-1].person.id == employee_uuid("1")
    assert page.items[-1].person.vanished_at == clock.now()
    assert report(await people.refresh_index(), "hr").vanished == 0
    sources.hr.records.append(gone)
    assert report(await people.refresh_index(), "hr").changed == 1
    assert (await rows(db))["1"].vanished_at is None


async def test_hr_that_lists_hardly_anybody_makes_nobody_vanish(db: Database, clock: ManualClock) -> None:
    sources = MemorySources([person(number, "Кто Кто-то") for number in range(40)])
    people = People(db, sources, clock)
    await people.refresh_index()
    del sources.hr.records[5:]
    doubtful = report(await people.refresh_index(), "hr")
    assert (doubtful.vanished, doubtful.withheld) == (0, 35)
    assert not any(row.gone for row in (await rows(db)).values())


async def test_who_leaves_the_directory_is_no_longer_known_by_its_login(
    db: Database, clock: ManualClock
) -> None:
    domain = [{"personnel_number": "1", "login": "one.domain", "dn": "uid=one"}]
    sources = MemorySources(COMPANY[:2], ACCOUNTS[:2], domain)
    people = People(db, sources, clock)
    await people.refresh_index()
    assert (await rows(db))["1"].login == "login1"
    sources.directory.records.clear()
    assert report(await people.refresh_index(), "directory").vanished == 2
    now = await rows(db)
    assert (now["1"].login, now["1"].email, now["2"].login) == ("one.domain", None, None)
    assert await people.find_by_key("login", "login1") is None
    assert await people.find_by_key("login", "one.domain") is not None


async def test_a_renamed_login_replaces_the_old_key(db: Database, clock: ManualClock) -> None:
    sources = MemorySources(COMPANY[:1], [account(1, "old")])
    people = People(db, sources, clock)
    await people.refresh_index()
    sources.directory.records[0] = account(1, "new")
    await people.refresh_index()
    async with db.transaction() as session:
        keys = (await session.scalars(select(KeyRow.value).where(KeyRow.kind == "login"))).all()
    assert keys == ["new"]


async def test_records_of_nobody_and_unusable_ones_are_counted(db: Database, clock: ManualClock) -> None:
    sources = MemorySources(
        [person(1, "Имя Фамилия"), person(2, ""), {"full_name": "Без номера"}, person(1, "Другое Имя")],
        [account(1, "one"), account(99, "ghost"), {"login": "service"}],
    )
    sources.hr.page_size = 10
    reports = await People(db, sources, clock).refresh_index()
    assert (report(reports, "hr").rejected, report(reports, "hr").changed) == (2, 1)
    assert report(reports, "directory").unmatched == 2
    assert (await rows(db))["1"].full_name == "Другое Имя"
    async with db.transaction() as session:
        state = (await session.scalars(select(IndexStateRow).where(IndexStateRow.source_id == "hr"))).one()
    assert (state.seen, state.rejected, state.finished_at) == (4, 2, clock.now())


async def test_two_processes_do_not_refresh_at_once(committed_db: Database, clock: ManualClock) -> None:
    sources = MemorySources(COMPANY)
    people = People(committed_db, sources, clock)

    class Nested(MemorySources):
        """While the first page is under way, another process reads the whole of HR."""

        async def scan(self, source_id: str, *, cursor: str | None = None):  # type: ignore[no-untyped-def]
            async for page in super().scan(source_id, cursor=cursor):
                if source_id == "hr" and not sources.hr.asked:
                    await people.refresh_index()
                yield page

    with pytest.raises(Conflict, match="Another process"):
        await People(committed_db, Nested(COMPANY), clock).refresh_index()
    assert len(await rows(committed_db)) == 7


async def test_without_hr_there_is_nobody_to_list(db: Database, clock: ManualClock) -> None:
    sources = MemorySources([])
    sources.hr = MemorySource({}, [])
    with pytest.raises(ConfigurationError, match="No source hr"):
        await People(db, sources, clock).refresh_index()


async def test_the_application_may_settle_the_index_and_nothing_else(db: Database) -> None:
    async with db.transaction() as session:
        await session.execute(text("SELECT people_index_settle()"))
        public = await session.scalar(
            text("SELECT has_function_privilege('public', 'people_index_settle()', 'EXECUTE')")
        )
    assert public is False
