"""The journal searched: what SQL finds is what one record would say of itself, and nothing that was erased."""

import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from okno.audit.records import ActorRef, Event, Outcome, Phase, Record, SubjectRef
from okno.audit.rows import Every, Filter, Is, Rows, Some, admits
from okno.audit.search import Search, matches, words_of
from okno.audit.service import Journal
from okno.clock import ManualClock
from okno.errors import InvalidInput
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.conftest import Cloned
from tests.integration.audit_stage import open_journal, superuser, unlock

ANNA = ActorRef(UUID(int=1), "person", "anna.sorokina", "Анна Сорокина", "first-line-cis")
VERA = ActorRef(UUID(int=2), "person", "vera.lis", "Vera Lis", "security")
TOOL = ActorRef(UUID(int=3), "service", "tool", "100%_tool")
IVAN = SubjectRef("Employee", UUID(int=42), "Иван Петров")
MARIA = SubjectRef("Employee", UUID(int=43), "Мария Ким")


@pytest.fixture
async def journal(committed_db: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Journal]:
    async with open_journal(committed_db, clock, tmp_path) as opened:
        yield opened


async def _write(journal: Journal, clock: ManualClock) -> None:
    """A small day: sign-ins, runs that end well and badly, denials, and reads of one and of several."""
    for actor, subject in itertools.product((ANNA, VERA, TOOL), (IVAN, MARIA, None)):
        clock.advance(timedelta(minutes=1))
        await journal.record(Event("session.started", actor))
        await journal.record(
            Event("access.denied", actor, subject, {"action": "run", "operation": "domain.unlock"})
        )
        async with journal.command(**unlock(actor=actor, subject=subject)) as command:
            command.succeeded()
        async with journal.command(
            **unlock(actor=actor, subject=subject, detail={"operation": "mail.move"})
        ) as command:
            command.failed("REFUSED", "no")
        await journal.record(Event("sensitive.read", actor, subject, {"fields": ["HrSection.birthDate"]}))
    # what PostgreSQL takes for no JSON is recorded, and has no words
    await journal.record(Event("session.failed", None, detail={"login": "nul\x00 and half \ud800"}))


async def _all(search: Search, asked: Filter, reach: Rows | None = None, size: int = 7) -> list[Record]:
    found: list[Record] = []
    window: Window[Any] = Window(size)
    while True:
        page = await search.list_records(window, asked, reach)
        found += page.records
        if not page.has_next:
            return found
        window = Window(size, after=page.records[-1].place)


async def test_sql_finds_exactly_the_records_that_match(
    journal: Journal, committed_db: Database, clock: ManualClock
) -> None:
    await _write(journal, clock)
    search = Search(committed_db)
    everything = await _all(search, Filter(), size=100)
    newest, oldest = everything[0].at, everything[-1].at
    middle = oldest + (newest - oldest) / 2
    filters = [
        *(Filter(words=words_of(said)) for said in (
            "анна", "СОРОКИНА", "vera.lis", "петров анна", "unlock", "domain.unlock", "mail.move ким", "100%_tool",
            "100_tool", "вход", "Signed", "denied vera", "отказ иван", "никого", "operation.run", "signed in",
        )),
        Filter(actor_id=ANNA.id),
        Filter(subject_id=str(IVAN.id)),
        Filter(event_types=frozenset({"session.started", "access.denied"})),
        Filter(event_types=frozenset({"sensitive.read"}), words=words_of("анна read")),
        Filter(event_types=frozenset()),
        *(Filter(outcome=each) for each in Outcome),
        *(Filter(phase=each) for each in Phase),
        Filter(since=middle),
        Filter(until=middle),
        Filter(since=middle, until=middle),
        Filter(team="security", phase=Phase.INTENT),
        Filter(team="nobody"),
        Filter(chain=everything[0].ref.chain, actor_id=VERA.id, subject_id=str(MARIA.id), outcome=Outcome.FAILED),
        Filter(chain=UUID(int=9)),
    ]  # fmt: skip
    for asked in filters:
        found = await _all(search, asked)
        assert found == [record for record in everything if matches(record, asked)], asked
    assert [matches(each, filters[3]) for each in everything].count(True) > 0


async def test_what_one_may_not_find_is_left_out_before_the_page_is_cut(
    journal: Journal, committed_db: Database, clock: ManualClock
) -> None:
    await _write(journal, clock)
    search = Search(committed_db)
    everything = await _all(search, Filter(), size=100)
    reaches: list[Rows] = [
        Is("actor_id", (ANNA.id,)),
        Is("team", ("security", "first-line-cis")),
        Is("team", ("security",), negated=True),
        Is("event_type", ("session.started",), negated=True),
        Is("subject_id", (str(IVAN.id),)),
        Some(
            (
                Is("actor_id", (TOOL.id,)),
                Every((Is("team", ("security",)), Is("subject_id", (str(MARIA.id),)))),
            )
        ),
        Is("country", ("RU",)),
        Some(()),
    ]
    for reach in reaches:
        for asked in (Filter(), Filter(words=words_of("unlock"))):
            page = await search.list_records(Window(5), asked, reach)
            expected = [each for each in everything if matches(each, asked) and admits(reach, _facts(each))]
            assert page.records == expected[:5], reach
            assert page.has_next is (len(expected) > 5)


