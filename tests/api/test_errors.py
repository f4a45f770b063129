"""What errors tell: codes that are documented, nothing of the schema to those who may not know it, nothing internal at all."""

import ast
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError, build_schema, located_error

import okno
from okno import errors
from okno.graph.documents import DocumentCache
from okno.graph.errors import CODES, INTERNAL, format_errors
from okno.operations.api import UserErrorCode
from okno.sources.errors import Code, SourceError
from tests.api.world import IVAN_ID, Parts, World

BACKEND = Path(okno.__file__).parent
SECRET = "password=hunter2"


@pytest.fixture(scope="module")
def shared(parts: Parts) -> World:
    return World(parts)


# document, variables
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "a field": ("{ me { logn } }", {}),
    "a root field": ("{ employes { edges { cursor } } }", {}),
    "a field of another type": ("{ node(id: 1) { login } }", {}),
    "a field without its selection": ("{ me }", {}),
    "an argument": ("{ employees(fist: 1) { edges { cursor } } }", {}),
    "an argument of a directive": ("{ me { id @skip(iff: true) } }", {}),
    "a directive": ("{ me { id @skipp(if: true) } }", {}),
    "a type of a fragment": ("{ me { id ... on Mee { id } } }", {}),
    "a fragment": ("{ me { ...Fo } } fragment Foo on Me { id }", {}),
    "a type of a variable": ("query ($id: IDD!) { employee(id: $id) { id } }", {"id": "1"}),
    "a variable": ("query ($id: ID!) { employee(id: $idd) { id } }", {"id": "1"}),
    "a field of an input": (
        'mutation { operationRun(input: {operatio: "x", employee: "x", previewToken: "x", idempotencyKey: "x"}) { outcome } }',
        {},
    ),
    "a field of an input in a variable": (
        "mutation ($i: OperationRunInput!) { operationRun(input: $i) { outcome } }",
        {"i": {"operatio": "x", "employee": "x", "previewToken": "x", "idempotencyKey": "x"}},
    ),
    "an operation": ("query Names { me { id } }", {"operationName": "Name"}),
}


@pytest.mark.parametrize("name", sorted(WRONG))
async def test_who_may_not_read_the_schema_is_not_told_what_it_holds(shared: World, name: str) -> None:
    query, variables = WRONG[name]
    tool = shared.service_actor("employees.read")
    body = await shared.ask(tool, query, **variables)
    told = " ".join(error["message"] for error in body.get("errors", ()))
    assert "Did you mean" not in told
    assert "errors" in body or name == "an operation"


async def test_who_may_read_the_schema_is_helped(shared: World) -> None:
    helped = 0
    for query, variables in WRONG.values():
        body = await shared.ask("anna.sorokina", query, **variables)
        helped += "Did you mean" in str(body.get("errors"))
    assert helped >= 9


async def test_enum_values_are_suggested_to_nobody_who_may_not_read_the_schema() -> None:
    """This schema has no argument of an enum; the reader that all documents pass is asked with one that has."""
    schema = build_schema("enum Color { RED GREEN } type Query { paint(color: Color): String }")
    cache = DocumentCache(schema)
    shown = cache.read("{ paint(color: REDD) }", hide_suggestions=False)
    hidden = cache.read("{ paint(color: REDD) }", hide_suggestions=True)
    assert "Did you mean" in shown.errors[0].message
    assert "Did you mean" not in hidden.errors[0].message
    assert "RED'" not in hidden.errors[0].message.replace("REDD", "")


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { types { name } } }",
        '{ __type(name: "Employee") { name } }',
        "{ ...A } fragment A on Query { ...B } fragment B on Query { s: __schema { types { name } } }",
        '{ ... on Query { ... { ... @include(if: true) { x: __type(name: "Me") { name } } } } }',
        '{ me { id } ...A } fragment A on Query { ... on Query { __type(name: "Me") { name } } }',
        "query ($yes: Boolean = true) { ... @include(if: $yes) { __schema { queryType { name } } } }",
    ],
)
async def test_the_schema_is_for_those_whose_policy_says_so(shared: World, query: str) -> None:
    refused = await shared.ask(shared.service_actor("employees.read"), query)
    assert "data" not in refused
    (error,) = refused["errors"]
    assert error["extensions"]["code"] == "DENIED"
    assert "errors" not in await shared.ask("anna.sorokina", query)


