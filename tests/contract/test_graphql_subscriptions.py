"""Subscriptions by npm's graphql-ws and graphql-sse against the running server: events, and every way in which they end."""

import asyncio
import http.client
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.contract.peers.okno import Okno, node_program

pytestmark = [pytest.mark.xdist_group("stack-graphql"), pytest.mark.timeout(120)]

SECONDS = 20
RECORDS = "subscription { auditRecordAdded { eventType actorLogin } }"
CHANGED = "subscription ($id: ID!) { employeeChanged(id: $id) { displayName domain { locked } } }"
PREVIEW = (
    "mutation ($i: OperationPreviewInput!) { operationPreview(input: $i) { previewToken errors { code } } }"
)
RUN = "mutation ($i: OperationRunInput!) { operationRun(input: $i) { outcome errors { code } } }"
INIT = {"type": "connection_init"}
PROTOCOL = "graphql-transport-ws"


class Clients:
    """Clients of one library in one Node process."""

    def __init__(self, script: str, url: str) -> None:
        self._url = url
        self._process = subprocess.Popen(
            node_program(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._told: dict[str, queue.Queue[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def do(self, what: str, **more: Any) -> str:
        """Begins something with a new client; gives its name."""
        name = str(more.pop("client", None) or uuid4())
        self._told.setdefault(name, queue.Queue())
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, "client": name, "url": self._url, **more}) + "\n")
        self._process.stdin.flush()
        return name

    def next(self, client: str) -> dict[str, Any]:
        """What the client tells next."""
        return self._told[client].get(timeout=SECONDS)

    def expect(self, client: str, event: str) -> dict[str, Any]:
        told = self.next(client)
        assert told["event"] == event, told
        return told

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self._told[told["client"]].put(told)


@pytest.fixture(scope="module")
def ws(okno: Okno) -> Iterator[Clients]:
    clients = Clients("ws-client.mjs", okno.endpoint.replace("http", "ws"))
    yield clients
    clients.stop()


@pytest.fixture(scope="module")
def sse(okno: Okno) -> Iterator[Clients]:
    clients = Clients("sse-client.mjs", okno.endpoint)
    yield clients
    clients.stop()


@pytest.fixture(scope="module")
def ivan(okno: Okno) -> str:
    return okno.employee_id("Иван Петров")


class Browser:
    """A signed-in browser."""

    def __init__(self, okno: Okno, login: str) -> None:
        self._okno = okno
        body, headers = self._post("/auth/development", {"login": login})
        self.csrf = json.loads(body)["csrfToken"]
        self.cookie = headers["set-cookie"].partition(";")[0]
        self.headers = {"cookie": self.cookie, "origin": okno.stack.url}

    def sign_out(self) -> None:
        self._post("/auth/sign-out", {}, cookie=self.cookie, **{"x-okno-csrf": self.csrf})

    def _post(self, path: str, body: object, **headers: str) -> tuple[bytes, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._okno.stack.port, timeout=SECONDS)
        try:
            connection.request(
                "POST", path, json.dumps(body), {"content-type": "application/json", **headers}
            )
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read(), answer.headers
        finally:
            connection.close()


def bearer(okno: Okno, login: str) -> dict[str, str]:
    return {"authorization": f"Bearer {okno.token(login)}"}


def fresh_token(okno: Okno, *words: str) -> tuple[str, str]:
    """A token of one test alone, and its id."""
    issued = okno.stack.okno("token", "issue", *words, "--ttl", "1h")
    return issued.stdout.strip().splitlines()[-1], issued.stderr.split()[1]


def sql(okno: Okno, statement: str, *values: object) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(okno.stack.superuser_dsn, timeout=10)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    asyncio.run(run())


def operate(okno: Okno, login: str, operation: str, employee: str, given: object) -> list[str]:
    """Previews and runs an operation; gives the codes of what was wrong."""
    asked = {"operation": operation, "employee": employee, "input": given, "idempotencyKey": str(uuid4())}
    seen = okno.ask(okno.token(login), PREVIEW, i=asked)["data"]["operationPreview"]
    if not seen["errors"]:
        asked["previewToken"] = seen["previewToken"]
        seen = okno.ask(okno.token(login), RUN, i=asked)["data"]["operationRun"]
    return [error["code"] for error in seen["errors"]]


def test_an_unlock_by_another_operator_is_told_over_both_protocols(
    okno: Okno, ws: Clients, sse: Clients, ivan: str
) -> None:
    over_ws = ws.do("subscribe", params=bearer(okno, "anna.sorokina"), query=CHANGED, variables={"id": ivan})
    over_sse = sse.do("subscribe", headers=bearer(okno, "elena.kim"), query=CHANGED, variables={"id": ivan})
    elsewhere = ws.do("subscribe", headers=bearer(okno, "anna.sorokina"), query=RECORDS)
    for clients, client in ((ws, over_ws), (sse, over_sse), (ws, elsewhere)):
        clients.expect(client, "subscribed")
    assert operate(okno, "dmitry.orlov", "domain.unlock", ivan, {}) == []
    for clients, client in ((ws, over_ws), (sse, over_sse)):
        payload = clients.expect(client, "next")["payload"]
        assert payload["data"]["employeeChanged"] == {
            "displayName": "Иван Петров",
            "domain": {"locked": False},
        }
        assert {"gate", "cost", "policyVersion", "requestId"} <= payload["extensions"].keys()
    # Of the records of others an operator hears nothing: the first one to arrive is one's own
    assert operate(okno, "anna.sorokina", "domain.add_to_group", ivan, {"group": "vpn"}) == ["DENIED"]
    record = ws.expect(elsewhere, "next")["payload"]["data"]["auditRecordAdded"]
    assert record == {"eventType": "access.denied", "actorLogin": "anna.sorokina"}
    for clients, client, last in (
        (ws, over_ws, "closed"),
        (sse, over_sse, "complete"),
        (ws, elsewhere, "closed"),
    ):
        clients.do("dispose", client=client)
        clients.expect(client, last)


def test_of_a_protected_person_hears_nobody_who_may_not_read_them(
    okno: Okno, ws: Clients, sse: Clients
) -> None:
    maxim = okno.employee_id("Максим Егоров")
    over_ws = ws.do("subscribe", params=bearer(okno, "anna.sorokina"), query=CHANGED, variables={"id": maxim})
    (error,) = next(
        told["errors"] for told in iter(lambda: ws.next(over_ws), None) if told["event"] == "error"
    )
    assert error["extensions"]["code"] == "DENIED"
    ws.do("dispose", client=over_ws)
    over_sse = sse.do(
        "subscribe", headers=bearer(okno, "anna.sorokina"), query=CHANGED, variables={"id": maxim}
    )
    told = next(told for told in iter(lambda: sse.next(over_sse), None) if told["event"] == "next")
    assert told["payload"]["errors"][0]["extensions"]["code"] == "DENIED"
    sse.expect(over_sse, "complete")


def test_signing_out_ends_subscriptions_and_the_connection(okno: Okno, ws: Clients, ivan: str) -> None:
    browser = Browser(okno, "anna.sorokina")
    client = ws.do("subscribe", headers=browser.headers, query=CHANGED, variables={"id": ivan})
    ws.expect(client, "subscribed")
    browser.sign_out()
    (error,) = ws.expect(client, "error")["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert ws.expect(client, "closed")["code"] == 4401


def test_a_revoked_token_ends_both(okno: Okno, ws: Clients, sse: Clients, ivan: str) -> None:
    token, token_id = fresh_token(okno, "--as", "anna.sorokina")
    given = {"authorization": f"Bearer {token}"}
    over_ws = ws.do("subscribe", params=given, query=CHANGED, variables={"id": ivan})
    over_sse = sse.do("subscribe", headers=given, query=RECORDS)
    ws.expect(over_ws, "subscribed")
    sse.expect(over_sse, "subscribed")
    okno.stack.okno("token", "revoke", token_id)
    assert ws.expect(over_ws, "error")["errors"][0]["message"] == "The bearer token was revoked."
    assert ws.expect(over_ws, "closed")["code"] == 4401
    # it may have heard of a record of its own before, such as the revocation
    told = next(told for told in iter(lambda: sse.next(over_sse), None) if "errors" in told["payload"])
    assert told["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    sse.expect(over_sse, "complete")


def test_another_team_ends_what_it_may_not_follow(okno: Okno, ws: Clients, ivan: str) -> None:
    okno.token("lucia.torres")
    sql(
        okno,
        """INSERT INTO identity_membership (account_id, team_id, origin, created_at)
           SELECT id, 'first-line-cis', 'database', now() FROM identity_account WHERE login = 'lucia.torres'""",
    )
    token, token_id = fresh_token(okno, "--as", "lucia.torres", "--team", "first-line-cis")
    given = {"authorization": f"Bearer {token}"}
    client = ws.do("subscribe", params=given, query=CHANGED, variables={"id": ivan})
    ws.expect(client, "subscribed")
    move = "UPDATE identity_token SET team_id = $2 WHERE id = $1::text::uuid"
    sql(okno, move, token_id, "first-line-south-america")
    assert ws.expect(client, "error")["errors"][0]["extensions"]["code"] == "DENIED"
    ws.do("dispose", client=client)
    assert ws.expect(client, "closed")["code"] == 1000


def test_a_lost_membership_ends_the_connection(okno: Okno, ws: Clients, ivan: str) -> None:
    okno.token("kwame.mensah")
    sql(
        okno,
        """INSERT INTO identity_membership (account_id, team_id, origin, created_at)
           SELECT id, 'identity', 'database', now() FROM identity_account WHERE login = 'kwame.mensah'""",
    )
    token, _ = fresh_token(okno, "--as", "kwame.mensah", "--team", "identity")
    given = {"authorization": f"Bearer {token}"}
    client = ws.do("subscribe", params=given, query=CHANGED, variables={"id": ivan})
    ws.expect(client, "subscribed")
    sql(okno, "DELETE FROM identity_membership WHERE team_id = 'identity' AND origin = 'database'")
    assert ws.expect(client, "error")["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert ws.expect(client, "closed")["code"] == 4401


def test_the_close_codes_are_those_of_the_protocol(okno: Okno, ws: Clients) -> None:
    init = {**INIT, "payload": bearer(okno, "anna.sorokina")}
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": RECORDS}}
    cases: dict[int, list[Any]] = {
        4400: [init, "{"],
        4401: [subscribe],
        4408: [],
        4409: [init, subscribe, subscribe],
        4429: [init, init],
    }
    talks = {code: ws.do("talk", protocols=[PROTOCOL], messages=cases[code]) for code in cases}
    talks[4406] = ws.do("talk", protocols=[], messages=[])
    browser = Browser(okno, "anna.sorokina")
    talks[4403] = ws.do("talk", protocols=[PROTOCOL], headers={"cookie": browser.cookie}, messages=[INIT])
    talks[1009] = ws.do("talk", protocols=[PROTOCOL], messages=[init, "x" * 300_000])
    for code, client in talks.items():
        told = ws.expect(client, "closed")
        assert told["code"] == code, told


def test_a_page_of_another_origin_gets_neither(okno: Okno, ws: Clients, sse: Clients) -> None:
    browser = Browser(okno, "anna.sorokina")
    foreign = {"cookie": browser.cookie, "origin": "https://evil.example", "x-okno-csrf": browser.csrf}
    told = ws.expect(ws.do("talk", protocols=[PROTOCOL], headers=foreign, messages=[INIT]), "refused")
    assert told["status"] == 403
    assert told["body"]["errors"][0]["extensions"]["code"] == "CSRF"
    assert sse.expect(sse.do("subscribe", headers=foreign, query=RECORDS), "error")["status"] == 403
    without = {"cookie": browser.cookie}
    assert sse.expect(sse.do("subscribe", headers=without, query=RECORDS), "error")["status"] == 403
    ours = sse.do("subscribe", headers={**browser.headers, "x-okno-csrf": browser.csrf}, query=RECORDS)
    sse.expect(ours, "subscribed")
    sse.do("dispose", client=ours)
    sse.expect(ours, "complete")
