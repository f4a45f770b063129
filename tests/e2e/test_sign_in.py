"""Signing in and out in the browser."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.xdist_group("stack")


def test_one_signs_in_as_a_demo_person(page: Page, take) -> None:  # type: ignore[no-untyped-def]
    page.goto("/")
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    expect(page.get_by_test_id("sign-in-as-anna.sorokina")).to_be_visible()
    take(page, "sign-in")
    page.get_by_test_id("sign-in-as-anna.sorokina").click()
    expect(page.get_by_test_id("user-menu")).to_contain_text("Anna Sorokina")
