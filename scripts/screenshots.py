"""Draw the pictures of the dashboard in docs/dashboard: real pages of a controller with simulated hosts."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.faults import Fault
from tests.dashboard.stage import Stage, staged
from tests.dashboard.visitor import PASSWORD, region, sign_in
from tests.system.packages import find_or_install

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "dashboard"
SIZE = {"width": 1360, "height": 860}
SETTLE_MILLISECONDS = 1_200
LOG = [
    ("stdout", f"10.0.4.{n % 7 + 2} GET /orders/{4200 + n * 13} {status} {n * 7 % 90 + 3} ms")
    for n, status in enumerate([200, 200, 200, 304, 200, 404, 200, 200, 500, 200, 200, 200])
]


def containers(n: int) -> list[FakeContainer]:
    return [
        FakeContainer("gateway", "nginx:1.27", labels={"team": "edge"}, log=[*LOG]),
        FakeContainer("orders", f"registry.example/orders:4.{n % 3}", labels={"team": "shop"}, log=[*LOG]),
        FakeContainer("payments", "registry.example/payments:2.8", labels={"team": "shop"}),
        FakeContainer("postgres", "postgres:16", labels={"team": "data"}),
        FakeContainer("nightly-report", "registry.example/report:1.1", running=False),
    ]


def people_the(stage: Stage) -> None:
    """Twenty-six hosts, some in trouble, and commands that ended in every way."""
    dockers: dict[str, FakeDocker] = {}
    for kind, count, environment in (("web", 12, "prod"), ("worker", 8, "prod"), ("edge", 6, "staging")):
        for n in range(1, count + 1):
            stage.labels = {"env": environment, "rack": f"r{n % 4 + 1}"}
            dockers[f"{kind}-{n}"] = stage.add_host(f"{kind}-{n}", containers(n))
    stage.cut_off("edge-6")
    for name in ("worker-3", "web-7"):
        stage.do(partial(dockers[name].fault, Fault.UNREACHABLE))
        for _ in range(5):
            stage.command("image_list", name, max_attempts=1)
    stage.do(partial(dockers["web-7"].heal))
    for n in range(1, 7):
        change = ("container_restart", "container_stop", "container_start")[n % 3]
        stage.command(
            change, f"web-{n}", arguments={"container": ("orders", "gateway", "nightly-report")[n % 3]}
        )
    stage.do(partial(dockers["web-2"].fail_next, Fault.UNREACHABLE, 2))
    stage.command("container_list", "web-2")
    stage.command("container_restart", "web-4", arguments={"container": "no-such-one"})
    stage.api("POST", "/api/v1/commands", {"operation": "container_list", "agent": "edge-6"})
    waiting = {"operation": "container_wait", "agent": "web-2", "arguments": {"container": "orders"}}
    stage.api("POST", "/api/v1/commands", waiting)


def draw(page: Page, name: str) -> None:
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"docs/dashboard/{name}.png")


def draw_all(page: Page, stage: Stage) -> None:
    url = stage.running.api_url
    page.goto(url)
    draw(page, "sign-in")
    sign_in(page, stage)
    draw(page, "fleet")
    page.goto(f"{url}/ui/hosts/web-2")
    region(page, "Containers").get_by_role("row", name="orders").get_by_role("button", name="Log").click()
    draw(page, "host")
    page.goto(f"{url}/ui/commands")
    draw(page, "commands")
    page.get_by_role("row", name="container_list").filter(has_text="web-2").get_by_role("link").first.click()
    draw(page, "command")
    page.get_by_role("button", name="Light / dark").click()
    page.goto(f"{url}/ui/circuits")
    draw(page, "circuits")
    page.goto(f"{url}/ui/")
    draw(page, "fleet-dark")
    page.get_by_role("button", name="Light / dark").click()
    for name in ("resilience", "settings"):
        page.goto(f"{url}/ui/{name}")
        draw(page, name)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        staged(Path(directory)) as stage,
        sync_playwright() as playwright,
    ):
        stage.api("POST", "/api/v1/users", {"name": "ada", "role": "admin", "password": PASSWORD})
        stage.api("POST", "/api/v1/users", {"name": "grace", "role": "operator", "password": PASSWORD})
        people_the(stage)
        program = find_or_install("chromium", "chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        draw_all(browser.new_page(viewport=SIZE), stage)
        browser.close()


if __name__ == "__main__":
    main()
