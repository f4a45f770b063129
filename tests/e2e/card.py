"""The employee's card, as tests look at it."""

import re
import time

from playwright.sync_api import Locator, Page, expect

WIDGETS = ("person-summary", "directory", "domain-account", "equipment", "local-time")
RETRY = re.compile("Retry|Read .* again")
PATIENCE_SECONDS = 40
WIDGET_OF = {
    "hr": "person-summary",
    "directory": "directory",
    "domain": "domain-account",
    "equipment": "equipment",
}


def open_card(page: Page, employee: str) -> None:
    """Opens the card and waits until every widget has got its face."""
    page.goto(f"/people/{employee}")
    settled(page)


def settled(page: Page) -> None:
    """Waits until the header is there and every widget of the card has got its face."""
    expect(page.get_by_test_id("employee-header")).to_be_visible()
    expect(page.locator("[data-testid^=widget-]")).to_have_count(len(WIDGETS))
    expect(page.locator("[data-testid^=widget-][data-face=loading]")).to_have_count(0)
    expect(page.locator("main .g-skeleton")).to_have_count(0)


def widget(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"widget-{name}")


def expect_face(page: Page, name: str, face: str | re.Pattern[str]) -> None:
    expect(widget(page, name)).to_have_attribute("data-face", face)


def fact(page: Page, path: str) -> Locator:
    """The value of a field, by its path in the answer without `employee.`."""
    return page.locator(f'[data-field="employee.{path}"] dd')


def act(page: Page, operation: str = "domain.unlock") -> Locator:
    """Opens the sheet of a ready-made action from the actions of the card."""
    expect(page.get_by_role("dialog")).to_have_count(0)  # one that was closed slides out first
    page.get_by_test_id(f"action-{operation}").click()
    sheet = page.get_by_test_id("action-sheet")
    expect(sheet).to_be_visible()
    return sheet


def retry_until_ok(page: Page, name: str) -> None:
    """Presses *retry* of a widget until it shows its data: a breaker may leave the system alone for a while."""
    shown = widget(page, name)
    well = page.locator(f'[data-testid="widget-{name}"][data-face=ok]')
    retry = shown.get_by_role("button", name=RETRY, disabled=False)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        expect(well.or_(retry)).to_be_visible()
        if well.is_visible():
            return
        assert time.monotonic() < deadline, f"{name} stays {shown.get_attribute('data-face')}"
        with page.expect_response("**/graphql"):
            retry.click()


def reload_until_stale(page: Page, name: str) -> None:
    """Reads the card again until what the systems said last is too old to be shown as fresh."""
    shown = widget(page, name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while shown.get_attribute("data-face") != "stale":
        assert time.monotonic() < deadline, f"{name} stays {shown.get_attribute('data-face')}"
        page.reload()
        settled(page)


def expect_no_sideways_scroll(page: Page) -> None:
    """Fails with the elements that stand out of the window."""
    width = page.evaluate("document.documentElement.clientWidth")
    if page.evaluate("document.documentElement.scrollWidth") <= width:
        return
    outside = page.evaluate(
        """width => [...document.querySelectorAll("body *")]
            .filter(element => element.getBoundingClientRect().right > width + 1)
            .filter(element => getComputedStyle(element).position === "absolute"
                || !element.closest("[role=region], [class*=scroll]"))
            .map(element => `${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`)""",
        width,
    )
    raise AssertionError(f"the page scrolls sideways at {page.url}: {outside[:12]}")
