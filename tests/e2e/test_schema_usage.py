"""Who uses which part of the schema: a tool that asked is found on the page, by those who may see it."""

import http.client
import json
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.card import expect_no_sideways_scroll
from tests.e2e.conftest import PHONE, SignedIn
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

CLIENT = "night-report-ui/2.0"
QUERY = "{ employees(first: 1) { edges { node { personnelNumber indexedAt } } } }"
# Counts are written every 10 s
WRITTEN_SECONDS = 60


@pytest.fixture(scope="module")
def tool(stack: Stack) -> None:
    """A tool that names itself has asked for something that the web application never asks for, and it is written."""
    issued = stack.okno(
        "token", "issue", "--service", "night-report", "--scope", "employees.read", "--ttl", "1h"
    )
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    headers = {
        "authorization": f"Bearer {issued.stdout.split()[-1]}",
        "content-type": "application/json",
        "X-Okno-Client": CLIENT,
    }
    connection.request("POST", "/graphql", json.dumps({"query": QUERY}).encode(), headers)
    assert "errors" not in json.loads(connection.getresponse().read())
    connection.close()
    deadline = time.monotonic() + WRITTEN_SECONDS
    while not json.loads(stack.okno("schema", "usage", "--client", CLIENT, "--json").stdout)["members"]:
        assert time.monotonic() < deadline, "what the tool asked for was not written"


def part(page: Page, coordinate: str) -> Locator:
    return page.locator(f"[data-coordinate='{coordinate}']")


def test_security_finds_out_who_would_miss_a_field(
    tool: None, signed_in: SignedIn, take: Callable[[Page, str], None]
) -> None:
    page = signed_in("vera.lis")
    page.goto("/")
    page.get_by_role("navigation").get_by_role("link", name="Schema").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Schema")
    page.get_by_label("Type, field or argument").fill("employee.indexed")
    row = part(page, "Employee.indexedAt")
    expect(row).to_contain_text(CLIENT)
    row.get_by_role("button").click()
    clients = page.get_by_test_id("schema-clients")
    expect(clients).to_contain_text("service night-report")
    expect(clients).to_contain_text("1 operation")
    take(page, "schema-usage")

    clients.get_by_role("button", name=CLIENT).click()
    page.get_by_label("Type, field or argument").fill("")
    expect(page.get_by_test_id("schema-part")).to_have_count(6)
    expect(page).to_have_url(re.compile(r"/schema\?client=night-report-ui%2F2\.0$"))
    page.reload()
    expect(page.get_by_test_id("schema-part")).to_have_count(6)


def test_what_nobody_uses_is_listed_on_a_phone_too(tool: None, signed_in: SignedIn) -> None:
    page = signed_in("vera.lis", viewport=PHONE)
    page.goto("/schema?q=employee.indexed")
    expect(part(page, "Employee.indexedAt")).to_contain_text("1 op.")
    expect_no_sideways_scroll(page)
    part(page, "Employee.indexedAt").get_by_role("button").click()
    expect(page.get_by_test_id("schema-clients")).to_be_visible()
    expect_no_sideways_scroll(page)
    page.get_by_role("button", name="Unused").click()
    expect(page.get_by_test_id("empty")).to_contain_text("No part of the schema fits")
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_test_id("schema-part")).to_have_count(100)
    page.goto("/schema?q=_service.sdl&unused=")
    expect(part(page, "_Service.sdl")).to_contain_text("nobody")


def test_who_may_not_see_it_is_not_offered_it(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/schema")
    expect(page.get_by_test_id("denied")).to_be_visible()
    navigation = page.get_by_role("navigation")
    expect(navigation.get_by_role("link", name="Sources")).to_be_visible()
    expect(navigation.get_by_role("link", name="Schema")).to_have_count(0)
