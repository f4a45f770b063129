"""The journal and the pages around the card: languages, themes, narrow windows."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import act, expect_no_sideways_scroll, open_card, settled, widget
from tests.e2e.conftest import PHONE, NewContext, SignedIn
from tests.e2e.systems import Systems

pytestmark = pytest.mark.xdist_group("stack")

IVAN = "100010"


def unlock(signed_in: SignedIn, systems: Systems) -> str:
    """Lets Anna unlock somebody's account; gives their login."""
    person = systems.somebody()
    systems.lock(person["login"])
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(person["personnelNumber"]))
    sheet = act(page)
    sheet.get_by_label("Reason").fill("written into the journal")
    sheet.locator("[data-qa=preview]").click()
    sheet.locator("[data-qa=run]").click()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    login: str = person["login"]
    return login


def test_a_reviewer_reads_in_the_journal_who_did_what_to_whom(
    signed_in: SignedIn, systems: Systems, take: Callable[[Page, str], None]
) -> None:
    for _ in range(2):
        unlock(signed_in, systems)
    login = unlock(signed_in, systems)
    page = signed_in("vera.lis")
    page.goto("/")
    page.get_by_role("navigation").get_by_role("link", name="Journal").click()
    rows = page.get_by_test_id("journal-row")
    about = rows.filter(has_text=login)
    expect(about).to_have_count(4)
    deed = about.filter(has_text="Ran an operation")
    expect(deed.filter(has_text="intent")).to_have_count(1)
    expect(deed.filter(has_text="outcome")).to_contain_text("Succeeded")
    page.get_by_role("button", name="Without sign-ins").click()
    expect(rows.filter(has_text="Signed in")).to_have_count(0)
    take(page, "journal")

    page.get_by_label("Who, whom or what").fill(login)
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Succeeded").click()
    expect(rows).to_have_count(2)
    deed.filter(has_text="outcome").click()
    record = page.get_by_test_id("journal-record")
    expect(record.get_by_test_id("sentence")).to_have_text(
        re.compile(r"Anna Sorokina: Ran an operation. About: \S+")
    )
    expect(record).to_contain_text("Place in the chain")
    expect(record).to_contain_text(login)
    expect(record.get_by_test_id("changes")).to_contain_text("Locked")
    record.get_by_role("link", name="The record of the start").click()
    expect(record).to_contain_text("domain.unlock")
    place = page.url
    page.reload()
    expect(record.get_by_test_id("sentence")).to_contain_text("Anna Sorokina")
    assert page.url == place
    page.keyboard.press("Escape")
    expect(record).to_have_count(0)


def test_a_record_leads_to_the_employee_and_to_all_that_was_done_to_them(
    signed_in: SignedIn, systems: Systems
) -> None:
    login = unlock(signed_in, systems)
    page = signed_in("vera.lis")
    page.goto("/journal")
    page.get_by_test_id("journal-row").filter(has_text=login).first.click()
    page.get_by_test_id("journal-record").get_by_role("link", name="All records about them").click()
    expect(page).to_have_url(re.compile(r"/journal\?employee="))
    expect(page.get_by_test_id("journal-row")).to_have_count(4)
    page.get_by_test_id("journal-row").first.click()
    page.get_by_test_id("journal-record").get_by_role("link", name=login).click()
    settled(page)
    expect(page.get_by_test_id("login")).to_contain_text(login)


def test_the_language_changes_at_once_and_stays(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/sources")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sources")
    page.locator("[data-qa=language]").click()
    page.get_by_role("option", name="Русский").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Источники")
    expect(page.get_by_test_id("source-hr")).to_contain_text("Кадры")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Источники")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page).to_have_title(re.compile("Источники"))


def test_a_russian_browser_is_greeted_in_russian(new_context: NewContext) -> None:
    page = new_context(locale="ru-RU").new_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="Вход")).to_be_visible()


def test_the_dark_theme_is_chosen_and_stays(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/")
    brightness = """() => {
        const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
        return (red + green + blue) / 3;
    }"""
    expect(page.get_by_test_id("search-hint")).to_be_visible()
    assert page.evaluate(brightness) > 200
    page.get_by_role("radio", name="Dark").check(force=True)
    page.wait_for_function(f"({brightness})() < 80")
    page.reload()
    expect(page.get_by_test_id("search-hint")).to_be_visible()
    assert page.evaluate(brightness) < 80


def test_nothing_scrolls_sideways_in_a_narrow_window(
    signed_in: SignedIn, new_context: NewContext, systems: Systems, take: Callable[[Page, str], None]
) -> None:
    systems.lock("ivan.petrov")
    stranger = new_context(viewport=PHONE).new_page()
    stranger.goto("/")
    expect(stranger.get_by_test_id("sign-in-as-vera.lis")).to_be_visible()
    expect_no_sideways_scroll(stranger)

    page = signed_in("anna.sorokina", viewport=PHONE)
    page.goto("/people?q=петр")
    expect(page.get_by_test_id("search-result").first).to_be_visible()
    expect_no_sideways_scroll(page)
    page.goto("/sources")
    expect(page.get_by_test_id("source-hr")).to_be_visible()
    expect_no_sideways_scroll(page)
    open_card(page, systems.id_of(IVAN))
    expect(widget(page, "person-summary")).to_have_attribute("data-face", "ok")
    take(page, "employee-card-narrow")
    expect_no_sideways_scroll(page)

    reviewer = signed_in("vera.lis", viewport=PHONE)
    reviewer.goto("/journal")
    expect(reviewer.get_by_test_id("journal-row").first).to_be_visible()
    expect_no_sideways_scroll(reviewer)
    reviewer.get_by_test_id("journal-row").first.click()
    expect(reviewer.get_by_test_id("sentence")).to_be_visible()
    expect_no_sideways_scroll(reviewer)


def test_an_address_that_leads_nowhere_says_so(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/no/such/page")
    expect(page.get_by_test_id("not-found")).to_contain_text("There is no such page")
    page.get_by_role("link", name="Search for people").click()
    expect(page.get_by_test_id("search-hint")).to_be_visible()
