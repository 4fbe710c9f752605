"""What the agent makes of a Docker Engine that refuses, hangs, breaks or isn't there."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from seawall.agent.docker import LOG_LIMIT_BYTES, AioDocker, DockerAddressError, DockerFailure, docker_address
from seawall.core.errors import Circumstance, CommandErrorCode
from tests.agent.engine_double import (
    EngineDouble,
    breaks_before_the_answer,
    breaks_in_mid_answer,
    frame,
    gives,
    hangs,
    says,
    streams,
)

pytestmark = pytest.mark.asyncio

code, when = CommandErrorCode, Circumstance
Call = Callable[[AioDocker], Awaitable[object]]

READS: dict[str, Call] = {
    "GET /containers/json": lambda docker: docker.container_list(stopped=True, timeout_seconds=5),
    "GET /containers/web/json": lambda docker: docker.container_inspect("web", timeout_seconds=5),
    "GET /containers/web/logs": lambda docker: docker.container_logs(
        "web", tail=5, timestamps=False, terminal=False, timeout_seconds=5
    ),
    "GET /info": lambda docker: docker.info(timeout_seconds=5),
    "GET /_ping": lambda docker: docker.ping(timeout_seconds=5),
}
CHANGES: dict[str, Call] = {
    "POST /containers/web/start": lambda docker: docker.container_start("web", timeout_seconds=5),
    "POST /containers/web/stop": lambda docker: docker.container_stop(
        "web", grace_seconds=1, timeout_seconds=5
    ),
    "POST /containers/web/restart": lambda docker: docker.container_restart(
        "web", grace_seconds=1, timeout_seconds=5
    ),
    "POST /containers/web/kill": lambda docker: docker.container_kill(
        "web", signal="SIGTERM", timeout_seconds=5
    ),
    "POST /containers/web/rename": lambda docker: docker.container_rename(
        "web", name="api", timeout_seconds=5
    ),
    "DELETE /containers/web": lambda docker: docker.container_remove(
        "web", force=True, volumes=True, timeout_seconds=5
    ),
}

# Changes whose answer says what wasn't known before.
TELLING: dict[str, Call] = {
    "POST /containers/create": lambda docker: docker.container_create(name=None, spec={}, timeout_seconds=5),
    "POST /containers/web/exec": lambda docker: docker.exec_create("web", spec={}, timeout_seconds=5),
    "DELETE /images/app": lambda docker: docker.image_remove(
        "app", force=False, prune=True, timeout_seconds=5
    ),
    "POST /networks/create": lambda docker: docker.network_create(spec={}, timeout_seconds=5),
    "POST /volumes/create": lambda docker: docker.volume_create(spec={}, timeout_seconds=5),
}


async def failure_of(call: Awaitable[object]) -> DockerFailure:
    with pytest.raises(DockerFailure) as caught:
        await call
    return caught.value


def verdict_of(failure: DockerFailure) -> tuple[CommandErrorCode, Circumstance]:
    return failure.code, failure.circumstance


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
@pytest.mark.parametrize("request_line", [*READS, *CHANGES])
async def test_a_4xx_is_docker_refusing(
    double: EngineDouble, docker: AioDocker, request_line: str, status: int
) -> None:
    double.answers[request_line] = says(status, "no such thing")
    failure = await failure_of({**READS, **CHANGES}[request_line](docker))
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_REFUSED)
    assert failure.status == status
    assert "no such thing" in failure.message


@pytest.mark.parametrize("request_line", list(CHANGES))
async def test_a_500_to_a_change_is_about_this_container(
    double: EngineDouble, docker: AioDocker, request_line: str
) -> None:
    double.answers[request_line] = says(500, "port is already allocated")
    failure = await failure_of(CHANGES[request_line](docker))
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_ERRED)
    assert "web" in failure.message
    assert "port is already allocated" in failure.message


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504])
@pytest.mark.parametrize("request_line", list(READS))
async def test_a_5xx_to_a_read_is_docker_failing(
    double: EngineDouble, docker: AioDocker, request_line: str, status: int
) -> None:
    double.answers[request_line] = says(status)
    assert verdict_of(await failure_of(READS[request_line](docker))) == (
        code.DOCKER_ERROR,
        when.DOCKER_FAILED,
    )


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("request_line", list(CHANGES))
async def test_a_gateway_status_to_a_change_is_docker_failing(
    double: EngineDouble, docker: AioDocker, request_line: str, status: int
) -> None:
    double.answers[request_line] = says(status)
    assert verdict_of(await failure_of(CHANGES[request_line](docker))) == (
        code.DOCKER_ERROR,
        when.DOCKER_FAILED,
    )


@pytest.mark.parametrize("request_line", ["POST /containers/web/start", "POST /containers/web/stop"])
async def test_a_304_is_success_because_the_state_is_what_was_asked(
    double: EngineDouble, docker: AioDocker, request_line: str
) -> None:
    double.answers[request_line] = says(304)
    await CHANGES[request_line](docker)


@pytest.mark.parametrize("request_line", [*READS, *CHANGES])
async def test_a_connection_that_breaks_before_the_answer_is_docker_failing(
    double: EngineDouble, docker: AioDocker, request_line: str
) -> None:
    double.answers[request_line] = breaks_before_the_answer
    failure = await failure_of({**READS, **CHANGES}[request_line](docker))
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_FAILED)
    assert ("may have been done" in failure.message) is (request_line in CHANGES)


@pytest.mark.parametrize("request_line", list(READS))
async def test_a_connection_that_breaks_in_mid_answer_is_docker_failing(
    double: EngineDouble, docker: AioDocker, request_line: str
) -> None:
    double.answers[request_line] = breaks_in_mid_answer
    assert verdict_of(await failure_of(READS[request_line](docker))) == (
        code.DOCKER_ERROR,
        when.DOCKER_FAILED,
    )


@pytest.mark.parametrize("content", ["text", [1], {"Id": 1}, None])
async def test_an_answer_that_is_no_docker_answer_is_docker_failing(
    double: EngineDouble, docker: AioDocker, content: object
) -> None:
    double.answers["GET /containers/json"] = gives(content)
    failure = await failure_of(docker.container_list(stopped=True, timeout_seconds=5))
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_FAILED)
    assert double.address in failure.message


@pytest.mark.parametrize("content", ["text", [1], {"Id": 1}, None])
@pytest.mark.parametrize("request_line", TELLING)
async def test_a_change_whose_answer_tells_nothing_may_have_been_done(
    double: EngineDouble, docker: AioDocker, request_line: str, content: object
) -> None:
    double.answers[request_line] = gives(
        [content] if isinstance(content, dict) and "volumes" in request_line else content
    )
    failure = await failure_of(TELLING[request_line](docker))
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_FAILED)
    assert "may have been done all the same" in failure.message


async def test_a_container_that_is_unknown_is_named_with_advice(
    double: EngineDouble, docker: AioDocker
) -> None:
    double.answers["POST /containers/web/start"] = says(404, "No such container: web")
    failure = await failure_of(docker.container_start("web", timeout_seconds=5))
    assert failure.message == (
        "Docker answered 404 when asked to start container web: No such container: web. "
        "Look for the right name with 'seawall container list'"
    )


@pytest.mark.parametrize("request_line", ["GET /containers/json", "POST /containers/web/start"])
async def test_an_engine_that_hangs_is_silent(
    double: EngineDouble, docker: AioDocker, request_line: str
) -> None:
    double.answers[request_line] = hangs
    if request_line in CHANGES:
        failure = await failure_of(docker.container_start("web", timeout_seconds=0.1))
    else:
        failure = await failure_of(docker.container_list(stopped=True, timeout_seconds=0.1))
    assert verdict_of(failure) == (code.TIMEOUT, when.DOCKER_SILENT)
    assert "0.1 s" in failure.message


async def test_an_engine_that_hangs_at_the_first_question_is_silent(
    double: EngineDouble, docker: AioDocker
) -> None:
    double.answers["GET /version"] = hangs
    failure = await failure_of(docker.container_list(stopped=True, timeout_seconds=0.1))
    assert verdict_of(failure) == (code.TIMEOUT, when.DOCKER_SILENT)


@pytest.mark.parametrize("verb", ["stop", "restart"])
async def test_the_time_of_a_stop_leaves_room_for_the_grace(
    double: EngineDouble, docker: AioDocker, verb: str
) -> None:
    answer = asyncio.Event()

    async def slowly(request: object) -> object:
        await answer.wait()
        return await says(204)(request)  # type: ignore[arg-type]  # the request isn't looked at

    double.answers[f"POST /containers/web/{verb}"] = slowly  # type: ignore[assignment]  # as above
    call = {"stop": docker.container_stop, "restart": docker.container_restart}[verb]
    stopping = asyncio.create_task(call("web", grace_seconds=30, timeout_seconds=0.01))
    done, _ = await asyncio.wait({stopping}, timeout=0.2)
    assert not done
    answer.set()
    await stopping
    assert double.requests[-1] == f"POST /containers/web/{verb}?t=30"


@pytest.mark.parametrize("request_line", list(CHANGES))
async def test_incident_54_a_caller_that_goes_away_does_not_hang_up_on_docker(
    double: EngineDouble, docker: AioDocker, request_line: str
) -> None:
    arrived, answer, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(request: object) -> object:
        arrived.set()
        await answer.wait()
        answered.set()
        return await says(204)(request)  # type: ignore[arg-type]  # the request isn't looked at

    double.answers[request_line] = slowly  # type: ignore[assignment]  # as above
    caller = asyncio.ensure_future(CHANGES[request_line](docker))
    await arrived.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    double.answers["GET /_ping"] = says(200)
    for _ in range(5):
        # A connection that was closed before these came is known to be closed once they are answered.
        await docker.ping(timeout_seconds=5)
    assert double.gone == []
    answer.set()
    await answered.wait()


async def test_where_no_socket_is_nothing_was_done(tmp_path: Path) -> None:
    docker = AioDocker(f"unix://{tmp_path}/docker.sock")
    failure = await failure_of(docker.container_start("web", timeout_seconds=5))
    await docker.close()
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_UNREACHABLE)
    assert "Nothing was done" in failure.message
    assert "Start Docker" in failure.message


async def test_where_nobody_listens_nothing_was_done(double: EngineDouble) -> None:
    with tempfile.TemporaryDirectory(prefix="seawall-") as folder:
        path = f"{folder}/dead.sock"

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
        docker = AioDocker(f"unix://{path}")
        failure = await failure_of(docker.ping(timeout_seconds=5))
        await docker.close()
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_UNREACHABLE)


async def test_an_unused_tcp_port_is_unreachable() -> None:
    docker = AioDocker("tcp://127.0.0.1:1")
    failure = await failure_of(docker.ping(timeout_seconds=5))
    await docker.close()
    assert verdict_of(failure) == (code.DOCKER_ERROR, when.DOCKER_UNREACHABLE)


def keep_to_its_owner(socket_path: Path) -> None:
    socket_path.parent.chmod(0o755)
    socket_path.chmod(0o600)


AS_NOBODY = """
import asyncio, json, os, sys
from seawall.agent.docker import AioDocker, DockerFailure

