"""A person's day at the dashboard, in a real browser: nothing is reloaded unless it says so."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from nicegui import Client
from playwright.sync_api import BrowserContext, Error, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from seawall.controller.sign_ins import IDLE
from seawall.controller.ui.fleet import FleetPage
from seawall.controller.ui.overview import FleetOverview, HostRow, Overview
from seawall.controller.ui.visits import Visit
from seawall.core.circuit import CircuitState
from seawall.engine.alert_settings import ALERT_FILE
from seawall.engine.audit import read_exported
from seawall.engine.audit_chain import ChainCheck
from seawall.engine.remediation_settings import REMEDIATION_FILE
from seawall.testing.containers import FakeContainer
from seawall.testing.faults import Fault
from tests.dashboard.stage import Stage, staged
from tests.dashboard.visitor import PASSWORD, region, sign_in
from tests.system.plane import until

# The first one may have to install the browser.
pytestmark = pytest.mark.timeout(120, func_only=True)


def test_the_first_user_is_made_with_the_code_and_signs_in_and_out(tmp_path: Path, page: Page) -> None:
    with staged(tmp_path) as stage:
        assert stage.running.set_up_code is not None
        page.goto(stage.running.api_url)
        page.get_by_label("Set-up code").fill(stage.running.set_up_code.reveal())
        page.get_by_label("Your name").fill("ada")
        page.get_by_label("Password, 10 characters or more").fill(PASSWORD)
        page.get_by_label("Password once more").fill(PASSWORD)
        page.get_by_role("button", name="Make the first user").click()
        expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("wrong horse battery")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("the name or the password is wrong")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("No host has joined yet.")).to_be_visible()
        page.goto("about:blank")


def test_the_fleet_shows_its_hosts_and_lets_one_more_join(stage: Stage, page: Page) -> None:
    sign_in(page, stage)
    row = page.get_by_role("row", name=re.compile("web-1"))
    expect(row).to_contain_text("● healthy")
    page.get_by_role("button", name="Join a host").click()
    shown = page.get_by_text("seawall agent join https")
    expect(shown).to_be_visible()
    stage.join_with("joined", shown.inner_text().split("--token ")[1])
    expect(page.get_by_text("joined has joined and is connected.")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("row", name=re.compile("joined"))).to_contain_text("● healthy")
    page.get_by_label("Filter by name, label or version").fill("no such host")
    expect(page.get_by_text("No host fits this filter.")).to_be_visible()


def test_the_page_of_many_hosts_is_few_elements(
    stage: Stage, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"many-{number}" for number in range(200)]
    hosts = [
        HostRow(name, name, "healthy", 100, "", CircuitState.CLOSED, 0, None, "1.0", None, {}, simulated=True)
        for name in names
    ]

    async def look(_: FleetOverview) -> Overview:
        return Overview(hosts, {"healthy": len(hosts)})

    monkeypatch.setattr(FleetOverview, "look", look)
    sign_in(page, stage)
    cells = region(page, "Map of hosts").get_by_role("link")
    expect(cells).to_have_count(200)
    # Pages of other tests are kept for half a minute.
    newest = max(Client.instances.values(), key=lambda client: client.created)
    assert len(newest.elements) < 150
    page.get_by_label("Filter by name, label or version").fill("many-19")
    expect(cells).to_have_count(11)
    expect(region(page, "Hosts").get_by_role("row")).to_have_count(12)


def test_a_page_whose_browser_is_gone_looks_no_more(
    stage: Stage, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened, show, lives = list[str](), FleetPage.show, Visit.lives

    async def noted_show(self: FleetPage) -> None:
        happened.append("look")
        await show(self)

    async def noted_lives(self: Visit, *, used: bool) -> bool:
        happened.append("turn")
        return await lives(self, used=used)

    monkeypatch.setattr(FleetPage, "show", noted_show)
    monkeypatch.setattr(Visit, "lives", noted_lives)
    page = context.new_page()
    sign_in(page, stage)
    until("it looks again and again", lambda: happened.count("look") > 2)
    with pytest.raises(Error, match="crash"):
        page.goto("chrome://crash")
    # It is kept for half a minute, in case that its browser comes back.
    until("it has its turns and doesn't look", lambda: happened[-5:] == ["turn"] * 5)


def test_a_container_is_restarted_from_its_hosts_page_and_its_log_is_followed(
    stage: Stage, page: Page
) -> None:
    docker = stage.add_host("worker", [FakeContainer("api", log=[("stdout", "listening")])])
    sign_in(page, stage, "/ui/hosts/worker")
    row = region(page, "Containers").get_by_role("row", name=re.compile("api"))
    row.get_by_role("button", name="Restart").click()
    done = region(page, "Recent commands").get_by_role("row", name=re.compile("container_restart"))
    expect(done).to_contain_text("✓ succeeded")
    expect(done).to_contain_text("ada")
    assert [operation for operation, _ in docker.effects] == ["container_restart"]
    row.get_by_role("button", name="Log").click()
    log = region(page, "Log and figures").locator("pre")
    expect(log).to_contain_text("listening")
    stage.do(partial(docker.container("api").log.append, ("stderr", "a line that came later")))
    expect(log).to_contain_text("a line that came later")
    stage.do(partial(docker.add, FakeContainer("newcomer")))
    row.get_by_role("button", name="Stop").click()
    expect(region(page, "Containers")).to_contain_text("newcomer")
    expect(row.get_by_role("button", name="Start")).to_be_visible()


def test_the_agent_of_a_host_is_restarted_once_that_is_meant(stage: Stage, page: Page) -> None:
    sign_in(page, stage, "/ui/hosts/web-1")
    page.get_by_role("button", name="Restart the agent").click()
    page.get_by_role("button", name="Leave it").click()
    page.get_by_role("button", name="Restart the agent").click()
    page.get_by_role("button", name="Restart it").click()
    row = region(page, "Recent commands").get_by_role("row", name=re.compile("system_restart_agent"))
    expect(row).to_contain_text("succeeded", timeout=30_000)
    expect(row).to_have_count(1)


def test_somebody_works_in_a_container_in_a_terminal_that_ends_with_its_card_and_with_the_sign_in(
    stage: Stage, page: Page
) -> None:
    docker = stage.add_host("workshop", [FakeContainer("bench")])
    sign_in(page, stage, "/ui/hosts/workshop")
    row, card = (
        region(page, "Containers").get_by_role("row", name=re.compile("bench")),
        region(page, "Terminal"),
    )
    row.get_by_role("button", name="Terminal").click()
    expect(card.get_by_role("heading")).to_have_text("Terminal in bench")
    expect(card.locator("textarea")).to_be_focused()
    # This process says back what it is told.
    page.keyboard.type("echo of a good day")
    rows = card.locator(".xterm-rows")
    expect(rows).to_contain_text("echo of a good day")
    title = page.title()
    # An escape for another title, and markup; as if the process had thought of them.
    for key, text in (("Escape", "]0;owned"), ("Control+g", "<img src=x onerror=alert(1)>")):
        page.keyboard.press(key)
        page.keyboard.type(text)
    expect(rows).to_contain_text("echo of a good day<img src=x onerror=alert(1)>")
    assert (page.title(), rows.locator("img").count()) == (title, 0)
    entries = stage.api("GET", "/api/v1/audit?action=stream_opened").json()
    assert any(entry["actor"] == "user:ada" and "container_exec" in str(entry["detail"]) for entry in entries)

    card.get_by_role("button", name="Close").click()
    expect(card).to_be_hidden()
    row.get_by_role("button", name="Terminal").click()
    expect(card.locator("textarea")).to_be_focused()
    page.keyboard.type("once more")
    expect(rows).to_contain_text("once more")
    first, second = docker.processes.values()
    until("the first shell has ended", lambda: first.exit_code is not None)
    until("the second one knows its size", lambda: second.size)
    before = second.size
    page.set_viewport_size({"width": 700, "height": 860})
    until("it knows its new size", lambda: second.size != before)
    assert second.exit_code is None
    page.get_by_role("button", name="Sign out").click()
    until("the second shell has ended", lambda: second.exit_code is not None)
    del stage.cookies["ada"]


def test_a_circuit_opens_and_recovers_while_somebody_looks(stage: Stage, page: Page) -> None:
    docker = stage.add_host("shaky")
    sign_in(page, stage, "/ui/hosts/shaky")
    circuits, changes = region(page, "Circuits"), region(page, "How the circuits changed")
    row = circuits.get_by_role("row", name=re.compile("docker"))
    expect(row).to_contain_text("● closed")
    stage.do(partial(docker.fault, Fault.UNREACHABLE))
    for _ in range(5):
        stage.command("container_list", "shaky", max_attempts=1)
    expect(row).to_contain_text("■ open")
    expect(changes).to_contain_text("closed → open")
    stage.do(partial(docker.heal))
    expect(row).to_contain_text("◐ half-open")
    for _ in range(2):
        assert stage.command("container_list", "shaky", max_attempts=1)["state"] == "SUCCEEDED"
    expect(row).to_contain_text("● closed")
    expect(changes).to_contain_text("half-open → closed")
    over_time = region(page, "Over time")
    over_time.get_by_role("radio", name="1 h").click()
    expect(over_time).to_contain_text("docker_error 5")
    expect(over_time.get_by_role("img", name=re.compile("docker: open .* s, half-open"))).to_be_visible()
    assert over_time.locator("path.bar-0").get_attribute("d")


def test_a_circuit_is_opened_by_hand_with_a_reason_and_reset(stage: Stage, page: Page) -> None:
    stage.add_host("held")
    sign_in(page, stage, "/ui/circuits")
    overruling = region(page, "Overrule a circuit")
    overruling.get_by_label("Host").fill("held")
    overruling.get_by_role("radio", name="docker").click()
    overruling.get_by_role("button", name="Open").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("the disk is being replaced")
    dialog.get_by_role("button", name="Open").click()
    row = region(page, "Circuits that aren't closed").get_by_role("row", name=re.compile("held"))
    expect(row).to_contain_text("■ open by hand")
    expect(region(page, "Latest changes")).to_contain_text("held open: the disk is being replaced, by ada")
    row.get_by_role("button", name="Reset").click()
    dialog.get_by_role("button", name="Reset").click()
    expect(row).to_be_hidden()


def test_an_alert_opens_is_acknowledged_and_recovers_while_somebody_looks(stage: Stage, page: Page) -> None:
    docker = stage.add_host("alerting")
    (stage.running.data / ALERT_FILE).write_text("group_seconds = 0\n[rule.circuit]\ncalm_seconds = 0\n")
    sign_in(page, stage, "/ui/alerts")
    expect(region(page, "Rules").get_by_role("row", name=re.compile("^circuit"))).to_contain_text("0 s")
    stage.do(partial(docker.fault, Fault.UNREACHABLE))
    for _ in range(5):
        stage.command("container_list", "alerting", max_attempts=1)
    opened = region(page, "Open alerts").get_by_role(
        "row", name=re.compile("circuit of its docker.*alerting")
    )
    expect(opened).to_contain_text("▲ warning")
    opened.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("I look at its disk")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(opened).to_contain_text("ada: I look at its disk")
    expect(opened.get_by_role("button", name="Acknowledge")).to_be_hidden()
    stage.api("POST", "/api/v1/circuits/alerting/docker/reset", {"reason": "it has another disk"})
    over = region(page, "Alerts that are over").get_by_role("row", name=re.compile("circuit.*alerting"))
    expect(over).to_contain_text("ada: I look at its disk")
    expect(opened).to_be_hidden()
    entries = stage.api("GET", "/api/v1/audit?actor=user:ada&action=alert_acknowledged").json()
    assert [entry["detail"]["reason"] for entry in entries] == ["I look at its disk"]


def test_another_preset_is_chosen_and_the_rest_of_the_policy_stays(stage: Stage, page: Page) -> None:
    stage.api("PUT", "/api/v1/policy", {"text": "[operation.image_pull]\nmax_attempts = 7\n"})
    sign_in(page, stage, "/ui/resilience")
    expect(page.get_by_role("radio", name="production")).to_be_checked()
    page.get_by_role("radio", name="high-latency").click()
    expect(page.get_by_role("paragraph").filter(has_text="preset high-latency")).to_be_visible()
    pulls = region(page, "Policies").get_by_role("row", name=re.compile("^image_pull "))
    expect(pulls).to_contain_text("7")
    held = stage.api("GET", "/api/v1/policy").json()
    assert (held["preset"], held["text"].splitlines()[1]) == ("high-latency", "[operation.image_pull]")
    stage.api("PUT", "/api/v1/policy", {"text": ""})
    expect(page.get_by_role("radio", name="production")).to_be_checked()


def test_what_is_done_about_an_alert_by_itself_is_seen_to_help_and_can_be_stopped(
    stage: Stage, page: Page
) -> None:
    docker = stage.add_host("mended")
    data = stage.running.data
    (data / ALERT_FILE).write_text("group_seconds = 0\n[rule.circuit]\ncalm_seconds = 0\n")
    rule = 'alert = "circuit"\nhosts = ["mended"]\noperation = "ping"\nmode = "act"\nafter_seconds = 0\n'
    (data / REMEDIATION_FILE).write_text(f"[rule.look-again]\n{rule}")
    sign_in(page, stage, "/ui/alerts")
    card = region(page, "Done by itself")
    expect(card).to_contain_text("Rules that act: 1")
    stage.do(partial(docker.fault, Fault.UNREACHABLE))
    for _ in range(5):
        stage.command("container_list", "mended", max_attempts=1)
    row = card.get_by_role("row", name=re.compile("look-again mended ping"))
    expect(row).to_contain_text("▶ acted")
    stage.api("POST", "/api/v1/circuits/mended/docker/reset", {"reason": "it has another disk"})
    expect(row).to_contain_text("✓ helped")
    card.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("a new rack")
    dialog.get_by_role("button", name="Stop").click()
    expect(card).to_contain_text("■ stopped by ada: a new rack")
    card.get_by_role("button", name="Resume").click()
    expect(card).to_contain_text("Rules that act: 1")
    row.get_by_role("link", name="ping").click()
    expect(page.get_by_text("remediation:look-again").first).to_be_visible()


def test_alerts_are_kept_quiet_for_a_while_and_a_channel_is_tried(stage: Stage, page: Page) -> None:
    stage.api("POST", "/api/v1/alert-channels", {"name": "ops", "url": "http://127.0.0.1:9/"})
    sign_in(page, stage, "/ui/alerts")
    silences = region(page, "Silences")
    silences.get_by_label(re.compile("Hosts")).fill("web-*")
    silences.get_by_label(re.compile("Rule")).fill("disk")
    silences.get_by_role("radio", name="4 h").click()
    silences.get_by_role("button", name="Keep quiet").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("a new switch")
    dialog.get_by_role("button", name="Keep quiet").click()
    expect(silences).to_contain_text("disk-low on web-*, 4 h more")
    expect(silences).to_contain_text("a new switch, by ada")
    silences.get_by_role("button", name="End").click()
    expect(silences).to_contain_text("Nothing is kept quiet.")
    asked = "/api/v1/audit?actor=user:ada&action=silence_added&action=silence_ended"
    assert len(stage.api("GET", asked).json()) == 2
    region(page, "Channels").get_by_role("button", name="Test").click()
    expect(page.get_by_text("The test of ops didn't get through")).to_be_visible()


def test_errors_of_hosts_are_seen_in_their_pattern_and_can_be_had_as_csv(stage: Stage, page: Page) -> None:
    docker = stage.add_host("broken")
    stage.do(partial(docker.fault, Fault.UNREACHABLE))
    for _ in range(3):
        stage.command("image_list", "broken", max_attempts=1)
    sign_in(page, stage, "/ui/analytics")
    page.get_by_role("radio", name="24 h").click()
    row = region(page, "Error patterns").get_by_role(
        "row", name=re.compile("docker_error broken image_list 3")
    )
    expect(row).to_be_visible()
    expect(row.locator("[class^=heat-]", has_text="3")).to_have_attribute("title", re.compile("h: 3$"))
    worst = region(page, "The worst ten").get_by_role("row", name=re.compile("broken"))
    expect(worst).to_contain_text("■ 0.00 %")
    expect(worst).to_contain_text("3 of 3")
    region(page, "Error patterns").get_by_role("radio", name="Operation", exact=True).click()
    expect(
        region(page, "Error patterns").get_by_role("row", name=re.compile("^image_list 3"))
    ).to_be_visible()
    region(page, "Reliability of hosts").get_by_label("Filter by host").fill("broken")
    expect(region(page, "Reliability of hosts").get_by_role("row")).to_have_count(2)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Errors as CSV").click()
    lines = Path(waiting.value.path()).read_text(encoding="utf-8").splitlines()
    (own,) = [line.split(",") for line in lines if ",broken," in line]
    assert (own[1], own[2], own[4], own[5]) == ("docker_error", "broken", "image_list", "3")


def test_who_did_what_is_found_verified_and_exported(stage: Stage, page: Page) -> None:
    stage.api("POST", "/api/v1/tokens", {"name": "ci", "role": "viewer"})
    for _ in range(25):
        # Two entries each, so that there is more than a page.
        stage.command("ping", "web-1")
    sign_in(page, stage, "/ui/audit")
    expect(page.get_by_text("not verified since the controller started")).to_be_visible()
    page.get_by_label(re.compile("^Did")).fill("token created")
    rows = region(page, "Entries").locator("tbody tr:visible")
    expect(rows.first).to_contain_text("token:admin")
    expect(rows.first).to_contain_text("name: ci")
    page.get_by_label(re.compile("^Did")).fill("")
    page.get_by_label(re.compile("^Who")).fill("host:web-1")
    expect(rows.filter(has_text="token:admin")).to_have_count(0)
    page.get_by_label(re.compile("^Who")).fill("")
    expect(rows).to_have_count(50)
    first = rows.first.locator("td").first
    newest = int(first.inner_text())
    page.get_by_role("button", name="Older").click()
    expect(first).not_to_have_text(str(newest))
    assert int(first.inner_text()) <= newest - 50
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_text(re.compile("whole when verified, [0-9,]+ entries"))).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export").click()
    check = ChainCheck()
    with Path(waiting.value.path()).open("rb") as exported:
        check.take(read_exported(line) for line in exported)
    assert check.verdict().fault is None
    assert check.verdict().entries >= newest


def test_a_command_tells_of_its_retry_and_one_that_runs_is_cancelled(stage: Stage, page: Page) -> None:
    docker = stage.add_host("slow", [FakeContainer("patient")])
    stage.do(partial(docker.fault, Fault.UNREACHABLE))
    body = {"operation": "container_list", "agent": "slow", "max_attempts": 5}
    retried = stage.api("POST", "/api/v1/commands", body).json()
    sign_in(page, stage, f"/ui/commands/{retried['command_id']}")
    expect(region(page, "What happened")).to_contain_text("attempt 2 of 5 follows in")
    stage.do(partial(docker.heal))
    expect(region(page, "What happened")).to_contain_text("it is SUCCEEDED after")
    body = {"operation": "container_wait", "agent": "slow", "arguments": {"container": "patient"}}
    stage.api("POST", "/api/v1/commands", body)
    page.get_by_role("link", name="Commands").first.click()
    page.get_by_role("radio", name="Under way").click()
    row = page.get_by_role("row", name=re.compile("patient"))
    expect(row).to_contain_text(re.compile("dispatched|running"))
    row.get_by_role("link", name="container_wait").click()
    page.get_by_role("button", name="Cancel").click()
    expect(region(page, "What happened")).to_contain_text("no attempt follows: it was cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_an_expired_sign_in_asks_again_and_the_page_stays_as_it_is(stage: Stage, page: Page) -> None:
    sign_in(page, stage, anew=True)
    log = page.context.new_page()
    docker = stage.add_host("quiet", [FakeContainer("api", log=[("stdout", "listening")])])
    log.goto(f"{stage.running.api_url}/ui/hosts/quiet")
    log.get_by_role("button", name="Log").click()
    lines = region(log, "Log and figures").locator("pre")
    expect(lines).to_contain_text("listening")
    field = page.get_by_label("Filter by name, label or version")
    field.fill("web")
    expect(page.get_by_role("row", name=re.compile("web-1"))).to_be_visible()
    page.evaluate("window.same = true")
    stage.clock.ahead += IDLE + timedelta(minutes=1)
    again = page.get_by_role("dialog", name="Sign in again")
    expect(again).to_be_visible()
    # Nothing of any host is read for pages whose sign-in is over; this one shows nothing new of its log.
    until("no stream is open", lambda: "\nstreams_open 0.0\n" in stage.api("GET", "/metrics").text)
    stage.do(partial(docker.container("api").log.append, ("stdout", "said meanwhile")))
    again.get_by_label("Password").fill("wrong horse battery")
    again.get_by_role("button", name="Sign in").click()
    expect(again.get_by_role("alert")).to_have_text("the name or the password is wrong")
    again.get_by_label("Password").fill(PASSWORD)
    again.get_by_role("button", name="Sign in").click()
    expect(again).to_be_hidden()
    expect(field).to_have_value("web")
    assert page.evaluate("window.same") is True
    expect(lines).to_have_text(re.compile("^listening\\s*said meanwhile\\s*$"))
    stage.add_host("web-2")
    expect(page.get_by_role("row", name=re.compile("web-2"))).to_be_visible()


def test_who_is_made_on_the_command_line_looks_and_once_removed_sees_nothing_more(
    stage: Stage,
    page: Page,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEAWALL_URL", stage.running.api_url)
    monkeypatch.setenv("SEAWALL_TOKEN", stage.running.admin_token_file.read_text().strip())

    said: list[str] = []

    def call(words: list[str]) -> int:
        # A process of its own: the browser's driver has the event loop of this thread.
        command = [sys.executable, "-m", "seawall", *words]
        called = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        said.append(called.stdout)
        return called.returncode

    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    assert call(["user", "add", "eve", "--role", "operator", "--password-file", str(password)]) == 0
    assert call(["user", "add", "eve", "--role", "operator", "--password-file", str(password)]) == 3
    assert call(["user", "role", "eve", "viewer"]) == 0
    assert call(["user", "password", "eve", "--password-file", str(password)]) == 0
    assert call(["user", "list"]) == 0
    listed = said[-1]
    assert re.search(r"eve +viewer", listed)
    assert "argon2" not in listed
    sign_in(page, stage, "/ui/hosts/web-1", "eve")
    expect(region(page, "Containers").get_by_role("row")).not_to_have_count(1)
    expect(page.get_by_role("button", name="Restart")).to_have_count(0)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    page.goto(f"{stage.running.api_url}/ui/alerts")
    expect(region(page, "Rules")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Acknowledge|Keep quiet|Test|End"))).to_have_count(0)
    page.goto(f"{stage.running.api_url}/ui/audit")
    expect(page.get_by_text("Who did what is for admins to see.")).to_be_visible()
    assert page.request.get(f"{stage.running.api_url}/ui/files/audit.jsonl").status == 403
    assert call(["user", "remove", "eve"]) == 0
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()


def test_a_socket_is_for_its_own_page_in_its_own_browser(
    stage: Stage, page: Page, context: BrowserContext
) -> None:
    sign_in(page, stage)
    own = {"Origin": stage.running.api_url, "Cookie": f"seawall={context.cookies()[0]['value']}"}
    place = f"ws://{stage.running.api_url.removeprefix('http://')}/ui/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    url = f"{place}&client_id={page.evaluate('window.clientId')}"
    with connect(url, additional_headers=own) as socket:
        assert str(socket.recv()).startswith("0{")
    foreign = [
        {**own, "Origin": "http://evil.test"},
        {**own, "Origin": "null"},
        {"Cookie": own["Cookie"]},
        {"Origin": own["Origin"]},
        {**own, "Cookie": "seawall=another"},
    ]
    for headers in foreign:
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
            pass
        assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus), connect(f"{place}&client_id=another", additional_headers=own):
        pass
