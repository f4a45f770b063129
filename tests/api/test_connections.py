"""Connections as a client pages through them: both directions, both lists, and what is refused."""

from typing import Any

import pytest

from okno.audit.records import Event
from tests.api.world import IVAN_ID, PEOPLE, World
from tests.integration.audit_stage import ANNA, IVAN

EMPLOYEES = """query ($search: String, $first: Int, $after: String, $last: Int, $before: String) {
  employees(search: $search, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
RECORDS = """query ($employee: ID, $first: Int, $after: String, $last: Int, $before: String) {
  auditRecords(employee: $employee, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
LISTS = pytest.mark.parametrize(("name", "document"), [("employees", EMPLOYEES), ("auditRecords", RECORDS)])


@pytest.fixture
async def world(world: World) -> World:
    for number in range(len(PEOPLE)):
        await world.journal.record(Event("sensitive.read", ANNA, IVAN, {"n": number}))
    return world


async def page(world: World, name: str, document: str, **given: Any) -> dict[str, Any]:
    body = await world.ask("vera.lis" if name == "auditRecords" else "anna.sorokina", document, **given)
    assert "errors" not in body, body
    found: dict[str, Any] = body["data"][name]
    return found


async def refusal(world: World, document: str, **given: Any) -> dict[str, Any]:
    body = await world.ask("vera.lis" if document is RECORDS else "anna.sorokina", document, **given)
    assert body["data"] == {"employees": None} or body["data"] == {"auditRecords": None}
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    return {"message": error["message"], "field": error["extensions"]["field"]}


@LISTS
async def test_a_list_is_the_same_from_either_end(world: World, name: str, document: str) -> None:
    whole = (await page(world, name, document, first=100))["edges"]
    assert len(whole) == len(PEOPLE)
    forwards: list[Any] = []
    given: dict[str, Any] = {"first": 4}
    while True:
        found = await page(world, name, document, **given)
        assert found["pageInfo"]["hasPreviousPage"] == bool(forwards)
        forwards += found["edges"]
        if not found["pageInfo"]["hasNextPage"]:
            break
        given = {"first": 4, "after": found["pageInfo"]["endCursor"]}
    backwards: list[Any] = []
    given = {"last": 4}
    while True:
        found = await page(world, name, document, **given)
        assert found["pageInfo"]["hasNextPage"] == bool(backwards)
        backwards = found["edges"] + backwards
        if not found["pageInfo"]["hasPreviousPage"]:
            break
        given = {"last": 4, "before": found["pageInfo"]["startCursor"]}
    assert forwards == whole
    assert backwards == whole


@LISTS
async def test_between_two_cursors_lies_what_the_list_has_there(
    world: World, name: str, document: str
) -> None:
    whole = (await page(world, name, document, first=100))["edges"]
    ends = {"after": whole[0]["cursor"], "before": whole[5]["cursor"]}
    head = await page(world, name, document, first=2, **ends)
    tail = await page(world, name, document, last=2, **ends)
    assert (head["edges"], tail["edges"]) == (whole[1:3], whole[3:5])
    for found in (head, tail):
        assert (found["pageInfo"]["hasPreviousPage"], found["pageInfo"]["hasNextPage"]) == (True, True)


@LISTS
async def test_one_size_has_to_be_given(world: World, name: str, document: str) -> None:
    assert await refusal(world, document) == {
        "message": f"{name} is a bounded list; give first or last, 1 to 100.",
        "field": "first",
    }
    assert (await refusal(world, document, first=1, last=1))["field"] == "last"
    assert await refusal(world, document, last=101) == {
        "message": f"{name} was given last: 101; give 1 to 100.",
        "field": "last",
    }


async def test_a_cursor_of_another_list_or_search_is_refused_by_the_name_of_its_argument(
    world: World,
) -> None:
    of_all = (await page(world, "employees", EMPLOYEES, first=1))["pageInfo"]["endCursor"]
    of_search = (await page(world, "employees", EMPLOYEES, first=1, search="петров"))["pageInfo"]["endCursor"]
    of_journal = (await page(world, "auditRecords", RECORDS, first=1))["pageInfo"]["endCursor"]
    refused = [
        (EMPLOYEES, {"after": of_search}),
        (EMPLOYEES, {"after": of_journal}),
        (EMPLOYEES, {"search": "петров", "before": of_all}),
        (RECORDS, {"after": of_all}),
        (RECORDS, {"employee": IVAN_ID, "before": of_journal}),
    ]
    for document, given in refused:
        (field,) = given.keys() & {"after", "before"}
        told = await refusal(world, document, first=1, **given)
        assert told["field"] == field
        assert told["message"].startswith(f"{field} is no cursor of this list")
    # another spelling of the same search is the same list
    again = await page(world, "employees", EMPLOYEES, first=1, search=" Петров ", after=of_search)
    assert again["pageInfo"]["hasPreviousPage"] is True


@pytest.mark.parametrize(
    ("document", "one", "other"),
    [(EMPLOYEES, "anna.sorokina", "dmitry.orlov"), (RECORDS, "vera.lis", "anna.sorokina")],
    ids=["employees", "auditRecords"],
)
async def test_a_cursor_of_another_person_sounds_out_nothing(
    world: World, document: str, one: str, other: str
) -> None:
    theirs = await world.ask(one, document, first=1)
    ((name, found),) = theirs["data"].items()
    cursor = found["pageInfo"]["endCursor"]
    body = await world.ask(other, document, first=1, after=cursor)
    assert body["data"] == {name: None}
    assert body["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
