"""From an alert to the command that answers it: rules, refusals, restarts, and whether it helped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seawall.controller.auth import Role
from seawall.core.command import Attempt, Command, Outcome
from seawall.core.events import MassFailureChanged
from seawall.engine.audit import Action
from seawall.engine.remediation_records import StopRecord
from seawall.engine.remediation_settings import REMEDIATION_FILE
from seawall.engine.store import Store
from seawall.testing.clock import FakeClock
from tests.controller.api_plane import ApiPlane, Script, is_problem, ok
from tests.controller.test_alerts import STEP, plane_with

pytestmark = pytest.mark.asyncio

QUICK_ALERTS = """
[rule.agent_offline]
enabled = false
[rule.disk_low]
for_seconds = 0
calm_seconds = 10
"""
RESTART = """
mode = "act"
[rule.restart-web]
alert = "disk_low"
operation = "container_restart"
arguments = { container = "web" }
after_seconds = 10
cool_down_seconds = 30
helped_within_seconds = 60
"""
HISTORY = "/api/v1/remediation/history"


@asynccontextmanager
async def remedied(
    directory: Path, rules: str = RESTART, *, script: Script = ok, clock: FakeClock | None = None
) -> AsyncIterator[ApiPlane]:
    """A plane that watches, decides and acts, with a host whose disk is full."""
    (directory / REMEDIATION_FILE).write_text(rules, encoding="utf-8")
    async with plane_with(directory, QUICK_ALERTS, clock) as plane:
        plane.attach(script)
        fill(plane)
        task = asyncio.create_task(plane.services.remediation.run())
        try:
            yield plane
        finally:
            task.cancel()
            await asyncio.wait((task,))


async def let_pass(plane: ApiPlane, seconds: float) -> None:
    """Time passes in steps, in each of which what is watched, decided and done comes to its end."""
    keeper, remediation = plane.services.alerts.keeper, plane.services.remediation.remediation
    for _ in range(int(seconds / STEP)):
        await plane.clock.advance(STEP)
        for turning in (keeper._turning, remediation._turning, remediation._turning):
            await plane.services.store.check()
            await plane.clock.settle()
            async with turning:
                pass


def fill(plane: ApiPlane, share: float = 0.01) -> None:
    for session in plane.services.fleet.sessions():
        session.signs.free_bytes, session.signs.total_bytes = int(1e12 * share), int(1e12)


async def history(plane: ApiPlane) -> list[dict[str, object]]:
    """The oldest first."""
    found: list[dict[str, object]] = (await plane.get(HISTORY)).json()
    return found[::-1]


async def decisions(plane: ApiPlane) -> list[tuple[object, object]]:
    return [(each["decision"], each["refusal"]) for each in await history(plane)]


async def commands(plane: ApiPlane) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await plane.get("/api/v1/commands?operation=container_restart")).json()
    return found


async def test_a_rule_acts_by_an_ordinary_command_that_says_why_and_says_that_it_helped(
    tmp_path: Path,
) -> None:
    async with remedied(tmp_path) as plane:
        await let_pass(plane, 30)
        (command,) = await commands(plane)
        assert (command["requested_by"], command["state"]) == ("remediation:restart-web", "SUCCEEDED")
        why = (await plane.get(f"/api/v1/commands/{command['command_id']}/explain")).text
        assert "the rule restart-web asked for it, try 1: disk_low for 10 s: 1.0% of its disk is free" in why
        fill(plane, 0.5)
        await let_pass(plane, 40)
        (decision,) = await history(plane)
        assert (decision["decision"], decision["command_id"]) == ("acted", command["command_id"])
        assert (decision["helped"], decision["state"]) == (True, "SUCCEEDED")
        wanted = (Action.REMEDIATION_DECIDED, Action.COMMAND_ACCEPTED, Action.REMEDIATION_JUDGED)
        entries = await plane.services.store.audit(actor="remediation:restart-web", actions=wanted)
        assert [each.action for each in reversed(entries)] == [action.value for action in wanted]
        assert '"reason":"disk_low for 10 s' in entries[-1].detail
        assert '"helped":true' in entries[0].detail


async def test_without_a_mode_a_rule_only_says_what_it_would_do(tmp_path: Path) -> None:
    async with remedied(tmp_path, RESTART.replace('"act"', '"dry-run"')) as plane:
        await let_pass(plane, 150)
        assert await decisions(plane) == [("dry_run", "")] * 3 + [("gave_up", "")]
        clock = plane.clock
    async with remedied(tmp_path, RESTART.replace('"act"', '"dry-run"'), clock=clock) as plane:
        await let_pass(plane, 20)
        assert len(await decisions(plane)) == 4
        assert await commands(plane) == []
        assert [each["kind"] for each in (await plane.get("/api/v1/alerts")).json()] == ["disk_low"]


async def test_what_does_not_help_is_tried_a_few_times_and_is_an_alert_then(tmp_path: Path) -> None:
    async with remedied(tmp_path) as plane:
        await let_pass(plane, 150)
        assert await decisions(plane) == [("acted", "")] * 3 + [("gave_up", "")]
        assert len(await commands(plane)) == 3
        assert [each["helped"] for each in await history(plane)] == [False, False, False, None]
        alerts = (await plane.get("/api/v1/alerts")).json()
        assert [each["kind"] for each in alerts] == ["remediation_gave_up", "disk_low"]
        assert "the rule restart-web gave up: container_restart was tried 3 times" in alerts[0]["text"]
        (tmp_path / REMEDIATION_FILE).unlink()
        await let_pass(plane, 10)
        assert (await plane.get("/api/v1/remediation")).json()["rules"] == []
        fill(plane, 0.5)
        await let_pass(plane, 60)
        assert (await plane.get("/api/v1/alerts")).json() == []


async def test_a_stop_holds_over_a_restart_and_a_resumption_lets_it_go_on(tmp_path: Path) -> None:
    async with remedied(tmp_path) as plane:
        answer = await plane.post("/api/v1/remediation/stop", {"reason": "new disks"}, role=Role.OPERATOR)
        assert answer.json()["stopped"]["by"] == "operator"
        await let_pass(plane, 40)
        clock = plane.clock
    async with remedied(tmp_path, clock=clock) as plane:
        await let_pass(plane, 40)
        assert await decisions(plane) == [("refused", "stopped")], "said once, and not each second"
        assert "operator (new disks)" in str((await history(plane))[0]["reason"])
        assert (await plane.get("/api/v1/remediation")).json()["stopped"]["reason"] == "new disks"
        await plane.post("/api/v1/remediation/resume", {}, role=Role.OPERATOR)
        await let_pass(plane, 10)
        assert await decisions(plane) == [("refused", "stopped"), ("acted", "")]
        is_problem(await plane.post("/api/v1/remediation/resume", {}), 409, "conflict")
        actions = (Action.REMEDIATION_STOPPED, Action.REMEDIATION_RESUMED, Action.REMEDIATION_LOADED)
        entries = await plane.services.store.audit(actions=actions)
        assert [(each.action, each.actor) for each in reversed(entries)][-2:] == [
            ("remediation_loaded", "controller"),
            ("remediation_resumed", "token:operator"),
        ]


async def test_a_stop_that_comes_while_an_earlier_run_is_taken_up_holds(tmp_path: Path) -> None:
    async with remedied(tmp_path) as plane:
        remediation, store = plane.services.remediation.remediation, plane.services.store
        read, stopping = store.remediation_stop, []

        async def read_and_be_stopped() -> StopRecord | None:
            found = await read()
            stopping.append(asyncio.create_task(remediation.stop("new disks", "ada")))
            await store.check()
            await store.check()
            return found

        store.remediation_stop = read_and_be_stopped  # type: ignore[method-assign]  # a moment that is hard to meet
        await let_pass(plane, 40)
        await asyncio.gather(*stopping)
        assert len(stopping) == 1
        assert await decisions(plane) == [("refused", "stopped")]


async def test_nothing_is_done_in_a_mass_failure_or_a_silence_or_about_what_somebody_takes_care_of(
    tmp_path: Path,
) -> None:
    async with remedied(tmp_path) as plane:
        keeper = plane.services.alerts.keeper
        keeper.observe(MassFailureChanged(plane.clock.now(), True, 9, 10))
        await let_pass(plane, 40)
        assert await decisions(plane) == [("refused", "mass_failure")]
        await plane.post("/api/v1/alert-silences", {"seconds": 120})
        keeper.observe(MassFailureChanged(plane.clock.now(), False, 0, 10))
        await let_pass(plane, 100)
        assert await decisions(plane) == [("refused", "mass_failure"), ("refused", "silenced")]
        alert = (await plane.get("/api/v1/alerts")).json()[0]
        await plane.post(f"/api/v1/alerts/{alert['alert_id']}/acknowledge", {"reason": "I look"})
        await let_pass(plane, 50)
        assert [refusal for _, refusal in await decisions(plane)][2:] == ["acknowledged"]
        assert await commands(plane) == []


async def test_a_host_is_worth_so_many_tries_whatever_the_rule(tmp_path: Path) -> None:
    more = RESTART + RESTART.partition("[")[1] + RESTART.partition("[")[2].replace("restart-web", "again")
    async with remedied(tmp_path, "budget = 2\nbudget_seconds = 100\n" + more) as plane:
        await let_pass(plane, 90)
        made = await decisions(plane)
        assert made[:2] == [("acted", "")] * 2
        assert set(made[2:]) == {("refused", "budget")}
        await let_pass(plane, 40)
        assert (await decisions(plane)).count(("acted", "")) == 4


async def test_a_prune_is_given_what_its_plan_finds_and_nothing_where_there_is_nothing(
    tmp_path: Path,
) -> None:
    images: list[dict[str, str]] = [{"id": f"sha256:{number:064x}"} for number in range(2)]

    def planned(command: Command, _: Attempt) -> Outcome:
        return Outcome(response={"images": images} if command.operation == "image_prune_plan" else {})

    rules = RESTART.replace('{ container = "web" }', "{ all = true }").replace(
        "container_restart", "image_prune"
    )
    async with remedied(tmp_path, rules, script=planned) as plane:
        await let_pass(plane, 30)
        (plan,) = (await plane.get("/api/v1/commands?operation=image_prune_plan")).json()
        (prune,) = (await plane.get("/api/v1/commands?operation=image_prune")).json()
        assert (plan["requested_by"], plan["arguments"]["all"]) == ("remediation:restart-web", True)
        assert prune["arguments"]["images"] == [image["id"] for image in images]
        images.clear()
        await let_pass(plane, 40)
        assert len((await plane.get("/api/v1/commands?operation=image_prune")).json()) == 1
        last = (await history(plane))[-1]
        assert (last["helped"], last["outcome"]) == (False, "nothing was sent: there are no images to remove")


async def test_a_decision_whose_command_was_not_asked_for_yet_is_done_once_after_a_restart(
    tmp_path: Path,
) -> None:
    async with remedied(tmp_path) as plane:
        died = DiesBeforeTheCommand()
        plane.services.remediation.remediation._accept = died  # the controller ends here
        await let_pass(plane, 20)
        assert died.asked == 1
        assert [each["command_id"] for each in await history(plane)] == [""]
        clock = plane.clock
    async with remedied(tmp_path, clock=clock) as plane:
        await let_pass(plane, 10)
        (command,) = await commands(plane)
        (decision,) = await history(plane)
        assert decision["command_id"] == command["command_id"]


async def test_a_decision_of_an_earlier_run_is_not_done_if_it_would_not_be_right_any_more(
    tmp_path: Path,
) -> None:
    async with remedied(tmp_path) as plane:
        plane.services.remediation.remediation._accept = DiesBeforeTheCommand()
        await let_pass(plane, 20)
        await plane.services.store.stop_remediation(StopRecord("new disks", "ada", plane.clock.wall()))
        clock = plane.clock
    async with remedied(tmp_path, clock=clock) as plane:
        await let_pass(plane, 10)
        assert await commands(plane) == []
        (decision,) = await history(plane)
        outcome = "nothing was sent: remediation is stopped by ada (new disks)"
        assert (decision["helped"], decision["outcome"]) == (False, outcome)


async def test_a_command_that_was_accepted_before_that_was_noted_is_the_same_one_after_a_restart(
    tmp_path: Path,
) -> None:
    async with remedied(tmp_path) as plane:
        store: Store = plane.services.store
        note = store.note_remedy
        store.note_remedy = forgets  # type: ignore[method-assign]  # the controller ends here
        await let_pass(plane, 20)
        assert len(await commands(plane)) == 1
        store.note_remedy = note  # type: ignore[method-assign]
        clock = plane.clock
    async with remedied(tmp_path, clock=clock) as plane:
        await let_pass(plane, 10)
        (command,) = await commands(plane)
        (decision,) = await history(plane)
        assert decision["command_id"] == command["command_id"]


class DiesBeforeTheCommand:
    """A door to commands that ends whoever comes."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, _: object) -> object:
        self.asked += 1
        raise asyncio.CancelledError


async def forgets(*_: object) -> None:
    raise asyncio.CancelledError
