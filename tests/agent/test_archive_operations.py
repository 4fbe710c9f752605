"""Commands that name an archive: done whole, through lost answers and killed agents, or not begun at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.agent.local_policy import READ_ONLY, UNRESTRICTED, LocalPolicy
from seawall.agent.operations.registry import RUNNERS
from seawall.agent.operations.runner import Execution, Runner
from seawall.agent.spool import Spool
from seawall.agent.streams import Streams
from seawall.core.command import Outcome, SafetyClass, final_state
from seawall.core.errors import CommandErrorCode
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker, Fault
from seawall.testing.docker.archives import packed, saved
from seawall.wire.messages import Completed, FromAgent, OpenStream, StreamEnd, StreamInput, StreamInputCredit
from tests.agent.controller_double import until
from tests.agent.worker_bench import Bench, sick, summary

pytestmark = pytest.mark.asyncio

FILES = packed([("notes", b"whole"), ("deep/more", b"too")])
IMAGE_ID = "sha256:" + "a" * 64
IMAGES = saved([(IMAGE_ID, ["app:1"])])
CONTEXT = packed([("Dockerfile", b"FROM busybox:latest\nRUN true\n")])
BAD_CONTEXT = packed([("Dockerfile", b"FROM busybox:latest\nRUN echo correct-horse\nRUN false\n")])
SETTLED_SECONDS = 30.0


def files_in(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


class Archives:
    """A bench with a container, whose spool is given archives."""

    def __init__(self, directory: Path, runners: Mapping[str, Runner] | None = None) -> None:
        self.directory = directory
        self.bench = Bench(runners=runners, uploads=directory)
        self.bench.docker.add(FakeContainer("web"))

    def put(self, content: bytes) -> dict[str, object]:
        """As an upload leaves it whose agent was killed after the rename, before its end was told."""
        digest = hashlib.sha256(content).hexdigest()
        (self.directory / digest).write_bytes(content)
        return {"archive": digest, "size": len(content)}

    async def done(self, operation: str, **arguments: object) -> Completed:
        """Have it done, whatever becomes of it; its last word."""
        await self.bench.open()
        attempt = self.bench.give(operation, 300.0, **arguments)
        return await self.answer(attempt)

    async def answer(self, attempt: str) -> Completed:
        await self.pass_until(lambda: attempt in self.bench.answers())
        return self.bench.answers()[attempt]

    async def pass_until(self, condition: Callable[[], object]) -> None:
        """Let threads work and, where they don't, time pass."""
        for _ in range(int(SETTLED_SECONDS)):
            for _ in range(20):
                if condition():
                    return
                await asyncio.to_thread(lambda: None)
                await asyncio.sleep(0)
            await self.bench.clock.advance(1.0)
        raise AssertionError("it never was so")

    def effects(self, step: str) -> int:
        return len([each for each in self.bench.docker.history if each.step == step])


async def test_files_are_there_whole_although_the_answer_to_the_copy_was_lost(tmp_path: Path) -> None:
    archives = Archives(tmp_path, sick("container_copy_in", Fault.BROKEN_AFTER))
    answer = await archives.done("container_copy_in", container="web", path="/etc", **archives.put(FILES))
    assert summary(answer) == (None, "none")
    assert archives.bench.docker.container("web").files == {"/etc/notes": b"whole", "/etc/deep/more": b"too"}
    assert files_in(tmp_path) == [], "the archive goes with its command"


async def test_a_copy_that_was_under_way_when_the_agent_was_killed_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    begun = asyncio.Event()

    async def hang(execution: Execution) -> object:
        begun.set()
        return await asyncio.Event().wait()

    archives = Archives(tmp_path, {"container_copy_in": hang})
    bench = archives.bench
    await bench.open()
    bench.give("container_copy_in", container="web", path="/etc", **archives.put(FILES))
    await until(begun.is_set)
    bench.runners = dict(RUNNERS)
    await bench.restart()
    await archives.pass_until(bench.completions)
    assert summary(bench.completions()[-1]) == (None, "none")
    assert bench.docker.container("web").files["/etc/notes"] == b"whole"
    assert files_in(tmp_path) == []


async def test_images_whose_load_lost_its_answer_are_found_and_not_loaded_again(tmp_path: Path) -> None:
    archives = Archives(tmp_path, sick_at("image_load", "image_load", Fault.BROKEN_AFTER))
    answer = await archives.done("image_load", **archives.put(IMAGES))
    assert summary(answer) == (None, "none")
    assert isinstance(answer.response, dict)
    assert answer.response["images"] == [{"id": IMAGE_ID, "tags": ["app:1"], "held_before": False}]
    assert answer.response["verified"] is True
    assert archives.effects("load") == 1


async def test_a_build_whose_answer_was_lost_is_found_by_its_label_and_not_done_again(tmp_path: Path) -> None:
    archives = Archives(tmp_path, sick("image_build", Fault.BROKEN_AFTER))
    answer = await archives.done("image_build", tags=["app:2"], **archives.put(CONTEXT))
    assert summary(answer) == (None, "none")
    assert isinstance(answer.response, dict)
    assert answer.response["tags"] == ["app:2"]
    assert archives.effects("build") == 1


async def test_a_build_that_never_reached_docker_is_not_applied_and_keeps_its_archive(tmp_path: Path) -> None:
    archives = Archives(tmp_path, sick("image_build", Fault.BROKEN_BEFORE))
    answer = await archives.done("image_build", **archives.put(CONTEXT))
    assert summary(answer) == ("docker_error", "not_applied")
    assert len(files_in(tmp_path)) == 1
    again = archives.bench.again(1, "image_build", 300.0, **archives.put(CONTEXT))
    assert summary(await archives.answer(again)) == (None, "none")
    assert files_in(tmp_path) == []


