"""The generated demo company: believable, consistent in all systems, the same for the same seed."""

import json
import sqlite3
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest

from okno.errors import ConfigurationError, InvalidInput
from okno.sandbox.company import FIXED_PEOPLE, describe, ensure, generate
from okno.sandbox.people import Numbers
from okno.sandbox.romanise import feminine, login_of, to_latin

TODAY = date(2026, 11, 2)
SIZE = 1500


def ignore(done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("company") / "company.sqlite"
    generate(7, SIZE, path, TODAY, ignore)
    return path


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def hr(path: Path) -> dict[str, dict[str, Any]]:
    documents = [json.loads(row[0]) for row in rows(path, "SELECT document FROM hr_employee")]
    return {each["personnelNumber"]: each for each in documents}


def users(path: Path) -> dict[str, dict[str, Any]]:
    resources = [json.loads(row[0]) for row in rows(path, "SELECT resource FROM directory_user")]
    return {each["externalId"]: each for each in resources}


def accounts(path: Path) -> dict[str, dict[str, list[str]]]:
    entries = [
        json.loads(row[0]) for row in rows(path, "SELECT attributes FROM domain_entry WHERE parent = 2")
    ]
    return {each["employeeNumber"][0]: each for each in entries}


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_the_same_seed_makes_the_same_people(tmp_path: Path) -> None:
    generate(3, 60, tmp_path / "one", TODAY, ignore)
    generate(3, 60, tmp_path / "two", TODAY, ignore)
    generate(4, 60, tmp_path / "other", TODAY, ignore)
    assert dump(tmp_path / "one") == dump(tmp_path / "two")
    assert dump(tmp_path / "one") != dump(tmp_path / "other")


def test_fixed_people_are_the_same_for_every_seed_and_size(company: Path, tmp_path: Path) -> None:
    generate(99, 50, tmp_path / "small", TODAY, ignore)
    for number in (each.personnel_number for each in FIXED_PEOPLE):
        assert hr(company)[number] == hr(tmp_path / "small")[number]
        assert users(company)[number] == users(tmp_path / "small")[number]
        one, other = accounts(company)[number], accounts(tmp_path / "small")[number]
        if hr(company)[number]["managerPersonnelNumber"] not in {
            each.personnel_number for each in FIXED_PEOPLE
        }:
            one.pop("manager", None)  # a generated head of a division: the same number, another name
            other.pop("manager", None)
        assert one == other


def test_people_of_the_contract_are_as_promised(company: Path) -> None:
    by_login = {account["uid"][0]: number for number, account in accounts(company).items()}
    people, domain = hr(company), accounts(company)
    ivan = by_login["ivan.petrov"]
    assert people[ivan]["fullName"] == "Иван Петров"
    assert people[ivan]["country"] == "RU"
    assert "pwdAccountLockedTime" in domain[ivan]
    assert len(domain[ivan]["pwdFailureTime"]) == 5
    assert people[by_login["olga.ivanova"]]["state"] == "ON_LEAVE"
    assert people[by_login["maxim.egorov"]]["protectedPerson"] is True
    assert "pwdAccountLockedTime" in domain[by_login["amina.okafor"]]
    dastan = by_login["dastan.akhmetov"]
    assert people[dastan]["state"] == "DISMISSED"
    assert domain[dastan]["pwdAccountLockedTime"] == ["000001010000Z"]
    assert users(company)[dastan]["active"] is False
    assert len(people[by_login["maximiliana.konstantinopolskaya"]]["fullName"]) > 50


def test_every_chain_of_managers_ends_at_the_head_of_the_company(company: Path) -> None:
    people = hr(company)
    heads = [number for number, each in people.items() if each["managerPersonnelNumber"] is None]
    assert heads == ["100001"]
    for person in people.values():
        seen = set()
        while person["managerPersonnelNumber"] is not None:
            assert person["personnelNumber"] not in seen
            seen.add(person["personnelNumber"])
            person = people[person["managerPersonnelNumber"]]
            assert person["state"] != "DISMISSED"
        assert len(seen) < 10
    reports = Counter(each["managerPersonnelNumber"] for each in people.values())
    assert max(reports.values()) < 60


def test_systems_agree_about_every_person(company: Path) -> None:
    people, directory, domain = hr(company), users(company), accounts(company)
    assert people.keys() == directory.keys() == domain.keys()
    assert len(people) == SIZE
    for number, person in people.items():
        user, account = directory[number], domain[number]
        assert user["userName"] == account["uid"][0]
        assert user["emails"][0]["value"] == account["mail"][0]
        assert user["displayName"] == account["displayName"][0] == person["fullName"]
        assert account["cn"] == [person["latinName"]]
        assert person["workPhone"] == account["telephoneNumber"][0] == user["phoneNumbers"][0]["value"]
        assert user["active"] is (person["state"] != "DISMISSED")
        assert (account.get("pwdAccountLockedTime") == ["000001010000Z"]) is (person["state"] == "DISMISSED")
        assert person["department"] == person["departmentPath"][min(2, len(person["departmentPath"]) - 1)]
    assert len({user["userName"] for user in directory.values()}) == SIZE
    assert len({user["emails"][0]["value"] for user in directory.values()}) == SIZE


def test_phones_zones_and_dates_are_valid(company: Path) -> None:
    for person in hr(company).values():
        for phone in (person["workPhone"], person["personalPhone"]):
            number = phonenumbers.parse(phone)
            assert phonenumbers.is_valid_number(number), phone
            assert phonenumbers.region_code_for_number(number) == person["country"], phone
        ZoneInfo(person["timeZone"])
        assert date.fromisoformat(person["birthDate"]) < date.fromisoformat(person["hireDate"]) <= TODAY
        assert (person["leaveUntil"] is not None) is (person["state"] == "ON_LEAVE")
        if person["state"] == "DISMISSED":
            assert person["hireDate"] <= person["lastDay"] < TODAY.isoformat()
        elif person["state"] == "LEAVING":
            assert person["lastDay"] > TODAY.isoformat()
        else:
            assert person["lastDay"] is None
        assert person["salary"]["minorUnits"] > 0
        assert person["latinName"].isascii()


def test_states_have_their_shares(tmp_path: Path) -> None:
    generate(11, 4000, tmp_path / "company", TODAY, ignore)
    people, domain = hr(tmp_path / "company"), accounts(tmp_path / "company")
    share = {
        state: count / 4000 for state, count in Counter(each["state"] for each in people.values()).items()
    }
    assert share["WORKS"] > 0.9
    assert 0.02 < share["ON_LEAVE"] < 0.04
    assert 0.012 < share["DISMISSED"] < 0.028
    assert sum(each["protectedPerson"] for each in people.values()) / 4000 == pytest.approx(0.01, abs=0.001)
    locked = sum(
        each.get("pwdAccountLockedTime", ["000001010000Z"]) != ["000001010000Z"] for each in domain.values()
    )
    assert 0.01 < locked / 4000 < 0.02
    assert len({each["country"] for each in people.values()}) == 19


def test_everybody_holds_one_to_five_devices_and_groups_have_members(company: Path) -> None:
    counts = rows(company, "SELECT personnel_number, count(*) FROM equipment GROUP BY 1")
    assert len(counts) == SIZE
    assert {count for _, count in counts} <= {1, 2, 3, 4, 5}
    empty = rows(
        company,
        "SELECT dn FROM domain_entry e WHERE parent = 3 AND NOT EXISTS (SELECT 1 FROM domain_member m WHERE m.group_entry = e.id)",
    )
    assert empty == []
    dismissed = rows(company, "SELECT count(*) FROM domain_member WHERE entry = 100013")
    assert dismissed == [(0,)]


def test_generation_reports_progress_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate(1, 2500, tmp_path / "company", TODAY, lambda done, total: seen.append((done, total)))
    assert seen == [(2000, 2500), (2500, 2500)]
    assert describe(tmp_path / "company") == {
        "format": "2",
        "seed": "1",
        "employees": "2500",
        "today": "2026-11-02",
    }


def test_a_generation_that_fails_leaves_the_company_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "company"
    generate(1, 50, path, TODAY, ignore)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(2, 2500, path, TODAY, fail)
    assert describe(path)["seed"] == "1"
    assert [each.name for each in tmp_path.iterdir()] == ["company"]


def test_a_company_that_is_there_is_kept_until_seed_or_size_change(tmp_path: Path) -> None:
    path = tmp_path / "company"
    assert ensure(1, 50, path, TODAY, ignore) is True
    assert ensure(1, 50, path, date(2026, 12, 1), ignore) is False
    assert describe(path)["today"] == "2026-11-02"
    assert ensure(1, 51, path, TODAY, ignore) is True
    assert ensure(1, 51, path, TODAY, ignore, force=True) is True


def test_a_company_too_small_for_its_departments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least 50"):
        generate(1, 49, tmp_path / "company", TODAY, ignore)


def test_a_file_that_is_no_company_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="okno sandbox generate"):
        describe(tmp_path / "missing")
    (tmp_path / "other").write_text("not a database at all")
    with pytest.raises(ConfigurationError, match="--force"):
        describe(tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "country", "latin"),
    [
        ("Щербаков", "RU", "Shcherbakov"),
        ("Юрий", "RU", "Yury"),
        ("Соловьёва", "RU", "Soloveva"),
        ("Бекмұхамбетов", "KZ", "Bekmukhambetov"),
        ("Ђорђевић", "RS", "Djordjevic"),
        ("Живковић", "RS", "Zivkovic"),
        ("Հարությունյան", "AM", "Harutyunyan"),
        ("ჯაფარიძე", "GE", "Japharidze"),
        ("Yılmaz", "TR", "Yilmaz"),
        ("N’Guessan", "CI", "Nguessan"),
        ("Çiğdem", "TR", "Cigdem"),
    ],
)
def test_names_are_spelled_in_latin_letters(name: str, country: str, latin: str) -> None:
    assert to_latin(name, country) == latin.replace("ph", "p")


def test_surnames_take_the_feminine_form_where_they_have_one() -> None:
    assert [feminine(each) for each in ("Петров", "Покровский", "Ким", "Karimov")] == [
        "Петрова",
        "Покровская",
        "Ким",
        "Karimova",
    ]
    assert login_of("Mohammed", "Al Mansoori") == "mohammed.almansoori"


def test_phone_numbers_do_not_repeat_while_the_pattern_has_some() -> None:
    numbers = Numbers({"+7000123"})
    taken = [numbers.take("+7000###") for _ in range(999)]
    assert len(set(taken)) == 999
    assert "+7000123" not in taken
