"""A Compose project and its containers: changed as a whole alone, one by one beside each other, in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from seawall.agent.operations.registry import RUNNERS
from seawall.agent.operations.runner import Execution, Runner
from seawall.agent.worker import Limits
from seawall.testing.containers import FakeContainer
from tests.agent.worker_bench import Bench, opened, summary

pytestmark = pytest.mark.asyncio

_LABEL = "com.docker.compose.project"
SHOP = {_LABEL: "shop"}
WHOLE, ONE, URGENT = "compose_restart", "container_restart", "container_stop"


@dataclass
class Story:
    """What began, in order; everything waits until it is let go."""

    begun: list[str] = field(default_factory=list)
    over: dict[str, asyncio.Event] = field(default_factory=dict)

    def runner(self) -> Runner:
        async def run(execution: Execution) -> object:
            name = str(execution.arguments.get("container") or execution.arguments.get("project"))
            self.begun.append(name)
            await self.over.setdefault(name, asyncio.Event()).wait()
            return {}

        return run

    async def end(self, bench: Bench, name: str) -> None:
        self.over.setdefault(name, asyncio.Event()).set()
        await bench.clock.settle()


async def telling(at_once: int = 16) -> tuple[Bench, Story]:
    story = Story()
    runners = {name: story.runner() for name in (WHOLE, ONE, URGENT)}
    assert set(runners) <= set(RUNNERS)
    bench = await opened(Limits(at_once=at_once), runners=runners)
    for name, labels in (("a", SHOP), ("b", SHOP), ("alone", {}), ("c", {_LABEL: "another"})):
        bench.docker.add(FakeContainer(name, "app:1", labels=labels))
    return bench, story


async def give(bench: Bench, operation: str, name: str) -> str:
    which = "project" if operation == WHOLE else "container"
    attempt = bench.give(operation, 600.0, **{which: name})
    await bench.clock.settle()
    return attempt


async def test_a_containers_change_waits_for_its_projects_and_others_do_not() -> None:
    bench, story = await telling()
    await give(bench, WHOLE, "shop")
    waiting = await give(bench, ONE, "a")
    await give(bench, WHOLE, "another")
    await give(bench, ONE, "alone")
    assert story.begun == ["shop", "another", "alone"]
    await story.end(bench, "a")
    await story.end(bench, "shop")
    assert summary(await bench.answer(waiting)) == (None, "none")
    assert story.begun == ["shop", "another", "alone", "a"]


async def test_a_projects_change_waits_for_its_containers_which_are_changed_beside_each_other() -> None:
    bench, story = await telling()
    await give(bench, ONE, "a")
    await give(bench, ONE, "b")
    await give(bench, WHOLE, "shop")
    assert story.begun == ["a", "b"]
    await story.end(bench, "a")
    assert story.begun == ["a", "b"]
    await story.end(bench, "b")
    assert story.begun == ["a", "b", "shop"]


async def test_whoever_comes_after_a_projects_change_is_not_served_before_it() -> None:
    bench, story = await telling()
    await give(bench, ONE, "a")
    await give(bench, WHOLE, "shop")
    await give(bench, ONE, "b")
    assert story.begun == ["a"]
    await story.end(bench, "a")
    assert story.begun == ["a", "shop"]
    await story.end(bench, "shop")
    assert story.begun == ["a", "shop", "b"]


async def test_who_waits_for_a_project_takes_no_slot_from_others_nor_from_the_project_itself() -> None:
    bench, story = await telling(at_once=1)
    await give(bench, ONE, "a")
    await give(bench, WHOLE, "shop")
    await give(bench, ONE, "b")
    await story.end(bench, "a")
    assert story.begun == ["a", "shop"]
    await story.end(bench, "shop")
    assert story.begun == ["a", "shop", "b"]
    await story.end(bench, "b")
    await give(bench, WHOLE, "shop")
    await give(bench, ONE, "b")
    await give(bench, ONE, "alone")
    assert story.begun == ["a", "shop", "b", "shop", "b", "alone"]


async def test_what_hangs_can_be_stopped_while_its_project_is_changed() -> None:
    bench, story = await telling()
    await give(bench, WHOLE, "shop")
    await give(bench, URGENT, "a")
    assert story.begun == ["shop", "a"]


async def test_a_container_that_its_project_has_replaced_meanwhile_is_looked_for_anew() -> None:
    bench, story = await telling()
    await give(bench, WHOLE, "shop")
    waiting = await give(bench, ONE, "a")
    await bench.docker.container_remove("a", force=True, volumes=False, timeout_seconds=5)
    await story.end(bench, "shop")
    answer = await bench.answer(waiting)
    assert answer.code == "docker_error"
    assert "No such container: a" in (answer.error or "")
    assert story.begun == ["shop"]


@pytest.mark.parametrize("ended_by", ["cancel", "time"])
async def test_a_change_that_is_given_up_while_it_waits_for_a_project_is_in_nobodys_way(
    ended_by: str,
) -> None:
    bench, story = await telling()
    await give(bench, ONE, "a")
    waiting = await give(bench, WHOLE, "shop")
    if ended_by == "cancel":
        bench.cancel(waiting)
    else:
        await bench.clock.advance(600.0)
    assert (await bench.answer(waiting)).code == (
        "cancelled" if ended_by == "cancel" else "deadline_exceeded"
    )
    await give(bench, ONE, "b")
    assert story.begun == ["a", "b"]
