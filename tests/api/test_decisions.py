"""What is counted of a request's decisions: the rows that came to each place, by what conditions ask of them."""

from collections import Counter
from typing import Any

import pytest

from okno.policy.decisions import IDS, ME, Key
from tests.api.world import AMINA_ID, ANNA_ID, IVAN_ID, MAXIM_ID, World

Seen = tuple[str, str, str | None]


def counted(world: World) -> Counter[tuple[str, str, str | None]]:
    """How often each thing was decided so, for the country of the row."""
    found: Counter[Seen] = Counter()
    for key, number in world.decisions.take().items():
        facts = dict(key.decided.facts)
        for thing in key.decided.things:
            found[thing, key.decided.outcome, facts.get("country")] += number  # type: ignore[index]
    return found


def keys(world: World) -> list[Key]:
    return list(world.decisions.take())


async def test_each_row_of_a_list_is_counted_for_each_field_by_its_facts(world: World) -> None:
    await world.ask("anna.sorokina", "{ employees(first: 10) { edges { node { displayName login } } } }")
    found = counted(world)
    assert found["Query.employees", "allow", None] == 1
    assert {key: number for key, number in found.items() if key[0] == "Employee.displayName"} == {
        ("Employee.displayName", "allow", "RU"): 4,
        ("Employee.displayName", "allow", "KZ"): 1,
        ("Employee.displayName", "allow", "NG"): 1,
    }
    assert {key: number for key, number in found.items() if key[0] == "Employee.login"} == {
        ("Employee.login", "allow", "RU"): 3,
        ("Employee.login", "deny", "RU"): 1,  # who is protected
        ("Employee.login", "allow", "KZ"): 1,
        ("Employee.login", "deny", "NG"): 1,
    }


@pytest.mark.parametrize("compiled", [False, True])
async def test_generated_loops_and_the_stock_executor_count_the_same(world: World, compiled: bool) -> None:
    query = """query ($ids: [ID!]!) {
        employees(first: 10) { edges { node { login manager { email } hr { position salary { currency } } } } }
        nodes(ids: $ids) { ... on Employee { office } }
    }"""
    ids = [IVAN_ID, AMINA_ID]
    if compiled:
        for _ in range(40):
            await world.ask("anna.sorokina", query, ids=ids)
        counted(world)
    await world.ask("anna.sorokina", query, ids=ids)
    found = counted(world)
    assert found["Employee.email", "allow", "RU"] == 1, "the boss, of whom one is the manager"
    assert found["HrSection.position", "allow", "RU"] == 3
    assert found["HrSection.salary", "deny", "RU"] == 4
    assert found["Employee.office", "allow", "RU"] == 1
    assert found["Employee.office", "allow", "NG"] == 1
    assert sum(number for (thing, _, _), number in found.items() if thing == "Employee.hr") == 6


async def test_nothing_of_a_person_is_kept_but_whether_it_is_oneself(world: World) -> None:
    for employee in (ANNA_ID, IVAN_ID):
        await world.ask(
            "anna.sorokina", "query ($id: ID!) { node(id: $id) { ... on Employee { login } } }", id=employee
        )
    values: set[Any] = set()
    for key in keys(world):
        for name, value in key.decided.facts:
            if name in IDS:
                assert value in (ME, "other", None)
            values.add(value)
    assert ME in values
    assert not values & {"anna.sorokina", str(ANNA_ID), "ivan.petrov", "100001"}


async def test_a_denied_mutation_is_counted_too(world: World) -> None:
    tool = world.service_actor("employees.read")
    query = """mutation ($id: ID!) { operationPreview(
        input: {operation: "domain.unlock", employee: $id, idempotencyKey: "k"}) { errors { code } } }"""
    await world.ask(tool, query, id=IVAN_ID)
    assert counted(world)["Mutation.operationPreview", "deny", None] == 1


async def test_a_request_that_only_asks_for_what_belongs_to_no_row_is_counted_once(world: World) -> None:
    for _ in range(3):
        await world.ask("anna.sorokina", "{ me { login } }")
    (key,) = keys(world)
    assert key.decided.things == ("Me.login", "Query.me")
    assert key.decided.facts == ()


async def test_what_is_decided_on_a_protected_person_says_so(world: World) -> None:
    await world.ask(
        "anna.sorokina", "query ($id: ID!) { node(id: $id) { ... on Employee { login } } }", id=MAXIM_ID
    )
    (decided,) = (key.decided for key in keys(world) if "Employee.login" in key.decided.things)
    assert decided.outcome == "deny"
    assert dict(decided.facts)["protected"] is True