async def fails(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("service", "method", "query"),
    [
        ("people", "search", "{ employees(first: 1) { edges { cursor } } }"),
        ("people", "get_many", f'{{ employee(id: "{IVAN_ID}") {{ login }} }}'),
        ("people", "managers_of", f'{{ employee(id: "{IVAN_ID}") {{ managers {{ login }} }} }}'),
        ("sources", "health", "{ sources { id } }"),
        ("operations", "offered", f'{{ operations(employee: "{IVAN_ID}") {{ id }} }}'),
        ("dashboards", "offered", '{ widgets(slot: "employee-card") { id } }'),
        ("search", "list_records", "{ auditRecords(first: 1) { edges { cursor } } }"),
        ("journal", "record", f'{{ employee(id: "{IVAN_ID}") {{ hr {{ birthDate }} }} }}'),
        (
            "operations",
            "preview",
            f'mutation {{ operationPreview(input: {{operation: "domain.unlock", employee: "{IVAN_ID}", idempotencyKey: "k"}}) '
            "{ previewToken errors { code message } } }",
        ),
    ],
)
async def test_what_fails_inside_is_told_by_its_request_id_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, service: str, method: str, query: str
) -> None:
    world = World(parts)
    target = getattr(world.services, service)
    called = []

    async def failing(*args: Any, **kwargs: Any) -> Any:
        called.append(method)
        raise RuntimeError(SECRET)

    def failing_at_once(*args: Any, **kwargs: Any) -> Any:
        called.append(method)
        raise RuntimeError(SECRET)

    if not hasattr(type(target), method):
        pytest.fail(f"{service} has no {method} any more; this test asks for nothing")
    original = getattr(target, method)
    monkeypatch.setattr(target, method, failing if inspect.iscoroutinefunction(original) else failing_at_once)
    async with world.client(authorization="Bearer elena.kim") as client:
        response = await client.post("/graphql", json={"query": query})
    assert called, "the query does not come to what fails"
    text = response.text
    assert "hunter2" not in text
    assert "RuntimeError" not in text
    assert "Traceback" not in text
    found = [error["extensions"]["code"] for error in response.json().get("errors", ())]
    assert found == ["INTERNAL"], text
    assert response.json()["errors"][0]["extensions"]["requestId"]


async def test_what_fails_in_a_source_is_told_in_its_section_and_not_how(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(parts)
    monkeypatch.setattr(world.sources, "read_many", fails)
    query = (
        f'{{ employee(id: "{IVAN_ID}") {{ hr {{ position meta {{ state error {{ code message }} }} }} }} }}'
    )
    body = await world.ask("elena.kim", query)
    assert body["data"]["employee"]["hr"]["meta"]["state"] == "FAILED"
    assert "hunter2" not in str(body)
    assert "errors" not in body


def test_a_value_that_does_not_fit_its_type_is_not_told() -> None:
    inner = GraphQLError(f"String cannot represent value: {SECRET}")
    (told,) = format_errors(
        [located_error(inner, path=["me", "login"])], "request-1", code="BAD_USER_INPUT", executing=True
    )
    assert told == {
        "message": INTERNAL,
        "path": ["me", "login"],
        "extensions": {"code": "INTERNAL", "requestId": "request-1"},
    }


async def test_an_argument_that_is_missing_at_run_time_is_the_clients_fault(shared: World) -> None:
    query = "query ($slot: String = null) { widgets(slot: $slot) { id } }"
    body = await shared.ask("anna.sorokina", query)
    (error,) = body["errors"]
    assert error["extensions"]["code"] in {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}


def python_files(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for file in sorted((BACKEND / folder).rglob("*.py")):
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def first_texts(tree: ast.Module, *callees: str) -> Iterator[str]:
    """The first arguments of calls of these names, where they are written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in callees and isinstance(node.args[0].value, str):
                yield node.args[0].value


def codes_of_errors() -> set[str]:
    return {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.OknoError) and not issubclass(kind, SourceError)
    }


def test_every_code_of_a_problem_is_a_described_value_of_the_enum() -> None:
    raised = {f"SOURCE_{code}" for code in typing.get_args(Code)}
    for _, tree in python_files("operations"):
        raised |= set(first_texts(tree, "Problem", "failed", "unknown"))
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                raised.add(str(node.value.value))
    for _, tree in python_files("audit"):  # what a command says of itself when nobody else did
        raised |= set(first_texts(tree, "failed", "unknown"))
    assert len(raised) > 15
    unknown = {
        code
        for code in raised
        if code != "INTERNAL" and UserErrorCode.of_code(code) is UserErrorCode.INTERNAL
    }
    assert unknown == set()
    for value in ("INVALID_INPUT", "NOT_FOUND", "CONFLICT", "UNAVAILABLE", "UNKNOWN_OUTCOME", "DENIED"):
        assert UserErrorCode.of_code(value).name == value


def test_every_value_of_the_enum_is_described(parts: Parts) -> None:
    values: Any = parts.graph.core.type_map["UserErrorCode"]
    assert set(values.values) == {code.name for code in UserErrorCode}
    assert all(each.description for each in values.values.values())


def test_every_code_beside_the_data_is_listed_with_its_reason() -> None:
    raised = codes_of_errors()
    for _, tree in python_files("graph", "identity"):
        for node in ast.walk(tree):
            pairs: list[tuple[Any, Any]] = []
            if isinstance(node, ast.keyword) and node.arg == "code":
                pairs = [(node.arg, node.value)]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                pairs = [(node.targets[0].id, node.value)]
            elif isinstance(node, ast.Dict):
                pairs = [
                    (getattr(key, "value", None), value)
                    for key, value in zip(node.keys, node.values, strict=True)
                ]
            raised |= {
                value.value
                for key, value in pairs
                if key == "code" and isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    assert {"LIMIT_EXCEEDED", "DENIED", "CSRF", "BAD_REQUEST"} <= raised
    assert raised - {"CONFIGURATION"} - set(CODES) == set(), (
        "ConfigurationError is masked, if it ever came so far"
    )
