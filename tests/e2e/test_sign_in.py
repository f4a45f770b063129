"""Signing in and out in the browser, and a session that ends under somebody's hands."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import act, open_card, settled
from tests.e2e.conftest import Complaints, SessionEnd, SignedIn
from tests.e2e.systems import Systems

pytestmark = pytest.mark.xdist_group("stack")

EXPIRED = "status of 401"


def test_one_signs_in_as_a_demo_person(page: Page, take: Callable[[Page, str], None]) -> None:
    page.goto("/")
    anna = page.get_by_test_id("sign-in-as-anna.sorokina")
    expect(anna).to_contain_text("Anna Sorokina")
    take(page, "sign-in")
    anna.click()
    expect(page.get_by_test_id("user-menu")).to_contain_text("Anna Sorokina")
    expect(page.get_by_test_id("team")).to_have_text("First line, CIS")
    expect(page.locator("[data-qa=search-input] input")).to_be_focused()


def test_the_list_of_demo_people_is_narrowed_by_typing_and_enter_signs_in(page: Page) -> None:
    page.goto("/")
    expect(page.locator("[data-testid^=sign-in-as-]")).to_have_count(15)
    page.keyboard.type("devices")
    expect(page.locator("[data-testid^=sign-in-as-]")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("user-menu")).to_contain_text("Pavel Zaitsev")


def test_one_comes_to_the_page_one_asked_for(page: Page) -> None:
    page.goto("/sources")
    page.get_by_test_id("sign-in-as-anna.sorokina").click()
    expect(page.get_by_role("heading", name="Sources")).to_be_visible()
    expect(page).to_have_url("/sources")


def test_a_refused_sign_in_says_why(page: Page) -> None:
    page.goto("/?signInError=NO_TEAM")
    expect(page.get_by_test_id("sign-in").get_by_role("alert")).to_contain_text("team")
    expect(page).to_have_url("/")


def test_signing_out_leaves_nothing_behind(signed_in: SignedIn, systems: Systems) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of("100010"))
    page.get_by_test_id("user-menu").click()
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    expect(page.get_by_text("Иван Петров")).to_have_count(0)
    page.reload()
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert page.context.request.get("/auth/session").json()["signedIn"] is False


def test_an_expired_session_asks_to_sign_in_and_leads_back_to_what_one_was_typing(
    signed_in: SignedIn, systems: Systems, console: Complaints, end_session: SessionEnd
) -> None:
    console.expect(EXPIRED)
    person = systems.somebody()
    systems.lock(person["login"])
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(person["personnelNumber"]))
    place = page.url
    sheet = act(page)
    sheet.get_by_label("Reason").fill("asked by phone")
    end_session(page)
    sheet.locator("[data-qa=preview]").click()

    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    page.get_by_test_id("sign-in-as-anna.sorokina").click()
    expect(page.get_by_test_id("sign-in")).to_have_count(0)
    assert page.url == place
    expect(sheet.get_by_label("Reason")).to_have_value("asked by phone")
    expect(sheet.get_by_test_id("changes")).to_be_visible()


def test_an_expired_session_keeps_the_card_one_was_going_to(
    signed_in: SignedIn, systems: Systems, console: Complaints, end_session: SessionEnd
) -> None:
    console.expect(EXPIRED)
    page = signed_in("lucia.torres")
    page.goto("/")
    expect(page.get_by_test_id("search-hint")).to_be_visible()
    end_session(page)
    open_place = f"/people/{systems.id_of('100017')}"
    page.goto(open_place)
    page.get_by_test_id("sign-in-as-lucia.torres").click()
    settled(page)
    expect(page).to_have_url(open_place)
    expect(page.get_by_test_id("employee-header")).to_contain_text("João Silva")


def test_another_person_who_signs_in_sees_nothing_of_the_former_one(
    signed_in: SignedIn, systems: Systems, console: Complaints, end_session: SessionEnd
) -> None:
    console.expect(EXPIRED)
    page = signed_in("kwame.mensah")
    page.goto("/people?q=okafor")
    expect(page.get_by_test_id("search-result").first).to_contain_text("+234")
    end_session(page)
    page.locator("[data-qa=search-input] input").fill("amina")
    page.get_by_test_id("sign-in-as-lucia.torres").click()
    expect(page.get_by_test_id("user-menu")).to_contain_text("Lucia Torres")
    expect(page.get_by_test_id("search-result").filter(has_text="Amina Okafor")).to_be_visible()
    expect(page.get_by_text("+234")).to_have_count(0)
