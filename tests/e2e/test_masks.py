"""Masked values in the browser: they look different from what is denied or empty, say why, and the rest never arrives."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import expect_no_sideways_scroll, fact, open_card
from tests.e2e.conftest import DESKTOP, PHONE, SignedIn
from tests.e2e.systems import Systems
from tests.e2e.test_rights import answers

pytestmark = pytest.mark.xdist_group("stack")

IVAN = "100010"


def test_the_first_line_sees_the_end_of_a_personal_phone_and_why(
    signed_in: SignedIn, systems: Systems, take: Callable[[Page, str], None]
) -> None:
    phone = systems.hr(IVAN)["personalPhone"]
    for theme, size in (("light", DESKTOP), ("dark", PHONE)):
        page = signed_in("anna.sorokina", color_scheme=theme, viewport=size)
        received = answers(page)
        open_card(page, systems.id_of(IVAN))
        masked = fact(page, "hr.personalPhone").get_by_test_id("masked")
        expect(masked).to_have_text(f"•••• {phone[-4:]}")
        expect(masked).to_have_attribute("aria-label", re.compile(rf"Partly hidden.*{phone[-4:]}.*Rule: "))
        expect(fact(page, "hr.personalPhone").locator("a")).to_have_count(0)
        expect(fact(page, "hr.birthDate").get_by_test_id("locked")).to_be_visible()
        masked.scroll_into_view_if_needed()
        expect_no_sideways_scroll(page)
        take(page, f"masked-{theme}")
        assert phone not in "".join(response.text() for response in received)
    masked.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(masked).to_be_focused()
    # that of the neighbour, which had the focus for a moment, takes its time to go
    expect(page.get_by_role("tooltip").filter(has_text="end of the personal phone")).to_contain_text("Rule: ")
    page.keyboard.press("Escape")


def test_search_shows_masked_contacts_and_finds_by_the_whole_address_alone(
    signed_in: SignedIn, systems: Systems, take: Callable[[Page, str], None]
) -> None:
    hr = systems.hr(IVAN)
    address = "ivan.petrov@okno.example"
    page = signed_in("camila.duarte", locale="ru-RU")
    received = answers(page)
    page.goto("/people?q=Ivan Petrov")
    row = page.get_by_test_id("search-result").filter(has_text="Ivan Petrov").first
    phone = row.get_by_test_id("masked")
    expect(phone).to_contain_text(f"•••• {hr['workPhone'][-4:]}")
    expect(phone).to_have_attribute("title", re.compile("Правило: "))
    expect(phone.locator("mark")).to_have_count(0)
    take(page, "masked-search")
    assert hr["workPhone"] not in "".join(response.text() for response in received)
    field = page.locator("[data-qa=search-input] input")
    field.fill(address)
    expect(page.get_by_test_id("search-result")).to_have_count(1)
    for part in (address[:-1], address[1:]):
        field.fill(part)
        expect(page.get_by_test_id("no-results")).to_be_visible()
    said = "".join(response.text() for response in received)
    assert address not in said.replace("employees(search", "")
