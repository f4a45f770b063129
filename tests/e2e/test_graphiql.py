"""GraphiQL for signed-in browsers: from the own origin, under the strict policy, with the rights of who is signed in."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SignedIn

pytestmark = pytest.mark.xdist_group("stack")


def test_a_signed_in_browser_explores_the_schema_and_runs_a_query(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/graphql")
    expect(page.locator(".graphiql-query-editor .CodeMirror")).to_be_visible()
    page.get_by_role("button", name=re.compile("Execute query")).click()
    result = page.locator(".result-window")
    expect(result).to_contain_text("Anna Sorokina")
    expect(result).to_contain_text('"decision": "allow"')
    expect(result).not_to_contain_text('"errors"')


def test_a_browser_that_is_not_signed_in_is_sent_to_do_so(page: Page) -> None:
    page.goto("/graphql")
    expect(page.locator(".graphiql-container")).to_have_count(0)
    expect(page.get_by_text("Anna Sorokina")).to_be_visible()
