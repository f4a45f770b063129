"""Trusted documents: registered at start, weighed once, run by their id; in production a browser runs nothing else."""

import hashlib
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
from starlette.applications import Starlette

from okno.errors import ConfigurationError
from okno.graph.documents import DocumentReader
from okno.graph.http import graphql_routes
from okno.graph.trusted import TrustedDocuments, document_id, with_typenames
from okno.graph.widget_documents import WidgetDocuments
from okno.settings import GraphqlSettings
from tests.api.fakes import FakeIdentity
from tests.api.world import IVAN_ID, ROOT, World

LOGIN = "query Login($id: ID!) {\n  employee(id: $id) {\n    login\n  }\n}"
TWO = "query Names { me { login } } query Teams { me { teams { id } } }"
BROWSER = {"cookie": "okno_session=anna.sorokina", "x-okno-csrf": "csrf"}


def built(directory: Path, *texts: str) -> Path:
    """A built front end whose operations these are."""
    found = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    (directory / "documents.json").write_bytes(orjson.dumps(found))
    return directory


def client(world: World, directory: Path | None = None, *, production: bool = True) -> httpx.AsyncClient:
    """An HTTP client of the endpoint as a deployment serves it."""
    identity = FakeIdentity({"anna.sorokina": world.actor("anna.sorokina")})
    routes = graphql_routes(
        world.parts.graph,
        world.services,
        cast(Any, identity),
        frontend_dir=directory,
        browsers_are_free=not production,
    )
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    found: str = error["extensions"]["code"]
    return found


async def test_a_registered_document_runs_by_its_id(world: World, tmp_path: Path) -> None:
    async with client(world, built(tmp_path, LOGIN, TWO)) as http:
        body: dict[str, Any] = {"documentId": document_id(LOGIN), "variables": {"id": IVAN_ID}}
        posted = await http.post("/graphql", json=body, headers=BROWSER)
        assert posted.json()["data"] == {"employee": {"login": "ivan.petrov"}}
        got = await http.get(
            "/graphql",
            params={**body, "variables": orjson.dumps(body["variables"]).decode()},
            headers=BROWSER,
        )
        assert got.json()["data"] == posted.json()["data"]
        named = {"documentId": document_id(TWO), "operationName": "Names"}
        batch = await http.post("/graphql", json=[named, body], headers=BROWSER)
        assert [each["data"] for each in batch.json()] == [
            {"me": {"login": "anna.sorokina"}},
            {"employee": {"login": "ivan.petrov"}},
        ]


async def test_an_unknown_id_is_one_clear_error(world: World, tmp_path: Path) -> None:
    async with client(world, built(tmp_path, LOGIN)) as http:
        for given in (document_id(TWO), LOGIN, "sha256:", document_id(LOGIN).upper()):
            response = await http.post("/graphql", json={"documentId": given}, headers=BROWSER)
            assert (response.status_code, code(response)) == (400, "PERSISTED_DOCUMENT_NOT_FOUND")


@pytest.mark.parametrize("body", [{"documentId": 7}, {"documentId": document_id(LOGIN), "query": LOGIN}])
async def test_a_request_names_one_document(world: World, tmp_path: Path, body: dict[str, Any]) -> None:
    async with client(world, built(tmp_path, LOGIN)) as http:
        response = await http.post("/graphql", json=body, headers=BROWSER)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_in_production_a_browser_runs_no_other_document(world: World, tmp_path: Path) -> None:
    directory = built(tmp_path, LOGIN)
    free = {"query": "{ me { login } }"}
    async with client(world, directory) as http:
        refused = await http.post("/graphql", json=free, headers=BROWSER)
        assert (refused.status_code, code(refused)) == (400, "DOCUMENT_NOT_TRUSTED")
        same = await http.post(
            "/graphql", json={"query": LOGIN, "variables": {"id": IVAN_ID}}, headers=BROWSER
        )
        assert code(same) == "DOCUMENT_NOT_TRUSTED", "the text does not make a document trusted, its id does"
        got = await http.get("/graphql", params=free, headers=BROWSER)
        assert code(got) == "DOCUMENT_NOT_TRUSTED"
    async with client(world, directory, production=False) as http:
        assert (await http.post("/graphql", json=free, headers=BROWSER)).json()["data"]


