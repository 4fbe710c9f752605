"""Every operation on a real Docker Engine, and what the agent says when that Engine dies, hangs and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker, DockerFailure
from seawall.agent.operations.containers import resolve
from seawall.agent.operations.registry import RUNNERS
from seawall.agent.operations.runner import Execution
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.ledger import MemoryDisk
from seawall.wire.codec import encode_message
from seawall.wire.messages import Cancel, Completed, Execute, FromAgent, Ping, Started
from tests.agent.controller_double import is_pong
from tests.system.engine import IMAGE, Engine

pytestmark = [pytest.mark.docker, pytest.mark.asyncio]

LOUD = ["sh", "-c", "echo one; echo two >&2; echo three; sleep 600"]


@pytest_asyncio.fixture
async def docker(docker_engine: Engine) -> AsyncIterator[AioDocker]:
    client = AioDocker(docker_engine.host)
    yield client
    await client.close()


async def perform(docker: AioDocker, operation: str, **arguments: object) -> object:
    checked = check_arguments(OPERATIONS[operation], arguments)
    target = None
    if OPERATIONS[operation].changes:
        target = await resolve(docker, str(checked["container"]), 20.0)
    execution = Execution(docker, "command", checked, 20.0, lambda text: None, target)
    response = await RUNNERS[operation](execution)
    encode_message(response)
    return response


async def run(docker: AioDocker, operation: str, **arguments: object) -> dict[str, object]:
    response = await perform(docker, operation, **arguments)
    assert isinstance(response, dict)
    return response


async def refused(docker: AioDocker, operation: str, **arguments: object) -> DockerFailure:
    with pytest.raises(DockerFailure) as caught:
        await run(docker, operation, **arguments)
    return caught.value


def state_of(response: dict[str, object]) -> dict[str, object]:
    state = response["state"]
    assert isinstance(state, dict)
    return state


class Agent:
    """A worker on the real Engine, and its answers."""

    def __init__(self, docker: AioDocker) -> None:
        self.answers: asyncio.Queue[FromAgent] = asyncio.Queue()
        clock = SystemClock()
        ledger = MemoryDisk().ledger("agent", clock)
        self.worker = Worker(docker, clock, self.answers.put_nowait, ledger=ledger, version="test")
        self.count = 0

    async def give(self, operation: str, remaining_seconds: float = 20.0, **arguments: object) -> str:
        """A new command; its id."""
        if self.count == 0:
            await self.worker.begin_session(1, 1)
            self.worker.resend()
        self.count += 1
        command_id = f"command-{self.count}"
        sequence = self.count if OPERATIONS[operation].changes else 0
        self.worker.execute(
            Execute(command_id, "attempt", 1, operation, dict(arguments), remaining_seconds, 1, sequence)
        )
        return command_id

    async def answer(self) -> FromAgent:
        async with asyncio.timeout(30):
            answer = await self.answers.get()
            while isinstance(answer, Started):
                answer = await self.answers.get()
            return answer

    async def verdict(self) -> tuple[str | None, str]:
        completed = await self.answer()
        assert isinstance(completed, Completed)
        return completed.code, completed.circumstance


async def test_a_container_is_found_in_the_list(docker_engine: Engine, docker: AioDocker) -> None:
    running = docker_engine.run_container("web", labels={"tier": "front"})
    created = docker_engine.create_container("idle")
    listed = await perform(docker, "container_list")
    assert isinstance(listed, list)
    by_name = {entry["name"]: entry for entry in listed}
    assert (by_name["web"]["id"], by_name["web"]["state"], by_name["web"]["image"]) == (
        running,
        "running",
        IMAGE,
    )
    assert by_name["web"]["labels"]["tier"] == "front"
    assert (by_name["idle"]["id"], by_name["idle"]["state"]) == (created, "created")
    only_running = await perform(docker, "container_list", all=False)
    assert isinstance(only_running, list)
    assert [entry["name"] for entry in only_running] == ["web"]


async def test_an_inspection_is_dockers_own(docker_engine: Engine, docker: AioDocker) -> None:
    container_id = docker_engine.run_container("web")
    assert (await run(docker, "container_inspect", container="web"))["Id"] == container_id


async def test_a_container_starts_stops_restarts_and_is_killed(
    docker_engine: Engine, docker: AioDocker
) -> None:
    container_id = docker_engine.create_container("web")
    started = await run(docker, "container_start", container="web")
    assert (started["container"], started["id"]) == ("web", container_id)
    assert (state_of(started)["running"], state_of(started)["finished_at"]) == (True, None)
    again = await run(docker, "container_start", container="web")
    assert state_of(again)["started_at"] == state_of(started)["started_at"]
    restarted = await run(docker, "container_restart", container="web", grace_seconds=0)
    assert str(state_of(restarted)["started_at"]) > str(state_of(started)["started_at"])
    stopped = await run(docker, "container_stop", container=container_id[:12], grace_seconds=0)
    assert (stopped["container"], state_of(stopped)["running"]) == ("web", False)
    assert state_of(await run(docker, "container_stop", container="web"))["status"] == "exited"
    await run(docker, "container_start", container="web")
    await run(docker, "container_kill", container="web")
    state = docker_engine.inspect_container("web")["State"]
    assert isinstance(state, dict)
    assert state["ExitCode"] == 137


async def test_a_container_is_renamed_and_removed(docker_engine: Engine, docker: AioDocker) -> None:
    container_id = docker_engine.run_container("web")
    renamed = await run(docker, "container_rename", container="web", name="api")
    assert (renamed["id"], renamed["name"]) == (container_id, "api")
    assert docker_engine.inspect_container("api")["Id"] == container_id
    failure = await refused(docker, "container_remove", container="api")
    assert (failure.circumstance, failure.status) == (Circumstance.DOCKER_REFUSED, 409)
    removed = await run(docker, "container_remove", container="api", force=True, volumes=True)
    assert removed == {"container": "api", "id": container_id}
    assert docker_engine.request("GET", f"/containers/{container_id}/json").status == 404


@pytest.mark.parametrize("timestamps", [False, True])
async def test_a_log_has_both_streams(docker_engine: Engine, docker: AioDocker, timestamps: bool) -> None:
    docker_engine.run_container("loud", LOUD)
    lines: list[dict[str, str]] = []
    while len(lines) < 3:  # the container speaks when it is ready
        response = await run(docker, "container_logs", container="loud", timestamps=timestamps)
        assert isinstance(response["lines"], list)
        lines = response["lines"]
    assert sorted((line["stream"], line["text"]) for line in lines) == [
        ("stderr", "two"),
        ("stdout", "one"),
        ("stdout", "three"),
    ]
    assert all(("time" in line) is timestamps for line in lines)
    last = await run(docker, "container_logs", container="loud", tail=1, timestamps=timestamps)
    assert isinstance(last["lines"], list)
    assert len(last["lines"]) == 1


async def test_a_log_of_a_terminal_is_one_stream(docker_engine: Engine, docker: AioDocker) -> None:
    docker_engine.run_container("loud", LOUD, tty=True)
    lines: list[dict[str, str]] = []
    while len(lines) < 3:  # the container speaks when it is ready
        response = await run(docker, "container_logs", container="loud")
        assert isinstance(response["lines"], list)
        lines = response["lines"]
    assert lines == [{"stream": "stdout", "text": text} for text in ("one", "two", "three")]


async def test_the_host_is_described(docker_engine: Engine, docker: AioDocker) -> None:
    docker_engine.run_container("web")
    info = await run(docker, "system_info")
    assert info["containers"] == {"running": 1, "paused": 0, "stopped": 0}
    assert isinstance(info["cpus"], int)
    assert isinstance(info["docker_version"], str)
    assert "simulated" not in info


async def test_what_docker_refuses_is_refused_with_its_words(
    docker_engine: Engine, docker: AioDocker
) -> None:
    unknown = await refused(docker, "container_restart", container="nobody")
    assert (unknown.code, unknown.circumstance) == (
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_REFUSED,
    )
    assert "nobody" in unknown.message
    docker_engine.create_container("idle")
    assert (await refused(docker, "container_kill", container="idle")).status == 409
    docker_engine.run_container("web")
    taken = await refused(docker, "container_rename", container="idle", name="web")
    assert (taken.status, taken.circumstance) == (409, Circumstance.DOCKER_REFUSED)


async def test_a_container_that_can_not_start_is_docker_refusing(
    docker_engine: Engine, docker: AioDocker
) -> None:
    docker_engine.create_container("broken", ["/no/such/program"])
    failure = await refused(docker, "container_start", container="broken")
    assert (failure.code, failure.circumstance) == (
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_REFUSED,
    )
    assert "/no/such/program" in failure.message


async def test_a_killed_daemon_is_unreachable_and_serves_again_after_its_start(
    docker_engine: Engine, docker: AioDocker
) -> None:
    docker_engine.run_container("web")
    agent = Agent(docker)
    await agent.give("container_list")
    assert (await agent.verdict())[0] is None
    docker_engine.kill()
    await agent.give("container_list")
    assert await agent.verdict() == ("docker_error", "docker_unreachable")
    await agent.give("container_restart", container="web")
    assert await agent.verdict() == ("docker_error", "docker_unreachable")
    agent.worker.ping(Ping(1, docker=True))
    assert is_pong(await agent.answer(), 1, docker=False)
    docker_engine.start()
    await agent.give("container_restart", container="web", grace_seconds=0)
    assert await agent.verdict() == (None, "none")


async def test_a_daemon_killed_during_a_stop_leaves_doubt_until_it_is_back(
    docker_engine: Engine, docker: AioDocker
) -> None:
    # As process 1 it ignores SIGTERM, so that the stop takes its whole grace.
    docker_engine.run_container("stubborn")
    agent = Agent(docker)
    await agent.give("container_stop", 8.0, container="stubborn", grace_seconds=15)
    while not docker._changes:  # noqa: ASYNC110 - until the call is on its way
        await asyncio.sleep(0)
    await ping_until_the_stop_is_there(docker)
    await asyncio.to_thread(docker_engine.kill)
    assert await agent.verdict() == ("docker_error", "docker_failed")
    await asyncio.to_thread(docker_engine.start)
    assert await agent.verdict() == (None, "none"), "the new daemon has ended what it found running"


async def test_a_paused_daemon_is_silent_and_a_change_has_provably_not_begun(
    docker_engine: Engine, docker: AioDocker
) -> None:
    docker_engine.run_container("web")
    agent = Agent(docker)
    docker_engine.pause()
    await agent.give("container_list", 1.0)
    assert await agent.verdict() == ("timeout", "docker_silent")
    await agent.give("container_restart", 1.0, container="web")
    assert await agent.verdict() == ("docker_error", "docker_unreachable")
    agent.worker.ping(Ping(1, docker=True))
    assert is_pong(await agent.answer(), 1, docker=False)
    docker_engine.resume()
    await agent.give("container_restart", container="web", grace_seconds=0)
    assert await agent.verdict() == (None, "none")


async def test_a_restarted_daemon_is_used_without_a_failure(docker_engine: Engine, docker: AioDocker) -> None:
    docker_engine.run_container("web")
    await run(docker, "container_inspect", container="web")
    await asyncio.to_thread(docker_engine.restart)
    started = await run(docker, "container_start", container="web")
    assert state_of(started)["running"] is True


async def test_incident_54_a_cancelled_stop_still_gives_the_container_its_grace(
    docker_engine: Engine, docker: AioDocker
) -> None:
    docker_engine.run_container("stubborn")
    agent = Agent(docker)
    stop = await agent.give("container_stop", container="stubborn", grace_seconds=2)
    while not docker._changes:  # noqa: ASYNC110 - until the call is on its way
        await asyncio.sleep(0)
    await ping_until_the_stop_is_there(docker)
    agent.worker.cancel(Cancel(stop, "attempt"))
    state = docker_engine.inspect_container("stubborn")["State"]
    assert isinstance(state, dict)
    assert state["Running"] is True, "it was killed at once, without its grace"
    await agent.give("container_start", container="stubborn")
    assert await agent.verdict() == (None, "none"), "the stop's true end"
    assert await agent.verdict() == (None, "none")
    state = docker_engine.inspect_container("stubborn")["State"]
    assert isinstance(state, dict)
    assert state["Running"] is True, "the start waited for the end of the stop"


async def ping_until_the_stop_is_there(docker: AioDocker) -> None:
    """A few round trips to the daemon, which takes requests in order of arrival."""
    for _ in range(20):
        await docker.ping(timeout_seconds=5.0)
