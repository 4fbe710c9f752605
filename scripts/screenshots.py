"""Draw the pictures of the dashboard in docs/dashboard: real pages of a controller with simulated hosts."""

from __future__ import annotations

import random
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.faults import Fault
from tests.dashboard.stage import Stage, staged
from tests.dashboard.visitor import PASSWORD, region, sign_in
from tests.system.packages import find_or_install

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "dashboard"
WIDTH, HEIGHT = 1360, 860
SIZE: ViewportSize = {"width": WIDTH, "height": HEIGHT}
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
    (stage.running.data / "alerts.toml").write_text("[rule.command_failed]\ncalm_seconds = 1\n")
    stage.clock.ahead = -timedelta(days=8)
    for kind, count, environment in (("web", 12, "prod"), ("worker", 8, "prod"), ("edge", 6, "staging")):
        for n in range(1, count + 1):
            stage.labels = {"env": environment, "rack": f"r{n % 4 + 1}"}
            dockers[f"{kind}-{n}"] = stage.add_host(f"{kind}-{n}", containers(n))
    a_week_goes_by(stage, dockers)
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
    stage.api(
        "POST", "/api/v1/alert-channels", {"name": "on-call", "url": "https://hooks.example.com/seawall"}
    )
    quiet = {
        "seconds": 14_000,
        "hosts": ["edge-*"],
        "rules": ["agent_offline"],
        "reason": "the rack is moved",
    }
    stage.api("POST", "/api/v1/alert-silences", quiet)
    waiting = {"operation": "container_wait", "agent": "web-2", "arguments": {"container": "orders"}}
    stage.api("POST", "/api/v1/commands", waiting)


def a_week_goes_by(stage: Stage, dockers: dict[str, FakeDocker]) -> None:
    """What the figures of a week are made of: work every few hours, with a fault now and then."""
    dice = random.Random(7)  # noqa: S311 - the same pictures each time
    faults = (Fault.UNREACHABLE, Fault.SERVER_ERROR, Fault.BROKEN_BEFORE)
    for hours_ago in range(160, 0, -5):
        stage.clock.ahead = -timedelta(hours=hours_ago)
        for name in ("web-2", "web-5", "worker-1", "edge-2"):
            ill = dice.random() < (0.4 if name == "worker-1" else 0.12)
            if ill:
                stage.do(partial(dockers[name].fail_next, dice.choice(faults), dice.randrange(1, 3)))
            for operation in ("container_list", "image_list"):
                stage.command(operation, name, max_attempts=dice.choice((1, 3)), timeout_seconds=5)
    stage.clock.ahead = timedelta()


def draw(page: Page, name: str, height: int = HEIGHT) -> None:
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=PICTURES / f"{name}.png")
    page.set_viewport_size(SIZE)
    print(f"docs/dashboard/{name}.png")


def draw_all(page: Page, stage: Stage) -> None:
    url = stage.running.api_url
    page.goto(url)
    draw(page, "sign-in")
    sign_in(page, stage)
    draw(page, "fleet")
    page.goto(f"{url}/ui/hosts/web-2")
    region(page, "Containers").get_by_role("row", name="orders").get_by_role("button", name="Log").click()
    page.get_by_role("radio", name="7 d").click()
    draw(page, "host", 1_420)
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
    page.goto(f"{url}/ui/alerts")
    page.get_by_role("button", name="Acknowledge").first.click()
    page.get_by_role("dialog").get_by_label("Reason").fill("its disk is being replaced")
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    draw(page, "alerts")
    page.goto(f"{url}/ui/audit")
    page.get_by_role("button", name="Verify the chain").click()
    draw(page, "audit")
    page.goto(f"{url}/ui/analytics")
    draw(page, "analytics", 1_200)
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
