"""Whole documents, as each role asks them."""

import asyncio
from dataclasses import replace

import pytest

from okno.graph.ids import employee_id
from okno.graph.server import Operation
from okno.identity.model import employee_uuid
from okno.policy.service import Rights
from okno.sources.model import PersonKeys, SectionResult, SourceFailure
from tests.api.world import AMINA_ID, IVAN, IVAN_ID, MAXIM_ID, World, gate_of

CARD = """
query Card($id: ID!) {
  employee(id: $id) {
    id displayName login country
    hr { meta { state error { code } } position birthDate salary { minorUnits currency } }
    domain { meta { state source } locked failedLogons lastLogonAt }
    equipment { meta { state } items { inventoryNumber model issuedOn } }
  }
}
"""


async def test_first_line_sees_the_card_of_its_countries_without_confidential_fields(world: World) -> None:
    body = await world.ask("anna.sorokina", CARD, id=IVAN_ID)
    assert "errors" not in body
    employee = body["data"]["employee"]
    assert employee["displayName"] == "Иван Петров"
    assert employee["login"] == "ivan.petrov"
    assert employee["hr"]["meta"] == {"state": "OK", "error": None}
    assert employee["hr"]["position"] == "Engineer"
    assert employee["hr"]["birthDate"] is None
    assert employee["hr"]["salary"] is None
    assert employee["domain"]["locked"] is True
    assert employee["domain"]["lastLogonAt"] is None
    assert employee["equipment"]["items"] == [
        {"inventoryNumber": "N-1", "model": "X1", "issuedOn": "2025-01-02"}
    ]
    assert gate_of(body, "employee.hr.salary") == {
        "path": "employee.hr.salary",
        "decision": "deny",
        "rule": None,
        "reason": None,
    }
    line = gate_of(body, "employee.hr.position")
    assert line["decision"] == "conditional"
    assert line["rule"] == "people.support"
    assert (line["allowed"], line["denied"]) == (1, 0)
    assert gate_of(body, "employee.displayName")["decision"] == "allow"


async def test_the_report_has_one_line_for_each_selection(world: World) -> None:
    body = await world.ask("anna.sorokina", CARD, id=IVAN_ID)
    paths = [line["path"] for line in body["extensions"]["gate"]]
    assert len(paths) == len(set(paths))
    assert "employee.equipment.items[].model" in paths
    assert body["extensions"]["policyVersion"] == world.parts.policy.version
    assert body["extensions"]["requestId"] == "request-1"


async def test_another_country_shows_public_fields_and_denied_sections_whose_sources_are_not_asked(
    world: World,
) -> None:
    body = await world.ask("anna.sorokina", CARD, id=AMINA_ID)
    employee = body["data"]["employee"]
    assert employee["displayName"] == "Amina Okafor"
    assert employee["login"] is None
    for section in ("hr", "domain", "equipment"):
        assert employee[section]["meta"]["state"] == "DENIED"
    assert employee["domain"]["meta"]["source"] == "domain"
    assert employee["hr"]["position"] is None
    assert employee["equipment"]["items"] is None
    assert world.sources.calls == []
    assert gate_of(body, "employee.domain.locked")["denied"] == 1


async def test_a_protected_person_is_denied_by_the_row(world: World) -> None:
    body = await world.ask("anna.sorokina", CARD, id=MAXIM_ID)
    assert body["data"]["employee"]["login"] is None
    assert body["data"]["employee"]["domain"]["meta"]["state"] == "DENIED"
    assert world.sources.calls == []


async def test_the_hr_desk_reads_confidential_fields_and_leaves_one_record(world: World) -> None:
    body = await world.ask("elena.kim", CARD, id=IVAN_ID)
    employee = body["data"]["employee"]
    assert employee["hr"]["birthDate"] == "1990-05-06"
    assert employee["hr"]["salary"] is None
    (event,) = world.journal.of_type("sensitive.read")
    assert event.actor is not None
    assert event.subject is not None
    assert event.actor.login == "elena.kim"
    assert (event.subject.kind, event.subject.id, event.subject.label) == ("Employee", IVAN.id, "ivan.petrov")
    assert event.detail == {"fields": ["HrSection.birthDate"]}
    assert event.policy_version == world.parts.policy.version
    assert event.request_id == "request-1"


