"""Okno as a subgraph: composed with one of another team, and asked through Hive's gateway in the caller's name."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.peers.okno import NodeServer, Okno, run_node
from tests.stack import ROOT

pytestmark = [pytest.mark.xdist_group("stack-graphql"), pytest.mark.timeout(120)]

IN_RUSSIA, IN_NIGERIA, PROTECTED = "Иван Петров", "Amina Okafor", "Максим Егоров"
DESKS = {IN_RUSSIA: "4-017", IN_NIGERIA: "2-101", PROTECTED: "9-001"}
ACROSS_BOTH = """query ($ids: [ID!]!) { desksOf(employees: $ids) {
    id desk displayName login badge domain { meta { state } locked } } }"""


class Router:
    """The gateway in front of both subgraphs."""

    def __init__(self, okno: Okno) -> None:
        self.okno = okno
        self.ids = {name: okno.employee_id(name) for name in DESKS}
        sdl = okno.ask(okno.service_token("schema-reader", "schema.read"), "{ _service { sdl } }")
        given = {
            "endpoint": okno.endpoint,
            "sdl": sdl["data"]["_service"]["sdl"],
            "desks": {self.ids[name]: desk for name, desk in DESKS.items()},
            "rooms": {"Baikal": self.ids[IN_RUSSIA]},
        }
        self.server = NodeServer("federation/router.mjs", given)

    def ask(self, login: str | None, query: str, **variables: Any) -> dict[str, Any]:
        """Runs a document at the gateway in the name of a demo person, or of nobody."""
        headers = {} if login is None else {"authorization": f"Bearer {self.okno.token(login)}"}
        body = {"query": query, "variables": variables}
        answer: dict[str, Any] = self.server.post("/graphql", body, **headers)
        return answer

    def heard(self) -> list[dict[str, Any]]:
        """What has reached the other subgraph since it was asked last."""
        heard: list[dict[str, Any]] = self.server.post("/heard", {})
        return heard


@pytest.fixture(scope="module")
def router(okno: Okno) -> Iterator[Router]:
    router = Router(okno)
    yield router
    router.server.stop()


def test_the_schema_composes_with_a_subgraph_that_extends_employees() -> None:
    composed = run_node("federation/compose.mjs", {"okno": (ROOT / "schema.graphql").read_text()})
    assert composed["errors"] == []
    employee = composed["api"].partition("type Employee implements Node {")[2].partition("\n}")[0]
    assert {"  displayName: String", "  domain: DomainSection!", "  desk: String"} <= set(
        employee.split("\n")
    )
    assert "_entities" not in composed["api"]


def test_a_query_goes_across_both_subgraphs_and_back(router: Router) -> None:
    answer = router.ask("anna.sorokina", ACROSS_BOTH, ids=[router.ids[IN_RUSSIA]])
    assert answer == {
        "data": {
            "desksOf": [
                {
                    "id": router.ids[IN_RUSSIA],
                    "desk": "4-017",
                    "displayName": IN_RUSSIA,
                    "login": "ivan.petrov",
                    "badge": "ivan.petrov, desk 4-017",
                    "domain": {"meta": {"state": "OK"}, "locked": True},
                }
            ]
        }
    }


def test_what_okno_begins_the_other_subgraph_goes_on_with(router: Router) -> None:
    query = "query ($s: String!) { employees(search: $s, first: 1) { edges { node { displayName desk } } } }"
    answer = router.ask("anna.sorokina", query, s=IN_RUSSIA)
    assert answer["data"]["employees"]["edges"] == [{"node": {"displayName": IN_RUSSIA, "desk": "4-017"}}]


def test_each_caller_sees_through_the_router_what_the_policy_lets_them_see(router: Router) -> None:
    ids = [router.ids[IN_RUSSIA], router.ids[IN_NIGERIA], router.ids[PROTECTED]]
    seen = {}
    for login in ("anna.sorokina", "kwame.mensah"):
        answer = router.ask(login, ACROSS_BOTH, ids=ids)
        assert "errors" not in answer
        seen[login] = [
            (each["displayName"] is not None, each["login"], each["domain"]["meta"]["state"])
            for each in answer["data"]["desksOf"]
        ]
    assert seen == {
        "anna.sorokina": [(True, "ivan.petrov", "OK"), (True, None, "DENIED"), (True, None, "DENIED")],
        "kwame.mensah": [(True, None, "DENIED"), (True, "amina.okafor", "OK"), (True, None, "DENIED")],
    }


def test_what_the_gate_hides_reaches_no_other_subgraph(router: Router) -> None:
    router.heard()
    answer = router.ask("anna.sorokina", ACROSS_BOTH, ids=[router.ids[PROTECTED]])
    assert answer["data"]["desksOf"][0]["badge"] is None
    told = [each for request in router.heard() for each in request.get("representations", [])]
    assert [(each["id"], each.get("login")) for each in told] == [(router.ids[PROTECTED], None)]


def test_the_callers_authorization_is_forwarded_to_both(router: Router) -> None:
    router.heard()
    query = '{ me { login } room(name: "Baikal") { responsible { login desk } } }'
    answer = router.ask("anna.sorokina", query)
    assert answer["data"] == {
        "me": {"login": "anna.sorokina"},
        "room": {"responsible": {"login": "ivan.petrov", "desk": "4-017"}},
    }
    assert {request["authorization"] for request in router.heard()} == {
        f"Bearer {router.okno.token('anna.sorokina')}"
    }


def test_nobody_sees_nothing_and_is_told_why(router: Router) -> None:
    answer = router.ask(None, '{ room(name: "Baikal") { name responsible { displayName } } }')
    assert answer["data"] == {"room": {"name": "Baikal", "responsible": {"displayName": None}}}
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


def test_an_employee_that_there_is_not_is_null_beside_those_that_there_are(router: Router) -> None:
    nobody = "RW1wbG95ZWU6MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw"
    query = "query ($ids: [ID!]!) { desksOf(employees: $ids) { id displayName } }"
    answer = router.ask("anna.sorokina", query, ids=[router.ids[IN_RUSSIA], nobody])
    assert answer == {
        "data": {
            "desksOf": [
                {"id": router.ids[IN_RUSSIA], "displayName": IN_RUSSIA},
                {"id": nobody, "displayName": None},
            ]
        }
    }


def test_a_sensitive_read_through_the_router_is_recorded_in_the_callers_name(router: Router) -> None:
    query = "query ($ids: [ID!]!) { desksOf(employees: $ids) { hr { birthDate } } }"
    answer = router.ask("elena.kim", query, ids=[router.ids[IN_RUSSIA]])
    assert answer["data"]["desksOf"][0]["hr"]["birthDate"]
    query = "query ($id: ID!) { auditRecords(first: 1, employee: $id) { edges { node { eventType actorLogin detail } } } }"
    record = router.okno.ask(router.okno.token("elena.kim"), query, id=router.ids[IN_RUSSIA])
    assert record["data"]["auditRecords"]["edges"][0]["node"] == {
        "eventType": "sensitive.read",
        "actorLogin": "elena.kim",
        "detail": {"fields": ["HrSection.birthDate"]},
    }
