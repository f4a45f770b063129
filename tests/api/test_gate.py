"""The gate: what it denies is not resolved, however the document asks for it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLField

from okno.graph.server import Operation
from okno.policy.service import Policy, PolicyError, Problem, Rights
from tests.api.fakes import person
from tests.api.world import AMINA_ID, ANNA_ID, BOSS, IVAN_ID, ROOT, Parts, World, gate_of


class Calls:
    """Counts the calls of resolvers, by "Type.field"."""

    def __init__(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counted: dict[str, int] = {}
        for name in parts.graph.fields():
            type_name, field_name = name.split(".")
            field: GraphQLField = parts.graph.core.type_map[type_name].fields[field_name]  # type: ignore[attr-defined]
            monkeypatch.setattr(field, "resolve", self._counting(name, field.resolve))

    def __getitem__(self, name: str) -> int:
        return self.counted.get(name, 0)

    def _counting(self, name: str, resolve: Any) -> Callable[..., Awaitable[Any] | Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            self.counted[name] = self.counted.get(name, 0) + 1
            return resolve(*args, **kwargs)

        return counting


@pytest.fixture
def calls(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(parts, monkeypatch)


def changed(parts: Parts, old: str, new: str) -> World:
    """A world whose policy files differ in one line."""
    texts = [
        (path.name, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "policies").glob("*.polar"))
    ]
    assert sum(text.count(old) for _, text in texts) == 1
    policy = Policy.from_sources([(name, text.replace(old, new)) for name, text in texts], "test")
    return World(Parts(policy, parts.manifests, parts.graph, parts.teams))


async def test_a_denied_resolver_is_never_called(world: World, calls: Calls) -> None:
    query = "query ($id: ID!) { employee(id: $id) { hr { position salary { minorUnits } } } }"
    await world.ask("anna.sorokina", query, id=IVAN_ID)
    assert calls["HrSection.position"] == 1
    assert calls["HrSection.salary"] == 0
    assert calls["Money.minorUnits"] == 0


async def test_a_resolver_denied_by_the_row_is_never_called(world: World, calls: Calls) -> None:
    query = (
        "query ($id: ID!) { employee(id: $id) { login manager { login } equipment { items { serial } } } }"
    )
    await world.ask("anna.sorokina", query, id=AMINA_ID)
    assert calls["Employee.login"] == 0
    assert calls["Employee.manager"] == 0
    assert calls["Employee.equipment"] == 0
    assert calls["EquipmentSection.items"] == 0


async def test_nothing_is_resolved_for_somebody_without_rights(world: World, calls: Calls) -> None:
    nobody = replace(world.actor("anna.sorokina"), rights=Rights())
    body = await world.ask(
        nobody, "query ($id: ID!) { me { id } employee(id: $id) { id } sources { id } }", id=IVAN_ID
    )
    assert body["data"] == {"me": None, "employee": None, "sources": None}
    assert calls.counted == {}


async def test_a_field_without_a_rule_is_denied(parts: Parts, calls: Calls) -> None:
    world = changed(parts, 'level("Employee.position", "public");', "")
    body = await world.ask(
        "anna.sorokina", "query ($id: ID!) { employee(id: $id) { position office } }", id=IVAN_ID
    )
    assert body["data"]["employee"] == {"position": None, "office": "Office 1"}
    assert gate_of(body, "employee.position") == {
        "path": "employee.position",
        "decision": "deny",
        "rule": None,
        "reason": None,
    }
    assert calls["Employee.position"] == 0


async def test_a_denied_field_that_is_never_null_takes_its_parent_away(parts: Parts, calls: Calls) -> None:
    world = changed(parts, 'structural("EmployeeEdge");', "")
    body = await world.ask("anna.sorokina", "{ employees(first: 10) { edges { node { id } } } }")
    assert body["data"] == {"employees": None}
    assert body["errors"][0]["extensions"]["code"] == "DENIED"
    assert calls["EmployeeEdge.node"] == 0


HR = "query ($id: ID!) { employee(id: $id) { hr { meta { state } position } } }"


async def test_a_section_that_no_rule_covers_is_denied_and_not_null(parts: Parts) -> None:
    world = changed(parts, 'level("Employee.hr", "public");', "")
    body = await world.ask("anna.sorokina", HR, id=IVAN_ID)
    assert body["data"]["employee"]["hr"] == {"meta": {"state": "DENIED"}, "position": None}
    assert world.sources.calls == []
    assert gate_of(body, "employee.hr")["decision"] == "deny"
    assert gate_of(body, "employee.hr.position")["decision"] == "deny"
    assert gate_of(body, "employee.hr.meta.state")["decision"] == "allow"


async def test_the_way_to_a_section_is_part_of_every_decision_in_it(parts: Parts) -> None:
    world = changed(
        parts, 'level("HrSection.position", "internal");', 'level("HrSection.position", "public");'
    )
    body = await world.ask("anna.sorokina", HR, id=AMINA_ID)
    assert body["data"]["employee"]["hr"] == {"meta": {"state": "OK"}, "position": "Engineer"}
    guarded = changed(parts, 'level("Employee.hr", "public");', 'level("Employee.hr", "internal");')
    for employee, state in ((IVAN_ID, "OK"), (AMINA_ID, "DENIED")):
        body = await guarded.ask("anna.sorokina", HR, id=employee)
        assert body["data"]["employee"]["hr"]["meta"]["state"] == state
    line = gate_of(body, "employee.hr")
    assert (line["decision"], line["allowed"], line["denied"]) == ("conditional", 0, 1)
    assert [source for source, _ in guarded.sources.calls] == ["hr"]


async def test_many_nodes_are_one_query(world: World) -> None:
    query = (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Employee { manager { id } managers { id } } } }"
    )
    body = await world.ask("anna.sorokina", query, ids=[IVAN_ID, AMINA_ID, ANNA_ID])
    assert [node["id"] for node in body["data"]["nodes"]] == [IVAN_ID, AMINA_ID, ANNA_ID]
    assert world.people.queries == 3, "nodes, their managers, and the chains"
    mixed = await world.ask(
        "anna.sorokina", "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[IVAN_ID, "x"]
    )
    assert mixed["data"]["nodes"] == [{"id": IVAN_ID}, None]
    assert mixed["errors"][0]["path"] == ["nodes", 1]
    refused = await world.ask("anna.sorokina", query, ids=[IVAN_ID] * 101)
    assert "100 are the limit" in refused["errors"][0]["message"]


async def test_a_journal_that_one_may_not_read_at_all_is_null(world: World) -> None:
    body = await world.ask(
        world.service_actor("employees.read"), "{ auditRecords(first: 10) { edges { node { hash } } } }"
    )
    assert body["data"] == {"auditRecords": None}


@pytest.mark.parametrize(
    "document",
    [
        "query ($id: ID!) { employee(id: $id) { ...F } } fragment F on Employee { hr { ...G } } "
        "fragment G on HrSection { x: salary { minorUnits } }",
        "query ($id: ID!) { employee(id: $id) { ... on Employee { hr { ... { x: salary { minorUnits } } } } } }",
        "query ($id: ID!) { node(id: $id) { ... on Node { ... on Employee { hr { x: salary { minorUnits } } } } } }",
        "query ($id: ID!) { employee(id: $id) { hr { x: salary { currency } } ...F } } "
        "fragment F on Employee { hr { x: salary { minorUnits } } }",
        "query ($id: ID!, $yes: Boolean = true) { employee(id: $id) { hr { x: salary @include(if: $yes) { minorUnits } } } }",
        "query ($id: ID!, $no: Boolean = false) { employee(id: $id) { hr @skip(if: $no) { x: salary { minorUnits } } } }",
    ],
)
async def test_fragments_aliases_and_directives_are_no_way_around(
    world: World, calls: Calls, document: str
) -> None:
    body = await world.ask("anna.sorokina", document, id=IVAN_ID)
    assert "errors" not in body
    found = body["data"].get("employee") or body["data"].get("node")
    assert found["hr"]["x"] is None
    assert calls["HrSection.salary"] == 0
    (line,) = [line for line in body["extensions"]["gate"] if line["path"].endswith("hr.x")]
    assert line["decision"] == "deny"


async def test_what_is_skipped_is_not_reported(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { login @skip(if: true) email @include(if: false) id } }"
    body = await world.ask("anna.sorokina", query, id=IVAN_ID)
    assert body["data"] == {"employee": {"id": IVAN_ID}}
    assert [line["path"] for line in body["extensions"]["gate"]] == ["employee", "employee.id"]


async def test_the_same_field_under_two_aliases_is_two_lines(world: World) -> None:
    query = "query ($a: ID!, $b: ID!) { a: employee(id: $a) { login } b: employee(id: $b) { x: login } }"
    body = await world.ask("anna.sorokina", query, a=IVAN_ID, b=AMINA_ID)
    assert body["data"] == {"a": {"login": "ivan.petrov"}, "b": {"x": None}}
    assert gate_of(body, "a.login")["allowed"] == 1
    assert gate_of(body, "b.x")["denied"] == 1


async def test_typename_is_always_told(world: World) -> None:
    query = "query ($id: ID!) { __typename employee(id: $id) { __typename hr { __typename } } }"
    body = await world.ask("anna.sorokina", query, id=AMINA_ID)
    assert body["data"] == {
        "__typename": "Query",
        "employee": {"__typename": "Employee", "hr": {"__typename": "HrSection"}},
    }
    assert world.sources.calls == []


async def test_the_schema_is_told_to_those_whom_the_policy_lets_explore_it(world: World) -> None:
    query = "{ __schema { queryType { name } } }"
    assert (await world.ask("anna.sorokina", query))["data"]["__schema"]["queryType"]["name"] == "Query"
    production = world.actor("anna.sorokina", "session")
    refused = await world.ask(production, query)
    assert refused["errors"][0]["extensions"]["code"] == "DENIED"
    assert "data" not in refused
    hinted = await world.ask("anna.sorokina", "{ mee { id } }")
    unhinted = await world.ask(production, "{ mee { id } }")
    assert "Did you mean" in hinted["errors"][0]["message"]
    assert "Did you mean" not in unhinted["errors"][0]["message"]


async def test_a_denied_mutation_is_recorded_before_anything_runs(world: World, calls: Calls) -> None:
    query = """mutation ($id: ID!) {
      operationPreview(input: {operation: "domain.unlock", employee: $id, idempotencyKey: "k"}) { previewToken } }"""
    service = world.service_actor("employees.read")
    body = await world.ask(service, query, id=IVAN_ID)
    assert body["data"] == {"operationPreview": None}
    assert calls["Mutation.operationPreview"] == 0
    (event,) = world.journal.of_type("access.denied")
    assert event.detail == {"action": "write", "mutations": ["operationPreview"]}
    world.journal.away = True
    answer = await world.answer(service, query, {"id": IVAN_ID})
    assert "data" not in answer.body
    assert answer.body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_a_policy_that_cannot_be_compiled_for_these_rights_denies(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise PolicyError((Problem("people.polar", 1, "cannot-compile", "rule x cannot be compiled"),))

    context = world.server.context(world.actor("anna.sorokina"), "r")
    monkeypatch.setattr(world.parts.policy, "table", broken)
    assert context.gate.decide("Employee", "login").outcome.value == "deny"
    query = "{ employees(first: 10) { edges { node { login } } } __schema { types { name } } }"
    (answer,) = await world.server.answer(context, [Operation(query)])
    assert answer.body["errors"][0]["message"] == "The policy does not let you read the schema."


async def test_a_policy_that_fails_for_a_moment_is_asked_again_by_the_next_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = world.parts.policy.table

    def broken(rights: Rights, action: str, resource: str) -> Any:
        if resource == "Employee":
            raise PolicyError((Problem("people.polar", 1, "cannot-compile", "the query took too long"),))
        return whole(rights, action, resource)

    query = "query ($id: ID!) { employee(id: $id) { login } }"
    with monkeypatch.context() as patch:
        patch.setattr(world.parts.policy, "table", broken)
        assert (await world.ask("anna.sorokina", query, id=IVAN_ID))["data"] == {"employee": None}
    body = await world.ask("anna.sorokina", query, id=IVAN_ID)
    assert body["data"] == {"employee": {"login": "ivan.petrov"}}


async def test_the_managers_end_with_whose_own_manager_may_not_be_read(world: World) -> None:
    boss, chief = world.people.people[BOSS.id], person("100099", "chief.chiefov", "Шеф Шефов")
    world.people.people[chief.id] = chief
    query = "query ($id: ID!) { employee(id: $id) { managers { displayName manager { displayName } } } }"
    for protected, expected in ((False, ["Босс Боссов", "Шеф Шефов"]), (True, ["Босс Боссов"])):
        world.people.people[BOSS.id] = replace(boss, protected=protected, manager_id=chief.id)
        managers = (await world.ask("anna.sorokina", query, id=IVAN_ID))["data"]["employee"]["managers"]
        assert [each["displayName"] for each in managers] == expected
    assert managers[0]["manager"] is None
