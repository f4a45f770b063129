"""Masks: who sees a field masked sees the mask, wherever the field turns up, and its value nowhere."""

import json
import traceback
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, cast

import orjson
import pytest
from structlog.testing import capture_logs

from okno.graph.compiled import site
from okno.graph.ids import employee_id
from okno.graph.server import Operation
from okno.graph.subscription import Subscription
from okno.graph.trusted import document_id
from okno.identity.model import Actor
from okno.policy.service import Policy, Rights
from okno.sources.model import Change
from tests.api.world import AMINA, AMINA_ID, DASTAN, IVAN, IVAN_ID, ROOT, Parts, World, gate_of

RULES = """
role("mask_tester", "reads Russia in full, sees Nigeria masked, and of others nothing");
masked("Employee.login", "first-letter");
masked("Employee.department", "hidden");
masked("HrSection.homeAddress", "hidden");
masked("DirectorySection.groups", "first-letter");
masked("EquipmentItem.serial", "last-4");

texts(field) if field in ["Employee.login", "Employee.workPhone", "Employee.email", "HrSection.homeAddress",
                          "DirectorySection.groups", "EquipmentItem.serial"];

permit(p: Person, "read", _o: Okno, "Query.employees", "masks.list: may list employees") if
    person(p) and "mask_tester" in p.roles;
permit(p: Person, "read", _e: Employee, field, "masks.around: reads what lies around the texts") if
    person(p) and "mask_tester" in p.roles and
    field in ["HrSection.position", "EquipmentSection.items", "Employee.manager", "Employee.managers",
              "Subscription.employeeChanged"];
permit(p: Person, "read", e: Employee, field, "masks.full: in Russia in full") if
    person(p) and "mask_tester" in p.roles and e.country = "RU" and e.protected = false and texts(field);
permit(p: Person, "mask", e: Employee, field, "masks.masked: in Russia and Nigeria masked") if
    person(p) and "mask_tester" in p.roles and e.country in ["RU", "NG"] and texts(field);
permit(p: Person, "run", e: Employee, "domain.unlock", "masks.run: unlocks accounts") if
    person(p) and "mask_tester" in p.roles and e.country = "NG";
permit(p: Person, "write", _o: Okno, field, "masks.write: may operate") if
    person(p) and "mask_tester" in p.roles and field in ["Mutation.operationPreview", "Mutation.operationRun"];
permit(p: Person, "match", e: Employee, "Employee.workPhone", "masks.match: by the whole number in Nigeria") if
    person(p) and "mask_tester" in p.roles and e.country = "NG";
permit(p: Person, "mask", _e: Employee, "HrSection.personalPhone", "masks.phone: masked for all") if
    person(p) and "mask_tester" in p.roles;
"""
WORK_PHONES = {"RU": "+74951112233", "NG": "+2348031234567"}
PHONE, ADDRESS, SERIAL, GROUP = "+7 916 555-01-23", "Secret street 77", "SN-4455-9988", "geheim-group"


@pytest.fixture(scope="module")
def masked_parts(parts: Parts) -> Parts:
    paths = sorted((ROOT / "policies").glob("*.polar"))
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in paths]
    return replace(parts, policy=Policy.from_sources([*texts, ("masks.polar", RULES)], "masks"))


