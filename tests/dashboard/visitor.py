"""What a person does before everything else."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.dashboard.stage import Stage

PASSWORD = "correct horse battery"


def sign_in(page: Page, stage: Stage, path: str = "/ui/", name: str = "ada", *, anew: bool = False) -> None:
    """Open a page of the dashboard, as this user; without the form if the user has signed in before and not `anew`."""
    if not anew:
        page.context.add_cookies(stage.cookies.get(name, []))
    page.goto(stage.running.api_url + path)
    if "/ui/sign-in" in page.url:
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    if not anew:
        stage.cookies[name] = page.context.cookies()


def region(page: Page, name: str) -> Locator:
    """A card of the page."""
    return page.get_by_role("region", name=name, exact=True)
