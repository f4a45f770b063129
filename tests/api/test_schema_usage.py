"""Usage through the API: what is executed is counted for the client that asked, and only some may read who uses what."""

from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query, parse, validate

from okno.graph.coordinates import coordinates
from okno.graph.members import schema_members
from okno.graph.server import Operation
from okno.graph.trusted import document_id
from okno.storage.engine import Database
from okno.usage.model import Client, PrincipalKind
from tests.api.test_http import code, post
from tests.api.test_trusted_documents import BROWSER, built
from tests.api.test_trusted_documents import client as trusted_client
from tests.api.world import IVAN_ID, ROOT, Parts, World, gate_of

LOGIN = "query ($id: ID!) { employee(id: $id) { login } }"
LOGIN_PARTS = {"Employee.login", "Query.employee", "Query.employee(id:)"}
USAGE = """
query ($coordinate: String, $search: String, $days: Int, $first: Int, $after: String, $last: Int, $before: String,
       $deprecated: Boolean, $unused: Boolean, $client: String) {
  schemaUsage(coordinate: $coordinate, search: $search, days: $days, first: $first, after: $after, last: $last,
              before: $before, deprecatedOnly: $deprecated, unusedOnly: $unused, client: $client) {
    edges { cursor node { coordinate kind deprecated operations lastSeenAt clientCount
                          clients { name version principalKind principal operations } } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
    totalCount
    recordedSince
  }
}
"""


@pytest.fixture
def stored(parts: Parts, db: Database) -> World:
    """A world whose usage is written to a real database."""
    return World(parts, database=db)


def counted(world: World) -> dict[tuple[str, str], int]:
    """Operations by client and coordinate."""
    return {
        (key.client.label, key.coordinate): count.operations for key, count in world.counts.take().items()
    }


async def test_what_is_executed_is_counted_for_the_client_that_names_itself(world: World) -> None:
    body = {"query": LOGIN, "variables": {"id": IVAN_ID}}
    for _ in range(2):
        assert (await post(world, body, x_okno_client="reports/1.4")).status_code == 200
    assert (await post(world, body)).status_code == 200
    assert counted(world) == {
        **{("reports/1.4", each): 2 for each in LOGIN_PARTS},
        **{("web", each): 1 for each in LOGIN_PARTS},
    }


async def test_a_client_that_gives_a_name_is_noted_with_the_person_who_vouches_for_it(world: World) -> None:
    await post(world, {"query": "{ me { id } }"}, x_okno_client="payroll")
    (client,) = {key.client for key in world.counts.take()}
    assert client == Client("payroll", "", PrincipalKind.SESSION, "anna.sorokina")


async def test_a_name_of_another_form_is_one_clear_error_and_nothing_is_executed(world: World) -> None:
    response = await post(world, {"query": "{ me { id } }"}, x_okno_client="pay roll")
    assert (response.status_code, code(response)) == (400, "INVALID_INPUT")
    assert "reports/1.4" in response.json()["errors"][0]["message"]
    assert counted(world) == {}


async def test_each_operation_of_a_batch_is_counted(world: World) -> None:
    batch = [{"query": "{ me { id } }"}, {"query": "{ me { id login } }"}, {"query": "{ me { nonsense } }"}]
    await post(world, batch)
    assert counted(world) == {("web", "Query.me"): 2, ("web", "Me.id"): 2, ("web", "Me.login"): 1}


async def test_a_trusted_document_counts_like_any_other(world: World, tmp_path: Path) -> None:
    async with trusted_client(world, built(tmp_path, LOGIN)) as http:
        body = {"documentId": document_id(LOGIN), "variables": {"id": IVAN_ID}}
        assert (await http.post("/graphql", json=body, headers=BROWSER)).status_code == 200
    assert counted(world) == {("web", each): 1 for each in LOGIN_PARTS}


async def test_what_is_refused_is_not_counted_and_what_is_denied_is(world: World) -> None:
    await world.ask("anna.sorokina", "{ me { id } ")
    await world.ask("anna.sorokina", "{ me { nothing } }")
    await world.ask("anna.sorokina", LOGIN)
    await world.ask("anna.sorokina", get_introspection_query())
    assert counted(world) == {}
    body = await world.ask("anna.sorokina", "{ schemaUsage(first: 1) { totalCount } }")
    assert body["data"] == {"schemaUsage": None}
    assert ("web", "SchemaUsageConnection.totalCount") in counted(world)


async def test_security_reads_who_uses_what(stored: World) -> None:
    tool = stored.server.context(stored.service_actor("employees.read"), "r", client="reports/1.4")
    await stored.server.answer(tool, [Operation(LOGIN, {"id": IVAN_ID})])
    await stored.ask("anna.sorokina", LOGIN, id=IVAN_ID)
    await stored.usage.flush()
    body = await stored.ask("vera.lis", USAGE, coordinate="Employee.login", first=10)
    assert "errors" not in body
    found = body["data"]["schemaUsage"]
    (edge,) = found["edges"]
    assert edge["node"] == {
        "coordinate": "Employee.login",
        "kind": "FIELD",
        "deprecated": False,
        "operations": 2,
        "lastSeenAt": stored.clock.now().isoformat(),
        "clientCount": 2,
        "clients": [
            {
                "name": "reports",
                "version": "1.4",
                "principalKind": "SERVICE",
                "principal": "tool",
                "operations": 1,
            },
            {"name": "web", "version": None, "principalKind": "SESSION", "principal": None, "operations": 1},
        ],
    }
    assert (found["totalCount"], found["recordedSince"]) == (1, stored.clock.now().date().isoformat())


