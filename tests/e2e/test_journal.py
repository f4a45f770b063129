"""Searching the journal, and what a person learns of who looked at them."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import expect_no_sideways_scroll
from tests.e2e.conftest import PHONE, SignedIn

pytestmark = pytest.mark.xdist_group("stack")


def test_the_server_searches_all_of_the_journal_and_the_address_says_for_what(
    signed_in: SignedIn, take: Callable[[Page, str], None]
) -> None:
    signed_in("anna.sorokina")
    page = signed_in("vera.lis")
    page.goto("/journal")
    rows = page.get_by_test_id("journal-row")
    expect(rows.first).to_be_visible()
    page.get_by_label("Who, whom or what").fill("sorokina signed")
    expect(page).to_have_url(re.compile(r"text=sorokina"))
    expect(rows.first).to_contain_text("Anna Sorokina")
    expect(rows.filter(has_not_text="Signed in")).to_have_count(0)
    take(page, "journal-searched")
    rows.first.get_by_role("link").click()
    page.get_by_test_id("journal-record").get_by_role("link", name="All they did").click()
    expect(page.get_by_test_id("filter-actor")).to_contain_text("By Anna Sorokina")
    expect(rows.filter(has_not_text="Anna Sorokina")).to_have_count(0)
    # what somebody was sent shows them the same
    address = page.url
    page.goto("/sources")
    page.goto(address)
    expect(page.get_by_test_id("filter-actor")).to_be_visible()
    page.get_by_test_id("filter-actor").click()
    expect(page).to_have_url(re.compile(r"/journal$"))
    page.goto("/journal?text=nobody-of-that-name")
    expect(page.get_by_test_id("empty")).to_contain_text("No record matches")
    page.get_by_role("button", name="Show all records").click()
    expect(rows.first).to_be_visible()


def test_one_learns_from_the_account_menu_who_looked_at_one(
    signed_in: SignedIn, take: Callable[[Page, str], None]
) -> None:
    elena = signed_in("elena.kim")
    anna = signed_in("anna.sorokina")
    anna.goto("/people?q=anna.sorokina")
    anna.get_by_test_id("search-result").first.click()
    expect(anna).to_have_url(re.compile(r"/people/."))
    address = anna.url
    # her card shows the HR desk what is confidential of her
    elena.goto(address)
    expect(elena.get_by_test_id("login")).to_be_visible()
    anna.get_by_test_id("user-menu").click()
    anna.get_by_test_id("who-looked-at-me").click()
    expect(anna.get_by_role("heading", level=1)).to_have_text("Who looked at me")
    first = anna.get_by_test_id("history-record").first
    expect(first).to_contain_text("Elena Kim")
    expect(first).to_contain_text("Read sensitive fields")
    take(anna, "history")
    narrow = signed_in("anna.sorokina", viewport=PHONE)
    narrow.goto("/history")
    expect(narrow.get_by_test_id("history-record").first).to_be_visible()
    expect_no_sideways_scroll(narrow)