async def test_the_record_does_not_name_the_employee_by_what_the_reader_may_not_read(world: World) -> None:
    rights = Rights(
        frozenset({"hr_compensation"}),
        countries=frozenset({"RU"}),
        facts=frozenset({"session", "second_factor", "working_hours"}),
    )
    reader = replace(world.actor("elena.kim"), rights=rights)
    body = await world.ask(
        reader,
        "query ($id: ID!) { employee(id: $id) { login hr { salary { minorUnits currency } } } }",
        id=IVAN_ID,
    )
    assert body["data"]["employee"] == {
        "login": None,
        "hr": {"salary": {"minorUnits": 123_456_789_012, "currency": "RUB"}},
    }
    (event,) = world.journal.of_type("sensitive.read")
    assert event.subject is not None
    assert (event.subject.id, event.subject.label) == (IVAN.id, None)


async def test_reading_nothing_sensitive_leaves_no_record(world: World) -> None:
    await world.ask("anna.sorokina", CARD, id=IVAN_ID)
    assert world.journal.events == []


async def test_sensitive_fields_are_withheld_when_the_journal_is_away(world: World) -> None:
    world.journal.away = True
    answer = await world.answer("elena.kim", CARD, {"id": IVAN_ID})
    assert "data" not in answer.body
    assert "1990" not in str(answer.body)
    assert answer.body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert answer.status == 503


async def test_a_sensitive_list_leaves_one_record_that_names_every_employee(world: World) -> None:
    query = "{ employees(first: 100) { edges { node { hr { birthDate } } } } }"
    await world.ask("elena.kim", query)
    (event,) = world.journal.of_type("sensitive.read")
    assert event.subject is None
    labels = {each["label"] for each in event.detail["employees"]}
    assert "ivan.petrov" in labels
    assert "maxim.egorov" not in labels  # protected


async def test_a_source_that_is_down_costs_its_own_section(world: World) -> None:
    world.sources.down["domain"] = SourceFailure("TIMEOUT", "no answer within 2 s")
    body = await world.ask("anna.sorokina", CARD, id=IVAN_ID)
    employee = body["data"]["employee"]
    assert employee["domain"]["meta"]["state"] == "FAILED"
    assert employee["domain"]["locked"] is None
    assert employee["hr"]["meta"]["state"] == "OK"
    assert "errors" not in body


async def test_meta_alone_tells_whether_anything_of_the_section_may_be_read(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { domain { meta { state } } } }"
    allowed = await world.ask("anna.sorokina", query, id=IVAN_ID)
    denied = await world.ask("anna.sorokina", query, id=AMINA_ID)
    assert allowed["data"]["employee"]["domain"]["meta"]["state"] == "OK"
    assert denied["data"]["employee"]["domain"]["meta"]["state"] == "DENIED"
    assert world.sources.calls == [("domain", IVAN.personnel_number)]


async def test_a_section_of_which_only_denied_fields_are_asked_is_denied(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { hr { meta { state } salary { minorUnits currency } } } }"
    body = await world.ask("anna.sorokina", query, id=IVAN_ID)
    assert body["data"]["employee"]["hr"] == {"meta": {"state": "DENIED"}, "salary": None}
    assert world.sources.calls == []


async def test_a_list_counts_rows_allowed_and_denied_once_for_each_selection(world: World) -> None:
    body = await world.ask(
        "anna.sorokina", "{ employees(first: 100) { edges { cursor node { id mail: email } } } }"
    )
    edges = body["data"]["employees"]["edges"]
    by_id = {edge["node"]["id"]: edge["node"]["mail"] for edge in edges}
    assert by_id[IVAN_ID] == "ivan.petrov@okno.example"
    assert by_id[AMINA_ID] is None
    line = gate_of(body, "employees.edges[].node.mail")
    assert (line["allowed"], line["denied"]) == (4, 2)


async def test_what_may_not_be_read_cannot_be_found_by_it(world: World) -> None:
    query = "query ($text: String) { employees(search: $text, first: 20) { edges { node { displayName } } } }"
    by_login = await world.ask("anna.sorokina", query, text="amina.okafor")
    by_name = await world.ask("anna.sorokina", query, text="okafor")
    assert [edge["node"]["displayName"] for edge in by_name["data"]["employees"]["edges"]] == ["Amina Okafor"]
    assert by_login["data"]["employees"]["edges"] == []