async def test_tokens_run_both(world: World, tmp_path: Path) -> None:
    tool = world.service_actor("employees.read")
    identity = FakeIdentity({"tool": tool})
    directory = built(tmp_path, LOGIN)
    routes = graphql_routes(
        world.parts.graph,
        world.services,
        cast(Any, identity),
        frontend_dir=directory,
        browsers_are_free=False,
    )
    transport = httpx.ASGITransport(app=Starlette(routes=routes))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost:8000", headers={"authorization": "Bearer tool"}
    ) as http:
        for body in (
            {"query": "{ me { login } }"},
            {"documentId": document_id(LOGIN), "variables": {"id": IVAN_ID}},
        ):
            response = await http.post("/graphql", json=body)
            assert "errors" not in response.json(), response.text


async def test_a_trusted_document_is_held_to_its_budget_and_not_to_the_limits(
    world: World, tmp_path: Path
) -> None:
    many = "{ " + " ".join(f"a{n}: me {{ login }}" for n in range(40)) + " }"
    async with client(world, built(tmp_path, many), production=False) as http:
        response = await http.post("/graphql", json={"documentId": document_id(many)}, headers=BROWSER)
        assert response.json()["extensions"]["cost"] == {"requested": 40, "spent": 40, "limit": 5_000}
        assert code(await http.post("/graphql", json={"query": many}, headers=BROWSER)) == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("query Wrong { me { nothing } }", "(Wrong): Cannot query field 'nothing' on type 'Me'."),
        ("query Broken {", "(no syntax): Syntax Error: Expected Name, found <EOF>."),
        (
            "query Costly($n: Int) { employees(first: $n) { edges { node { managers { managers { id } } } } } }",
            "(Costly): may cost 11205 points; at most 5000 are allowed (graphql.trusted_cost)",
        ),
    ],
)
def test_what_does_not_fit_stops_the_start_with_the_file_named(
    world: World, tmp_path: Path, text: str, problem: str
) -> None:
    reader = DocumentReader(world.parts.graph.core)
    with pytest.raises(ConfigurationError) as stopped:
        TrustedDocuments.load(reader, frontend_dir=built(tmp_path, text, LOGIN))
    assert str(tmp_path / "documents.json") in stopped.value.message
    assert problem in stopped.value.message


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 7}', '{"abc": "{ me { id } }"}'])
def test_a_file_that_is_no_register_stops_the_start(world: World, tmp_path: Path, content: str) -> None:
    (tmp_path / "documents.json").write_text(content)
    with pytest.raises(ConfigurationError, match="build the front end"):
        TrustedDocuments.load(DocumentReader(world.parts.graph.core), frontend_dir=tmp_path)


async def test_every_widget_runs_by_the_id_that_the_schema_tells(world: World) -> None:
    listed = await world.ask("anna.sorokina", '{ widgets(slot: "employee-card") { id document documentId } }')
    widgets = listed["data"]["widgets"]
    assert widgets
    async with client(world) as http:
        for widget in widgets:
            assert widget["documentId"] == document_id(with_typenames(widget["document"]))
            body = {"documentId": widget["documentId"], "variables": {"employee": IVAN_ID}}
            response = await http.post("/graphql", json=body, headers=BROWSER)
            assert response.json()["data"]["employee"]["__typename"] == "Employee", widget["id"]


def test_typenames_are_added_where_caches_of_clients_want_them() -> None:
    text = "query A { me { id ...F ... on Me { login } __typename } } fragment F on Me { teams { id } }"
    added = """query A {
  me {
    id
    ...F
    ... on Me {
      login
      __typename
    }
    __typename
  }
}

fragment F on Me {
  teams {
    id
    __typename
  }
  __typename
}"""
    assert with_typenames(text) == added
    assert with_typenames(added) == added
    assert "kind: __typename\n    __typename\n" in with_typenames("{ me { kind: __typename } }")


def test_a_widget_over_its_budget_is_told_with_its_cost(world: World) -> None:
    costly = "query ($employee: ID!) { employee(id: $employee) { managers { managers { login } } } }"
    facts = WidgetDocuments(world.parts.graph.core, GraphqlSettings(trusted_cost=50))(costly)
    assert facts.problems == (
        "may cost 111 points; at most 50 are allowed (graphql.trusted_cost); "
        "ask for fewer fields with objects, or for shorter lists",
    )
    assert WidgetDocuments(world.parts.graph.core)(costly).problems == ()


def test_the_operations_of_this_repositorys_front_end_fit_their_budget(world: World) -> None:
    reader = DocumentReader(world.parts.graph.core)
    trusted = TrustedDocuments(reader)
    for file in sorted((ROOT / "frontend" / "src").rglob("*.graphql")):
        assert trusted.register(with_typenames(file.read_text())) == [], file
    assert len(trusted) >= 3
