"""Of people whose country keeps their data, the index holds who they are and nothing more; systems are read live."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from okno.clock import ManualClock
from okno.errors import ConfigurationError
from okno.identity.model import employee_uuid
from okno.people.index.admission import Residency
from okno.people.model import Match, PersonState
from okno.people.service import People
from okno.settings import load_settings
from okno.storage.engine import Database
from okno.storage.keyset import Window
from tests.integration.people_sources import MemorySources, account, person

COMPANY = [
    person(1, "Пётр Петров", "Petr Petrov"),
    person(
        2,
        "Әсел Нұрланова",
        "Asel Nurlanova",
        country="KZ",
        position="Engineer",
        office="Almaty",
        city="Almaty",
        work_phone="+77001112233",
        protected=True,
        manager_personnel_number="1",
    ),
    person(3, "Noname Nowhere", country=None),
]
ACCOUNTS = [account(1, "petrov"), account(2, "nurlanova"), account(3, "nowhere")]
EVERYTHING = dict.fromkeys(Match)


def people_of(
    db: Database, clock: ManualClock, countries: Sequence[str] | None, sources: Any = None
) -> People:
    return People(db, sources or MemorySources(COMPANY, ACCOUNTS), clock, residency=Residency(countries))


async def stored(db: Database) -> str:
    async with db.transaction() as session:
        return "\n".join(
            [
                row
                for table in ("people_person", "people_key")
                for row in await session.scalars(text(f"SELECT t::text FROM {table} t"))
            ]
        )


async def found(people: People, asked: str | None) -> list[str]:
    page = await people.search(asked, matching=EVERYTHING, window=Window(10))
    return [each.person.personnel_number for each in page.items]


async def test_nothing_of_the_other_countries_people_is_copied_but_who_they_are(
    db: Database, clock: ManualClock
) -> None:
    people = people_of(db, clock, ["RU"])
    await people.refresh_index()
    await people.refresh_index()
    kept = await stored(db)
    assert "petrov" in kept
    for trace in (
        "Әсел",
        "Нұрланова",
        "нурланова",
        "nurlanova",
        "Engineer",
        "Almaty",
        "7001112233",
        "nowhere",
        "Noname",
    ):
        assert trace.casefold() not in kept.casefold(), trace
    asel = await people.get(employee_uuid("2"))
    assert (asel.resident, asel.full_name, asel.login, asel.email) == (False, "", None, None)
    facts = {"id": asel.id, "country": "KZ", "state": PersonState.WORKS.value, "protected": True}
    assert asel.facts() == facts, "rights are decided as for everybody; what is not known denies"


async def test_they_are_found_by_number_alone_and_come_after_those_with_names(
    db: Database, clock: ManualClock
) -> None:
    people = people_of(db, clock, ["RU"])
    await people.refresh_index()
    for asked in ("Нұрланова", "asel", "nurlanova", "nurlanova@okno.example", "+77001112233", "Engineer"):
        assert await found(people, asked) == [], asked
    assert await found(people, "2") == ["2"]
    assert await found(people, None) == ["1", "2", "3"]
    assert await people.find_by_key("login", "nurlanova") is None
    assert await people.find_by_key("personnel_number", "2") is not None


async def test_without_the_setting_everybody_is_copied(db: Database, clock: ManualClock) -> None:
    people = people_of(db, clock, None)
    await people.refresh_index()
    assert await found(people, "nurlanova") == ["2"]
    assert (await people.get(employee_uuid("3"))).full_name == "Noname Nowhere"


async def test_when_a_country_is_taken_off_the_list_the_next_refresh_removes_its_people_and_back_again(
    db: Database, clock: ManualClock
) -> None:
    await people_of(db, clock, ["RU", "KZ"]).refresh_index()
    assert "nurlanova" in await stored(db)
    narrow = people_of(db, clock, ["RU"])
    reports = await narrow.refresh_index()
    assert "nurlanova" not in await stored(db)
    assert [(report.source_id, report.vanished, report.withheld) for report in reports] == [
        ("hr", 0, 0),
        ("directory", 0, 0),
        ("domain", 0, 0),
    ]
    wide = people_of(db, clock, ["RU", "KZ"])
    await wide.refresh_index()
    asel = await wide.find_by_key("login", "nurlanova")
    assert asel is not None
    assert (asel.full_name, asel.office, asel.resident) == ("Әсел Нұрланова", "Almaty", True)
    assert asel.manager_id == employee_uuid("1")


async def test_who_moves_abroad_is_forgotten_at_once_and_who_leaves_hr_vanishes_as_everybody_does(
    db: Database, clock: ManualClock
) -> None:
    sources = MemorySources(COMPANY, ACCOUNTS)
    people = people_of(db, clock, ["RU"], sources)
    await people.refresh_index()
    sources.hr.records[0] = {**COMPANY[0], "country": "BY"}
    sources.hr.fails_at = 2  # what was read is written; the page with Petrov is the first
    await people.refresh_index()
    assert "petrov" not in await stored(db), "keys of every source go with the row"
    sources.hr.fails_at = None
    sources.hr.records.pop(1)
    await people.refresh_index()
    await people.refresh_index()
    assert (await people.get(employee_uuid("2"))).gone


@pytest.mark.parametrize("wrong", ['["kz"]', '["KAZ"]', '["ҚЗ"]'])
def test_a_country_that_is_none_stops_the_start(tmp_path: Any, wrong: str) -> None:
    (tmp_path / "okno.toml").write_text(f"[privacy]\nresidency = {wrong}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="two capital letters"):
        load_settings({"OKNO_CONFIG_DIR": str(tmp_path)})
