"""The web application runs trusted documents only, and in production a browser's session can run nothing else."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from okno.storage.embedded import APP, EmbeddedPostgres
from tests.e2e.card import act, fact, open_card, settled
from tests.e2e.conftest import Complaints, SignedIn
from tests.e2e.systems import Systems
from tests.oidc import oidc_provider
from tests.stack import ROOT, Stack, free_port

pytestmark = pytest.mark.xdist_group("stack")

START_SECONDS = 60


class Production:
    """An API of the same deployment in production mode, where people sign in with OpenID Connect."""

    def __init__(self, port: int, provider_url: str) -> None:
        self.url = f"http://localhost:{port}"
        self._port = port
        self._provider_url = provider_url

    def sign_in(self, login: str, *groups: str) -> dict[str, Any]:
        """The cookie of somebody whom the provider puts into these groups, as Playwright takes it."""
        with httpx.Client(base_url=self.url) as browser, httpx.Client() as outside:
            person = {"preferred_username": login, "name": login, "groups": groups}
            outside.put(f"{self._provider_url}/users/{login}", json=person).raise_for_status()
            address = browser.get("/auth/oidc/start").headers["location"]
            back = urlsplit(outside.post(address, data={"sub": login}).headers["location"])
            answer = browser.get(back.path, params=parse_qs(back.query))
            assert answer.status_code == 303, answer.text
            return {"name": "okno_session", "value": browser.cookies["okno_session"], "url": self.url}

    def graphql(self, body: object, **headers: str) -> dict[str, Any]:
        """The answer to one request for GraphQL."""
        connection = http.client.HTTPConnection("localhost", self._port, timeout=10)
        try:
            connection.request(
                "POST", "/graphql", json.dumps(body), {"content-type": "application/json", **headers}
            )
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


@pytest.fixture(scope="module")
def production(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    port = free_port()
    run = dict(
        line.split("=", 1) for line in (stack.data_dir / "run.env").read_text().splitlines() if "=" in line
    )
    output = tmp_path_factory.mktemp("production") / "api.log"
    with oidc_provider() as provider_url, output.open("wb") as out:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OKNO_")},
            **run,
            "OKNO_MODE": "production",
            "OKNO_PLAIN_LOCALHOST": "true",
            "OKNO_NETWORK_ALLOW": "127.0.0.0/8 ::1/128",
            "OKNO_DATA_DIR": str(stack.data_dir),
            "OKNO_APP_DATABASE_URL": EmbeddedPostgres(stack.data_dir / "postgres").url("okno", APP),
            "OKNO_OIDC_ISSUER": provider_url,
            "OKNO_OIDC_CLIENT_ID": "okno",
            "OKNO_OIDC_CLIENT_SECRET": "env:OIDC_SECRET",
            "OIDC_SECRET": "the client's secret",
            "PORT": str(port),
        }
        command = [sys.executable, "-m", "okno.cli", "api"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            _wait_until_ready(process, port, output)
            yield Production(port, provider_url)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        connection = http.client.HTTPConnection("localhost", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()


class Asked:
    """What a page asked of the API, by HTTP and over its WebSocket, and what was refused."""

    def __init__(self, page: Page) -> None:
        self.operations: list[dict[str, Any]] = []
        self.refused: list[str] = []
        page.on("request", self._request)
        page.on("response", lambda answer: self._answer(answer.url, answer.text))
        page.on("websocket", lambda socket: socket.on("framesent", self._frame))

    @property
    def names(self) -> set[str]:
        return {str(each.get("operationName", "of a widget")) for each in self.operations}

    def _request(self, request: Request) -> None:
        if request.url.endswith("/graphql"):
            self.operations.append(json.loads(request.post_data or "{}"))

    def _answer(self, url: str, text: Callable[[], str]) -> None:
        if url.endswith("/graphql"):
            self.refused += re.findall("DOCUMENT_NOT_TRUSTED|PERSISTED_DOCUMENT_NOT_FOUND", text())

    def _frame(self, frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "subscribe":
            self.operations.append(message["payload"])


class Entered(Protocol):
    def __call__(self, login: str, *groups: str) -> tuple[Page, Asked]: ...


@pytest.fixture
def entered(browser: Browser, production: Production, console: Complaints) -> Iterator[Entered]:
    """Makes pages of people who signed in with OpenID Connect. The test fails when a page complains in the console."""
    contexts = []

    def enter(login: str, *groups: str) -> tuple[Page, Asked]:
        context = browser.new_context(
            base_url=production.url, viewport={"width": 1440, "height": 900}, locale="en-GB"
        )
        contexts.append(context)
        context.on("console", console.hear)
        context.add_cookies([production.sign_in(login, *groups)])  # type: ignore[list-item]
        page = context.new_page()
        return page, Asked(page)

    yield enter
    for context in contexts:
        context.close()
    assert console.unexpected == [], f"complaints in the console: {console.unexpected}"


def test_in_production_the_whole_application_works_with_trusted_documents_alone(
    entered: Entered, systems: Systems
) -> None:
    person = systems.somebody()
    systems.lock(person["login"])
    # nobody whom the people index does not know runs operations
    operator, asked = entered(systems.somebody()["login"], "okno-first-line-cis")
    operator.goto("/people")
    operator.locator("[data-qa=search-input] input").fill(person["login"])
    operator.get_by_test_id("search-result").first.click()
    settled(operator)
    sheet = act(operator)
    sheet.get_by_label("Reason").fill("in production")
    sheet.locator("[data-qa=preview]").click()
    sheet.locator("[data-qa=run]").click()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    sheet.get_by_role("link", name="journal").click()
    expect(operator.get_by_test_id("sentence")).to_be_visible()
    operator.goto("/sources")
    expect(operator.get_by_test_id("source-hr")).to_be_visible()

    reviewer, reviewed = entered("oidc.reviewer", "okno-security")
    reviewer.goto("/journal")
    expect(reviewer.get_by_test_id("live")).to_have_attribute("data-state", "live")
    reviewer.get_by_test_id("journal-row").filter(has_text=person["login"]).first.click()
    expect(reviewer.get_by_test_id("sentence")).to_be_visible()
    reviewer.goto("/schema")
    expect(reviewer.get_by_role("heading", level=1)).to_be_visible()

    operations = asked.operations + reviewed.operations
    assert [each for each in operations if "query" in each] == []
    assert [each for each in operations if not re.fullmatch("sha256:[0-9a-f]{64}", each["documentId"])] == []
    assert asked.refused + reviewed.refused == []
    assert {
        *("Me", "SearchPeople", "EmployeeHeader", "Operations", "Widgets", "of a widget"),
        *("PreviewOperation", "RunOperation", "JournalRecord", "Sources", "EmployeeChanged"),
    } <= asked.names
    assert {"JournalRecords", "JournalRecordAdded"} <= reviewed.names


def test_in_production_a_browser_session_runs_no_free_query_and_a_token_does(
    production: Production, stack: Stack
) -> None:
    cookie = production.sign_in("oidc.curious", "okno-security")
    with httpx.Client(base_url=production.url, cookies={cookie["name"]: cookie["value"]}) as browser:
        token = browser.get("/auth/session").json()["csrfToken"]
        answer = browser.post(
            "/graphql",
            json={"query": "{ me { login } }"},
            headers={"X-Okno-CSRF": token, "Origin": production.url},
        )
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
    assert "data" not in answer.json() or answer.json()["data"] is None
    issued = stack.okno(
        "token", "issue", "--service", "inventory", "--scope", "employees.read", "--ttl", "1h"
    )
    bearer = f"Bearer {issued.stdout.strip().splitlines()[-1]}"
    assert production.graphql({"query": "{ __typename }"}, authorization=bearer)["data"] == {
        "__typename": "Query"
    }


def test_a_page_of_the_former_version_says_so_and_reloads(
    signed_in: SignedIn, systems: Systems, console: Complaints, take: Callable[[Page, str], None]
) -> None:
    console.expect("status of 4")
    page = signed_in("anna.sorokina")
    employee = systems.id_of("100010")
    stale: set[str] = set()

    def ask(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        if body.get("operationName") in stale:
            body["documentId"] = "sha256:" + "0" * 64
        route.continue_(post_data=json.dumps(body))

    page.route("**/graphql", ask)
    open_card(page, employee)
    stale.add("PreviewOperation")
    sheet = act(page)
    sheet.get_by_label("Reason").fill("typed before the deploy")
    sheet.locator("[data-qa=preview]").click()
    bar = page.get_by_test_id("outdated-bar")
    expect(bar).to_contain_text("A new version of Okno is out")
    expect(sheet.get_by_label("Reason")).to_have_value("typed before the deploy")
    take(page, "outdated")

    stale.add("EmployeeHeader")
    page.goto(f"/people/{employee}")
    face = page.get_by_test_id("outdated")
    expect(face).to_contain_text("Okno was updated")
    stale.clear()
    face.get_by_role("button", name="Reload").click()
    settled(page)
    expect(fact(page, "domain.login")).to_contain_text("ivan.petrov")
    expect(bar).to_have_count(0)