async def test_pages_go_backwards_as_they_went_forwards(
    journal: Journal, committed_db: Database, clock: ManualClock
) -> None:
    await _write(journal, clock)
    search = Search(committed_db)
    asked = Filter(words=words_of("анна unlock"))
    forwards = await _all(search, asked, size=3)
    page = await search.list_records(Window(3, backwards=True), asked)
    backwards = page.records
    while page.has_previous:
        page = await search.list_records(Window(3, before=backwards[0].place, backwards=True), asked)
        backwards = [*page.records, *backwards]
    assert backwards == forwards
    assert len(forwards) > 5


async def test_a_frequent_name_is_found_by_going_back_and_a_rare_one_in_the_index(
    journal: Journal, committed_db: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _write(journal, clock)
    search = Search(committed_db)
    expected = await _all(search, Filter(words=words_of("vera")))
    for name, value in (("_NEAR", 2), ("_FEW", 1)):
        monkeypatch.setattr(f"okno.audit.search_store.{name}", value)
        assert await _all(search, Filter(words=words_of("vera"))) == expected


async def test_an_erased_name_is_found_no_more_and_is_kept_nowhere(
    journal: Journal, committed_db: Database, clock: ManualClock, committed: Cloned
) -> None:
    await _write(journal, clock)
    search = Search(committed_db)
    found = await _all(search, Filter(words=words_of("сорокина")))
    assert found
    await journal.erase([record.ref for record in found], actor=VERA, reason="asked for")
    assert await _all(search, Filter(words=words_of("сорокина"))) == []
    assert {record.actor_name for record in await _all(search, Filter(actor_id=ANNA.id))} == {None}
    async with superuser(committed) as connection:
        # every text of every table, as somebody with the database would look
        for table in await connection.fetch(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm')"
        ):
            count = await connection.fetchval(
                f"SELECT count(*) FROM {table['name']} t WHERE t::text ILIKE '%anna.sorokina%'"
            )
            assert count == 0, table["name"]


async def test_who_looked_at_me_holds_what_concerns_me_and_nothing_of_others(
    journal: Journal, committed_db: Database, clock: ManualClock
) -> None:
    await _write(journal, clock)
    both = {
        "employees": [
            {"id": str(IVAN.id), "label": "Иван", "fields": ["HrSection.salary"]},
            {"id": str(MARIA.id), "label": "Мария", "fields": ["HrSection.birthDate"]},
        ]
    }
    await journal.record(Event("sensitive.read", ANNA, None, both))
    search = Search(committed_db)
    me = UUID(int=42)
    reach = Every((Is("subject_id", (me,)), Is("team", ("security",), negated=True)))
    page = await search.list_concerns(Window(100), me, reach)
    # of several at once, too, and of that only one's own fields
    assert page.items[0].fields == ("HrSection.salary",)
    assert {each.record.actor_login for each in page.items} == {"anna.sorokina", "tool"}
    runs = [each for each in page.items if each.record.event_type == "operation.run"]
    assert {each.record.phase for each in runs} == {Phase.INTENT}
    assert sorted(str(each.outcome) for each in runs) == ["failed", "failed", "succeeded", "succeeded"]
    assert all(each.record.subject_id == str(me) or each.record.detail == both for each in page.items)
    first = await search.list_concerns(Window(2), me, reach)
    second = await search.list_concerns(Window(2, after=first.items[-1].record.place), me, reach)
    assert [each.record.ref for each in (*first.items, *second.items)] == [
        each.record.ref for each in page.items[:4]
    ]
    assert (await search.list_concerns(Window(5), UUID(int=99), reach)).items == []


async def test_a_text_too_short_for_the_index_is_refused() -> None:
    assert words_of("  ") == ()
    assert words_of("ли анна") == ("ли", "анна")
    for wrong in (
        "ab",
        "ab cd",
        "---",
        "%%%% ab",
        "a-- b__",
        "x" * 101,
        " ".join(f"word{n}" for n in range(9)),
    ):
        with pytest.raises(InvalidInput, match="text"):
            words_of(wrong)


async def test_typical_filters_are_answered_by_an_index(
    journal: Journal, committed_db: Database, clock: ManualClock, committed: Cloned
) -> None:
    """With nothing but sequential scans forbidden, each plan has to name its index: a lost one would show here."""
    async with superuser(committed) as connection:
        await connection.execute("SET enable_seqscan = off")
        for where, index in (
            ("audit_words(value) LIKE '%сорокина%'", "audit_words"),
            ("value LIKE '%\"employees\":%' AND audit_employees(value) @> ARRAY['x']", "audit_employees"),
        ):
            plan = await connection.fetch(f"EXPLAIN SELECT chain_id FROM audit_value WHERE {where}")
            assert index in "\n".join(row[0] for row in plan)
            assert "Bitmap Index Scan" in "\n".join(row[0] for row in plan)
        for where in (
            "event_type = 'x'",
            "team = 'x'",
            "outcome = 'unknown'",
            "actor_id = gen_random_uuid()",
        ):
            plan = await connection.fetch(
                f"EXPLAIN SELECT at FROM audit_record WHERE {where} ORDER BY at DESC, chain_id DESC, seq DESC LIMIT 5"
            )
            text_ = "\n".join(row[0] for row in plan)
            assert "Index" in text_, where
            assert "Seq Scan" not in text_, where


def _facts(record: Record) -> dict[str, object]:
    return {
        "actor_id": record.actor_id,
        "subject_id": record.subject_id,
        "event_type": record.event_type,
        "team": record.team,
    }
