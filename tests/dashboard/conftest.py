"""One browser and one controller for the tests of a module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.dashboard.stage import Stage, staged
from tests.dashboard.visitor import PASSWORD
from tests.system.packages import NotInstallable, find_or_install

expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium.

    While it is there its driver's event loop has the thread, so it is gone before other modules run theirs.
    """
    try:
        program = find_or_install("chromium", "chromium")
    except NotInstallable as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI has to look at the dashboard, but {error}", pytrace=False)
        pytest.skip(f"no browser: {error}")
    with sync_playwright() as playwright:
        # Its sandbox wants a user that isn't root; what it shows is ours.
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A controller with the host web-1 and the user ada, an admin."""
    with staged(tmp_path_factory.mktemp("stage")) as made:
        made.api("POST", "/api/v1/users", {"name": "ada", "role": "admin", "password": PASSWORD})
        made.add_host("web-1")
        yield made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that knows nothing."""
    made = browser.new_context(viewport={"width": 1360, "height": 860})
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not complain of anything."""
    made, complaints = context.new_page(), []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    yield made
    assert complaints == []