async def main():
    docker = AioDocker(sys.argv[1])
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    try:
        await docker.container_start("web", timeout_seconds=5)
    except DockerFailure as failure:
        print(json.dumps([failure.code.value, failure.circumstance.value, failure.message]))
    await docker.close()

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without the permission")
async def test_a_socket_without_permission_is_permission_denied(double: EngineDouble) -> None:
    keep_to_its_owner(Path(double.socket_path))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AS_NOBODY,
        double.address,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
    )
    output, _ = await child.communicate()
    error_code, circumstance, message = json.loads(output)
    assert (error_code, circumstance) == ("permission_denied", "none")
    assert double.address in message
    assert "group" in message
    assert double.requests == []


async def test_the_engines_own_api_version_is_used(double: EngineDouble, docker: AioDocker) -> None:
    double.answers["GET /info"] = gives({})
    await docker.info(timeout_seconds=5)
    await docker.info(timeout_seconds=5)
    assert double.versions == ["v1.41", "v1.41"]
    assert double.requests.count("GET /version") == 1


async def test_a_newer_engine_is_spoken_to_in_the_version_that_this_agent_knows(
    double: EngineDouble, docker: AioDocker
) -> None:
    double.api_version = "1.99"
    double.answers["GET /info"] = gives({})
    await docker.info(timeout_seconds=5)
    assert double.versions == ["v1.47"]


