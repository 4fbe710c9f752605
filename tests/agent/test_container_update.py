"""container_update on the fake Engine: killed at whatever call, one container serves, and the truth is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import TypeVar

import pytest

from seawall.agent.operations import container_update
from seawall.agent.own_container import Traces
from seawall.testing import faults
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from seawall.testing.effects import Work
from seawall.wire.messages import Completed, Progress
from tests.agent.worker_bench import Bench, last

pytestmark = pytest.mark.asyncio

Answer = TypeVar("Answer")
NEW, OLD = "nginx:1.28", "nginx:1.27"
LONG_SECONDS = 200.0
MOST_CALLS = 80


class Strike(Enum):
    """What is killed, and on which side of a call's effect."""

    AGENT_BEFORE = "agent before"
    AGENT_AFTER = "agent after"
    DOCKERD_BEFORE = "dockerd before"
    DOCKERD_AFTER = "dockerd after"


class Mortal(FakeDocker):
    """An Engine on which something is killed at one call; `ill` are states that inspect adds for some images."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.clock, live_restore=False)
        self.strike: Strike | None = None
        self.at = 0
        self.count = 0
        self.struck = asyncio.Event()
        self.ill: dict[str, str] = {}
        self.refuses: dict[str, int] = {}

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        record = await super().container_inspect(container, timeout_seconds=timeout_seconds)
        config, state = record["Config"], record["State"]
        assert isinstance(config, dict)
        assert isinstance(state, dict)
        record["Image"] = self.find_image(str(config["Image"])).image_id
        if config["Image"] in self.ill and state["Running"]:
            state["Health"] = {
                "Status": self.ill[config["Image"]],
                "Log": [{"ExitCode": 1, "Output": "no answer"}],
            }
        return record

    async def _call(
        self,
        operation: str,
        do: Callable[[Work], Awaitable[Answer]],
        timeout_seconds: float,
        *,
        changes: bool = False,
    ) -> Answer:
        if self.refuses.get(operation, 0) > 0:
            self.refuses[operation] -= 1
            raise faults.refused(400, f"{operation} isn't to be had")
        self.count += 1
        hit = self.count == self.at and self.strike is not None
        if hit and self.strike is Strike.DOCKERD_BEFORE:
            self._die()
        elif hit and self.strike is Strike.AGENT_BEFORE:
            self.struck.set()
            await asyncio.Event().wait()
        try:
            return await super()._call(operation, do, timeout_seconds, changes=changes)
        finally:
            if hit and self.strike is Strike.DOCKERD_AFTER:
                self._die()
                raise faults.broken(operation)
            if hit and self.strike is Strike.AGENT_AFTER:
                self.struck.set()
                await asyncio.Event().wait()

    def _die(self) -> None:
        self.struck.set()
        self.kill_daemon()
        self._clock.call_at(self._clock.now() + 7.0, self.start_daemon)


class UpdateBench(Bench):
    """With a web server that is to be updated."""

    docker: Mortal

    def __init__(self) -> None:
        super().__init__()
        self.docker = Mortal(self)
        self.docker.registries.publish(NEW)
        web = self.docker.container("web")
        web.restart_policy = "unless-stopped"
        self.old_id = web.container_id
        self.start()

    def update(self, **arguments: object) -> str:
        return self.give("container_update", 300.0, container="web", image=NEW, **arguments)

    async def over(self, seconds: float = LONG_SECONDS, *, interim: bool = False) -> None:
        """Let time pass in small steps until the newest command is over, or so much time has passed."""
        end = self.clock.now() + seconds
        told = f"command-{self.count}"
        while self.clock.now() < end:
            await self.clock.advance(0.25)
            if any(m.command_id == told and (m.recorded or interim) for m in self.completions()):
                break
        await self.clock.settle()

    def named(self, name: str = "web") -> FakeContainer:
        return self.docker.container(name)

    def family(self) -> list[FakeContainer]:
        """The old one, and whatever was made to replace it."""
        return [found for found in self.docker.containers if found.name.startswith("web")]


async def ready() -> UpdateBench:
    bench = UpdateBench()
    await bench.open()
    return bench


async def updated(bench: UpdateBench, seconds: float = LONG_SECONDS, **arguments: object) -> Completed:
    bench.update(**arguments)
    await bench.over(seconds)
    return last(bench)


def response_of(answer: Completed) -> Mapping[str, object]:
    assert answer.code is None, answer.error
    assert isinstance(answer.response, dict)
    return answer.response


async def test_the_new_container_serves_under_the_name_with_the_restart_policy_and_the_old_is_gone() -> None:
    bench = await ready()
    answer = await updated(bench)
    web = bench.named()
    assert (web.image, web.running, web.restart_policy) == (NEW, True, "unless-stopped")
    assert bench.family() == [web]
    response = dict(response_of(answer))
    digest = bench.docker.find_image(NEW).digests[0].partition("@")[2]
    state = response.pop("state")
    assert isinstance(state, dict)
    assert state["running"] is True
    assert response == {
        "container": "web",
        "id": web.container_id,
        "image": NEW,
        "digest": digest,
        "replaced": bench.old_id,
        "rolled_back": False,
        "health": "none",
        "warnings": [],
    }


async def test_each_step_is_in_the_ledger_before_it_begins_and_is_told_as_progress() -> None:
    bench = await ready()
    bench.docker.ill[NEW] = "starting"
    seen: list[str | None] = []
    inner = bench.docker._call

    async def call(*given: object, **more: object) -> object:
        entry = bench.worker.ledger.entry("command-1")
        step = entry.step if entry is not None else None
        if step not in seen:
            seen.append(step)
        return await inner(*given, **more)  # type: ignore[arg-type]  # passed on as it is

    bench.docker._call = call  # type: ignore[method-assign, assignment]  # a spy
    bench.update()
    await bench.over(10.0)
    bench.docker.ill[NEW] = "healthy"
    await bench.over()
    assert response_of(last(bench))["health"] == "healthy"
    wanted = [
        "pull",
        "create",
        "connect",
        "quiet",
        "stop",
        "aside",
        "name",
        "start",
        "prove",
        "restore",
        "remove",
    ]
    assert seen == [None, *wanted]
    steps = [
        message.detail["steps"] for message in bench.sent if isinstance(message, Progress) and message.detail
    ]
    assert steps[0] == [{"step": "pull", "state": "running"}]
    assert any({"step": "prove", "state": "running"} in told for told in steps if isinstance(told, list))


async def test_a_stopped_container_is_replaced_without_being_started() -> None:
    bench = await ready()
    bench.docker.end("web", 0)
    bench.named().running = False
    bench.named().stopped_by_hand = True
    answer = await updated(bench)
    assert response_of(answer)["replaced"] == bench.old_id
    assert (bench.named().image, bench.named().state) == (NEW, "created")
    assert [found.name for found in bench.family()] == ["web"]


@pytest.mark.parametrize(
    ("status", "limit", "words"),
    [
        ("unhealthy", 30.0, "the new container is unhealthy: its health check ended with 1 (no answer)"),
        ("starting", 20.0, "the new container was not healthy within 20 s"),
    ],
)
async def test_a_new_container_that_does_not_get_healthy_is_undone_and_the_old_one_serves_again(
    status: str, limit: float, words: str
) -> None:
    bench = await ready()
    bench.docker.ill[NEW] = status
    answer = await updated(bench, health_timeout_seconds=limit)
    assert (answer.code, answer.recorded) == ("docker_error", True)
    assert answer.error is not None
    assert words in answer.error
    assert "the old container web serves again" in answer.error
    web = bench.named()
    assert (web.container_id, web.running, web.restart_policy) == (bench.old_id, True, "unless-stopped")
    assert bench.family() == [web]


async def test_a_new_container_that_ends_at_once_is_undone() -> None:
    bench = await ready()
    bench.update()
    await bench.clock.advance(1.0)
    assert bench.named().image == NEW
    bench.docker.end("web", 3)
    await bench.over()
    answer = last(bench)
    assert answer.error is not None
    assert "ended at once, with the exit code 3" in answer.error
    assert (bench.named().container_id, bench.named().running) == (bench.old_id, True)


@pytest.mark.parametrize(
    "operation",
    ["container_create", "container_configure", "container_stop", "container_rename", "container_start"],
)
async def test_what_docker_refuses_is_undone(operation: str) -> None:
    bench = await ready()
    bench.docker.refuses[operation] = 1
    answer = await updated(bench)
    assert answer.code == "docker_error"
    assert answer.error is not None
    assert "isn't to be had" in answer.error
    web = bench.named()
    assert (web.container_id, web.running, web.restart_policy) == (bench.old_id, True, "unless-stopped")
    assert bench.family() == [web]


async def test_an_old_container_that_docker_will_not_remove_is_a_warning() -> None:
    bench = await ready()
    bench.docker.refuses["container_remove"] = 1
    response = response_of(await updated(bench))
    assert "isn't to be had" in str(response["warnings"])
    assert bench.named().image == NEW
    serving = [found.name for found in bench.family() if found.running]
    assert serving == ["web"]


async def test_an_image_that_cannot_be_pulled_changes_nothing_and_may_be_tried_again() -> None:
    bench = await ready()
    bench.docker.registries.down.add("docker.io")
    attempt = bench.update()
    await bench.over(interim=True)
    answer = bench.answers()[attempt]
    assert answer.code == "docker_error"
    assert bench.docker.effects == []
    assert bench.named().container_id == bench.old_id


async def test_without_a_pull_the_image_has_to_be_there() -> None:
    bench = await ready()
    attempt = bench.update(pull="never")
    await bench.over(interim=True)
    assert bench.answers()[attempt].code == "docker_error"
    assert "image_pull" not in bench.docker.calls
    bench.docker.add_image(NEW)
    bench.update(pull="missing")
    await bench.over()
    assert response_of(last(bench, 2))["replaced"] == bench.old_id
    assert "image_pull" not in bench.docker.calls


async def test_a_container_of_the_very_image_already_is_left_alone() -> None:
    bench = await ready()
    await updated(bench)
    before = len(bench.docker.effects)
    bench.update(pull="never")
    await bench.over()
    response = response_of(last(bench, 2))
    assert (response["replaced"], len(bench.docker.effects)) == (None, before)
    assert "nothing was changed" in str(response["warnings"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda web: setattr(web, "removes_itself", True), "removes itself"),
        (lambda web: setattr(web, "paused", True), "paused"),
        (lambda web: web.labels.update({"com.docker.swarm.service.id": "x"}), "swarm"),
    ],
)
async def test_a_container_that_must_not_be_updated_is_refused_before_anything_happens(
    spoil: Callable[[FakeContainer], object], words: str
) -> None:
    bench = await ready()
    spoil(bench.named())
    answer = await updated(bench)
    assert answer.code == "invalid_argument"
    assert answer.error is not None
    assert words in answer.error
    assert bench.docker.effects == []


async def test_the_agent_does_not_update_the_container_that_it_runs_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = await ready()
    monkeypatch.setattr(container_update, "own_traces", lambda: Traces(frozenset({bench.old_id})))
    answer = await updated(bench)
    assert answer.code == "invalid_argument"
    assert answer.error is not None
    assert "this agent runs in it" in answer.error
    assert bench.docker.effects == []


async def test_a_second_update_carries_no_label_of_the_first() -> None:
    bench = await ready()
    await updated(bench)
    first = bench.named().container_id
    bench.docker.registries.publish("nginx:1.29")
    bench.give("container_update", 300.0, container="web", image="nginx:1.29")
    await bench.over()
    web = bench.named()
    assert web.labels == {"tier": "front", "seawall.command_id": "command-2", "seawall.replaces": first}


async def calls_of_one() -> int:
    """How many calls an update makes without any kill."""
    bench = await ready()
    await updated(bench)
    return bench.docker.count


async def struck(strike: Strike, at: int, health: str | None) -> UpdateBench:
    """One update with one kill, given time to come to its end."""
    bench = await ready()
    if health is not None:
        bench.docker.ill[NEW] = health
    bench.docker.strike, bench.docker.at = strike, at
    bench.update()
    for _ in range(40):
        if bench.docker.struck.is_set():
            break
        await bench.clock.advance(0.5)
    assert bench.docker.struck.is_set(), f"there was no call {at}"
    if strike in (Strike.AGENT_BEFORE, Strike.AGENT_AFTER):
        await bench.restart()
    await bench.over()
    return bench


def check(bench: UpdateBench, about: str, *, may_succeed: bool) -> str:
    """One container serves under the name, and what was told is so."""
    web = bench.named()
    serving = [found.name for found in bench.family() if found.running]
    assert serving == ["web"], about
    assert web.restart_policy == "unless-stopped", about
    told = [message for message in bench.completions() if message.command_id == "command-1"]
    if not told:
        entry = bench.worker.ledger.entry("command-1")
        assert web.container_id == bench.old_id, about
        assert entry is None or entry.state.value in ("void", "VOID"), f"{about}: nothing was told"
        return "not begun"
    answer = told[-1]
    if answer.code is None:
        assert may_succeed, about
        assert web.image == NEW, about
        assert bench.family() == [web], about
        return "done"
    assert answer.code != "outcome_unknown", f"{about}: {answer.error}"
    assert (web.container_id, web.image) == (bench.old_id, OLD), f"{about}: {answer.error}"
    assert bench.family() == [web], f"{about}: {answer.error}"
    return "undone" if answer.recorded else "not begun"


@pytest.mark.parametrize("strike", list(Strike), ids=lambda strike: strike.value)
@pytest.mark.parametrize("health", [None, "unhealthy"], ids=["well", "ill"])
async def test_a_kill_at_any_call_leaves_one_container_serving_and_the_truth(
    strike: Strike, health: str | None
) -> None:
    endings: dict[str, int] = {}
    bench = await ready()
    if health is not None:
        bench.docker.ill[NEW] = health
    await updated(bench)
    for at in range(1, bench.docker.count + 1):
        about = f"{strike.value} call {at}, {health or 'well'}"
        ended = check(await struck(strike, at, health), about, may_succeed=health is None)
        endings[ended] = endings.get(ended, 0) + 1
    assert sum(endings.values()) >= 20, endings
    assert endings.get("done" if health is None else "undone", 0) > 10, endings


async def test_an_engine_that_stays_away_is_waited_for() -> None:
    bench = await ready()
    bench.update()
    await bench.clock.advance(1.0)
    bench.docker.kill_daemon()
    await bench.clock.advance(1000.0)
    told = [message for message in bench.completions() if message.recorded]
    assert told == [], "nothing is known yet"
    bench.docker.start_daemon()
    await bench.over()
    assert check(bench, "the Engine is back", may_succeed=True) == "done"
