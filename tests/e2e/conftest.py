"""One deployment and one real browser for all browser tests; what is asked of the systems is asked past Okno."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests import stack as stacks
from tests.e2e.systems import Systems

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 800}
SOURCES = ("hr", "directory", "domain", "equipment")


# Sessions of this package only: while Playwright is here, no other event loop runs in this thread.
@pytest.fixture(scope="package")
def stack() -> Iterator[stacks.Stack]:
    if not (stacks.ROOT / "frontend" / "dist" / "index.html").exists():
        pytest.fail("the web application is not built; run `make frontend`")
    stack = stacks.start()
    yield stack
    stacks.remove(stack)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail("Chromium is missing; run `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def systems(stack: stacks.Stack) -> Systems:
    return Systems(stack)


@pytest.fixture
def faults(stack: stacks.Stack) -> Iterator[stacks.Stack]:
    """The deployment, to be disturbed: all its systems are well again after the test."""
    yield stack
    for source in SOURCES:
        stack.heal(source)


class Complaints:
    """What the browser's console said, apart from what the test expects."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """The test provokes this one."""
        self._expected.append(re.compile(pattern))

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(f"{message.text} ({message.location.get('url', '')})")

    @property
    def unexpected(self) -> list[str]:
        return [each for each in self.found if not any(pattern.search(each) for pattern in self._expected)]


@pytest.fixture
def console() -> Complaints:
    return Complaints()


class SessionEnd(Protocol):
    def __call__(self, page: Page) -> None: ...


class NewContext(Protocol):
    def __call__(self, **options: object) -> BrowserContext: ...


@pytest.fixture
def new_context(browser: Browser, stack: stacks.Stack, console: Complaints) -> Iterator[NewContext]:
    """Makes browser contexts. The test fails when a page asks anything outside its own origin, complains in the console,
    or throws."""
    contexts: list[BrowserContext] = []
    strangers: list[str] = []
    thrown: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((f"{stack.url}/", "data:", "blob:")):
            strangers.append(request.url)

    def make(**options: object) -> BrowserContext:
        defaults: dict[str, object] = {
            "viewport": DESKTOP,
            "device_scale_factor": 1,
            "locale": "en-GB",
            "timezone_id": "Asia/Yekaterinburg",
            "reduced_motion": "reduce",
            "color_scheme": "light",
        }
        context = browser.new_context(base_url=stack.url, **{**defaults, **options})  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        context.on("request", note)
        context.on("console", console.hear)
        context.on("weberror", lambda error: thrown.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert strangers == [], f"requests outside the own origin: {strangers}"
    assert thrown == [], f"errors thrown in the page: {thrown}"
    assert console.unexpected == [], f"complaints in the console: {console.unexpected}"


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page of somebody who is not signed in."""
    return new_context().new_page()


class SignedIn(Protocol):
    def __call__(self, login: str, **options: object) -> Page: ...


@pytest.fixture
def signed_in(new_context: NewContext, stack: stacks.Stack) -> SignedIn:
    """Makes pages of signed-in demo people. That the sign-in page itself works has tests of its own."""

    def make(login: str, **options: object) -> Page:
        context = new_context(**options)
        answer = context.request.post(
            "/auth/development", data={"login": login}, headers={"origin": stack.url}
        )
        assert answer.ok, answer.text()
        return context.new_page()

    return make


@pytest.fixture
def end_session(stack: stacks.Stack, systems: Systems) -> SessionEnd:
    """Ends the session of a page on the server, and waits until the server has noticed; the browser knows nothing of it."""

    def end(page: Page) -> None:
        cookie = next(each for each in page.context.cookies() if each["name"] == "okno_session")
        systems.end_sessions(page.context.request.get("/auth/session").json()["login"])
        headers = {"cookie": f"{cookie['name']}={cookie['value']}"}
        deadline = time.monotonic() + 10
        while stack_says(stack, headers)["signedIn"]:
            assert time.monotonic() < deadline, "the server takes a deleted session for a valid one"

    return end


def stack_says(stack: stacks.Stack, headers: dict[str, str]) -> dict[str, object]:
    """Whose session the server takes it for."""
    request = urllib.request.Request(f"{stack.url}/auth/session", headers=headers)  # noqa: S310 - own server
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        session: dict[str, object] = json.loads(answer.read())
        return session


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures go: docs/img when OKNO_SCREENSHOTS names it, a folder of the run otherwise."""
    directory = Path(os.environ.get("OKNO_SCREENSHOTS", stacks.ROOT / "test-results" / "screenshots"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture
def take(screenshots: Path) -> Callable[[Page, str], None]:
    """Takes a picture of what the window shows."""

    def shoot(page: Page, name: str) -> None:
        file = screenshots / f"{name}.png"
        page.mouse.move(0, 0)
        page.screenshot(path=file, animations="disabled", caret="hide")
        assert file.stat().st_size < 300_000, f"{file} is too large for the repository"

    return shoot
