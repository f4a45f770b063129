"""Acting on an account from the card: what will change, the deed in the directory server, the record of it."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.card import act, expect_no_sideways_scroll, fact, open_card
from tests.e2e.conftest import PHONE, Complaints, SignedIn
from tests.e2e.systems import Systems
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture
def locked(systems: Systems) -> dict[str, Any]:
    """An employee with a locked account, of this test alone; as HR has them, with `login` and `id`."""
    person = systems.somebody()
    systems.lock(person["login"])
    return {**person, "id": systems.id_of(person["personnelNumber"])}


def records(stack: Stack, login: str) -> list[str]:
    """What the journal holds about an employee, readable, oldest first."""
    return [
        line
        for line in stack.okno("audit", "tail", "-n", "200").stdout.splitlines()
        if f"Employee {login}" in line
    ]


def test_an_operator_unlocks_an_account_after_seeing_what_will_change(
    signed_in: SignedIn, systems: Systems, stack: Stack, take: Callable[[Page, str], None]
) -> None:
    systems.lock("ivan.petrov")
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of("100010"))
    expect(fact(page, "domain.locked")).to_contain_text("Yes")
    before = len(records(stack, "ivan.petrov"))

    sheet = act(page)
    sheet.get_by_label("Reason").fill("Forgot the password, asked by phone")
    sheet.locator("[data-qa=preview]").click()
    changes = sheet.get_by_test_id("changes")
    expect(changes).to_contain_text(re.compile(r"Locked\s*Yes.*No"))
    expect(changes).to_contain_text(re.compile(r"Failed sign-ins\s*5.*0"))
    take(page, "action-preview")
    assert systems.is_locked("ivan.petrov"), "a preview changes nothing"

    sheet.get_by_role("button", name="Unlock account").click()
    result = sheet.get_by_test_id("result")
    expect(result).to_have_attribute("data-outcome", "SUCCEEDED")
    expect(result).to_contain_text("Done: Unlock account")
    take(page, "action-done")
    assert not systems.is_locked("ivan.petrov")
    assert systems.domain("ivan.petrov")["pwdFailureTime"] == []

    expect(fact(page, "domain.locked")).to_contain_text("No")
    lines = records(stack, "ivan.petrov")[before:]
    deeds = [line for line in lines if "Ran an operation" in line]
    assert len(deeds) == 2, deeds
    assert "anna.sorokina" in deeds[0]
    assert "[intent]" in deeds[0]
    assert "Forgot the password" in deeds[0]
    assert "[outcome: succeeded]" in deeds[1]
    assert stack.okno("audit", "verify").returncode == 0


def test_the_result_leads_to_its_record_in_the_journal(signed_in: SignedIn, locked: dict[str, Any]) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, locked["id"])
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    sheet.locator("[data-qa=run]").click()
    sheet.get_by_test_id("result").get_by_role("link", name="journal").click()
    record = page.get_by_test_id("journal-record")
    expect(record.get_by_test_id("sentence")).to_contain_text("Anna Sorokina")
    expect(record.get_by_test_id("sentence")).to_contain_text(locked["fullName"])


def test_a_preview_that_no_longer_holds_is_shown_anew_and_nothing_is_done(
    signed_in: SignedIn, systems: Systems, stack: Stack, locked: dict[str, Any]
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, locked["id"])
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_be_visible()
    systems.unlock(locked["login"])
    sheet.locator("[data-qa=run]").click()

    expect(sheet).to_contain_text("already so")
    expect_nothing_to_confirm(sheet)
    deeds = [line for line in records(stack, locked["login"]) if "Ran an operation" in line]
    assert not any("[outcome: succeeded]" in line for line in deeds)


def test_an_account_that_is_open_already_needs_nothing(signed_in: SignedIn, systems: Systems) -> None:
    person = systems.somebody()
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(person["personnelNumber"]))
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet).to_contain_text("already so")
    expect_nothing_to_confirm(sheet)


def test_a_system_that_goes_away_before_the_deed_leaves_it_undone(
    signed_in: SignedIn, systems: Systems, faults: Stack, locked: dict[str, Any]
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, locked["id"])
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_be_visible()
    faults.fault("domain", outage=True)
    sheet.locator("[data-qa=run]").click()
    expect(sheet).to_contain_text(re.compile("Nothing was (changed|done)"))
    faults.heal("domain")
    assert systems.is_locked(locked["login"])
    deeds = [line for line in records(faults, locked["login"]) if "Ran an operation" in line]
    assert not any("[outcome: succeeded]" in line for line in deeds)
    assert faults.okno("audit", "verify").returncode == 0


def test_a_change_that_the_system_did_not_confirm_is_an_unknown_outcome(
    signed_in: SignedIn, systems: Systems, faults: Stack, locked: dict[str, Any]
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, locked["id"])
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_be_visible()

    # Before it writes, Okno reads twice (does the preview still hold; what is it that changes) and signs in anew. Then the
    # change is on its way for the time of the latency, is made, and half of the confirmation comes.
    before = systems.reads("domain")
    faults.fault("domain", latency_seconds=0.6)
    sheet.locator("[data-qa=run]").click()
    deadline = time.monotonic() + 10
    while systems.reads("domain") < before + 3:
        assert time.monotonic() < deadline, "Okno does not read before it writes"
    faults.fault("domain", half=True)

    result = sheet.get_by_test_id("result")
    expect(result).to_have_attribute("data-outcome", "UNKNOWN")
    expect(result).to_contain_text("It is not known whether this was done: Unlock account")
    expect(result).to_contain_text("Do not repeat it yet")
    faults.heal("domain")
    assert not systems.is_locked(locked["login"])
    deeds = [line for line in records(faults, locked["login"]) if "Ran an operation" in line]
    assert any("[outcome: unknown]" in line for line in deeds), deeds
    assert faults.okno("audit", "verify").returncode == 0


def test_an_answer_that_was_lost_on_the_way_is_asked_for_again_and_the_deed_is_done_once(
    signed_in: SignedIn, systems: Systems, stack: Stack, locked: dict[str, Any], console: Complaints
) -> None:
    console.expect("ERR_FAILED")
    page = signed_in("anna.sorokina")
    open_card(page, locked["id"])
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_be_visible()

    def lose_the_answer(route: Route) -> None:
        if "RunOperation" in (route.request.post_data or ""):
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/graphql", lose_the_answer)
    sheet.locator("[data-qa=run]").click()
    expect(sheet.locator("[data-qa=lost]")).to_contain_text("We do not know yet whether it was done")
    page.unroute("**/graphql")
    sheet.get_by_role("button", name="Ask how it ended").click()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    assert not systems.is_locked(locked["login"])
    deeds = [line for line in records(stack, locked["login"]) if "Ran an operation" in line]
    assert len(deeds) == 2, "one intent, one outcome"


def test_from_search_to_the_confirmed_deed_without_a_mouse(
    signed_in: SignedIn, systems: Systems, locked: dict[str, Any]
) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/")
    expect(page.locator("[data-qa=search-input] input")).to_be_focused()
    page.keyboard.type(locked["login"])
    expect(page.get_by_test_id("search-result").first).to_contain_text(locked["login"])
    expect(page.get_by_test_id("search-status")).to_have_text(re.compile("found"))
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("action-domain.unlock")).to_be_visible()
    page.keyboard.press("a")
    expect(page.locator("[data-qa=actions-filter] input")).to_be_focused()
    page.keyboard.type("unlock")
    page.keyboard.press("Enter")
    sheet = page.get_by_test_id("action-sheet")
    expect(sheet.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("keyboard only")
    page.keyboard.press("Tab")
    expect(sheet.locator("[data-qa=preview]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(sheet.get_by_test_id("changes")).to_be_visible()
    run = sheet.locator("[data-qa=run]")
    for _ in range(5):
        if run.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(run).to_be_focused()
    page.keyboard.press("Enter")
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    assert not systems.is_locked(locked["login"])
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)


def test_an_account_is_unlocked_on_a_phone(
    signed_in: SignedIn, systems: Systems, locked: dict[str, Any]
) -> None:
    page = signed_in("anna.sorokina", viewport=PHONE, has_touch=True)
    open_card(page, locked["id"])
    page.get_by_test_id("open-actions").tap()
    page.get_by_test_id("action-domain.unlock").and_(page.locator(":visible")).tap()
    sheet = page.get_by_test_id("action-sheet")
    sheet.locator("[data-qa=preview]").tap()
    expect(sheet.get_by_test_id("changes")).to_be_visible()
    expect_no_sideways_scroll(page)
    sheet.locator("[data-qa=run]").tap()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    assert not systems.is_locked(locked["login"])


def test_escape_leaves_the_sheet_with_nothing_done(
    signed_in: SignedIn, systems: Systems, locked: dict[str, Any]
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, locked["id"])
    sheet = act(page)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    assert systems.is_locked(locked["login"])


def test_a_form_that_is_not_filled_in_says_what_is_missing_and_a_group_is_added(
    signed_in: SignedIn, systems: Systems
) -> None:
    person = systems.somebody()
    page = signed_in("dmitry.orlov")
    open_card(page, systems.id_of(person["personnelNumber"]))
    sheet = act(page, "domain.add_to_group")
    sheet.locator("[data-qa=preview]").click()
    expect(sheet).to_contain_text("Fill this in")
    sheet.get_by_label("Group").fill("no-such-group")
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_contain_text("+ no-such-group")
    sheet.locator("[data-qa=run]").click()
    expect(sheet).to_contain_text("Not done")
    expect(sheet).not_to_contain_text("does not know this person")

    before = systems.groups_of(person["login"])
    group = next(each for each in systems.groups() if each.isascii() and each not in before)
    page.keyboard.press("Escape")
    sheet = act(page, "domain.add_to_group")
    sheet.get_by_label("Group").fill(group)
    sheet.locator("[data-qa=preview]").click()
    expect(sheet.get_by_test_id("changes")).to_contain_text(f"+ {group}")
    sheet.locator("[data-qa=run]").click()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")
    assert systems.groups_of(person["login"]) == sorted([*before, group])


def expect_nothing_to_confirm(sheet: Locator) -> None:
    """There is no button that would do it, or it cannot be pressed."""
    expect(sheet.locator("[data-qa=run]:not([disabled])")).to_have_count(0)
