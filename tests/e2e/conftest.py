"""One deployment and one real browser for all browser tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests import stack as stacks

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


@pytest.fixture(scope="session")
def stack() -> Iterator[stacks.Stack]:
    if not (stacks.ROOT / "frontend" / "dist" / "index.html").exists():
        pytest.fail("the web application is not built; run `make frontend`")
    stack = stacks.start()
    yield stack
    stacks.remove(stack)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail("Chromium is missing; run `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser, stack: stacks.Stack) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts that fail the test when the page asks anything outside its own origin."""
    contexts: list[BrowserContext] = []
    strangers: list[str] = []

    def make(**options: object) -> BrowserContext:
        context = browser.new_context(base_url=stack.url, **{"locale": "en-GB", **options})  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        context.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((stack.url, "data:", "blob:"))
                else strangers.append(request.url)
            ),
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert strangers == [], f"requests outside the own origin: {strangers}"


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context(viewport={"width": 1440, "height": 900}).new_page()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures go: docs/img when OKNO_SCREENSHOTS names it, a folder of the run otherwise."""
    directory = Path(os.environ.get("OKNO_SCREENSHOTS", stacks.ROOT / "test-results" / "screenshots"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory
