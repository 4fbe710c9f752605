"""What hosts tell is text, whatever it holds: names, labels, logs and errors reach a real page, and nothing runs."""

from __future__ import annotations

import re
from functools import partial

import pytest
from playwright.sync_api import Page, expect

from seawall.agent.failure import DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.containers import FakeContainer
from tests.dashboard.payloads import CANARY, payloads
from tests.dashboard.stage import Stage
from tests.dashboard.visitor import region, sign_in

# The first one may have to install the browser.
pytestmark = pytest.mark.timeout(120, func_only=True)

WATCH = f"""
window.ran = [];
window.{CANARY} = (what) => window.ran.push(what);
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) => window.broken.push(event.violatedDirective));
"""
_EACH = 4


def watch(page: Page) -> list[str]:
    """Note what runs, what asks, and where the page goes; the list is of the last two."""
    seen: list[str] = []
    page.add_init_script(WATCH)
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: seen.append(request.url) if "evil.test" in request.url else None)
    return seen


def nothing_ran(page: Page, seen: list[str]) -> None:
    assert page.evaluate("window.ran") == []
    # Not even tried: nothing was made of the texts that the policy had to stop.
    assert page.evaluate("window.broken") == []
    assert seen == []


def test_five_hundred_payloads_as_names_images_labels_and_log_lines_stay_text(
    stage: Stage, page: Page
) -> None:
    texts = payloads()
    assert len(set(texts)) == len(texts) == 500
    groups = [texts[at : at + _EACH] for at in range(0, len(texts), _EACH)]
    containers = [
        FakeContainer(name, image, labels={key: value}, log=[("stdout", "quiet")])
        for name, image, key, value in groups
    ]
    lines = [("stderr" if number % 2 else "stdout", text) for number, text in enumerate(texts)]
    containers[0] = FakeContainer("talker", log=lines)
    stage.add_host("hostile", containers)
    seen = watch(page)
    sign_in(page, stage, "/ui/hosts/hostile")
    card = region(page, "Containers")
    expect(card).to_contain_text("125 in all")
    shown = set()
    for first in range(1, 125, 25):
        expect(card).to_contain_text(f"{first}-{first + 24} of 125")
        shown |= set(card.locator("tbody .strong").all_text_contents())
        if first < 101:
            card.get_by_role("button", name="Next").click()
    assert len(shown) == 125
    assert any("<script>canary(" in text for text in shown)
    assert not any("\x1b" in text for text in shown)
    card.get_by_label("Filter by name, image or label").fill("talker")
    expect(card.locator("tbody tr")).to_have_count(1)
    card.get_by_role("row", name=re.compile("talker")).get_by_role("button", name="Log").click()
    log = region(page, "Log and figures").locator("pre")
    expect(log).to_contain_text("canary(499)")
    expect(log).to_contain_text("<svg onload=canary(")
    expect(log).to_contain_text("␛]8;;javascript:canary(")
    assert log.locator("script, img, svg, iframe, a").count() == 0
    nothing_ran(page, seen)


def test_what_a_host_answers_and_says_of_an_error_stays_text(stage: Stage, page: Page) -> None:
    text = "".join(payloads(60))
    docker = stage.add_host("liar", [FakeContainer("<img src=x onerror=canary(1)>")])
    failure = DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, text)
    stage.do(partial(docker.fault, failure))
    stage.command("container_list", "liar", max_attempts=1)
    stage.do(partial(docker.heal))
    listed = stage.command("container_list", "liar")
    seen = watch(page)
    sign_in(page, stage, "/ui/commands")
    row = page.get_by_role("row", name=re.compile("liar")).filter(has_text="failed")
    expect(row).to_contain_text("<script>canary(0)</script>")
    row.get_by_role("link", name="container_list").click()
    expect(region(page, "What happened")).to_contain_text("<svg onload=canary(4)>")
    nothing_ran(page, seen)
    page.goto(f"{stage.running.api_url}/ui/commands/{listed['command_id']}")
    expect(region(page, "Answer")).to_contain_text("<img src=x onerror=canary(1)>")
    nothing_ran(page, seen)
    page.goto(f"{stage.running.api_url}/ui/hosts/%3Cscript%3Ecanary(1)%3C%2Fscript%3E")
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    nothing_ran(page, seen)


def test_what_people_and_hosts_leave_on_the_pages_of_alerts_audit_and_analytics_stays_text(
    stage: Stage, page: Page
) -> None:
    texts = payloads(40)
    for text in texts[:10]:
        body = {"seconds": 60, "hosts": [text[:200]], "reason": text}
        assert stage.api("POST", "/api/v1/alert-silences", body).status_code == 201
    for text in texts[:10]:
        assert stage.api("POST", "/api/v1/tokens", {"name": text[:60], "role": "viewer"}).status_code in (
            201,
            422,
        )
    docker = stage.add_host("sly")
    failure = DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_UNREACHABLE, "".join(texts))
    stage.do(partial(docker.fault, failure))
    for _ in range(5):
        stage.command("container_list", "sly", max_attempts=1)
    for action, text in (("open", texts[0]), ("reset", texts[4])):
        stage.api("POST", f"/api/v1/circuits/sly/docker/{action}", {"reason": text})
    seen = watch(page)
    sign_in(page, stage, "/ui/alerts")
    expect(region(page, "Silences")).to_contain_text("<script>canary(0)</script>, by admin")
    expect(region(page, "Open alerts")).to_contain_text("sly")
    nothing_ran(page, seen)
    page.goto(f"{stage.running.api_url}/ui/audit")
    expect(region(page, "Entries")).to_contain_text("reason: <script>canary(0)</script>")
    nothing_ran(page, seen)
    page.goto(f"{stage.running.api_url}/ui/analytics")
    expect(region(page, "Error patterns")).to_contain_text("sly")
    nothing_ran(page, seen)
    page.goto(f"{stage.running.api_url}/ui/hosts/sly")
    expect(region(page, "Over time")).to_contain_text("docker_error 5")
    expect(region(page, "How the circuits changed")).to_contain_text("<script>canary(0)</script>")
    nothing_ran(page, seen)
