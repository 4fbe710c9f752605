"""How the host's Compose program is found and run, with a program of the tests' own in its place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker, DockerFailure
from seawall.agent.docker.compose import Down, Up
from seawall.agent.docker.compose_projects import ComposeProjects
from seawall.agent.intake import Intake
from seawall.agent.operations.registry import RUNNERS
from seawall.core.command import Outcome
from seawall.core.errors import CommandErrorCode
from seawall.operations.compose import PROGRAM
from seawall.operations.registry import OPERATIONS
from seawall.wire.messages import Execute
from tests.system.processes import living_processes

pytestmark = pytest.mark.asyncio

ADDRESS = "unix:///nowhere/docker.sock"
SAYS_ALL = """
for word in "$@"; do echo "$word"; done > "{note}.words"
env > "{note}.environment"
pwd > "{note}.folder"
"""


class Programs:
    """A folder of programs, each a few lines of shell."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "bin"
        self.path.mkdir()
        self.note = directory / "note"

    def put(self, name: str, version: str, script: str = "") -> None:
        text = f'#!/bin/sh\ncase "$*" in *"version --short") echo "{version}"; exit 0;; esac\n{script}\n'
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def noted(self, what: str) -> list[str]:
        return self.note.with_suffix(f".{what}").read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


@pytest_asyncio.fixture
async def docker() -> AsyncIterator[AioDocker]:
    docker = AioDocker(ADDRESS)
    yield docker
    await docker.close()


async def ready(docker: AioDocker, programs: Programs, script: str, version: str = "1.29.2") -> Path:
    """Find a docker-compose that does this; the folder of its projects."""
    programs.put("docker-compose", version, script)
    directory = programs.path.parent / "compose"
    await docker.find_compose(directory, str(programs.path))
    return directory


async def nobody_watches(lines: Sequence[str]) -> None:
    pass


async def failing(docker: AioDocker, timeout_seconds: float = 30.0) -> DockerFailure:
    with pytest.raises(DockerFailure) as caught:
        await docker.compose_config(
            "shop", files={"a.yml": "x"}, use=["a.yml"], timeout_seconds=timeout_seconds
        )
    return caught.value


async def test_dockers_own_plugin_comes_before_docker_compose(docker: AioDocker, programs: Programs) -> None:
    programs.put("docker-compose", "1.29.2")
    programs.put("docker", "2.29.7")
    await docker.find_compose(programs.path.parent / "compose", str(programs.path))
    assert docker.compose_version == "docker compose 2.29.7"


async def test_a_docker_without_the_plugin_is_passed_over(docker: AioDocker, programs: Programs) -> None:
    programs.put("docker-compose", "1.29.2")
    (programs.path / "docker").write_text("#!/bin/sh\necho 'no such command' >&2; exit 1\n")
    (programs.path / "docker").chmod(0o755)
    await docker.find_compose(programs.path.parent / "compose", str(programs.path))
    assert docker.compose_version == "docker-compose 1.29.2"


