"""Asking a whole stack over HTTP: what the documents, credentials and requests of these tests have in common."""

import base64
import json
import socket

from tests.chaos.deployment import Answer, Deployment, ask, assert_no_internals

JSON = {"content-type": "application/json"}
ME = "{ me { login } }"


def as_anna(deployment: Deployment) -> dict[str, str]:
    """Headers of a JSON request in the name of a first line operator."""
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


def relay(kind: str, key: object) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


def raw(deployment: Deployment, request: bytes, *, then_silent: bool = False) -> bytes:
    """What the server says to these very bytes before it closes; `then_silent` tells it that no more will come."""
    with socket.create_connection(("127.0.0.1", deployment.stack.port), timeout=20) as connection:
        connection.sendall(request)
        if then_silent:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


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
