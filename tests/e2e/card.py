"""The employee's card, as tests look at it."""

import re

from playwright.sync_api import Locator, Page, expect

WIDGETS = ("person-summary", "directory", "domain-account", "equipment", "local-time")
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
    """Waits until every widget of the card has got its face."""
    expect(page.locator("[data-testid^=widget-]")).to_have_count(len(WIDGETS))
    expect(page.locator("[data-testid^=widget-][data-face=loading]")).to_have_count(0)


def widget(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"widget-{name}")


def expect_face(page: Page, name: str, face: str | re.Pattern[str]) -> None:
    expect(widget(page, name)).to_have_attribute("data-face", face)


def fact(page: Page, path: str) -> Locator:
    """The value of a field, by its path in the answer without `employee.`."""
    return page.locator(f'[data-field="employee.{path}"] dd')


def act(page: Page, operation: str = "domain.unlock") -> Locator:
    """Opens the sheet of a ready-made action from the actions of the card."""
    page.get_by_test_id(f"action-{operation}").click()
    sheet = page.get_by_test_id("action-sheet")
    expect(sheet).to_be_visible()
    return sheet


def retry_until(page: Page, name: str, face: str) -> None:
    """Presses *retry* of a widget, again while it stays as it is: a breaker may still leave the system alone."""
    shown = widget(page, name)
    for _ in range(60):
        if shown.get_attribute("data-face") == face:
            return
        button = shown.get_by_role("button", name=re.compile("Retry|Read .* again"))
        if button.is_visible() and button.is_enabled():
            with page.expect_response("**/graphql"):
                button.click()
        else:
            page.wait_for_function("document.readyState === 'complete'")
    expect(shown).to_have_attribute("data-face", face)
