"""The card: one employee, stitched from four systems, each value as the system holds it."""

from collections.abc import Callable
from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.card import WIDGETS, expect_no_sideways_scroll, fact, open_card, widget
from tests.e2e.conftest import PHONE, SignedIn
from tests.e2e.systems import Systems

pytestmark = pytest.mark.xdist_group("stack")

IVAN = "100010"


@pytest.fixture
def ivan(systems: Systems) -> str:
    return systems.id_of(IVAN)


def test_the_card_shows_what_the_four_systems_hold(
    signed_in: SignedIn, systems: Systems, ivan: str, take: Callable[[Page, str], None]
) -> None:
    systems.lock("ivan.petrov")
    page = signed_in("anna.sorokina")
    open_card(page, ivan)
    for name in WIDGETS:
        expect(widget(page, name)).to_have_attribute("data-face", "ok")
    take(page, "employee-card")

    hr = systems.hr(IVAN)
    expect(fact(page, "hr.personnelNumber")).to_contain_text(hr["personnelNumber"])
    expect(fact(page, "hr.position")).to_have_text(hr["position"])
    expect(fact(page, "hr.departmentPath").locator("li")).to_have_text(hr["departmentPath"])
    expect(fact(page, "hr.hireDate").locator("time")).to_have_attribute("datetime", hr["hireDate"])
    expect(fact(page, "hr.workPhone").locator("a")).to_have_attribute("href", f"tel:{hr['workPhone']}")

    user = systems.directory(IVAN)
    expect(fact(page, "directory.userName")).to_contain_text(user["userName"])
    expect(fact(page, "directory.displayName")).to_have_text(user["displayName"])
    expect(fact(page, "directory.email")).to_have_text(user["emails"][0]["value"])
    expect(fact(page, "directory.active")).to_have_text("Yes" if user["active"] else "No")
    expect(fact(page, "directory.groups").locator("li")).to_have_text(
        [group["display"] for group in user["groups"]]
    )

    account = systems.domain("ivan.petrov")
    expect(fact(page, "domain.login")).to_contain_text(account["uid"][0])
    expect(fact(page, "domain.locked")).to_contain_text("Yes")
    locked_at = datetime.strptime(account["pwdAccountLockedTime"][0], "%Y%m%d%H%M%S%z")
    shown = fact(page, "domain.lockedAt").locator("time").get_attribute("datetime") or ""
    assert datetime.fromisoformat(shown) == locked_at
    expect(fact(page, "domain.failedLogons")).to_have_text(str(len(account["pwdFailureTime"])))
    expect(fact(page, "domain.groups").locator("li")).to_have_text(systems.groups_of("ivan.petrov"))

    items = systems.equipment(IVAN)
    rows = widget(page, "equipment").locator("tbody tr")
    expect(rows).to_have_count(len(items))
    for row, item in zip(rows.all(), items, strict=True):
        expect(row).to_contain_text(item["model"])
        expect(row).to_contain_text(item["inventory_number"])
        expect(row).to_contain_text(item["serial"])


def test_the_header_says_who_it_is_where_and_what_time_it_is_there(
    signed_in: SignedIn, systems: Systems, ivan: str
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, ivan)
    header = page.get_by_test_id("employee-header")
    expect(header.get_by_role("heading", level=1)).to_have_text("Иван Петров")
    expect(header).to_contain_text("Ivan Petrov")
    expect(header).to_contain_text("Алексей Громов")
    expect(header.locator("[data-qa=state-WORKS]")).to_be_visible()
    # The reader's browser is in Yekaterinburg, two hours ahead of Moscow.
    expect(header.get_by_test_id("local-time")).to_contain_text("−2 h from you")
    header.get_by_role("link", name="Алексей Громов").click()
    expect(header.get_by_role("heading", level=1)).to_have_text("Алексей Громов")
    expect(page).to_have_title("Алексей Громов · Okno")


@pytest.mark.parametrize(
    ("number", "chip", "text"),
    [("100011", "ON_LEAVE", "On leave until"), ("100013", "DISMISSED", "Dismissed on")],
)
def test_a_chip_says_when_somebody_is_away(
    signed_in: SignedIn, systems: Systems, number: str, chip: str, text: str
) -> None:
    page = signed_in("anna.sorokina")
    open_card(page, systems.id_of(number))
    expect(page.get_by_test_id("employee-header").locator(f"[data-qa=state-{chip}]")).to_contain_text(text)


def test_a_click_on_the_login_copies_it(signed_in: SignedIn, ivan: str) -> None:
    page = signed_in("anna.sorokina", permissions=["clipboard-read", "clipboard-write"])
    open_card(page, ivan)
    page.get_by_test_id("login").get_by_role("button").click()
    expect(page.get_by_test_id("login").get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "ivan.petrov"


def test_the_card_in_russian_and_dark(
    signed_in: SignedIn, systems: Systems, ivan: str, take: Callable[[Page, str], None]
) -> None:
    systems.lock("ivan.petrov")
    page = signed_in("anna.sorokina", locale="ru-RU", color_scheme="dark")
    open_card(page, ivan)
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(widget(page, "domain-account")).to_contain_text("Заблокирована")
    expect(page.get_by_test_id("action-domain.unlock")).to_have_text("Разблокировать учётную запись")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in background[4:-1].split(",")[:3]) < 80, background
    take(page, "employee-card-ru-dark")


def test_very_long_names_stay_inside_a_narrow_window(signed_in: SignedIn, systems: Systems) -> None:
    page = signed_in("anna.sorokina", viewport=PHONE)
    open_card(page, systems.id_of("100014"))
    expect_no_sideways_scroll(page)
    name = page.get_by_test_id("employee-header").get_by_role("heading", level=1).bounding_box()
    assert name is not None
    assert name["x"] + name["width"] <= PHONE["width"]


def test_an_employee_who_does_not_exist_is_said_to_be_unknown(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/people/RW1wbG95ZWU6MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAw")
    expect(page.get_by_test_id("not-found")).to_contain_text("No such employee")
    page.goto("/people/no-such-id")
    expect(page.get_by_test_id("not-found")).to_contain_text("No such employee")
    page.get_by_role("link", name="Search for people").click()
    expect(page.get_by_test_id("search-hint")).to_be_visible()