async def test_an_engine_that_has_dropped_that_version_is_spoken_to_in_its_oldest(
    double: EngineDouble, docker: AioDocker
) -> None:
    double.api_version, double.oldest_version = "1.99", "1.60"
    double.answers["GET /info"] = gives({})
    await docker.info(timeout_seconds=5)
    assert double.versions == ["v1.60"]


async def test_a_log_keeps_its_two_streams_apart(double: EngineDouble, docker: AioDocker) -> None:
    content = frame(1, b"out\n") + frame(2, b"err\n") + frame(1, b"more\n")
    # Frames arrive in pieces of any size.
    double.answers["GET /containers/web/logs"] = streams(content[:5], content[5:14], content[14:])
    log = await docker.container_logs("web", tail=7, timestamps=True, terminal=False, timeout_seconds=5)
    assert [(chunk.stream, chunk.data) for chunk in log.chunks] == [
        ("stdout", b"out\n"),
        ("stderr", b"err\n"),
        ("stdout", b"more\n"),
    ]
    assert double.requests[-1].endswith("stdout=1&stderr=1&tail=7&timestamps=1")


async def test_a_log_of_a_terminal_is_taken_as_it_is(double: EngineDouble, docker: AioDocker) -> None:
    double.answers["GET /containers/web/logs"] = streams(b"\x01\x00\x00\x00raw\r\n")
    log = await docker.container_logs("web", tail=7, timestamps=False, terminal=True, timeout_seconds=5)
    assert b"".join(chunk.data for chunk in log.chunks) == b"\x01\x00\x00\x00raw\r\n"