async def test_nothing_is_looked_for_beside_the_absolute_folders_of_the_path(
    docker: AioDocker, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("docker-compose", "1.29.2")
    monkeypatch.chdir(programs.path)
    await docker.find_compose(programs.path.parent / "compose", ".::bin")
    assert docker.compose_absent is not None


async def test_a_program_is_told_all_by_its_words_and_has_an_environment_of_its_own(
    docker: AioDocker, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COMPOSE_FILE", "DOCKER_CONTEXT", "SECRET_OF_THE_AGENT"):
        monkeypatch.setenv(name, "/elsewhere")
    directory = await ready(docker, programs, SAYS_ALL.format(note=programs.note) + "cat a.yml b.yml")
    files = {"a.yml": "one\n", "b.yml": "$(touch /tmp/x); two\n"}
    answer = await docker.compose_config("shop", files=files, use=["a.yml", "b.yml"], timeout_seconds=30.0)
    assert answer == "one\n$(touch /tmp/x); two\n"
    folder = str(directory / "shop" / "files")
    assert programs.noted("words") == [
        *("-p", "shop", "--project-directory", folder, "-f", "a.yml", "-f", "b.yml", "config")
    ]
    assert programs.noted("folder") == [folder]
    given = dict(line.split("=", 1) for line in programs.noted("environment"))
    assert given.keys() - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "HOME", "DOCKER_HOST", "LC_ALL"}
    assert (given["DOCKER_HOST"], given["HOME"]) == (ADDRESS, str(directory / ".home"))
    assert not (directory / "shop").exists(), "what was only read is kept"


async def test_a_newer_program_is_asked_for_json(docker: AioDocker, programs: Programs) -> None:
    await ready(docker, programs, SAYS_ALL.format(note=programs.note), version="v2.29.7")
    await docker.compose_config("shop", files={"a.yml": "x"}, use=["a.yml"], timeout_seconds=30.0)
    assert programs.noted("words")[-3:] == ["config", "--format", "json"]


async def test_a_program_that_refuses_is_quoted(docker: AioDocker, programs: Programs) -> None:
    await ready(docker, programs, "echo out; echo 'line 3 is odd' >&2; exit 1")
    failure = await failing(docker)
    assert failure.code is CommandErrorCode.INVALID_ARGUMENT
    assert "line 3 is odd. Nothing was done" in failure.message


async def test_a_program_that_hangs_is_ended_with_all_that_it_has_begun(
    docker: AioDocker, programs: Programs
) -> None:
    await ready(docker, programs, f"sleep 600 & echo $! > {programs.note}.child; wait")
    failure = await failing(docker, timeout_seconds=1.0)
    assert failure.code is CommandErrorCode.TIMEOUT
    child = int(programs.noted("child")[0])
    for _ in range(200):
        if child not in living_processes():
            return
        await asyncio.sleep(0.02)  # the kernel takes a moment to bury it
    pytest.fail("its child lives on")


async def test_a_program_that_answers_without_end_is_not_heard_out(
    docker: AioDocker, programs: Programs
) -> None:
    await ready(docker, programs, "head -c 30000000 /dev/zero; head -c 3000000 /dev/zero >&2")
    assert "more than 1048576 bytes" in (await failing(docker)).message


async def test_what_is_kept_is_brought_up_and_forgotten_when_it_is_down(
    docker: AioDocker, programs: Programs
) -> None:
    directory = await ready(docker, programs, SAYS_ALL.format(note=programs.note) + "echo all is well")
    heard: list[str] = []

    async def watch(lines: Sequence[str]) -> None:
        heard.extend(lines)

    how = Up(("web",), remove_orphans=True, grace_seconds=3)
    assert await docker.compose_up("shop", model={"services": {}}, how=how, watch=watch) == "all is well\n"
    folder = str(directory / "shop")
    files = ["-p", "shop", "--project-directory", folder, "-f", "model.json"]
    options = ["--detach", "--no-build", "--remove-orphans", "--timeout", "3", "web"]
    assert programs.noted("words") == ["--ansi", "never", *files, "up", *options]
    assert heard[-1] == "all is well"
    assert (directory / "shop" / "model.json").read_text() == '{"services": {}}'
    assert (await docker.compose_kept("shop")).digest is not None

    await docker.compose_down("shop", how=Down(remove_volumes=True), watch=nobody_watches)
    assert programs.noted("words") == ["--ansi", "never", *files, "down", "--volumes"]
    assert (await docker.compose_kept("shop")).digest is None


async def test_every_line_that_a_program_says_is_heard_once(docker: AioDocker, programs: Programs) -> None:
    await ready(docker, programs, "seq 100000; echo; printf 'no end'")
    heard: list[str] = []

    async def watch(lines: Sequence[str]) -> None:
        heard.extend(lines)

    await docker.compose_up("shop", model={}, how=Up(), watch=watch)
    assert heard == [*map(str, range(1, 100_001)), "no end"]


async def test_a_program_that_fails_leaves_the_model_for_the_way_down(
    docker: AioDocker, programs: Programs
) -> None:
    await ready(docker, programs, "seq 100000; echo no space >&2; exit 3")
    with pytest.raises(DockerFailure, match=r"ended with 3 .* no space") as caught:
        await docker.compose_up("shop", model={}, how=Up(), watch=nobody_watches)
    assert len(caught.value.message) < 2000
    assert (await docker.compose_kept("shop")).digest is not None


async def test_a_program_goes_on_when_nobody_waits_for_it_and_another_one_waits_for_its_end(
    docker: AioDocker, programs: Programs
) -> None:
    gate = programs.note.with_suffix(".gate")
    os.mkfifo(gate)
    await ready(docker, programs, f"echo begun; cat {gate}; echo over")
    begun = asyncio.Event()

    async def watch(lines: Sequence[str]) -> None:
        if "begun" in lines:
            begun.set()

    bringing = asyncio.create_task(docker.compose_up("shop", model={}, how=Up(), watch=watch))
    await begun.wait()
    bringing.cancel()
    await asyncio.wait((bringing,))
    assert (await docker.compose_kept("shop")).busy
    with pytest.raises(DockerFailure, match="still at work"):
        await docker.compose_down("shop", how=Down(), watch=nobody_watches)
    await asyncio.to_thread(gate.write_text, "")
    for _ in range(500):
        if not (await docker.compose_kept("shop")).busy:
            break
        await asyncio.sleep(0.02)  # another process ends, and tells nobody when
    assert (await docker.compose_kept("shop")).busy is False


async def test_a_model_is_locked_for_as_long_as_a_program_works_on_it(tmp_path: Path) -> None:
    projects = ComposeProjects(tmp_path)
    projects.prepare()
    projects.keep("shop", "{}")
    descriptor = projects.lock("shop")
    sleeper = await asyncio.create_subprocess_exec("sleep", "600", pass_fds=(descriptor,))
    os.close(descriptor)
    assert projects.kept("shop").busy
    sleeper.kill()
    await sleeper.wait()
    assert not projects.kept("shop").busy


async def test_what_a_crash_has_left_half_read_is_removed_at_the_start(
    docker: AioDocker, programs: Programs
) -> None:
    directory = programs.path.parent / "compose"
    projects = ComposeProjects(directory)
    projects.prepare()
    projects.lay_out("half", {"a.yml": "secret"})
    projects.keep("shop", "{}")
    projects.lay_out("shop", {"a.yml": "secret"})
    await ready(docker, programs, "")
    assert {entry.name for entry in directory.iterdir()} == {".home", "shop"}
    assert {entry.name for entry in (directory / "shop").iterdir()} == {"model.json"}


async def test_a_host_without_a_program_offers_no_bringing_up_and_refuses_it_cleanly() -> None:
    intake = Intake(RUNNERS, OPERATIONS, "test", absent=(PROGRAM,))
    needing = {name for name, operation in OPERATIONS.items() if operation.needs == PROGRAM}
    assert needing == {"compose_up", "compose_down"}
    assert not needing & set(intake.operations)
    assert "compose_ps" in intake.operations
    refusal = intake.check(Execute("command", "attempt", 1, "compose_down", {"project": "shop"}, 30.0, 1, 1))
    assert isinstance(refusal, Outcome)
    assert refusal.code is CommandErrorCode.UNSUPPORTED_OPERATION
    assert "compose_down needs docker compose" in (refusal.error or "")
