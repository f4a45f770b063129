"""What the records of several sources make of one person's row."""

from datetime import UTC, datetime
from typing import Any

import pytest

from okno.identity.model import employee_uuid
from okno.people.index.merge import Known, Merger

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
COLUMNS = {
    "hr": (
        "personnel_number",
        "full_name",
        "country",
        "state",
        "protected",
        "manager_personnel_number",
        "work_phone",
    ),
    "directory": ("personnel_number", "login", "email", "country"),
    "domain": ("personnel_number", "login", "dn"),
}
ORDER = tuple(COLUMNS)
IVAN = {
    "personnel_number": "7",
    "full_name": "Иван Петров",
    "country": "RU",
    "state": "WORKS",
    "protected": False,
}


def merge(source: str, known: Known, **record: Any) -> Known | None:
    result = Merger(source, ORDER, COLUMNS).merge(known, {"personnel_number": "7", **record}, NOW, 1)
    if result is None:
        return None
    keys = {kind: {s: v for s, v in told.items() if s != source} for kind, told in known.keys.items()}
    for kind, value in result.keys.items():
        keys.setdefault(kind, {})[source] = value
    return Known(result.row, keys)


def ivan() -> Known:
    known = merge("hr", Known(), **IVAN)
    assert known is not None
    return known


def row(known: Known | None) -> dict[str, Any]:
    assert known is not None
    assert known.row is not None
    return known.row


def test_hr_makes_the_person() -> None:
    person = row(ivan())
    assert person["id"] == employee_uuid("7")
    assert (person["full_name"], person["country"], person["login"], person["gone"]) == (
        "Иван Петров",
        "RU",
        None,
        False,
    )


def test_other_sources_make_nobody() -> None:
    assert merge("directory", Known(), login="ghost") is None


@pytest.mark.parametrize(
    "change",
    [{"full_name": None}, {"full_name": "  \x00 "}, {"personnel_number": None}, {"personnel_number": 7}],
)
def test_a_record_without_name_or_number_is_nobody(change: dict[str, Any]) -> None:
    assert merge("hr", Known(), **{**IVAN, **change}) is None


def test_a_column_belongs_to_the_first_source_that_maps_it() -> None:
    assert row(merge("directory", ivan(), login="ivan.petrov", country="XX"))["country"] == "RU"


def test_the_first_source_that_tells_a_key_decides_what_is_shown() -> None:
    with_directory = merge("directory", ivan(), login="Ivan.Petrov")
    assert with_directory is not None
    both = merge("domain", with_directory, login="ipetrov", dn="uid=ipetrov")
    assert both is not None
    assert row(both)["login"] == "Ivan.Petrov"
    assert both.keys["login"] == {"directory": "ivan.petrov", "domain": "ipetrov"}
    forgotten = merge("directory", both, login=None)
    assert row(forgotten)["login"] == "ipetrov"


def test_a_key_that_no_source_tells_any_more_is_forgotten() -> None:
    known = merge("domain", ivan(), login="ipetrov", dn="uid=ipetrov")
    assert known is not None
    result = Merger("domain", ORDER, COLUMNS).without_keys(known)
    assert (result.row["login"], result.row["dn"], result.changed) == (None, None, True)


def test_facts_that_a_source_tells_wrongly_are_unknown() -> None:
    person = row(merge("hr", ivan(), **{**IVAN, "state": "SLEEPS", "protected": "no", "country": 5}))
    assert (person["state"], person["protected"], person["country"]) == (None, None, None)


def test_the_dismissed_are_gone() -> None:
    assert row(merge("hr", ivan(), **{**IVAN, "state": "DISMISSED"}))["gone"]


def test_the_same_record_again_is_no_change() -> None:
    known = ivan()
    again = Merger("hr", ORDER, COLUMNS).merge(known, IVAN, datetime(2027, 1, 1, tzinfo=UTC), 2)
    assert again is not None
    assert not again.changed


def test_one_who_comes_back_to_hr_has_not_vanished() -> None:
    known = ivan()
    row(known).update(vanished_at=NOW, gone=True)
    back = row(merge("hr", known, **IVAN))
    assert (back["vanished_at"], back["gone"]) == (None, False)


def test_what_a_source_says_is_bounded_and_free_of_nul() -> None:
    person = row(merge("hr", ivan(), **{**IVAN, "full_name": "Иван\x00 " + "П" * 5000}))
    assert len(person["full_name"]) == 500
    assert "\x00" not in person["full_name"]