async def test_of_an_endless_log_the_newest_part_is_kept(double: EngineDouble, docker: AioDocker) -> None:
    piece = b"x" * 16_000
    content = [frame(1, piece) for _ in range(LOG_LIMIT_BYTES // len(piece) + 10)]
    double.answers["GET /containers/web/logs"] = streams(*content, frame(1, b"last\n"))
    log = await docker.container_logs(
        "web", tail=10_000, timestamps=False, terminal=False, timeout_seconds=20
    )
    assert log.truncated
    assert log.chunks[-1].data == b"last\n"
    assert sum(len(chunk.data) for chunk in log.chunks) <= LOG_LIMIT_BYTES


@pytest.mark.parametrize(
    "content", [b"\x09\x00\x00\x00\x00\x00\x00\x01x", b"\x01\x00\x00\x00\xff\xff\xff\xffx"]
)
async def test_a_log_that_is_not_made_of_frames_is_docker_failing(
    double: EngineDouble, docker: AioDocker, content: bytes
) -> None:
    double.answers["GET /containers/web/logs"] = streams(content)
    call = docker.container_logs("web", tail=7, timestamps=False, terminal=False, timeout_seconds=5)
    assert verdict_of(await failure_of(call)) == (code.DOCKER_ERROR, when.DOCKER_FAILED)


@pytest.mark.parametrize("length", [3, 15])
async def test_a_log_that_ends_within_a_frame_is_docker_failing(
    double: EngineDouble, docker: AioDocker, length: int
) -> None:
    double.answers["GET /containers/web/logs"] = streams(
        frame(1, b"whole\n"), frame(1, b"half of it")[:length]
    )
    call = docker.container_logs("web", tail=7, timestamps=False, terminal=False, timeout_seconds=5)
    assert verdict_of(await failure_of(call)) == (code.DOCKER_ERROR, when.DOCKER_FAILED)


@pytest.mark.parametrize(
    ("given", "environment", "address"),
    [
        ("unix:///a.sock", {"DOCKER_HOST": "unix:///b.sock"}, "unix:///a.sock"),
        (None, {"DOCKER_HOST": "unix:///b.sock"}, "unix:///b.sock"),
        (None, {}, "unix:///var/run/docker.sock"),
        (None, {"DOCKER_HOST": ""}, "unix:///var/run/docker.sock"),
        ("tcp://127.0.0.1:2375", {}, "tcp://127.0.0.1:2375"),
        ("tcp://[::1]:2375/", {}, "tcp://[::1]:2375"),
        ("tcp://localhost:2375", {}, "tcp://localhost:2375"),
    ],
)
async def test_the_address_is_the_given_one_then_docker_host_then_the_usual_socket(
    given: str | None, environment: dict[str, str], address: str
) -> None:
    assert docker_address(given, environment) == address


@pytest.mark.parametrize(
    "address",
    [
        "tcp://10.0.0.1:2375",
        "tcp://docker.example:2375",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:70000",
        "unix://relative.sock",
        "unix://",
        "ssh://root@host",
        "npipe:////./pipe/docker",
        "/var/run/docker.sock",
        "tcp://[::1",
    ],
)
async def test_an_address_that_can_not_be_meant_is_refused_with_advice(address: str) -> None:
    with pytest.raises(DockerAddressError, match="give unix:///path"):
        docker_address(address, {})
