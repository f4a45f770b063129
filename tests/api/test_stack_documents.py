"""Bad documents and values on a whole stack: each is one clear error, and nothing is done."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.api.stack_asking import ME, as_anna, code_of, relay
from tests.chaos.deployment import (
    DEPLOYMENTS,
    Deployment,
    ask,
    assert_no_internals,
    assert_one_clear_error,
    post,
)
from tests.chaos.runs import PREVIEW, RUN

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

EMPLOYEE = "query ($id: ID!) { employee(id: $id) { id displayName } }"


@pytest.fixture(scope="session")
def deployments() -> Iterator[None]:
    yield
    DEPLOYMENTS.close()


@pytest.fixture
def deployment(deployments: None) -> Deployment:
    return DEPLOYMENTS.shared()


@pytest.fixture
def anna(deployment: Deployment) -> dict[str, str]:
    return as_anna(deployment)


BROKEN: Mapping[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "BAD_REQUEST"),
    "half JSON": (b'{"query": "{ me { login } }"', 400, "BAD_REQUEST"),
    "not JSON": (b"query=%7Bme%7D", 400, "BAD_REQUEST"),
    "invalid UTF-8": (b'{"query": "{ me { login } } \xff\xfe"}', 400, "BAD_REQUEST"),
    "half a surrogate": (
        b'{"query": "{ employees(first: 1, search: \\"\\ud800\\") { edges { cursor } } }"}',
        400,
        "BAD_REQUEST",
    ),
    "NUL in the document": (b'{"query": "{ me { \\u0000 login } }"}', 400, "BAD_REQUEST"),
    "NUL in a variable": (
        b'{"query": "query ($x: String) { __typename }", "variables": {"x": "a\\u0000"}}',
        400,
        "BAD_REQUEST",
    ),
    "a number": (b"7", 400, "BAD_REQUEST"),
    "NaN": (b'{"query": "{ me { login } }", "variables": {"x": NaN}}', 400, "BAD_REQUEST"),
    "an empty batch": (b"[]", 400, "BAD_REQUEST"),
    "a batch of a thousand": (json.dumps([{"query": ME}] * 1000).encode(), 400, "LIMIT_EXCEEDED"),
    "no query": (b"{}", 400, "BAD_REQUEST"),
    "query is null": (b'{"query": null}', 400, "BAD_REQUEST"),
    "variables is a list": (b'{"query": "{ me { login } }", "variables": []}', 400, "BAD_REQUEST"),
    "half a document": (b'{"query": "{ me { login"}', 400, "GRAPHQL_PARSE_FAILED"),
    "no document": (b'{"query": "hello"}', 400, "GRAPHQL_PARSE_FAILED"),
    "unknown field": (b'{"query": "{ me { password } }"}', 400, "GRAPHQL_VALIDATION_FAILED"),
    "unknown type": (b'{"query": "{ me { ... on Secret { id } } }"}', 400, "GRAPHQL_VALIDATION_FAILED"),
    "unknown mutation": (b'{"query": "mutation { dropEverything }"}', 400, "GRAPHQL_VALIDATION_FAILED"),
    "a subscription": (b'{"query": "subscription { me { login } }"}', 400, "GRAPHQL_VALIDATION_FAILED"),
    "a circle of fragments": (
        b'{"query": "{ me { ...A } } fragment A on Me { ...B } fragment B on Me { ...A }"}',
        400,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "another operation's name": (
        b'{"query": "query A { me { login } }", "operationName": "B"}',
        400,
        "BAD_USER_INPUT",
    ),
    "brackets 100,000 deep": (b"[" * 100_000, 400, "BAD_REQUEST"),
    "objects 50,000 deep": (
        b'{"query": "{ me { login } }", "variables": {"x": '
        + b'{"x":' * 40_000
        + b"1"
        + b"}" * 40_000
        + b"}}",
        400,
        "BAD_REQUEST",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_is_one_clear_error(deployment: Deployment, anna: dict[str, str], name: str) -> None:
    body, status, code = BROKEN[name]
    answer = ask(deployment.stack, "POST", "/graphql", body, anna)
    assert_one_clear_error(answer, status, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ me { employee " + "{ manager " * 100 + "{ id }" + " }" * 100 + " } }", "LIMIT_EXCEEDED"),
        ("{ " + " ".join(f"a{n}: me {{ login }}" for n in range(300)) + " }", "LIMIT_EXCEEDED"),
        ("{ me { " + "login " * 20_000 + "} }", "LIMIT_EXCEEDED"),
        ("{ me { login " + "@skip(if: false) " * 300 + "} }", "LIMIT_EXCEEDED"),
        ("{ me " * 30_000, "LIMIT_EXCEEDED"),
        (
            "{ me { employee { ...F0 } } } "
            + " ".join(
                f"fragment F{n} on Employee {{ manager {{ ...F{n + 1} }} managers {{ ...F{n + 1} }} }}"
                for n in range(40)
            )
            + " fragment F40 on Employee { id }",
            "LIMIT_EXCEEDED",
        ),
        (
            "{ nodes(ids: [" + '"x" ' * 101 + "]) { id } }",
            "INVALID_INPUT",
        ),
    ],
    ids=[
        "deep",
        "alias bomb",
        "many fields",
        "many directives",
        "30,000 levels",
        "doubling fragments",
        "many nodes",
    ],
)
def test_a_document_that_would_cost_too_much_is_refused_at_once(
    deployment: Deployment, anna: dict[str, str], query: str, code: str
) -> None:
    answer = ask(deployment.stack, "POST", "/graphql", json.dumps({"query": query}), anna)
    assert answer.seconds < 3
    assert code_of(answer) == code
    assert answer.json().get("data") in (None, {"nodes": None})


@pytest.mark.parametrize(
    "variables",
    [{}, {"id": None}, {"id": ["a"]}, {"id": {"x": 1}}, {"id": True}],
    ids=["missing", "null", "list", "object", "boolean"],
)
def test_wrong_variables_are_an_error_of_the_client(
    deployment: Deployment, anna: dict[str, str], variables: dict[str, Any]
) -> None:
    body = json.dumps({"query": EMPLOYEE, "variables": variables})
    assert_one_clear_error(ask(deployment.stack, "POST", "/graphql", body, anna), 400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "7",
        "employee",
        "💣",
        "A" * 50_000,
        base64.b64encode(b"Employee").decode(),
        base64.b64encode(b"\xff\xfe\xfd").decode(),
        relay("Employee", "x"),
        relay("Employee", ""),
        relay("Employee", "1 OR 1=1"),
        relay("Account", UUID(int=7)),
        relay("AuditRecord", f"{UUID(int=7)}:1"),
        relay("Query", UUID(int=7)),
    ],
    ids=lambda value: value[:24] or "empty",
)
def test_what_is_no_id_of_an_employee_is_named_as_wrong_input(deployment: Deployment, value: str) -> None:
    answer = post(deployment.stack, deployment.token("anna.sorokina"), EMPLOYEE, id=value)
    assert code_of(answer) == "INVALID_INPUT"
    assert answer.json()["data"] == {"employee": None}


def test_an_id_of_nobody_is_null_and_no_error(deployment: Deployment) -> None:
    token = deployment.token("anna.sorokina")
    answer = post(deployment.stack, token, EMPLOYEE, id=relay("Employee", UUID(int=7))).json()
    assert answer["data"] == {"employee": None}
    assert "errors" not in answer
    for strange in (
        relay("Employee", UUID(int=7)),
        relay("AuditRecord", f"{uuid4()}:9"),
        relay("Me", uuid4()),
    ):
        found = post(deployment.stack, token, "query ($id: ID!) { node(id: $id) { id } }", id=strange).json()
        assert found["data"] == {"node": None}


def test_an_unknown_cursor_or_number_is_wrong_input(deployment: Deployment) -> None:
    token = deployment.token("anna.sorokina")
    for arguments in (
        "",
        "first: null",
        "first: 5, last: 5",
        'first: 5, after: "x"',
        'last: 5, before: "' + "A" * 5000 + '"',
        "last: 0",
        "last: 101",
        "first: 0",
        "first: -1",
        "first: 101",
        'first: 5, search: "' + "x " * 150 + '"',
        'first: 5, search: "' + "я" * 300 + '"',
    ):
        field = f"employees({arguments})" if arguments else "employees"
        answer = post(deployment.stack, token, f"{{ {field} {{ pageInfo {{ endCursor }} }} }}")
        assert code_of(answer) == "INVALID_INPUT", arguments
    answer = post(deployment.stack, token, "{ employees(first: 99999999999) { pageInfo { endCursor } } }")
    assert_one_clear_error(answer, 400, "GRAPHQL_VALIDATION_FAILED")


@pytest.mark.parametrize(
    "search", ["'; DROP TABLE person; --", "%", "_", "\\", "\u202e", "👩‍🦰", "\n\t", "{[(*+?"]
)
def test_any_text_can_be_searched_for(deployment: Deployment, search: str) -> None:
    document = "query ($s: String!) { employees(search: $s, first: 20) { edges { node { id } } } }"
    answer = post(deployment.stack, deployment.token("anna.sorokina"), document, s=search)
    assert answer.status == 200
    assert "errors" not in answer.json()


def test_unknown_operations_and_foreign_targets_are_refused_alike(deployment: Deployment) -> None:
    token, writes = deployment.token("anna.sorokina"), deployment.counters("domain")["writes"]
    ivan, amina = deployment.person("ivan.petrov"), deployment.person("amina.okafor")
    for operation, employee in (
        ("domain.explode", ivan.id),
        ("", ivan.id),
        ("../../etc/passwd", ivan.id),
        ("x" * 10_000, ivan.id),
        ("domain.add_to_group", ivan.id),
        ("domain.unlock", amina.id),
    ):
        shared = {"operation": operation, "employee": employee, "idempotencyKey": str(uuid4())}
        shown = post(deployment.stack, token, PREVIEW, input=shared)
        run = post(deployment.stack, token, RUN, input={**shared, "previewToken": "x"})
        assert_no_internals(shown.text + run.text)
        for payload in (
            shown.json()["data"]["operationPreview"],
            run.json()["data"]["operationRun"],
        ):
            assert [error["code"] for error in payload["errors"]] == ["DENIED"], operation[:40]
            assert payload["changes"] is None
    assert deployment.counters("domain")["writes"] == writes


def test_wrong_input_of_an_operation_names_its_field_and_not_its_value(deployment: Deployment) -> None:
    token, ivan = deployment.token("dmitry.orlov"), deployment.person("ivan.petrov")
    for given, field in (
        ({}, "input"),
        ({"group": ""}, "input.group"),
        ({"group": 7}, "input.group"),
        ({"group": "x" * 5000}, "input.group"),
        ({"group": "app-ci", "extra": "hunter2"}, "input"),
        ("hunter2", "input"),
        (["hunter2"], "input"),
        (None, "input"),
    ):
        values = {
            "operation": "domain.add_to_group",
            "employee": ivan.id,
            "input": given,
            "idempotencyKey": "k",
        }
        answer = post(deployment.stack, token, PREVIEW, input=values)
        assert_no_internals(answer.text)
        payload = answer.json()["data"]["operationPreview"]
        assert payload["errors"], given
        for error in payload["errors"]:
            assert (error["code"], error["field"]) == ("INVALID_INPUT", field), given
        assert "hunter2" not in answer.text
        assert payload["previewToken"] is None
    for key in ("", "k" * 201):
        values = {"operation": "domain.unlock", "employee": ivan.id, "input": {}, "idempotencyKey": key}
        (error,) = post(deployment.stack, token, PREVIEW, input=values).json()["data"]["operationPreview"][
            "errors"
        ]
        assert (error["code"], error["field"]) == ("INVALID_INPUT", "idempotencyKey")


@pytest.mark.parametrize("group", ["no such group", "*", "a,ou=people", "cn=x)(uid=*", "\u0001", "ивановы"])
def test_a_group_that_is_not_there_changes_nothing(deployment: Deployment, group: str) -> None:
    token, employee = deployment.token("dmitry.orlov"), deployment.stranger()
    writes = deployment.counters("domain")["writes"]
    values = {
        "operation": "domain.add_to_group",
        "employee": employee.id,
        "input": {"group": group},
        "idempotencyKey": str(uuid4()),
    }
    shown = post(deployment.stack, token, PREVIEW, input=values)
    assert_no_internals(shown.text)
    payload = shown.json()["data"]["operationPreview"]
    if payload["previewToken"] is not None:
        answer = post(deployment.stack, token, RUN, input={**values, "previewToken": payload["previewToken"]})
        assert_no_internals(answer.text)
        run = answer.json()["data"]["operationRun"]
        assert run["outcome"] == "FAILED", run
        assert run["errors"][0]["code"].startswith("SOURCE_")
    assert deployment.counters("domain")["writes"] - writes <= 1


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(
    deployment: Deployment, anna: dict[str, str], content_type: str
) -> None:
    headers = {**anna, "content-type": content_type}
    answer = ask(deployment.stack, "POST", "/graphql", json.dumps({"query": ME}), headers)
    assert_one_clear_error(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
