"""/graphql over HTTP: who may ask, what is accepted, and one clear error for everything else."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from graphql import get_introspection_query

from okno.errors import Unavailable
from tests.api.world import IVAN_ID, World

GRAPHQL_JSON = "application/graphql-response+json"
ME = "{ me { login } }"


async def post(
    world: World, body: Any, *, token: str | None = "anna.sorokina", **headers: str
) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        names["authorization"] = f"Bearer {token}"
    names.setdefault("content-type", "application/json")
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    async with world.client(**names) as client:
        return await client.post("/graphql", content=content)


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    assert error["extensions"]["requestId"]
    found: str = error["extensions"]["code"]
    return found


async def test_a_query_is_answered_in_the_type_that_was_asked_for(world: World) -> None:
    for accept, expected in (
        (GRAPHQL_JSON, GRAPHQL_JSON),
        ("application/json", "application/json"),
        (f"{GRAPHQL_JSON}, application/json;q=0.9", GRAPHQL_JSON),
        (f"application/json;q=0.5, {GRAPHQL_JSON};q=0.4", "application/json"),
        ("*/*", "application/json"),
    ):
        response = await post(world, {"query": ME}, accept=accept)
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{expected}; charset=utf-8", accept
        assert response.json()["data"] == {"me": {"login": "anna.sorokina"}}
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-request-id"] == response.json()["extensions"]["requestId"]


async def test_a_type_that_is_not_spoken_is_refused(world: World) -> None:
    response = await post(world, {"query": ME}, accept="text/csv")
    assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE")


async def test_nobody_signed_in_is_401(world: World) -> None:
    response = await post(world, {"query": ME}, token=None)
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


async def test_a_cookie_needs_the_csrf_token_and_the_own_origin(world: World) -> None:
    cookie = "okno_session=anna.sorokina"
    refused = await post(world, {"query": ME}, token=None, cookie=cookie)
    assert (refused.status_code, code(refused)) == (403, "CSRF")
    other = await post(
        world, {"query": ME}, token=None, cookie=cookie, X_Okno_CSRF="csrf", origin="https://evil.example"
    )
    assert (other.status_code, code(other)) == (403, "CSRF")
    good = await post(
        world, {"query": ME}, token=None, cookie=cookie, X_Okno_CSRF="csrf", origin="http://localhost:8000"
    )
    assert good.json()["data"] == {"me": {"login": "anna.sorokina"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "BAD_REQUEST"),
        (b"{", "BAD_REQUEST"),
        (b"\xff\xfe", "BAD_REQUEST"),
        (b"7", "BAD_REQUEST"),
        (b"[]", "BAD_REQUEST"),
        (b'[{"query": "{ me { id } }"}, 7]', "BAD_REQUEST"),
        (b"{}", "BAD_REQUEST"),
        (b'{"query": 7}', "BAD_REQUEST"),
        (b'{"query": "  "}', "BAD_REQUEST"),
        (b'{"query": "{ me { id } }", "variables": []}', "BAD_REQUEST"),
        (b'{"query": "{ me { id } }", "operationName": 7}', "BAD_REQUEST"),
        (b'{"query": "{ me { id } }", "extensions": "x"}', "BAD_REQUEST"),
        (b'{"query": "{ me { id }"}', "GRAPHQL_PARSE_FAILED"),
        (b'{"query": "{ me }"}', "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "fragment F on Query { me { id } }"}', "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "{ me { id } }", "operationName": "Other"}', "BAD_USER_INPUT"),
        (b'{"query": "query A { me { id } } query B { me { id } }"}', "BAD_USER_INPUT"),
        (b'{"query": "query ($id: ID!) { employee(id: $id) { id } }"}', "BAD_USER_INPUT"),
        (
            b'{"query": "query ($n: Int!) { employees(first: $n) { pageInfo { endCursor } } }", "variables": {"n": "x"}}',
            "BAD_USER_INPUT",
        ),
        (b'{"query": "subscription { me { id } }"}', "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "{ me { id ...F } } fragment F on Me { id ...F }"}', "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_malformed_input_is_one_clear_error(world: World, body: bytes, expected: str) -> None:
    response = await post(world, body)
    assert response.status_code == 400
    assert code(response) == expected
    assert "data" not in response.json()
    assert "Traceback" not in response.text


async def test_old_clients_that_name_json_alone_get_200_for_what_graphql_refuses(world: World) -> None:
    for query in ("{ me {", "{ nothing }"):
        legacy = await post(world, {"query": query}, accept="application/json")
        modern = await post(world, {"query": query}, accept=GRAPHQL_JSON)
        assert (legacy.status_code, modern.status_code) == (200, 400)
        assert "data" not in legacy.json()
        assert "data" not in modern.json()
    assert (await post(world, {"query": 7}, accept="application/json")).status_code == 400


async def test_other_content_types_are_refused(world: World) -> None:
    response = await post(world, {"query": ME}, content_type="text/plain")
    assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("{ " + " ".join(f"a{n}: me {{ id }}" for n in range(16)) + " }", "aliases: 16"),
        ("{ me { employee " + "{ manager " * 20 + "{ id }" + " }" * 20 + " } }", "depth: 23"),
        ("{ me { id " + "id " * 1_000 + "} }", "tokens"),
        ("{ me { " + "id @skip(if: false) " * 51 + "} }", "directives: 51"),
        (
            "{ me { employee { ...A } } } "
            + "".join(
                f"fragment {a} on Employee {{ manager {{ ...{b} }} managers {{ ...{b} }} }} "
                for a, b in zip("ABCDEFGHIJ", "BCDEFGHIJK", strict=True)
            )
            + "fragment K on Employee { id }",
            "selections: 5119",
        ),
    ],
)
async def test_limits_are_named_with_their_value(world: World, query: str, limit: str) -> None:
    response = await post(world, {"query": query})
    assert response.status_code == 400
    assert code(response) == "LIMIT_EXCEEDED"
    assert limit in response.json()["errors"][0]["message"]


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(world: World) -> None:
    declared = await post(world, b'{"query": "' + b"x" * 300_000 + b'"}')
    assert (declared.status_code, code(declared)) == (413, "LIMIT_EXCEEDED")

    async def chunks() -> Any:
        for _ in range(300):
            yield b"x" * 1_000

    async with world.client(authorization="Bearer anna.sorokina") as client:
        streamed = await client.post(
            "/graphql", content=chunks(), headers={"content-type": "application/json"}
        )
    assert (streamed.status_code, code(streamed)) == (413, "LIMIT_EXCEEDED")


async def test_deeply_nested_lists_in_a_body_are_refused(world: World) -> None:
    response = await post(world, {"query": "{ me { id } }" + "[" * 900})
    assert response.status_code == 400
    nested = await post(world, b"[" * 5_000 + b"]" * 5_000)
    assert nested.status_code == 400


async def test_a_batch_is_answered_in_its_order_with_one_read_of_each_source(world: World) -> None:
    query = "query ($id: ID!) { employee(id: $id) { hr { position } } }"
    batch = [
        {"query": query, "variables": {"id": IVAN_ID}},
        {"query": ME},
        {"query": "{ nope }"},
        {"query": query, "variables": {"id": IVAN_ID}},
    ]
    response = await post(world, batch)
    assert response.status_code == 200
    first, second, third, fourth = response.json()
    assert first["data"] == fourth["data"] == {"employee": {"hr": {"position": "Engineer"}}}
    assert second["data"] == {"me": {"login": "anna.sorokina"}}
    assert third["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert len(world.sources.calls) == 1
    assert code(await post(world, [{"query": ME}] * 21)) == "LIMIT_EXCEEDED"


async def test_get_answers_queries_and_refuses_mutations(world: World) -> None:
    mutation = 'mutation { operationPreview(input: {operation: "x", employee: "x", idempotencyKey: "k"}) { previewToken } }'
    async with world.client(authorization="Bearer anna.sorokina") as client:
        good = await client.get(
            "/graphql",
            params={
                "query": "query A($id: ID!) { employee(id: $id) { login } }",
                "variables": f'{{"id": "{IVAN_ID}"}}',
                "operationName": "A",
            },
        )
        refused = await client.get("/graphql", params={"query": mutation})
        missing = await client.get("/graphql")
        wrong = await client.get("/graphql", params={"query": ME, "variables": "{"})
    assert good.json()["data"] == {"employee": {"login": "ivan.petrov"}}
    assert (refused.status_code, code(refused)) == (405, "METHOD_NOT_ALLOWED")
    assert refused.headers["allow"] == "POST"
    assert (missing.status_code, wrong.status_code) == (400, 400)


async def test_faults_are_masked_and_carry_the_request_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(world.people, "search", broken)
    response = await post(world, {"query": "{ employees(first: 20) { pageInfo { endCursor } } }"})
    assert response.json()["data"] == {"employees": None}
    assert code(response) == "INTERNAL"
    assert "hunter2" not in response.text
    monkeypatch.setattr(world.server.services.journal, "record", broken)
    whole = await post(
        world,
        {
            "query": "query ($id: ID!) { employee(id: $id) { hr { birthDate } } }",
            "variables": {"id": IVAN_ID},
        },
        token="elena.kim",
    )
    assert (whole.status_code, code(whole)) == (500, "INTERNAL")
    assert "1990" not in whole.text


async def test_a_database_that_is_away_is_told_as_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **kwargs: Any) -> Any:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(world.people, "get_many", away)
    response = await post(
        world, {"query": "query ($id: ID!) { employee(id: $id) { id } }", "variables": {"id": IVAN_ID}}
    )
    assert response.json()["data"] == {"employee": None}
    assert code(response) == "UNAVAILABLE"


async def test_the_record_of_a_sensitive_read_is_written_before_the_first_byte(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = asyncio.Event()
    release = asyncio.Event()
    record = world.journal.record

    async def slow(event: Any) -> Any:
        written.set()
        await release.wait()
        return await record(event)

    monkeypatch.setattr(world.journal, "record", slow)
    query = "query ($id: ID!) { employee(id: $id) { hr { birthDate } } }"
    asking = asyncio.create_task(
        post(world, {"query": query, "variables": {"id": IVAN_ID}}, token="elena.kim")
    )
    await written.wait()
    assert not asking.done()
    release.set()
    assert (await asking).json()["data"]["employee"]["hr"]["birthDate"] == "1990-05-06"
    assert len(world.journal.of_type("sensitive.read")) == 1


async def test_the_introspection_query_of_tools_passes_the_limits(world: World) -> None:
    async with world.client(cookie="okno_session=anna.sorokina", **{"x-okno-csrf": "csrf"}) as client:
        response = await client.post(
            "/graphql",
            json={"query": get_introspection_query(input_value_deprecation=True, specified_by_url=True)},
        )
    assert "errors" not in response.json()


async def test_the_explorer_is_for_signed_in_browsers_that_may_use_it(world: World) -> None:
    page = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with world.client(**page) as client:
        nobody = await client.get("/graphql")
        assert (nobody.status_code, nobody.headers["location"]) == (303, "/?next=/graphql")
        signed_in = await client.get("/graphql", headers={"cookie": "okno_session=anna.sorokina"})
        assert signed_in.status_code == 200
        assert "GraphQL explorer" in signed_in.text
        assert "http://" not in signed_in.text
        assert "https://" not in signed_in.text
        script = await client.get("/graphql/explorer/explorer.js")
        assert script.status_code == 200
        token = await client.get("/graphql", headers={"authorization": "Bearer anna.sorokina"})
        assert token.status_code == 200, "the rights decide, not the way of signing in"
