"""A deed that wants a second factor: offered, told why it is refused, and done after the factor was proven."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import act, fact, open_card
from tests.e2e.conftest import SignedIn
from tests.e2e.systems import Systems
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")


def test_an_account_is_disabled_only_after_a_second_factor_and_the_page_stays(
    signed_in: SignedIn, systems: Systems, stack: Stack, take: Callable[[Page, str], None]
) -> None:
    person = systems.somebody()
    page = signed_in("dmitry.orlov")
    open_card(page, systems.id_of(person["personnelNumber"]))
    place = page.url
    action = page.get_by_test_id("action-domain.disable")
    expect(action.get_by_test_id("wants-second-factor")).to_be_attached()
    expect(
        page.get_by_test_id("action-domain.unlock").get_by_test_id("wants-second-factor")
    ).not_to_be_attached()

    sheet = act(page, "domain.disable")
    expect(sheet.locator("[data-qa=step-up-wanted]")).to_contain_text("A second factor is needed")
    expect(sheet.get_by_label("Reason")).to_have_count(0)
    take(page, "step-up")
    assert page.context.request.get("/auth/session").json()["secondFactor"] is False
    sheet.locator("[data-qa=step-up]").click()

    sheet.get_by_label("Reason").fill("Lost laptop")
    assert page.context.request.get("/auth/session").json()["secondFactor"] is True
    assert page.url == place
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_contain_text("Enabled")
    sheet.get_by_role("button", name="Disable account").click()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    assert systems.domain(person["login"])["pwdAccountLockedTime"] == ["000001010000Z"]
    expect(fact(page, "domain.enabled")).to_contain_text("No")


def test_who_signs_in_with_the_tick_has_the_second_factor_from_the_start(
    page: Page, systems: Systems
) -> None:
    page.goto("/")
    page.get_by_text("With a second factor").click()
    page.get_by_test_id("sign-in-as-dmitry.orlov").click()
    expect(page.get_by_test_id("user-menu")).to_contain_text("Dmitry Orlov")
    open_card(page, systems.id_of("100010"))
    expect(page.get_by_test_id("action-domain.disable")).to_be_visible()
    expect(page.get_by_test_id("wants-second-factor")).to_have_count(0)
