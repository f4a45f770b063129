"""Finding an employee: in either alphabet, by login, by phone, without leaving the keyboard."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import SignedIn
from tests.e2e.systems import Systems

pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture
def page(signed_in: SignedIn) -> Page:
    page = signed_in("anna.sorokina")
    page.goto("/")
    expect(field(page)).to_be_focused()
    return page


def field(page: Page) -> Locator:
    return page.locator("[data-qa=search-input] input")


def found(page: Page, text: str) -> Locator:
    return page.get_by_test_id("search-result").filter(has_text=text)


@pytest.mark.parametrize("typed", ["Петров Ив", "petrov iv", "ivan.petrov", "иван петр", "IVAN petrov"])
def test_an_employee_is_found_by_what_one_knows(page: Page, typed: str) -> None:
    field(page).fill(typed)
    expect(found(page, "ivan.petrov")).to_contain_text("Иван Петров")


def test_an_employee_is_found_by_phone_however_it_is_written(page: Page, systems: Systems) -> None:
    phone = systems.hr("100010")["workPhone"]
    spaced = f"{phone[:2]} ({phone[2:5]}) {phone[5:8]}-{phone[8:10]}-{phone[10:]}"
    for typed in (phone, spaced, phone[-7:]):
        field(page).fill(typed)
        expect(found(page, "ivan.petrov")).to_be_visible()
        expect(found(page, "ivan.petrov").locator("mark").first).to_be_visible()


def test_one_letter_does_not_search_and_a_hint_tells_how(page: Page) -> None:
    expect(page.get_by_test_id("search-hint")).to_be_visible()
    field(page).fill("и")
    expect(page.get_by_test_id("search-hint")).to_be_visible()
    expect(page.get_by_test_id("search-result")).to_have_count(0)


def test_what_was_found_is_marked_and_counted(page: Page, take: Callable[[Page, str], None]) -> None:
    field(page).fill("петр")
    expect(found(page, "ivan.petrov").locator("mark").first).to_have_text(re.compile("петр", re.I))
    expect(page.get_by_test_id("search-status")).to_have_text(re.compile(r"^\d+ people found$"))
    take(page, "search")


def test_nobody_found_says_what_else_to_try(page: Page) -> None:
    field(page).fill("щщщыыы")
    nobody = page.get_by_test_id("no-results")
    expect(nobody).to_contain_text("Nobody found for “щщщыыы”")
    expect(nobody).to_contain_text("try the other alphabet")


def test_arrows_and_enter_open_the_chosen_one(page: Page, systems: Systems) -> None:
    page.keyboard.type("ив")
    results = page.get_by_test_id("search-result")
    expect(results.nth(2)).to_be_visible()
    expect(results.nth(0)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(results.nth(2)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    expect(results.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field(page)).to_have_attribute("aria-activedescendant", results.nth(1).get_attribute("id") or "")
    chosen = results.nth(1).get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page).to_have_url(chosen)
    expect(page.get_by_test_id("employee-header")).to_be_visible()


def test_a_slash_leads_to_the_search_from_everywhere(page: Page, systems: Systems) -> None:
    page.goto(f"/people/{systems.id_of('100010')}")
    expect(page.get_by_test_id("employee-header")).to_be_visible()
    page.keyboard.press("/")
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_value("")
    page.keyboard.type("olga")
    expect(found(page, "Ольга Иванова")).to_be_visible()


def test_going_back_from_a_card_leads_to_the_same_list(page: Page) -> None:
    field(page).fill("ольга иван")
    found(page, "olga.ivanova").click()
    expect(page.get_by_test_id("employee-header")).to_contain_text("Ольга Иванова")
    page.go_back()
    expect(field(page)).to_have_value("ольга иван")
    expect(found(page, "olga.ivanova")).to_be_visible()


def test_escape_clears_the_field(page: Page) -> None:
    field(page).fill("петр")
    expect(page.get_by_test_id("search-result").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(field(page)).to_have_value("")
    expect(page.get_by_test_id("search-hint")).to_be_visible()


def test_what_one_may_not_know_is_not_found_by_it(page: Page, systems: Systems) -> None:
    """Anna serves the CIS: of a colleague in Lagos she may know the name, not the login or the phone."""
    field(page).fill("Amina Okafor")
    colleague = found(page, "Amina Okafor")
    expect(colleague).to_be_visible()
    expect(colleague).not_to_contain_text("amina.okafor")
    expect(colleague).not_to_contain_text("+234")
    for secret in (systems.hr("100012")["workPhone"], "100012"):
        field(page).fill(secret)
        expect(page.get_by_test_id("no-results")).to_contain_text(secret)


def test_the_command_palette_finds_people_and_pages(page: Page) -> None:
    page.keyboard.press("Control+k")
    palette = page.get_by_test_id("palette")
    expect(palette.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("sources")
    expect(palette.get_by_role("option", name=re.compile("Sources"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url("/sources")

    page.keyboard.press("Control+k")
    expect(palette.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("ivan.petr")
    expect(palette.get_by_role("option", name=re.compile("Иван Петров"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("employee-header")).to_contain_text("Иван Петров")
    page.keyboard.press("Control+k")
    expect(palette).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_have_count(0)


def test_a_question_mark_lists_the_keys(page: Page) -> None:
    field(page).evaluate("field => field.blur()")
    page.keyboard.press("?")
    expect(page.get_by_test_id("keys")).to_contain_text("Search for people")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("keys")).to_have_count(0)
