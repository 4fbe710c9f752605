"""The host's Compose program: found, asked and put to work; never through a shell, in an environment of our own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from seawall.agent.docker.compose_projects import MODEL, Busy, ComposeProjects
from seawall.agent.failure import DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode

ANSWER_LIMIT_BYTES = 1024 * 1024
"""The most that a project may come to."""
LONGEST_WORK_SECONDS = 3600.0
"""A program that takes longer hangs, and is ended."""

Watch = Callable[[Sequence[str]], Awaitable[None]]
"""Looks how the work moves; called about once a second with the lines that were said since. Must not raise."""

_WATCH_SECONDS = 1.0
_FIND_SECONDS = 30.0
_ERROR_BYTES = 16 * 1024
_LONGEST_QUOTE, _LONGEST_LINE = 1200, 200
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VERSION = re.compile(r"v?(\d+)\.\d+[\w.+-]*")


class ComposeProgram:
    """One program: `command` begins each of its argument vectors."""

    def __init__(self, command: tuple[str, ...], version: str, environment: dict[str, str]) -> None:
        self.version = version
        self._command = command
        self._environment = environment
        self._left: list[asyncio.subprocess.Process] = []

    @property
    def config(self) -> tuple[str, ...]:
        """How it is asked what files come to: JSON is YAML."""
        match = _VERSION.search(self.version)
        modern = match is not None and int(match[1]) >= 2
        return ("config", "--format", "json") if modern else ("config",)

    async def ask(self, words: Sequence[str], folder: Path, purpose: str, timeout_seconds: float) -> str:
        """What it answers, at most ANSWER_LIMIT_BYTES. Ended if that takes too long. Raises DockerFailure."""
        process = await self._start(words, folder, asyncio.subprocess.PIPE, asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(timeout_seconds):
                answer, said = await asyncio.gather(
                    _read(process.stdout, ANSWER_LIMIT_BYTES + 1), _read(process.stderr, _ERROR_BYTES)
                )
                code = await process.wait()
        except TimeoutError:
            raise DockerFailure(
                CommandErrorCode.TIMEOUT,
                Circumstance.NOT_SENT,
                f"{self.version} did not {purpose} within {timeout_seconds:g} s. Nothing was done",
            ) from None
        finally:
            await _end(process)
        if code != 0:
            raise DockerFailure(
                CommandErrorCode.INVALID_ARGUMENT,
                Circumstance.NONE,
                f"{self.version} could not {purpose}: {quoted(said.decode('utf-8', 'replace'))}. Nothing was done",
            )
        if len(answer) > ANSWER_LIMIT_BYTES:
            raise DockerFailure(
                CommandErrorCode.INVALID_ARGUMENT,
                Circumstance.NONE,
                f"the project comes to more than {ANSWER_LIMIT_BYTES} bytes. Nothing was done: make it smaller",
            )
        return answer.decode("utf-8", "replace")

    async def work(
        self,
        projects: ComposeProjects,
        project: str,
        words: Sequence[str],
        purpose: str,
        watch: Watch,
    ) -> str:
        """Have it work on the kept model; the end of what it said. Raises DockerFailure.

        It says it to a file and holds the project's lock, so that it needs nobody: it goes on if we are cancelled or
        die, and whoever comes next can tell.
        """
        folder = projects.folder(project)
        try:
            lock = await asyncio.to_thread(projects.lock, project)
        except Busy:
            raise DockerFailure(
                CommandErrorCode.AGENT_ERROR,
                Circumstance.NOT_APPLIED,
                f"{self.version} is still at work on project {project} for an earlier command, so that it did not "
                f"{purpose}. Nothing was done; try again",
            ) from None
        try:
            output = await asyncio.to_thread(projects.open_output, project)
            try:
                files = ("-p", project, "--project-directory", str(folder), "-f", MODEL)
                process = await self._start(
                    ("--ansi", "never", *files, *words), folder, output, asyncio.subprocess.STDOUT, lock
                )
            finally:
                os.close(output)
            listener = _Listener(projects, project, watch)
            code = await self._watch(process, purpose, listener.look)
            await listener.hear_out()
        finally:
            os.close(lock)
        said = await asyncio.to_thread(projects.output, project)
        if code != 0:
            raise DockerFailure(
                CommandErrorCode.DOCKER_ERROR,
                Circumstance.NONE,
                f"{self.version} ended with {code} when it was to {purpose}: {quoted(said)}",
            )
        return said

    async def _watch(
        self, process: asyncio.subprocess.Process, purpose: str, watch: Callable[[], Awaitable[None]]
    ) -> int:
        ended = asyncio.ensure_future(process.wait())
        try:
            async with asyncio.timeout(LONGEST_WORK_SECONDS):
                while not ended.done():
                    await asyncio.wait((ended,), timeout=_WATCH_SECONDS)
                    await watch()
                return ended.result()
        except TimeoutError:
            await _end(process)
            raise DockerFailure(
                CommandErrorCode.TIMEOUT,
                Circumstance.DOCKER_SILENT,
                f"{self.version} was ended because it did not {purpose} within {LONGEST_WORK_SECONDS:g} s",
            ) from None
        except asyncio.CancelledError:
            # It goes on without us; were it forgotten here, the loop would end it.
            self._left.append(process)
            raise
        finally:
            ended.cancel()

    async def _start(
        self, words: Sequence[str], folder: Path, output: int, errors: int, lock: int | None = None
    ) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=folder,
                env=self._environment,
                pass_fds=(lock,) if lock is not None else (),
                # A signal that is meant for the agent is not meant for what it has begun.
                start_new_session=True,
            )
        except OSError as error:
            raise DockerFailure(
                CommandErrorCode.AGENT_ERROR,
                Circumstance.NOT_APPLIED,
                f"{self.version} can't be started ({error.strerror}). Nothing was done: look at it on this host, then "
                "try again",
            ) from error


async def find_program(path: str, docker_address: str, home: Path) -> ComposeProgram | None:
    """The host's Compose program: Docker's plugin, else docker-compose; None if there is neither."""
    environment = {
        "PATH": _PATH,
        "HOME": str(home),
        "DOCKER_HOST": docker_address,
        "LC_ALL": "C.UTF-8",
    }
    # An entry such as "." is another folder for whoever is asked later.
    folders = os.pathsep.join(folder for folder in path.split(os.pathsep) if folder.startswith("/"))
    for name, more in (("docker", ("compose",)), ("docker-compose", ())):
        found = shutil.which(name, path=folders)
        if found is None:
            continue
        command = (found, *more)
        version = await _version_of(command, environment, home)
        if version is not None:
            return ComposeProgram(command, f"{' '.join((name, *more))} {version}", environment)
    return None


async def _version_of(command: tuple[str, ...], environment: dict[str, str], home: Path) -> str | None:
    program = ComposeProgram(command, " ".join(command), environment)
    try:
        answer = await program.ask(("version", "--short"), home, "tell its version", _FIND_SECONDS)
    except DockerFailure:
        return None
    match = _VERSION.search(answer)
    return match[0] if match is not None else None


def quoted(text: str) -> str:
    """The end of a program's output, on one line and not too much of it."""
    line = " ".join(text.split())
    return ("... " + line[-_LONGEST_QUOTE:] if len(line) > _LONGEST_QUOTE else line).rstrip(".")


class _Listener:
    """Hears every line that a program says to its file."""

    def __init__(self, projects: ComposeProjects, project: str, watch: Watch) -> None:
        self._projects = projects
        self._project = project
        self._watch = watch
        self._heard = 0
        self._begun = b""

    async def look(self) -> None:
        """Tell what was said since the last look, and look how things stand in any case."""
        while piece := await asyncio.to_thread(self._projects.output_from, self._project, self._heard):
            self._heard += len(piece)
            *lines, self._begun = (self._begun + piece).split(b"\n")
            await self._tell(lines)
        await self._watch(())

    async def hear_out(self) -> None:
        """Tell the last line as well, if it has no end."""
        await self._tell([self._begun])

    async def _tell(self, lines: list[bytes]) -> None:
        texts = [line.decode("utf-8", "replace").strip()[:_LONGEST_LINE] for line in lines]
        said = [text for text in texts if text]
        if said:
            await self._watch(said)


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    """The first so many bytes of a stream, which is read to its end."""
    kept = bytearray()
    while stream is not None and (piece := await stream.read(65_536)):
        kept += piece[: limit - len(kept)]
    return bytes(kept)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it and what it has started, if it hasn't ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