async def test_pages_are_bounded_and_cursors_go_on(world: World) -> None:
    query = """query ($first: Int!, $after: String) {
      employees(first: $first, after: $after) {
        edges { node { displayName } } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""
    first = (await world.ask("anna.sorokina", query, first=4))["data"]["employees"]
    assert first["pageInfo"]["hasNextPage"] is True
    second = (await world.ask("anna.sorokina", query, first=4, after=first["pageInfo"]["endCursor"]))["data"][
        "employees"
    ]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)
    assert len(first["edges"]) + len(second["edges"]) == 6
    for wrong in (0, 101, -1):
        body = await world.ask("anna.sorokina", query, first=wrong)
        assert body["data"]["employees"] is None
        assert body["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_me_tells_teams_roles_and_permissions(world: World) -> None:
    query = "{ me { kind login displayName teams { id title } roles permissions employee { login } } }"
    me = (await world.ask("anna.sorokina", query))["data"]["me"]
    assert me["login"] == "anna.sorokina"
    assert me["teams"][0] == {
        "id": "first-line-cis",
        "title": {"en": "First line, CIS", "ru": "Первая линия, СНГ"},
    }
    assert me["roles"] == ["domain_operator", "first_line", "support"]
    assert "people.search" in me["permissions"]
    assert me["employee"] == {"login": "anna.sorokina"}


async def test_managers_are_the_chain_upwards(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { manager { login } managers { login } } }"
    body = await world.ask("anna.sorokina", query, id=IVAN_ID)
    assert body["data"]["employee"] == {
        "manager": {"login": "boss.bossov"},
        "managers": [{"login": "boss.bossov"}],
    }


async def test_nodes_and_federation_entities_pass_the_same_gate(world: World) -> None:
    query = """query ($id: ID!, $other: ID!, $r: [_Any!]!) {
      node(id: $id) { id ... on Employee { login domain { locked } } ... on AuditRecord { hash } }
      nodes(ids: [$other]) { ... on Employee { displayName login } }
      _entities(representations: $r) { ... on Employee { displayName login } } }"""
    representations = [{"__typename": "Employee", "id": AMINA_ID}]
    body = await world.ask("anna.sorokina", query, id=IVAN_ID, other=AMINA_ID, r=representations)
    assert "errors" not in body
    assert body["data"]["node"] == {"id": IVAN_ID, "login": "ivan.petrov", "domain": {"locked": True}}
    assert body["data"]["nodes"] == [{"displayName": "Amina Okafor", "login": None}]
    assert body["data"]["_entities"] == [{"displayName": "Amina Okafor", "login": None}]
    paths = [line["path"] for line in body["extensions"]["gate"]]
    assert "node.hash" not in paths, "a type that was not met is not reported"
    assert gate_of(body, "_entities[].login")["denied"] == 1


async def test_wrong_federation_representations_are_errors_of_their_own(world: World) -> None:
    query = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Employee { displayName } } }"
    wrong = [
        {"__typename": "Query"},
        7,
        {"__typename": "Employee"},
        {"__typename": "Employee", "id": IVAN_ID},
    ]
    body = await world.ask("anna.sorokina", query, r=wrong)
    assert body["data"]["_entities"] == [None, None, None, {"displayName": "Иван Петров"}]
    assert [error["path"] for error in body["errors"]] == [
        ["_entities", 0],
        ["_entities", 1],
        ["_entities", 2],
    ]


async def test_unknown_ids_are_null_and_malformed_ones_are_told(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { id } node(id: $id) { id } }"
    unknown = await world.ask("anna.sorokina", query, id=employee_id(employee_uuid("999999")))
    assert unknown["data"] == {"employee": None, "node": None}
    assert "errors" not in unknown
    malformed = await world.ask("anna.sorokina", query, id="nonsense")
    assert malformed["data"] == {"employee": None, "node": None}
    assert {error["extensions"]["code"] for error in malformed["errors"]} == {"INVALID_INPUT"}


async def test_a_service_reads_what_its_scopes_say(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { displayName login hr { meta { state } birthDate } } }"
    granted = await world.ask(world.service_actor("employees.read"), query, id=IVAN_ID)
    assert granted["data"]["employee"]["login"] == "ivan.petrov"
    assert granted["data"]["employee"]["hr"] == {"meta": {"state": "DENIED"}, "birthDate": None}
    without = await world.ask(world.service_actor(), query, id=IVAN_ID)
    assert without["data"] == {"employee": None}


async def test_one_request_asks_each_source_and_each_query_once(world: World) -> None:
    query = """query ($id: ID!) {
      a: employee(id: $id) { hr { position } } b: employee(id: $id) { hr { fullName } login }
      node(id: $id) { ... on Employee { hr { hireDate } } } }"""
    await world.ask("anna.sorokina", query, id=IVAN_ID)
    assert world.sources.calls == [("hr", IVAN.personnel_number)]
    assert world.people.queries == 1


async def test_widgets_are_those_of_the_teams_card_that_show_something(world: World) -> None:
    query = '{ widgets(slot: "employee-card") { id version view slot manifest document } }'
    anna = (await world.ask("anna.sorokina", query))["data"]["widgets"]
    assert [widget["id"] for widget in anna][:2] == ["person-summary", "domain-account"]
    assert anna[0]["manifest"]["title"]["ru"]
    assert "$employee" in anna[1]["document"]
    pavel = (await world.ask("pavel.zaitsev", query))["data"]["widgets"]
    assert "equipment" in [widget["id"] for widget in pavel]
    assert (await world.ask("anna.sorokina", '{ widgets(slot: "nowhere") { id } }'))["data"]["widgets"] == []


async def test_sources_are_for_those_who_may_open_them(world: World) -> None:
    query = "{ sources { id title state breaker latencyMs lastSuccessAt lastError { code } } }"
    assert len((await world.ask("anna.sorokina", query))["data"]["sources"]) == len(world.parts.manifests)
    assert (await world.ask(world.service_actor("employees.read"), query))["data"]["sources"] is None


async def test_the_journal_shows_everything_to_the_auditor_and_only_own_records_to_others(
    world: World,
) -> None:
    await world.ask("elena.kim", CARD, id=IVAN_ID)
    query = (
        "{ auditRecords(first: 10) { edges { node { id eventType title actorLogin subjectId hash seq } } } }"
    )
    vera = (await world.ask("vera.lis", query))["data"]["auditRecords"]["edges"]
    assert [edge["node"]["actorLogin"] for edge in vera] == ["elena.kim"]
    assert vera[0]["node"]["subjectId"] == IVAN_ID
    assert vera[0]["node"]["title"]["ru"]
    elena = (await world.ask("elena.kim", query))["data"]["auditRecords"]["edges"]
    assert len(elena) == 1
    anna = (await world.ask("anna.sorokina", query))["data"]["auditRecords"]["edges"]
    assert anna == []
    record_id = vera[0]["node"]["id"]
    node = "query ($id: ID!) { node(id: $id) { id } }"
    assert (await world.ask("vera.lis", node, id=record_id))["data"]["node"] == {"id": record_id}
    assert (await world.ask("anna.sorokina", node, id=record_id))["data"]["node"] is None


async def test_a_fault_in_the_code_of_a_source_costs_its_own_section(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = world.sources.read

    async def broken(source_id: str, keys: PersonKeys) -> SectionResult:
        if source_id == "hr":
            raise RuntimeError("a mistake in a connector")
        return await read(source_id, keys)

    monkeypatch.setattr(world.sources, "read", broken)
    employee = (await world.ask("anna.sorokina", CARD, id=IVAN_ID))["data"]["employee"]
    assert employee["hr"]["meta"] == {"state": "FAILED", "error": {"code": "BAD_ANSWER"}}
    assert employee["domain"]["locked"] is True


async def test_the_sections_of_a_card_are_read_at_the_same_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = world.sources.read
    under_way, all_there = 0, asyncio.Event()

    async def waiting(source_id: str, keys: PersonKeys) -> SectionResult:
        nonlocal under_way
        under_way += 1
        if under_way == 3:
            all_there.set()
        await all_there.wait()
        return await read(source_id, keys)

    monkeypatch.setattr(world.sources, "read", waiting)
    context = world.server.context(world.actor("anna.sorokina"), "r")
    part = "query ($id: ID!) {{ employee(id: $id) {{ {} {{ meta {{ state }} }} }} }}"
    operations = [Operation(part.format(name), {"id": IVAN_ID}) for name in ("hr", "domain", "equipment")]
    answers = await world.server.answer(context, operations)
    assert [list(answer.body["data"]["employee"]) for answer in answers] == [
        ["hr"],
        ["domain"],
        ["equipment"],
    ]
