"""Whatever is sent, by whomever: an answer of the right shape, never a fault of the server.

Documents are generated from the schema (hypothesis-graphql), and then also broken: tokens are dropped, doubled, swapped and put
in from elsewhere. OKNO_FUZZ_EXAMPLES sets how many each test tries, anew each time; without it the same few hundred are tried.
"""

import asyncio
import os
import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import httpx
import orjson
import pytest
from graphql import GraphQLObjectType, print_schema
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, mutations, nodes, queries
from starlette.applications import Starlette

from okno.graph.errors import CODES
from okno.graph.gate import Gate
from okno.graph.http import graphql_routes
from okno.graph.trusted import document_id, with_typenames
from okno.identity.teams import Teams
from tests.api.fakes import FakeIdentity
from tests.api.world import AMINA_ID, IVAN_ID, MAXIM_ID, ROOT, Parts, World

EXAMPLES = int(os.environ.get("OKNO_FUZZ_EXAMPLES", "0"))
fuzz = settings(
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

LOGINS = sorted(each.login for each in Teams.load(ROOT / "config" / "roles").list_demo_people())
NOBODY, TOOL, BLIND_TOOL = "nobody", "tool", "blind-tool"
ACTORS = st.sampled_from([*LOGINS, NOBODY, TOOL, BLIND_TOOL])

STATUSES = {200, 400, 401, 403, 405, 406, 413, 414, 415}
CORPUS = [
    *(file.read_text() for file in sorted((ROOT / "widgets").rglob("*.graphql"))),
    *(file.read_text() for file in sorted((ROOT / "frontend" / "src").rglob("*.graphql"))),
    "{ __schema { types { name fields(includeDeprecated: true) { name args { defaultValue } } } } }",
    "query ($a: Int = 1, $b: [ID!]!) @x { n: nodes(ids: $b) { ... on Employee @include(if: true) { ...F } } __typename } "
    "fragment F on Employee { id manager { ...G } } fragment G on Node { id }",
    'mutation { a: operationRun(input: {operation: "domain.unlock", employee: "x", previewToken: "", '
    'idempotencyKey: "k", input: {a: [1, -2.5e3, null, {b: ENUM}]}}) { outcome errors { code field } } }',
    "subscription { auditRecordAdded { id } }",
    '{ _service { sdl } _entities(representations: [{__typename: "Employee", id: "x"}]) { ... on Employee { login } } }',
]
_TOKEN = re.compile(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\n])*"|\.\.\.|[A-Za-z_]\w*|-?\d[\d.eE+-]*|\s+|.')
VOCABULARY = [
    *"{}()[]:=!|&$@",
    *(
        "...",
        '""',
        '"""x"""',
        '"\\u0000"',
        "null",
        "true",
        "-0",
        "2147483648",
        "1e400",
        "9" * 30,
        "# a\n",
        "\ufeff",
    ),
    *(
        "on",
        "query",
        "mutation",
        "subscription",
        "fragment",
        "type",
        "extend",
        "@skip(if: true)",
        "@include(if: $v)",
    ),
    *("$v", "a:", "__typename", "__schema", "__type", f'"{IVAN_ID}"', f'"{MAXIM_ID}"', f'"{AMINA_ID}"'),
]
SCALARS = {
    "Date": st.sampled_from(["2026-01-02", "", "2026-13-45"]).map(nodes.String),
    "DateTime": st.sampled_from(["2026-01-02T03:04:05Z", "yesterday"]).map(nodes.String),
    "Int64": st.integers().map(lambda value: nodes.String(str(value))),
    "JSON": st.sampled_from([nodes.Null, nodes.String("x"), nodes.Int(1)]),
    "_Any": st.just(nodes.Object([])),
}


@cache
def parts() -> Parts:
    """Read when the first document is drawn, not when tests are collected."""
    return Parts.load()


@cache
def vocabulary() -> list[str]:
    """What is put into documents to break them: punctuation, odd values, and every name of the schema."""
    types = parts().graph.core.type_map
    fields = {name for kind in types.values() if isinstance(kind, GraphQLObjectType) for name in kind.fields}
    return [*VOCABULARY, *sorted(types), *sorted(fields)]


@cache
def sdl() -> str:
    return print_schema(parts().graph.core)


