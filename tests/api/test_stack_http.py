"""Bad input over real HTTP: whatever is sent, the answer is one clear error, signed with a request id, and never a trace."""

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.deployment import (
    DEPLOYMENTS,
    Answer,
    Deployment,
    ask,
    assert_no_internals,
    assert_one_clear_error,
    post,
    wait_until,
)
from tests.chaos.runs import PREVIEW, RUN

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]

JSON = {"content-type": "application/json"}
ME = "{ me { login } }"
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
    return {**JSON, "authorization": f"Bearer {deployment.token('anna.sorokina')}"}


class Browser:
    """A signed-in browser: its cookie and what the session told it."""

    def __init__(self, deployment: Deployment, login: str) -> None:
        self._stack = deployment.stack
        answer = ask(self._stack, "POST", "/auth/development", json.dumps({"login": login}), JSON)
        assert answer.status == 200, answer.text
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        self.csrf: str = answer.json()["csrfToken"]

    def post(self, path: str, body: object, **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self._stack, "POST", path, json.dumps(body), {**JSON, "cookie": self.cookie, **names})

    def get(self, path: str) -> Answer:
        return ask(self._stack, "GET", path, headers={"cookie": self.cookie})


def code_of(answer: Answer) -> str:
    assert_no_internals(answer.text)
    (error,) = answer.json()["errors"]
    assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
    found: str = error["extensions"]["code"]
    return found


def raw(deployment: Deployment, request: bytes) -> bytes:
    """What the server says to these very bytes."""
    with socket.create_connection(("127.0.0.1", deployment.stack.port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


# Documents and bodies


BROKEN: Mapping[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, "BAD_REQUEST"),
    "half JSON": (b'{"query": "{ me { login } }"', 400, "BAD_REQUEST"),
    "not JSON": (b"query=%7Bme%7D", 400, "BAD_REQUEST"),
    "invalid UTF-8": (b'{"query": "{ me { login } } \xff\xfe"}', 400, "BAD_REQUEST"),
    "half a surrogate": (
        b'{"query": "{ employees(search: \\"\\ud800\\") { edges { cursor } } }"}',
        400,
        "BAD_REQUEST",
    ),
    "NUL in the document": (b'{"query": "{ me { \\u0000 login } }"}', 400, "GRAPHQL_PARSE_FAILED"),
    "a number": (b"7", 400, "BAD_REQUEST"),
    "NaN": (b'{"query": "{ me { login } }", "variables": {"x": NaN}}', 400, "BAD_REQUEST"),
    "an empty batch": (b"[]", 400, "LIMIT_EXCEEDED"),
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


def relay(kind: str, key: object) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


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
        relay("Account", uuid4()),
        relay("AuditRecord", f"{uuid4()}:1"),
        relay("Query", uuid4()),
    ],
    ids=lambda value: value[:24] or "empty",
)
def test_what_is_no_id_of_an_employee_is_named_as_wrong_input(deployment: Deployment, value: str) -> None:
    answer = post(deployment.stack, deployment.token("anna.sorokina"), EMPLOYEE, id=value)
    assert code_of(answer) == "INVALID_INPUT"
    assert answer.json()["data"] == {"employee": None}


def test_an_id_of_nobody_is_null_and_no_error(deployment: Deployment) -> None:
    token = deployment.token("anna.sorokina")
    answer = post(deployment.stack, token, EMPLOYEE, id=relay("Employee", uuid4())).json()
    assert answer["data"] == {"employee": None}
    assert "errors" not in answer
    for strange in (relay("Employee", uuid4()), relay("AuditRecord", f"{uuid4()}:9"), relay("Me", uuid4())):
        found = post(deployment.stack, token, "query ($id: ID!) { node(id: $id) { id } }", id=strange).json()
        assert found["data"] == {"node": None}


def test_an_unknown_cursor_or_number_is_wrong_input(deployment: Deployment) -> None:
    token = deployment.token("anna.sorokina")
    for arguments in (
        'after: "x"',
        'after: "' + "A" * 5000 + '"',
        "first: 0",
        "first: -1",
        "first: 101",
        'search: "' + "x " * 150 + '"',
        'search: "' + "я" * 300 + '"',
    ):
        answer = post(deployment.stack, token, f"{{ employees({arguments}) {{ pageInfo {{ endCursor }} }} }}")
        assert code_of(answer) == "INVALID_INPUT", arguments
    answer = post(deployment.stack, token, "{ employees(first: 99999999999) { pageInfo { endCursor } } }")
    assert_one_clear_error(answer, 400, "GRAPHQL_VALIDATION_FAILED")