async def test_a_build_that_fails_says_its_last_lines_without_its_secrets(tmp_path: Path) -> None:
    archives = Archives(tmp_path)
    secret = {"WORD": "correct-horse"}
    answer = await archives.done("image_build", build_args=secret, **archives.put(BAD_CONTEXT))
    assert summary(answer) == ("docker_error", "docker_refused")
    assert "RUN echo *** | Step 3/3 : RUN false" in str(answer.error)
    assert "correct-horse" not in str(archives.bench.sent)
    assert b"correct-horse" not in bytes(archives.bench.worker.ledger.entry("command-1").arguments)  # type: ignore[union-attr]


@pytest.mark.parametrize("operation", ["container_copy_in", "image_load", "image_build"])
async def test_a_command_whose_archive_is_not_there_does_nothing_and_says_so(
    operation: str, tmp_path: Path
) -> None:
    archives = Archives(tmp_path)
    of_container = {"container": "web", "path": "/"} if operation == "container_copy_in" else {}
    answer = await archives.done(operation, archive="0" * 64, size=10, **of_container)
    assert summary(answer) == ("upload_missing", "none")
    assert archives.bench.docker.history == []
    outcome = Outcome(CommandErrorCode.UPLOAD_MISSING)
    assert final_state(outcome, SafetyClass.VERIFIABLE).value == "REJECTED"


@pytest.mark.parametrize(
    ("operation", "content", "reason"),
    [
        ("container_copy_in", packed([("../out", b"")]), r"'\.\./out'"),
        ("image_build", packed([("/etc/passwd", b"")]), "'/etc/passwd'"),
        ("image_load", packed([("other", b"")]), r"manifest\.json"),
        ("image_load", b"no archive" * 100, "no whole tar archive"),
    ],
)
async def test_an_archive_that_could_do_harm_never_reaches_docker(
    operation: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    archives = Archives(tmp_path)
    of_container = {"container": "web", "path": "/"} if operation == "container_copy_in" else {}
    answer = await archives.done(operation, **archives.put(content), **of_container)
    assert answer.code == "invalid_argument"
    assert re.search(reason, str(answer.error))
    assert archives.bench.docker.history == []
    assert files_in(tmp_path) == []


def sick_at(operation: str, call: str, fault: Fault) -> dict[str, Runner]:
    """The operation's own runner, of which one call meets this fault."""

    async def run(execution: Execution) -> object:
        docker = execution.docker
        do = getattr(docker, call)

        async def failing(*given: object, **more: object) -> object:
            docker.fail_next(fault)  # type: ignore[attr-defined]  # a FakeDocker
            delattr(docker, call)
            return await do(*given, **more)

        setattr(docker, call, failing)
        return await RUNNERS[operation](execution)

    return {operation: run}


class Reader:
    """A stream of an upload at the agent, as its session hears it."""

    def __init__(self, directory: Path, policy: LocalPolicy = UNRESTRICTED) -> None:
        self.said: list[FromAgent] = []
        clock = FakeClock(wall=datetime.now(UTC))  # as the files' times are
        self.spool = Spool(directory, clock)
        self.streams = Streams(
            FakeDocker(clock), clock, self.said.append, version="1.0", policy=policy, spool=self.spool
        )
        self.streams.attach(lambda: None)

    def open(self, purpose: str = "container_copy_in", *, again: bool = False) -> None:
        arguments = {
            "purpose": purpose,
            "archive": hashlib.sha256(FILES).hexdigest(),
            "size": len(FILES),
        }
        self.streams.hear(OpenStream("s", "system_upload", arguments, 0, 1000, again))

    async def end(self) -> StreamEnd:
        found: list[object] = []
        await until(lambda: (message := self.streams.next_message()) and found.append(message) is None)
        await self.streams.end()
        (end,) = found
        assert isinstance(end, StreamEnd)
        return end


async def test_an_upload_is_asked_for_from_where_it_is_and_again_after_the_agent_was_started_anew(
    tmp_path: Path,
) -> None:
    first = Reader(tmp_path)
    first.open()
    await until(lambda: first.said)
    first.streams.hear(StreamInput("s", 0, FILES[:3000]))
    part = f"{hashlib.sha256(FILES).hexdigest()}.part"
    await until(lambda: os.stat(tmp_path / part).st_size == 3000)
    assert first.said == [StreamInputCredit("s", 0, again=True), StreamInputCredit("s", 3000)]
    await first.streams.end()
    second = Reader(tmp_path)
    second.open(again=True)
    await until(lambda: second.said)
    assert second.said == [StreamInputCredit("s", 3000, again=True)]
    second.streams.hear(StreamInput("s", 2000, FILES[2000:]))
    end = await second.end()
    assert (end.code, end.response) == (
        None,
        {"archive": hashlib.sha256(FILES).hexdigest(), "size": len(FILES), "received": len(FILES) - 3000},
    )


@pytest.mark.parametrize("purpose", ["container_copy_in", "image_load", "image_build"])
async def test_a_host_that_is_read_only_asks_for_no_byte_of_an_upload(purpose: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path, READ_ONLY)
    reader.open(purpose)
    end = await reader.end()
    assert (end.code, reader.said) == ("permission_denied", [])
    assert files_in(tmp_path) == []