VALID = st.deferred(
    lambda: st.one_of(queries(sdl(), custom_scalars=SCALARS), mutations(sdl(), custom_scalars=SCALARS))
)
INVALID = st.deferred(lambda: queries(sdl(), custom_scalars=SCALARS, mode=Mode.NEGATIVE))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([IVAN_ID, MAXIM_ID, AMINA_ID, "domain.unlock"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A document of the corpus or a generated one, with a few of its tokens changed."""
    text = draw(st.sampled_from(CORPUS) | VALID)
    tokens = _TOKEN.findall(text)
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(tokens) + 1)
        match chance.randrange(5):
            case 0:
                del tokens[place : place + chance.randint(1, 4)]
            case 1:
                tokens[place:place] = [" ", chance.choice(vocabulary()), " "]
            case 2:
                tokens[place:place] = tokens[place : place + chance.randint(1, 30)] * chance.randint(1, 20)
            case 3:
                tokens[place : place + 1] = [chance.choice(vocabulary())]
            case _:
                other = chance.randrange(len(tokens) + 1)
                tokens[place:place] = tokens[other : other + chance.randint(1, 20)]
    return "".join(tokens)


class Server:
    """The endpoint in this process; one company for all that is tried."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self.world = World(parts())
        actors = {login: self.world.actor(login) for login in LOGINS}
        actors[TOOL] = self.world.service_actor(*sorted(parts().policy.scopes))
        actors[BLIND_TOOL] = self.world.service_actor("employees.read")
        self.curious = {
            login
            for login, actor in actors.items()
            if Gate(parts().policy, actor).may_use("introspection.use")
        }
        routes = graphql_routes(parts().graph, self.world.services, cast(Any, FakeIdentity(actors)))
        transport = httpx.ASGITransport(app=Starlette(routes=routes))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")

    def post(self, actor: str, body: Any, **headers: str) -> httpx.Response:
        """Sends a body as somebody, or as nobody."""
        headers = {
            "content-type": "application/json",
            "accept": "application/graphql-response+json",
            **headers,
        }
        if actor != NOBODY:
            headers["authorization"] = f"Bearer {actor}"
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return self._runner.run(self._client.post("/graphql", content=content, headers=headers))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def check(self, actor: str, response: httpx.Response) -> None:
        """Fails unless the answer is one that the specification and Okno promise."""
        told = f"{actor}: {response.status_code} {response.text[:2_000]}"
        assert response.status_code in STATUSES, told
        assert response.headers["x-request-id"], told
        assert response.headers["content-type"].endswith("json; charset=utf-8"), told
        found = orjson.loads(response.content)
        for answer in found if isinstance(found, list) else [found]:
            assert answer.keys() <= {"data", "errors", "extensions"}, told
            assert "data" in answer or answer["errors"], told
            for error in answer.get("errors", ()):
                assert error["message"], told
                assert error["extensions"]["requestId"], told
                assert error["extensions"]["code"] in CODES, told
                assert error["extensions"]["code"] != "INTERNAL", told
                assert actor in self.curious or "Did you mean" not in error["message"], told
        if isinstance(found, dict):
            assert ("data" in found) == (response.status_code == 200), told
        if actor == NOBODY:
            assert response.status_code == 401, told


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@fuzz
@given(actor=ACTORS, query=VALID)
def test_documents_that_fit_the_schema_are_answered(server: Server, actor: str, query: str) -> None:
    server.check(actor, server.post(actor, {"query": query}))


@fuzz
@given(
    actor=ACTORS,
    query=INVALID | broken(),
    variables=st.none() | st.dictionaries(st.sampled_from("abv"), VALUES),
)
def test_documents_that_do_not_fit_are_one_clear_answer(
    server: Server, actor: str, query: str, variables: Any
) -> None:
    server.check(actor, server.post(actor, {"query": query, "variables": variables}))


@fuzz
@given(
    actor=ACTORS,
    variables=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("employee", "id", "first", "last", "after", "before", "search", "ids", "r"), VALUES
        )
        | {
            "input": VALUES
            | st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(
                    ("operation", "employee", "previewToken", "idempotencyKey", "input"), VALUES
                ),
            )
        },
    ),
)
@example(actor=TOOL, variables={"first": 5, "after": "x"})
@example(actor=TOOL, variables={"r": [{"__typename": "Employee", "id": []}]})
def test_variables_of_any_form_are_one_clear_answer(
    server: Server, actor: str, variables: dict[str, Any]
) -> None:
    query = """
        query ($employee: ID!, $first: Int, $last: Int, $after: String, $before: String, $search: String) {
          employee(id: $employee) { login hr { position } }
          employees(first: $first, last: $last, after: $after, before: $before, search: $search) { edges { cursor } }
          auditRecords(first: $first, last: $last, after: $after, before: $before, employee: $employee) {
            edges { node { id } } } }"""
    batch = [
        {"query": query, "variables": variables},
        {"query": "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", "variables": variables},
        {
            "query": "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
            "variables": variables,
        },
        {
            "query": "mutation ($input: OperationRunInput!) { operationRun(input: $input) { errors { code } } }",
            "variables": variables,
        },
        {
            "query": "mutation ($input: OperationPreviewInput!) { operationPreview(input: $input) { errors { code } } }",
            "variables": variables,
        },
        {"documentId": document_id(with_typenames(CORPUS[0])), "variables": variables},
    ]
    server.check(actor, server.post(actor, batch))


@fuzz
@given(actor=ACTORS, body=st.binary(max_size=200) | VALUES.map(lambda value: _json(value)))
def test_bodies_of_any_form_are_one_clear_answer(server: Server, actor: str, body: bytes) -> None:
    server.check(actor, server.post(actor, body))


@fuzz
@given(
    actor=ACTORS,
    accept=st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=40)
    .map(str.strip)
    .filter(lambda text: "event-stream" not in text.lower()),  # those are answered with events
)
def test_headers_of_any_form_are_one_clear_answer(server: Server, actor: str, accept: str) -> None:
    server.check(
        actor, server.post(actor, {"query": "{ me { id } }"}, **{"accept": accept, "x-okno-client": accept})
    )


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps({"query": value, "variables": value, "operationName": value})
    except (TypeError, orjson.JSONEncodeError):
        return b"null"
