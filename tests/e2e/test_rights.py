"""What another team does not see and may not do, in the browser and past it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Response, expect

from tests.e2e.card import fact, open_card, widget
from tests.e2e.conftest import SignedIn
from tests.e2e.systems import Systems
from tests.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

IVAN = "100010"
MAXIM = "100002"
CONFIDENTIAL = ("hr.personalPhone", "hr.birthDate", "hr.homeAddress")
PREVIEW = """
mutation($employee: ID!) {
  operationPreview(input: {operation: "domain.unlock", employee: $employee, idempotencyKey: "e2e-denied-preview"}) {
    previewToken
    errors { code }
  }
}
"""
RUN = """
mutation($employee: ID!) {
  operationRun(
    input: {operation: "domain.unlock", employee: $employee, previewToken: "made up", idempotencyKey: "e2e-denied-run"}
  ) {
    outcome
    errors { code }
  }
}
"""


def answers(page: Page) -> list[Response]:
    """The answers of the API that the page will have received."""
    received: list[Response] = []
    page.on("response", lambda response: received.append(response) if "/graphql" in response.url else None)
    return received


def test_another_team_sees_neither_confidential_fields_nor_the_action(
    signed_in: SignedIn, systems: Systems, take: Callable[[Page, str], None]
) -> None:
    systems.lock("ivan.petrov")
    page = signed_in("pavel.zaitsev")
    received = answers(page)
    open_card(page, systems.id_of(IVAN))
    expect(widget(page, "equipment")).to_have_attribute("data-face", "ok")
    for path in (*CONFIDENTIAL, "hr.salary", "domain.lastLogonAt"):
        expect(fact(page, path).get_by_test_id("locked")).to_be_visible()
        expect(fact(page, path).get_by_test_id("locked")).to_have_attribute("title", re.compile("."))
    expect(page.get_by_test_id("actions")).to_contain_text("There is nothing your team may do")
    expect(page.locator("[data-testid^=card-action-], [data-testid^=action-domain]")).to_have_count(0)
    take(page, "denied")

    hr = systems.hr(IVAN)
    said = "".join(response.text() for response in received)
    assert hr["workPhone"] in said
    for value in (hr["personalPhone"], hr["birthDate"], hr["homeAddress"], str(hr["salary"]["minorUnits"])):
        assert value not in said, "what one may not see never leaves the server"


def test_the_api_refuses_another_team_the_deed_and_the_journal_knows(stack: Stack, systems: Systems) -> None:
    systems.lock("ivan.petrov")
    pavel, ivan = stack.token("pavel.zaitsev"), systems.id_of(IVAN)
    for document, field in ((PREVIEW, "operationPreview"), (RUN, "operationRun")):
        answer = stack.graphql(pavel, document, employee=ivan)
        payload = (answer.get("data") or {}).get(field)
        codes = [error["code"] for error in payload["errors"]] if payload else []
        codes += [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ["DENIED"], answer
    assert systems.is_locked("ivan.petrov")
    lines = stack.okno("audit", "tail", "-n", "20").stdout.splitlines()
    assert any(
        "pavel.zaitsev" in line and "Was denied" in line and "ivan.petrov" in line for line in lines
    ), lines


def test_the_hr_desk_sees_what_hr_knows_but_no_salary(signed_in: SignedIn, systems: Systems) -> None:
    page = signed_in("elena.kim")
    open_card(page, systems.id_of(IVAN))
    hr = systems.hr(IVAN)
    expect(fact(page, "hr.personalPhone").locator("a")).to_have_attribute(
        "href", f"tel:{hr['personalPhone']}"
    )
    expect(fact(page, "hr.birthDate").locator("time")).to_have_attribute("datetime", hr["birthDate"])
    expect(fact(page, "hr.homeAddress")).to_have_text(hr["homeAddress"])
    expect(fact(page, "hr.salary").get_by_test_id("locked")).to_be_visible()
    expect(page.get_by_test_id("actions")).to_contain_text("There is nothing your team may do")


def test_a_protected_person_shows_only_what_any_colleague_knows(
    signed_in: SignedIn, systems: Systems
) -> None:
    page = signed_in("anna.sorokina")
    received = answers(page)
    open_card(page, systems.id_of(MAXIM))
    header = page.get_by_test_id("employee-header")
    expect(header.get_by_role("heading", level=1)).to_have_text("Максим Егоров")
    for name in ("person-summary", "directory", "domain-account", "equipment"):
        expect(widget(page, name)).to_have_attribute("data-face", "denied")
        expect(widget(page, name)).to_contain_text("Your team may not see this")
    expect(page.locator("[data-testid^=card-action-], [data-testid^=action-domain]")).to_have_count(0)
    said = "".join(response.text() for response in received)
    assert "maxim.egorov" not in said
    assert systems.hr(MAXIM)["workPhone"] not in said


def test_a_team_of_other_countries_may_not_act(signed_in: SignedIn, systems: Systems) -> None:
    page = signed_in("kwame.mensah")
    open_card(page, systems.id_of(IVAN))
    expect(page.get_by_test_id("employee-header")).to_contain_text("Иван Петров")
    expect(page.get_by_test_id("employee-header")).not_to_contain_text("ivan.petrov")
    expect(widget(page, "domain-account")).to_have_attribute("data-face", "denied")
    expect(page.locator("[data-testid^=action-domain]")).to_have_count(0)


def test_a_page_that_is_not_for_one_is_neither_offered_nor_opened(signed_in: SignedIn) -> None:
    page = signed_in("anna.sorokina")
    page.goto("/journal")
    expect(page.get_by_test_id("denied")).to_contain_text("You may not enter here")
    expect(page.get_by_role("navigation").get_by_role("link", name="Journal")).to_have_count(0)
    expect(page.get_by_role("navigation").get_by_role("link", name="People")).to_be_visible()