@pytest.mark.parametrize("login", ["anna.sorokina", "dmitry.orlov", "elena.kim", "pavel.zaitsev"])
async def test_who_needs_it_not_is_told_that_the_policy_hides_it(stored: World, login: str) -> None:
    body = await stored.ask(login, USAGE, first=1)
    assert body["data"] == {"schemaUsage": None}
    assert gate_of(body, "schemaUsage")["decision"] == "deny"


async def test_a_tool_reads_it_with_the_scope_of_the_schema_and_with_no_other(stored: World) -> None:
    allowed = await stored.ask(stored.service_actor("schema.read"), USAGE, first=1)
    assert allowed["data"]["schemaUsage"]["edges"]
    denied = await stored.ask(stored.service_actor("employees.read", "audit.read"), USAGE, first=1)
    assert denied["data"] == {"schemaUsage": None}


async def test_all_parts_are_reached_page_by_page_in_both_directions(stored: World) -> None:
    every = [member.coordinate for member in schema_members(stored.parts.graph.core)]
    forwards: list[str] = []
    after = None
    while True:
        body = await stored.ask("vera.lis", USAGE, first=100, after=after)
        page = body["data"]["schemaUsage"]
        forwards += [edge["node"]["coordinate"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert forwards == sorted(every)
    assert page["totalCount"] == len(every)
    back = (await stored.ask("vera.lis", USAGE, last=2, before=after))["data"]["schemaUsage"]
    place = forwards.index(forwards[100 * (len(forwards) // 100) - 1])
    assert [edge["node"]["coordinate"] for edge in back["edges"]] == forwards[place - 2 : place]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "give first or last"),
        ({"first": 101}, "give 1 to 100"),
        ({"first": 1, "days": 0}, "schemaUsage was given days: 0"),
        ({"first": 1, "after": "nonsense"}, "after is no cursor of this list"),
        (
            {"first": 1, "coordinate": "Employee.logn"},
            "There is no Employee.logn in the schema; the nearest are",
        ),
        ({"first": 1, "search": "x" * 201}, "search of schemaUsage has at most 200 characters"),
        ({"first": 1, "client": "a\0b"}, "client of schemaUsage"),
    ],
)
async def test_what_cannot_be_asked_is_one_error_that_says_how(
    stored: World, variables: dict[str, Any], said: str
) -> None:
    body = await stored.ask("vera.lis", USAGE, **variables)
    assert body["data"] == {"schemaUsage": None}
    (error,) = body["errors"]
    assert said in error["message"]
    assert error["extensions"]["code"] in ("INVALID_INPUT", "NOT_FOUND")


async def test_filters_narrow_the_list(stored: World) -> None:
    await stored.ask("anna.sorokina", LOGIN, id=IVAN_ID)
    await stored.usage.flush()

    async def found(**variables: Any) -> set[str]:
        body = await stored.ask("vera.lis", USAGE, first=100, **variables)
        return {edge["node"]["coordinate"] for edge in body["data"]["schemaUsage"]["edges"]}

    assert await found(client="web") == LOGIN_PARTS
    assert await found(client="web", search="LOGIN") == {"Employee.login"}
    assert await found(client="reports") == set()
    unused = await found(unused=True, coordinate="Employee")
    assert "Employee.email" in unused
    assert "Employee.login" not in unused
    assert await found(deprecated=True, coordinate="Employee") == set()


def documents() -> list[Path]:
    folders = [ROOT / "widgets", ROOT / "frontend" / "src"]
    return [file for folder in folders for file in sorted(folder.rglob("*.graphql"))]


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_all_that_the_own_documents_use_is_part_of_the_schema_as_usage_knows_it(
    parts: Parts, file: Path
) -> None:
    known = {member.coordinate for member in schema_members(parts.graph.core)}
    document = parse(file.read_text(encoding="utf-8"))
    assert validate(parts.graph.core, document) == []
    used = coordinates(parts.graph.core, document)
    assert used
    assert used <= known


def test_a_value_that_a_field_may_give_and_a_value_that_is_asked_with_are_used(parts: Parts) -> None:
    used = coordinates(parts.graph.core, parse("{ nodes(ids: []) { ... on Employee { state } } }"))
    assert {"Employee.state", "EmployeeState.WORKS", "EmployeeState.DISMISSED"} <= used


def test_values_that_no_document_can_name_are_left_out(parts: Parts) -> None:
    types = {member.type_name for member in schema_members(parts.graph.core)}
    assert "SensitivityLevel" not in types
    assert not [name for name in types if name.startswith("__")]
    assert {"Query", "Mutation", "Employee", "Node", "EmployeeState", "OperationRunInput"} <= types
