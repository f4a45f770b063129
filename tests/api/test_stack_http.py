"""HTTP itself on a whole stack: whatever is sent, the answer is clear, carries its headers and gives no file away."""

import json
from collections.abc import Iterator

import pytest

from tests.api.stack_asking import JSON, ME, Browser, as_anna, assert_signed, raw
from tests.chaos.deployment import (
    DEPLOYMENTS,
    Deployment,
    ask,
    assert_no_internals,
    assert_one_clear_error,
    post,
)

pytestmark = [pytest.mark.xdist_group("stack-faults"), pytest.mark.timeout(300)]


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
            answer = raw(deployment, noise, then_silent=True)
        except ConnectionError:
            continue
        assert_no_internals(answer.decode("utf-8", "replace"))
        assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert deployment.is_ready()