@pytest.fixture(params=["row by row", "by generated code"])
def world(masked_parts: Parts, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    if request.param == "by generated code":
        monkeypatch.setattr(site, "ENOUGH_ROWS", 1)
    found = World(masked_parts)
    for each in (IVAN, AMINA):
        found.people.people[each.id] = replace(each, work_phone=WORK_PHONES[each.country or ""])
    for number in found.sources.data["hr"]:
        found.sources.data["hr"][number] |= {"homeAddress": ADDRESS, "personalPhone": PHONE}
        found.sources.data["directory"][number] |= {"groups": [GROUP, "x"]}
        found.sources.data["equipment"][number] = {"items": [{"serial": SERIAL}, {"serial": None}]}
    return found


def reader(world: World) -> Actor:
    rights = Rights(roles=frozenset({"mask_tester"}), facts=frozenset({"session"}))
    return replace(world.actor("anna.sorokina"), rights=rights)


CARD = """query ($id: ID!) { employee(id: $id) {
  login workPhone
  hr { position homeAddress personalPhone }
  directory { groups }
  equipment { items { serial } }
} }"""


async def test_a_row_is_read_in_full_or_masked_or_not_at_all(world: World) -> None:
    amina = await world.ask(reader(world), CARD, id=AMINA_ID)
    assert amina["data"]["employee"] == {
        "login": "a•••",
        "workPhone": "•••• 4567",
        "hr": {"position": "Engineer", "homeAddress": "••••", "personalPhone": "•••• 0123"},
        "directory": {"groups": ["g•••", "••••"]},
        "equipment": {"items": [{"serial": "•••• 9988"}, {"serial": None}]},
    }
    ivan = await world.ask(reader(world), CARD, id=IVAN_ID)
    assert ivan["data"]["employee"] == {
        "login": "ivan.petrov",
        "workPhone": "+74951112233",
        "hr": {"position": "Engineer", "homeAddress": ADDRESS, "personalPhone": "•••• 0123"},
        "directory": {"groups": [GROUP, "x"]},
        "equipment": {"items": [{"serial": SERIAL}, {"serial": None}]},
    }
    dastan = await world.ask(reader(world), CARD, id=employee_id(DASTAN.id))
    assert dastan["data"]["employee"]["login"] is None
    assert dastan["data"]["employee"]["directory"] == {"groups": None}


async def test_the_gate_says_what_is_masked_and_by_which_rule(world: World) -> None:
    body = await world.ask(reader(world), CARD, id=AMINA_ID)
    assert gate_of(body, "employee.hr.personalPhone") == {
        "path": "employee.hr.personalPhone",
        "decision": "mask",
        "rule": "masks.phone",
        "reason": "masked for all",
    }
    line = gate_of(body, "employee.login")
    assert (line["decision"], line["allowed"], line["masked"], line["denied"]) == ("conditional", 0, 1, 0)
    assert line["mask"] == {"rule": "masks.masked", "reason": "in Russia and Nigeria masked"}
    everybody = await world.ask(
        reader(world), "{ employees(first: 10) { edges { node { id login position } } } }"
    )
    line = gate_of(everybody, "employees.edges[].node.login")
    assert (line["allowed"], line["masked"], line["denied"]) == (3, 2, 1)
    assert line["rule"] == "masks.full"
    assert "masked" not in gate_of(everybody, "employees.edges[].node.position")


async def test_aliases_fragments_nodes_entities_and_batches_are_no_way_around(world: World) -> None:
    query = """query ($id: ID!, $entities: [_Any!]!) {
      node(id: $id) { ... on Employee { a: login b: login ...More } }
      nodes(ids: [$id, $id]) { ... on Employee { login ...More } }
      _entities(representations: $entities) { ... on Employee { login ...More } }
      employees(first: 10) { edges { node { ...More managers { login } manager { login } } } }
    }
    fragment More on Employee { c: login hr { d: homeAddress ... on HrSection { homeAddress } } }"""
    entities = [{"__typename": "Employee", "id": AMINA_ID}]
    context = world.server.context(reader(world), "request-1")
    answers = await world.server.answer(
        context, [Operation(query, {"id": AMINA_ID, "entities": entities}), Operation(CARD, {"id": AMINA_ID})]
    )
    data = answers[0].body["data"]
    more = {"c": "a•••", "hr": {"d": "••••", "homeAddress": "••••"}}
    assert data["node"] == {"a": "a•••", "b": "a•••", **more}
    assert data["nodes"] == [{"login": "a•••", **more}] * 2
    assert data["_entities"] == [{"login": "a•••", **more}]
    assert answers[1].body["data"]["employee"]["login"] == "a•••"
    assert "amina.okafor" not in json.dumps([answer.body for answer in answers])


async def test_events_and_trusted_documents_are_masked_alike(world: World) -> None:
    document = "subscription ($id: ID!) { employeeChanged(id: $id) { login hr { homeAddress } } }"
    root = Subscription(facts=AMINA.facts(), record=cast(Any, None))
    context = world.server.context(reader(world), "request-1")
    (event,) = await world.server.answer(context, [Operation(document, {"id": AMINA_ID}, root=root)])
    seen = {"login": "a•••", "hr": {"homeAddress": "••••"}}
    assert event.body["data"]["employeeChanged"] == seen
    summary = next(text for text in world.services.dashboards.documents if "homeAddress" in text)
    (card,) = await world.server.answer(
        context, [Operation(document_id=document_id(summary), variables={"employee": AMINA_ID})]
    )
    hr = card.body["data"]["employee"]["hr"]
    assert (hr["homeAddress"], hr["personalPhone"]) == ("••••", "•••• 0123")


async def test_a_masked_read_is_no_sensitive_read(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { hr { homeAddress personalPhone } } }"
    await world.ask(reader(world), query, id=AMINA_ID)
    assert world.journal.of_type("sensitive.read") == []
    await world.ask(reader(world), query, id=IVAN_ID)
    (event,) = world.journal.of_type("sensitive.read")
    assert event.detail == {"fields": ["HrSection.homeAddress"]}


@pytest.mark.parametrize(
    "wrong",
    [object(), {"number": ADDRESS}, [ADDRESS], [[ADDRESS], 7]],
    ids=["object", "dict", "list", "lists"],
)
async def test_a_value_that_cannot_be_shown_is_in_no_error_and_no_log(world: World, wrong: Any) -> None:
    for records in world.sources.data["hr"].values():
        records["homeAddress"] = wrong
    for records in world.sources.data["directory"].values():
        records["groups"] = wrong
    with capture_logs() as logs:
        body = await world.ask(reader(world), CARD, id=AMINA_ID)
    assert body["errors"]
    assert logs
    said = json.dumps(body, ensure_ascii=False) + "".join(_traced(log) for log in logs)
    assert ADDRESS not in said
    assert PHONE not in said


async def test_no_byte_of_a_masked_value_leaves_in_any_part_of_an_answer(world: World) -> None:
    body = await world.ask(reader(world), CARD, id=AMINA_ID)
    everybody = await world.ask(
        reader(world),
        "{ employees(first: 10) { edges { cursor node { id login workPhone email hr { homeAddress personalPhone } } } } }",
    )
    amina = [edge for edge in everybody["data"]["employees"]["edges"] if edge["node"]["id"] == AMINA_ID]
    said = orjson.dumps([body, amina, everybody["extensions"]]).decode()
    for value in ("amina.okafor", ADDRESS, SERIAL, GROUP, PHONE, PHONE[-7:]):
        assert value not in said


async def test_what_an_operation_would_change_is_seen_as_its_field_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may run it need not be able to read what it changes."""

    async def changes(*_: Any, **__: Any) -> list[Change]:
        return [
            Change("directory", "directory.groups", {"en": "Groups"}, [GROUP], [GROUP, "new-group"]),
            Change("domain", "domain.locked", {"en": "Locked"}, True, None),
        ]

    monkeypatch.setattr(world.sources, "preview", changes)
    query = """mutation ($id: ID!) {
      operationPreview(input: {operation: "domain.unlock", employee: $id, idempotencyKey: "k"}) {
        changes { before after } errors { code } } }"""
    body = await world.ask(reader(world), query, id=AMINA_ID)
    assert body["data"]["operationPreview"] == {
        "changes": [
            {"before": ["g•••"], "after": ["g•••", "n•••"]},
            {"before": "••••", "after": None},
        ],
        "errors": [],
    }
    assert GROUP not in json.dumps(body)


async def test_who_knows_the_whole_number_finds_its_owner_and_still_sees_it_masked(world: World) -> None:
    query = (
        "query ($text: String!) { employees(search: $text, first: 5) { edges { node { id workPhone } } } }"
    )
    phone = WORK_PHONES["NG"]
    found = await world.ask(reader(world), query, text=phone)
    assert found["data"]["employees"]["edges"] == [{"node": {"id": AMINA_ID, "workPhone": "•••• 4567"}}]
    for part in (phone[:-1], phone[1:], phone[-4:]):
        found = await world.ask(reader(world), query, text=part)
        assert AMINA_ID not in json.dumps(found["data"]), part


def _traced(log: MutableMapping[str, Any]) -> str:
    error = log.get("exc_info")
    return repr(log) + ("".join(traceback.format_exception(error)) if isinstance(error, Exception) else "")