@pytest.mark.parametrize(
    "search", ["'; DROP TABLE person; --", "%", "_", "\\", "\u202e", "👩‍🦰", "\n\t", "{[(*+?"]
)
def test_any_text_can_be_searched_for(deployment: Deployment, search: str) -> None:
    document = "query ($s: String!) { employees(search: $s) { edges { node { id } } } }"
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


@pytest.mark.parametrize("group", ["no such group", "*", "a,ou=people", "cn=x)(uid=*", "\u0000", "ивановы"])
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


def test_a_body_of_two_megabytes_is_refused(deployment: Deployment, anna: dict[str, str]) -> None:
    declared = raw(
        deployment,
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Authorization: {anna['authorization']}\r\nContent-Length: {2 * 1024 * 1024}\r\n".encode()
        + b"Connection: close\r\n\r\n{",
    )
    assert declared.startswith(b"HTTP/1.1 413 ")
    assert b"LIMIT_EXCEEDED" in declared
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    streamed = raw(
        deployment,
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Authorization: {anna['authorization']}\r\nTransfer-Encoding: chunked\r\n".encode()
        + b"Connection: close\r\n\r\n"
        + chunk * 70
        + b"0\r\n\r\n",
    )
    assert streamed.startswith(b"HTTP/1.1 413 ")
    assert b"LIMIT_EXCEEDED" in streamed
    assert post(deployment.stack, deployment.token("anna.sorokina"), ME).status == 200


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


