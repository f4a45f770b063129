"""Pages that show what others do, as they do it: over a WebSocket, and never under the eyes of who reads."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.e2e.card import act, fact, open_card, settled
from tests.e2e.conftest import PHONE, Complaints, SessionEnd, SignedIn
from tests.e2e.systems import Systems

pytestmark = pytest.mark.xdist_group("stack")

EXPIRED = "status of 401"
SERVICE_RESTARTS = 1012


def unlock(page: Page) -> None:
    """Unlocks the account of the employee whose card is open."""
    sheet = act(page)
    sheet.get_by_label("Reason").fill("seen by others at once")
    sheet.locator("[data-qa=preview]").click()
    sheet.locator("[data-qa=run]").click()
    expect(sheet.get_by_test_id("result")).to_have_attribute("data-outcome", "SUCCEEDED")


def open_journal(page: Page) -> Locator:
    """Opens the journal and waits until new records come by themselves; gives its rows."""
    page.goto("/journal")
    expect(page.get_by_test_id("live")).to_have_attribute("data-state", "live")
    rows = page.get_by_test_id("journal-row")
    expect(rows.first).to_be_visible()
    return rows


def hear(page: Page, operation: str) -> Callable[[], None]:
    """Gives a function that waits until the page has subscribed; called before the page is opened."""
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))

    def wait() -> None:
        while not any(f'"operationName":"{operation}"' in frame for frame in sent):
            page.wait_for_timeout(20)

    return wait


def places(page: Page) -> object:
    """Where everything on the card stands."""
    return page.evaluate(
        """() => [...document.querySelectorAll("[data-testid=employee-header], [data-testid^=widget-], aside")]
            .map(element => Object.values(element.getBoundingClientRect().toJSON()))"""
    )


@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desktop", "phone"])
def test_what_an_operator_does_is_seen_by_others_without_reloading(
    signed_in: SignedIn,
    systems: Systems,
    take: Callable[[Page, str], None],
    viewport: dict[str, int] | None,
) -> None:
    person = systems.somebody()
    systems.lock(person["login"])
    employee = systems.id_of(person["personnelNumber"])
    options = {} if viewport is None else {"viewport": viewport}
    onlooker, reviewer = signed_in("dmitry.orlov", **options), signed_in("vera.lis", **options)
    operator = signed_in("anna.sorokina")
    rows = open_journal(reviewer)
    listen = hear(onlooker, "EmployeeChanged")
    open_card(onlooker, employee)
    listen()
    before = places(onlooker)
    for page in (onlooker, reviewer):
        page.evaluate("window.sameDocument = true")
    expect(fact(onlooker, "domain.locked")).to_contain_text("Yes")

    open_card(operator, employee)
    unlock(operator)

    changed = onlooker.get_by_test_id("changed")
    expect(changed).to_contain_text("by another operation")
    expect(changed).to_be_visible()
    expect(fact(onlooker, "domain.locked")).to_contain_text("No")
    settled(onlooker)
    assert places(onlooker) == before, "something moved"
    deed = (
        rows.filter(has_text=person["login"]).filter(has_text="Ran an operation").filter(has_text="outcome")
    )
    expect(deed).to_contain_text("Succeeded")
    take(onlooker, f"card-changed-by-others-{'wide' if viewport is None else 'narrow'}")
    for page in (onlooker, reviewer):
        assert page.evaluate("window.sameDocument")
    expect(operator.get_by_test_id("changed")).to_have_count(0)


def test_new_records_wait_while_one_reads_and_come_when_asked_for(
    signed_in: SignedIn, systems: Systems, take: Callable[[Page, str], None]
) -> None:
    person = systems.somebody()
    systems.lock(person["login"])
    reviewer, operator = signed_in("vera.lis"), signed_in("anna.sorokina")
    rows = open_journal(reviewer)
    rows.first.hover()
    first = rows.first.inner_text()
    open_card(operator, systems.id_of(person["personnelNumber"]))
    unlock(operator)
    waiting = reviewer.get_by_test_id("new-records")
    expect(waiting).to_have_text("4 new records")
    assert rows.first.inner_text() == first
    take(reviewer, "journal-new-records")
    rows.first.hover()
    waiting.click()
    expect(rows.filter(has_text=person["login"])).to_have_count(4)
    expect(waiting).to_have_count(0)


def test_what_was_missed_while_the_connection_was_lost_is_caught_up_with(
    signed_in: SignedIn, systems: Systems
) -> None:
    person = systems.somebody()
    systems.lock(person["login"])
    employee = systems.id_of(person["personnelNumber"])
    onlooker, reviewer, operator = (
        signed_in("anna.sorokina"),
        signed_in("vera.lis"),
        signed_in("anna.sorokina"),
    )
    lines = [Line(page) for page in (onlooker, reviewer)]
    rows = open_journal(reviewer)
    open_card(onlooker, employee)
    lines[0].wait_until_connected()
    for line in lines:
        line.cut()
    expect(reviewer.get_by_test_id("live")).to_have_attribute("data-state", "lost")
    open_card(operator, employee)
    unlock(operator)
    expect(fact(onlooker, "domain.locked")).to_contain_text("Yes")
    expect(rows.filter(has_text=person["login"])).to_have_count(0)
    for line in lines:
        line.mend()
    expect(reviewer.get_by_test_id("live")).to_have_attribute("data-state", "live")
    expect(rows.filter(has_text=person["login"])).to_have_count(4)
    expect(fact(onlooker, "domain.locked")).to_contain_text("No")


class Line:
    """The way of a page's WebSocket to the server, which can be cut."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cut = False
        self._routes: list[WebSocketRoute] = []
        page.route_web_socket("/graphql", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        if self._cut:
            route.close(code=SERVICE_RESTARTS)
            return
        route.connect_to_server()
        self._routes.append(route)

    def wait_until_connected(self) -> None:
        while not self._routes:
            self._page.wait_for_timeout(20)

    def cut(self) -> None:
        self._cut = True
        for route in self._routes:
            route.close(code=SERVICE_RESTARTS)

    def mend(self) -> None:
        self._cut = False
        self._page.evaluate("window.dispatchEvent(new Event('online'))")


def test_when_the_session_ends_live_updates_stop_and_go_on_after_signing_in_again(
    signed_in: SignedIn, end_session: SessionEnd, console: Complaints
) -> None:
    console.expect(EXPIRED)
    reviewer = signed_in("vera.lis")
    rows = open_journal(reviewer)
    end_session(reviewer)
    signed_in("anna.sorokina")
    live = reviewer.get_by_test_id("live")
    expect(live).to_have_attribute("data-state", "stopped")
    expect(live).to_have_text("Not live")
    reviewer.get_by_role("button", name="Read again").click()
    reviewer.get_by_test_id("sign-in-as-vera.lis").click()
    expect(live).to_have_attribute("data-state", "live")
    reviewer.mouse.move(0, 0)
    count = rows.filter(has_text="Dmitry Orlov").count()
    signed_in("dmitry.orlov")
    expect(rows.filter(has_text="Dmitry Orlov")).to_have_count(count + 1)
