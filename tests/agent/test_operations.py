"""How operations run: what they ask of Docker, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from seawall.agent.docker import LOG_LIMIT_BYTES, Docker, DockerFailure, LogChunk, LogTail
from seawall.agent.operations.containers import resolve
from seawall.agent.operations.logs import LogLine, lines_of
from seawall.agent.operations.own_process import OwnProcess
from seawall.agent.operations.registry import RUNNERS, STREAMERS, VERIFIERS
from seawall.agent.operations.runner import RESPONSE_LIMIT_BYTES, Execution, ResponseTooLarge, Target
from seawall.core.command import SafetyClass
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker, Fault

pytestmark = pytest.mark.asyncio

OWN_PROCESS = OwnProcess(FakeClock(), "1.0")
"""What an agent performs beside the registry, if it can be started anew."""


def engine(*containers: FakeContainer) -> FakeDocker:
    return FakeDocker(FakeClock(), list(containers) or None)


def execution(docker: Docker, arguments: Mapping[str, object], target: Target | None) -> Execution:
    return Execution(docker, "command", arguments, 30.0, lambda text: None, target)


async def run(docker: Docker, operation: str, **arguments: object) -> object:
    """The response as it arrives at the other end."""
    checked = check_arguments(OPERATIONS[operation], arguments)
    target = None
    if OPERATIONS[operation].container is not None and OPERATIONS[operation].changes:
        target = await resolve(docker, str(checked["container"]), 30.0)
    response = await RUNNERS[operation](execution(docker, checked, target))
    return msgspec.json.decode(msgspec.json.encode(response))


async def record(docker: Docker, operation: str, **arguments: object) -> dict[str, object]:
    response = await run(docker, operation, **arguments)
    assert isinstance(response, dict)
    return response


async def test_every_supported_operation_has_a_runner_and_every_runner_an_operation() -> None:
    supported = {name for name, operation in OPERATIONS.items() if operation.supported and operation.command}
    assert {*RUNNERS, *OWN_PROCESS.runners} == supported
    assert set(STREAMERS) == {name for name, operation in OPERATIONS.items() if operation.stream is not None}


async def test_a_change_can_be_verified_or_says_that_it_can_not() -> None:
    verifiable = {
        name
        for name, operation in OPERATIONS.items()
        if operation.supported and operation.changes and operation.safety is not SafetyClass.OPAQUE
    }
    changing = {name for name, operation in OPERATIONS.items() if operation.supported and operation.changes}
    assert verifiable <= {*VERIFIERS, *OWN_PROCESS.verifiers} <= changing


async def test_a_change_is_never_begun_without_its_target() -> None:
    docker = engine()
    with pytest.raises(ValueError, match="without its target"):
        await RUNNERS["container_stop"](execution(docker, {"container": "web"}, None))
    assert docker.calls == []


async def test_ping_asks_nobody() -> None:
    docker = engine()
    assert await run(docker, "ping") == {"pong": True}
    assert docker.calls == []


async def test_system_info_describes_the_host() -> None:
    info = await record(engine(), "system_info")
    assert set(info) == {
        *(
            "hostname",
            "os",
            "kernel",
            "architecture",
            "cpus",
            "memory_bytes",
            "docker_version",
            "api_version",
        ),
        *("containers", "images", "simulated"),
    }
    assert info["containers"] == {"running": 2, "paused": 0, "stopped": 1}
    assert info["simulated"] is True


async def test_a_list_has_what_a_table_needs() -> None:
    docker = engine()
    listed = await run(docker, "container_list")
    assert isinstance(listed, list)
    assert listed[0] == {
        "id": docker.container("web").container_id,
        "name": "web",
        "image": "nginx:1.27",
        "state": "running",
        "status": "Up",
        "labels": {"tier": "front"},
        "created": "2030-01-01T00:00:00+00:00",
    }
    assert [entry["name"] for entry in listed] == ["web", "db", "cache"]


async def test_a_list_of_what_runs_leaves_the_rest_out() -> None:
    listed = await run(engine(), "container_list", all=False)
    assert isinstance(listed, list)
    assert [entry["name"] for entry in listed] == ["web", "db"]


async def test_a_linked_container_is_listed_by_its_own_name() -> None:
    class Linked(FakeDocker):
        async def container_list(self, **asked: object) -> list[dict[str, object]]:  # type: ignore[override]  # whatever is asked
            return [{"Id": "1", "Names": ["/web/database", "/db"]}]

    listed = await run(Linked(FakeClock()), "container_list")
    assert isinstance(listed, list)
    assert (listed[0]["name"], listed[0]["labels"], listed[0]["created"]) == ("db", {}, None)


async def test_an_inspection_is_dockers_own_record() -> None:
    docker = engine()
    inspected = await record(docker, "container_inspect", container="web")
    assert inspected["Id"] == docker.container("web").container_id
    assert inspected["Name"] == "/web"


@pytest.mark.parametrize(
    ("operation", "name", "running", "exit_code"),
    [
        ("container_start", "cache", True, 0),
        ("container_start", "web", True, 0),
        ("container_stop", "web", False, 143),
        ("container_stop", "cache", False, 0),
        ("container_restart", "web", True, 0),
        ("container_restart", "cache", True, 0),
        ("container_kill", "web", False, 137),
    ],
)
async def test_a_change_is_read_back(operation: str, name: str, running: bool, exit_code: int) -> None:
    docker = engine()
    response = await record(docker, operation, container=name)
    container = docker.container(name)
    assert (response["container"], response["id"]) == (name, container.container_id)
    state = response["state"]
    assert isinstance(state, dict)
    assert set(state) == {"running", "status", "started_at", "finished_at", "exit_code"}
    assert (state["running"], state["exit_code"]) == (running, exit_code)
    assert docker.effects == [(operation, container.container_id)]


async def test_what_has_not_happened_has_no_time() -> None:
    response = await record(engine(), "container_start", container="cache")
    state = response["state"]
    assert isinstance(state, dict)
    assert state["finished_at"] is None
    assert state["started_at"] is not None


async def test_a_change_that_can_not_be_read_back_is_a_success_all_the_same() -> None:
    docker = engine(FakeContainer("web", removes_itself=True))
    response = await record(docker, "container_stop", container="web")
    assert response["state"] is None
    assert docker.containers == []


async def test_a_failure_of_the_change_is_never_hidden() -> None:
    docker = engine()
    docker.fault(Fault.BROKEN_AFTER)
    with pytest.raises(DockerFailure):
        await run(docker, "container_stop", container="web")


async def test_a_container_is_given_its_own_grace_unless_told_otherwise() -> None:
    graces: list[int] = []

    class Watching(FakeDocker):
        async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
            graces.append(grace_seconds)

    containers = [
        FakeContainer("plain"),
        FakeContainer("slow", stop_timeout=90),
        FakeContainer("never", stop_timeout=-1),
    ]
    docker = Watching(FakeClock(), containers)
    for name in ("plain", "slow", "never"):
        await run(docker, "container_stop", container=name)
    await run(docker, "container_stop", container="slow", grace_seconds=0)
    assert graces == [10, 90, 3600, 0]


async def test_a_renamed_container_answers_to_its_new_name() -> None:
    docker = engine()
    response = await record(docker, "container_rename", container="web", name="api")
    assert (response["container"], response["name"]) == ("web", "api")
    assert (await resolve(docker, "api", 5.0)).object_id == response["id"]


async def test_a_container_that_has_the_name_already_is_left_alone() -> None:
    docker = engine()
    assert (await record(docker, "container_rename", container="web", name="web"))["name"] == "web"
    assert docker.effects == []


async def test_a_removed_container_is_gone() -> None:
    docker = engine()
    web = docker.container("web").container_id
    assert await run(docker, "container_remove", container="web", force=True) == {
        "container": "web",
        "id": web,
    }
    assert [container.name for container in docker.containers] == ["db", "cache"]


async def test_a_running_container_is_not_removed_without_force() -> None:
    with pytest.raises(DockerFailure, match="running"):
        await run(engine(), "container_remove", container="web")


async def test_what_someone_else_removed_meanwhile_is_removed() -> None:
    docker = engine()
    arguments = check_arguments(OPERATIONS["container_remove"], {"container": "web"})
    target = Target("f" * 64, "web", {})
    response = await RUNNERS["container_remove"](execution(docker, arguments, target))
    assert response == {"container": "web", "id": "f" * 64}


async def test_a_log_has_its_lines_in_order_with_their_streams() -> None:
    docker = engine(FakeContainer("web", log=[("stdout", "one"), ("stderr", "two"), ("stdout", "three")]))
    response = await record(docker, "container_logs", container="web", tail=2)
    assert response == {
        "lines": [{"stream": "stderr", "text": "two"}, {"stream": "stdout", "text": "three"}],
        "truncated": False,
    }


async def test_a_log_with_times_has_them_apart_from_the_text() -> None:
    docker = engine(FakeContainer("web", log=[("stdout", "hello world")]))
    response = await record(docker, "container_logs", container="web", timestamps=True)
    assert response["lines"] == [{"stream": "stdout", "text": "hello world", "time": "2030-01-01T00:00:00Z"}]


def lines(
    *chunks: tuple[str, bytes],
    tail: int = 100,
    timestamps: bool = False,
    terminal: bool = False,
    cut: bool = False,
) -> tuple[list[LogLine], bool]:
    log = LogTail([LogChunk(stream, data) for stream, data in chunks], cut)
    return lines_of(log, tail=tail, timestamps=timestamps, terminal=terminal)


async def test_a_line_may_come_in_pieces_between_those_of_the_other_stream() -> None:
    found, _ = lines(("stdout", b"be"), ("stderr", b"oops\n"), ("stdout", b"gin\nend"))
    assert found == [LogLine("stderr", "oops"), LogLine("stdout", "begin"), LogLine("stdout", "end")]


async def test_the_time_before_the_later_pieces_of_a_line_is_no_text() -> None:
    found, _ = lines(("stdout", b"T1 long"), ("stdout", b"T2 line\n"), timestamps=True)
    assert found == [LogLine("stdout", "longline", "T1")]


async def test_a_terminal_ends_its_lines_in_its_own_way() -> None:
    found, _ = lines(("stdout", b"one\r\ntw"), ("stdout", b"o\r\n"), terminal=True)
    assert [line.text for line in found] == ["one", "two"]


async def test_the_rest_of_a_line_whose_beginning_is_lost_is_left_out() -> None:
    found, truncated = lines(("stdout", b"ginning\r\nwhole\r\n"), terminal=True, cut=True)
    assert ([line.text for line in found], truncated) == (["whole"], True)


async def test_a_line_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    found, _ = lines(("stdout", b"caf\xe9 \xff\n\n"))
    assert [line.text for line in found] == ["caf� �", ""]


async def test_a_log_beyond_the_limit_keeps_the_newest_lines_and_says_so() -> None:
    line = b"\xff" * 10_000 + b"\n"  # each byte becomes three
    found, truncated = lines(*[("stdout", line)] * 200, tail=10_000)
    assert truncated
    assert 0 < sum(len(entry.text.encode()) for entry in found) <= LOG_LIMIT_BYTES
    assert len(msgspec.msgpack.encode(found)) < RESPONSE_LIMIT_BYTES


async def test_a_response_that_no_frame_could_carry_says_how_to_ask_for_less() -> None:
    docker = engine(FakeContainer("web", labels={"blob": "x" * RESPONSE_LIMIT_BYTES}))
    with pytest.raises(ResponseTooLarge, match="container_list"):
        await run(docker, "container_inspect", container="web")
    with pytest.raises(ResponseTooLarge, match="all=false"):
        await run(docker, "container_list")