# Who asks


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer okno_pat_x",
        "Bearer " + "A" * 6000,
        "Bearer okno_svc_8YMP7ubzHC2r2gnS061c0MNVcWoEAQ4nAAHY5yHfjcM",
        "Basic YWRtaW46YWRtaW4=",
        "Negotiate abc",
        "garbage",
        "Bearer a b c",
        "Bearer \xff\xfe",
    ],
    ids=lambda header: header[:24],
)
def test_a_credential_that_nobody_gave_out_is_unauthenticated(deployment: Deployment, header: str) -> None:
    answer = ask(
        deployment.stack, "POST", "/graphql", json.dumps({"query": ME}), {**JSON, "authorization": header}
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")
    assert header[:40] not in answer.text or len(header) < 12


def test_without_a_credential_one_is_unauthenticated(deployment: Deployment) -> None:
    for headers in (JSON, {**JSON, "cookie": "okno_session=garbage"}, {**JSON, "cookie": "okno_session="}):
        answer = ask(deployment.stack, "POST", "/graphql", json.dumps({"query": ME}), headers)
        assert_one_clear_error(answer, 401, "UNAUTHENTICATED")


def test_an_expired_token_no_longer_works(deployment: Deployment) -> None:
    issued = deployment.stack.okno("token", "issue", "--as", "anna.sorokina", "--ttl", "1s")
    token = issued.stdout.strip().splitlines()[-1]
    answer = wait_until(
        "the token expires",
        lambda: found if (found := post(deployment.stack, token, ME)).status != 200 else None,
        seconds=10,
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")


def test_a_revoked_token_stops_working_within_seconds(deployment: Deployment) -> None:
    issued = deployment.stack.okno("token", "issue", "--as", "anna.sorokina", "--ttl", "1h")
    token = issued.stdout.strip().splitlines()[-1]
    assert post(deployment.stack, token, ME).json()["data"]["me"]["login"] == "anna.sorokina"
    token_id = issued.stderr.split()[1]
    assert deployment.stack.okno("token", "revoke", token_id).stdout == f"revoked {token_id}\n"
    answer = wait_until(
        "the token stops working",
        lambda: found if (found := post(deployment.stack, token, ME)).status != 200 else None,
        seconds=5,
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")
    assert token_id not in deployment.stack.okno("token", "list").stdout


def test_an_expired_session_is_unauthenticated_and_its_cookie_is_cleared(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    signed_in = browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf)
    assert signed_in.json()["data"]["me"]["login"] == "anna.sorokina"
    deployment.sql(
        "UPDATE identity_session SET started_at = started_at - interval '2 days', ends_at = now() - interval '1 second'"
    )
    answer = wait_until(
        "the session is over",
        lambda: (
            found
            if (found := browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf)).status != 200
            else None
        ),
        seconds=5,
    )
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")
    session = browser.get("/auth/session")
    assert (session.status, session.json()["signedIn"]) == (200, False)
    assert "Max-Age=0" in session.headers["set-cookie"]


def test_a_session_that_lay_idle_is_over(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    assert browser.get("/auth/session").json()["signedIn"] is True
    deployment.sql("UPDATE identity_session SET last_seen_at = last_seen_at - interval '9 hours'")
    wait_until(
        "the session is over",
        lambda: browser.get("/auth/session").json()["signedIn"] is False,
        seconds=5,
    )


def test_a_signed_out_session_is_over(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    assert browser.post("/auth/sign-out", {}, X_Okno_CSRF=browser.csrf).status == 200
    answer = browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf)
    assert_one_clear_error(answer, 401, "UNAUTHENTICATED")


def test_a_cookie_alone_cannot_post(deployment: Deployment) -> None:
    browser = Browser(deployment, "anna.sorokina")
    for headers in (
        {},
        {"X_Okno_CSRF": ""},
        {"X_Okno_CSRF": "garbage"},
        {"X_Okno_CSRF": "ключ".encode().decode("latin-1")},
        {"X_Okno_CSRF": browser.csrf, "origin": "https://evil.example"},
        {"X_Okno_CSRF": browser.csrf, "origin": "null"},
        {"X_Okno_CSRF": browser.csrf, "Sec_Fetch_Site": "cross-site"},
    ):
        assert_one_clear_error(browser.post("/graphql", {"query": ME}, **headers), 403, "CSRF")
    assert_one_clear_error(browser.post("/auth/sign-out", {}), 403, "CSRF")
    assert browser.post("/graphql", {"query": ME}, X_Okno_CSRF=browser.csrf).status == 200


def test_sign_in_takes_nobody_who_is_not_there(deployment: Deployment) -> None:
    for body in (
        '{"login": "nobody.here"}',
        '{"login": ""}',
        '{"login": 7}',
        "{}",
        "[]",
        "{",
        "",
        '{"login": "' + "x" * 5000 + '"}',
        '{"login": "anna.sorokina\\u0000"}',
        "[" * 4000,
    ):
        answer = ask(deployment.stack, "POST", "/auth/development", body, JSON)
        assert 400 <= answer.status < 500, body[:40]
        assert answer.json()["code"]
        assert "set-cookie" not in answer.headers
        assert_no_internals(answer.text)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert ask(deployment.stack, "POST", "/auth/development", "login=anna.sorokina", form).status in (
        400,
        415,
    )
    foreign = {**JSON, "origin": "https://evil.example"}
    answer = ask(deployment.stack, "POST", "/auth/development", '{"login": "anna.sorokina"}', foreign)
    assert_one_clear_error(answer, 403, "CSRF")


def test_a_service_reads_what_its_scope_covers_and_runs_nothing(deployment: Deployment) -> None:
    issued = deployment.stack.okno(
        "token", "issue", "--service", "reports", "--scope", "employees.read", "--ttl", "1h"
    )
    token = issued.stdout.strip().splitlines()[-1]
    ivan = deployment.person("ivan.petrov")
    document = """query ($id: ID!) { me { kind displayName } employee(id: $id) { displayName login
      domain { meta { state } locked lastLogonAt } hr { position salary { minorUnits } birthDate } }
      operations(employee: $id) { id } auditRecords { edges { cursor } } sources { id } }"""
    answer = post(deployment.stack, token, document, id=ivan.id)
    assert_no_internals(answer.text)
    data = answer.json()["data"]
    assert data["me"]["kind"] == "service"
    assert (data["employee"]["displayName"], data["employee"]["login"]) == ("Иван Петров", "ivan.petrov")
    assert data["employee"]["domain"]["meta"]["state"] == "OK"
    assert data["employee"]["domain"]["locked"] is not None
    assert data["employee"]["hr"]["position"]
    assert data["employee"]["domain"]["lastLogonAt"] is None
    assert (data["employee"]["hr"]["salary"], data["employee"]["hr"]["birthDate"]) == (None, None)
    assert not data["operations"]
    assert data["auditRecords"] is None
    assert data["sources"] is None
    denied = {entry["path"] for entry in answer.json()["extensions"]["gate"] if entry["decision"] == "deny"}
    assert {"employee.hr.salary", "employee.hr.birthDate", "sources"} <= denied

    writes = deployment.counters("domain")["writes"]
    values = {"operation": "domain.unlock", "employee": ivan.id, "input": {}, "idempotencyKey": str(uuid4())}
    for document, given in ((PREVIEW, values), (RUN, {**values, "previewToken": "x"})):
        refused = post(deployment.stack, token, document, input=given)
        assert_no_internals(refused.text)
        body = refused.json()
        payload = next(iter((body.get("data") or {"none": None}).values()))
        codes = [error["code"] for error in payload["errors"]] if payload else []
        assert payload is None or codes == ["DENIED"], body
    assert deployment.counters("domain")["writes"] == writes


def test_a_protected_person_is_hidden_from_a_service_beyond_what_is_public(deployment: Deployment) -> None:
    issued = deployment.stack.okno(
        "token", "issue", "--service", "reports", "--scope", "employees.read", "--ttl", "1h"
    )
    token = issued.stdout.strip().splitlines()[-1]
    (maxim,) = deployment.sql("SELECT id FROM people_person WHERE login = 'maxim.egorov'")
    document = "query ($id: ID!) { employee(id: $id) { displayName login domain { locked meta { state } } } }"
    answer = post(deployment.stack, token, document, id=relay("Employee", maxim["id"])).json()
    employee = answer["data"]["employee"]
    assert employee["displayName"]
    assert employee["login"] is None
    assert employee["domain"] == {"locked": None, "meta": {"state": "DENIED"}}


# HTTP itself


def test_get_reads_and_changes_nothing(deployment: Deployment, anna: dict[str, str]) -> None:
    mutation = (
        'mutation{operationPreview(input:{operation:"x",employee:"x",idempotencyKey:"k"}){previewToken}}'
    )
    assert_one_clear_error(
        ask(deployment.stack, "GET", f"/graphql?query={mutation}", headers=anna), 405, "METHOD_NOT_ALLOWED"
    )
    assert_one_clear_error(
        ask(deployment.stack, "GET", "/graphql?query=%7B", headers=anna), 400, "GRAPHQL_PARSE_FAILED"
    )
    assert_one_clear_error(
        ask(deployment.stack, "GET", "/graphql?query=%7Bme%7Blogin%7D%7D&variables=x", headers=anna),
        400,
        "BAD_REQUEST",
    )
    assert_one_clear_error(ask(deployment.stack, "GET", "/graphql", headers=anna), 400, "BAD_REQUEST")
    good = ask(deployment.stack, "GET", "/graphql?query=%7Bme%7Blogin%7D%7D", headers=anna)
    assert good.json()["data"] == {"me": {"login": "anna.sorokina"}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/graphql"),
        ("DELETE", "/graphql"),
        ("PATCH", "/graphql"),
        ("POST", "/auth/session"),
        ("GET", "/auth/development"),
        ("GET", "/auth/nothing"),
        ("GET", "/auth/oidc/start"),
        ("GET", "/v1/nothing"),
        ("POST", "/nothing"),
        ("DELETE", "/employee/7"),
        ("GET", "/assets/"),
        ("GET", "/assets/nothing.js"),
        ("GET", "/assets/../index.html"),
        ("GET", "/assets/..%2f..%2f..%2fpyproject.toml"),
        ("GET", "/assets/%2e%2e/%2e%2e/%2e%2e/pyproject.toml"),
        ("GET", "/assets/..%5c..%5cpyproject.toml"),
        ("GET", "/assets//etc/passwd"),
        ("GET", "/assets/%2fetc%2fpasswd"),
        ("GET", "/assets/x%00.js"),
        ("GET", "/assets/" + "a" * 5000),
        ("GET", "/graphql/explorer/..%2f..%2fhttp.py"),
        ("GET", "/graphql/explorer/%2e%2e/%2e%2e/http.py"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_not_there_is_a_clear_error_and_gives_no_file_away(
    deployment: Deployment, method: str, path: str
) -> None:
    answer = ask(deployment.stack, method, path)
    assert 400 <= answer.status < 500, answer.text[:300]
    assert "requires-python" not in answer.text
    assert "root:" not in answer.text
    assert_no_internals(answer.text)
    assert_signed(answer)
    if not path.startswith(("/assets/", "/graphql/explorer/")) and answer.status != 405:
        assert answer.json()["code"]


@pytest.mark.parametrize(
    "path",
    ["/..%2f..%2fpyproject.toml", "/%2e%2e/pyproject.toml", "/%00", "/%ff%fe", "/employees/x?y=%ff", "/.env"],
)
def test_other_paths_are_the_page_of_the_application_and_no_file(deployment: Deployment, path: str) -> None:
    answer = ask(deployment.stack, "GET", path)
    assert answer.status in (200, 400, 404)
    assert "requires-python" not in answer.text
    if answer.status == 200:
        assert "<!doctype html>" in answer.text.lower()
    assert_signed(answer)


def assert_signed(answer: Answer) -> None:
    """What every answer carries."""
    headers = answer.headers
    assert len(headers["x-request-id"]) >= 8
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src" in headers["content-security-policy"]
    assert "camera=()" in headers["permissions-policy"]
    assert "server" not in headers
    assert "x-powered-by" not in headers
    assert "access-control-allow-origin" not in headers


def test_every_kind_of_answer_carries_the_security_headers_and_a_request_id(
    deployment: Deployment, anna: dict[str, str]
) -> None:
    stack = deployment.stack
    browser = Browser(deployment, "anna.sorokina")
    page = ask(stack, "GET", "/")
    script = page.text.partition('src="')[2].partition('"')[0]
    assert script.startswith("/assets/")
    answers = {
        "page": page,
        "script": ask(stack, "GET", script),
        "alive": ask(stack, "GET", "/livez"),
        "ready": ask(stack, "GET", "/readyz"),
        "head": ask(stack, "HEAD", "/"),
        "data": ask(stack, "POST", "/graphql", json.dumps({"query": ME}), anna),
        "bad document": ask(stack, "POST", "/graphql", json.dumps({"query": "{"}), anna),
        "not JSON": ask(stack, "POST", "/graphql", "{", anna),
        "nobody": ask(stack, "POST", "/graphql", json.dumps({"query": ME}), JSON),
        "explorer to nobody": ask(stack, "GET", "/graphql", headers={"accept": "text/html"}),
        "explorer": ask(stack, "GET", "/graphql", headers={"accept": "text/html", "cookie": browser.cookie}),
        "session": browser.get("/auth/session"),
        "CSRF": browser.post("/graphql", {"query": ME}),
        "sign-in": ask(stack, "POST", "/auth/development", '{"login": "anna.sorokina"}', JSON),
        "refused sign-in": ask(stack, "POST", "/auth/development", '{"login": "nobody"}', JSON),
        "not found": ask(stack, "GET", "/auth/nothing"),
        "wrong method": ask(stack, "DELETE", "/graphql"),
        "missing file": ask(stack, "GET", "/assets/nothing.js"),
        "preflight": ask(
            stack,
            "OPTIONS",
            "/graphql",
            headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
        ),
    }
    for name, answer in answers.items():
        try:
            assert_signed(answer)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"{name}: {answer.status} {dict(answer.headers)}") from error
    ids = [answer.headers["x-request-id"] for answer in answers.values()]
    assert len(set(ids)) == len(ids)
    assert answers["data"].json()["extensions"]["requestId"] == answers["data"].headers["x-request-id"]
    for name in ("data", "session", "sign-in", "not found", "ready"):
        assert answers[name].headers["cache-control"] == "no-store", name


def test_the_clients_request_id_is_taken_over_only_in_a_harmless_form(
    deployment: Deployment, anna: dict[str, str]
) -> None:
    def asked_with(value: str) -> str:
        headers = {**anna, "x-request-id": value}
        return ask(deployment.stack, "POST", "/graphql", json.dumps({"query": ME}), headers).headers[
            "x-request-id"
        ]

    assert asked_with("ticket-4711-abc") == "ticket-4711-abc"
    for value in ("short", "x" * 65, "<script>alert(1)</script>", "a b c d e f g h", "ä" * 10):
        assert asked_with(value) != value


def test_half_a_request_and_noise_do_not_disturb_the_server(deployment: Deployment) -> None:
    for noise in (
        b"",
        b"\x00\xff\xfe\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ):
        try:
            answer = raw(deployment, noise)
        except ConnectionError:
            continue
        assert_no_internals(answer.decode("utf-8", "replace"))
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert deployment.is_ready()
