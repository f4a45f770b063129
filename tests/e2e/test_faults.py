"""A system that is down, slow, or talks nonsense costs its own section, and nothing else."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import (
    WIDGET_OF,
    WIDGETS,
    fact,
    open_card,
    reload_until_stale,
    retry_until_ok,
    widget,
)
from tests.e2e.conftest import SOURCES, SignedIn
from tests.e2e.systems import Systems
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")


def expect_only_to_fail(page: Page, source: str) -> None:
    for name in WIDGETS:
        face = "failed" if name == WIDGET_OF[source] else "ok"
        expect(widget(page, name)).to_have_attribute("data-face", face)


@pytest.mark.parametrize("source", SOURCES)
def test_a_system_that_is_down_says_so_in_its_section_and_comes_back(
    signed_in: SignedIn, systems: Systems, faults: Stack, take: Callable[[Page, str], None], source: str
) -> None:
    person = systems.somebody()
    page = signed_in("anna.sorokina")
    faults.fault(source, outage=True)
    open_card(page, systems.id_of(person["personnelNumber"]))
    expect_only_to_fail(page, source)
    failed = widget(page, WIDGET_OF[source])
    expect(failed).to_contain_text("no data")
    expect(failed).to_contain_text("The rest of the card is right")
    expect(failed.get_by_test_id("corner")).to_have_attribute("data-tone", "failed")
    expect(failed.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_test_id("employee-header")).to_contain_text(person["fullName"])
    if source == "directory":
        take(page, "source-down")

    faults.heal(source)
    retry_until_ok(page, WIDGET_OF[source])
    expect(failed.get_by_test_id("corner")).to_have_attribute("data-tone", "ok")


@pytest.mark.parametrize(
    ("source", "fault", "cause"),
    [
        ("hr", {"hang": True}, "did not answer in time"),
        ("directory", {"garbage": True}, "could not be understood"),
        ("domain", {"hang": True}, "did not answer in time"),
        ("equipment", {"hang": True}, "did not answer in time"),
    ],
)
def test_a_system_that_misbehaves_fails_in_words_one_understands(
    signed_in: SignedIn, systems: Systems, faults: Stack, source: str, fault: dict[str, bool], cause: str
) -> None:
    person = systems.somebody()
    page = signed_in("anna.sorokina")
    faults.fault(source, **fault)
    open_card(page, systems.id_of(person["personnelNumber"]))
    expect_only_to_fail(page, source)
    expect(widget(page, WIDGET_OF[source])).to_contain_text(cause)
    faults.heal(source)
    retry_until_ok(page, WIDGET_OF[source])


def test_what_a_system_said_last_is_shown_while_it_is_down_and_marked_as_old(
    signed_in: SignedIn, systems: Systems, faults: Stack
) -> None:
    person = systems.somebody()
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(person["personnelNumber"]))
    faults.fault("domain", outage=True)
    reload_until_stale(page, "domain-account")
    corner = widget(page, "domain-account").get_by_test_id("corner")
    expect(corner).to_have_attribute("data-tone", "stale")
    expect(corner).to_contain_text("old")
    expect(corner).to_have_attribute("title", re.compile("last known state"))
    expect(fact(page, "domain.login")).to_contain_text(person["login"])

    faults.heal("domain")
    retry_until_ok(page, "domain-account")
    expect(corner).to_have_attribute("data-tone", "ok")


def test_a_slow_system_keeps_nobody_waiting_and_moves_nothing_when_it_comes(
    signed_in: SignedIn, systems: Systems, faults: Stack
) -> None:
    person = systems.somebody()
    page = signed_in("anna.sorokina")
    faults.fault("hr", latency_seconds=1.6)
    page.goto(f"/people/{systems.id_of(person['personnelNumber'])}")
    for name in WIDGETS:
        face = "loading" if name == "person-summary" else "ok"
        expect(widget(page, name)).to_have_attribute("data-face", face)
    expect(page.get_by_test_id("action-domain.unlock")).to_be_visible()
    before = {name: widget(page, name).bounding_box() for name in WIDGETS}
    assert widget(page, "person-summary").get_attribute("data-face") == "loading"
    expect(widget(page, "person-summary")).to_have_attribute("data-face", "ok")
    assert {name: widget(page, name).bounding_box() for name in WIDGETS} == before


def test_nothing_moves_from_the_first_skeleton_to_the_last_answer(
    signed_in: SignedIn, systems: Systems, faults: Stack
) -> None:
    person = systems.somebody()
    page = signed_in("anna.sorokina")
    for source in SOURCES:
        faults.fault(source, latency_seconds=1.0)
    page.goto(f"/people/{systems.id_of(person['personnelNumber'])}")
    expect(page.locator("[data-testid^=widget-][data-face=loading]")).to_have_count(4)
    expect(page.get_by_test_id("employee-header")).to_be_visible()
    before = {name: widget(page, name).bounding_box() for name in WIDGETS}
    expect(page.locator("[data-testid^=widget-][data-face=ok]")).to_have_count(len(WIDGETS))
    assert {name: widget(page, name).bounding_box() for name in WIDGETS} == before


def test_the_sources_page_tells_which_system_is_in_trouble(
    signed_in: SignedIn, systems: Systems, faults: Stack
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(systems.somebody()["personnelNumber"]))
    page.goto("/sources")
    expect(page.get_by_test_id("sources").locator("li")).to_have_count(4)
    faults.fault("equipment", outage=True)
    for _ in range(6):
        open_card(page, systems.id_of(systems.somebody()["personnelNumber"]))
    page.goto("/sources")
    equipment = page.get_by_test_id("source-equipment")
    expect(equipment).to_have_attribute("data-state", re.compile("down|degraded"))
    expect(equipment).to_contain_text("left alone")
    expect(page.get_by_role("status").filter(has_text="in trouble")).to_be_visible()

    faults.heal("equipment")
    open_card(page, systems.id_of(systems.somebody()["personnelNumber"]))
    retry_until_ok(page, "equipment")
    page.goto("/sources")
    expect(equipment).to_contain_text("Closed: requests go through")
