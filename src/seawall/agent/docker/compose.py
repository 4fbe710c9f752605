"""Compose, as the agent asks for it and as the host's program is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from seawall.agent.docker.compose_program import ComposeProgram, Watch, find_program
from seawall.agent.docker.compose_projects import ComposeProjects, Kept
from seawall.agent.docker.engine import AioEngine
from seawall.agent.failure import DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode


class Up(Struct, frozen=True):
    """How a project is brought up: `services` are all of them if empty, `grace_seconds` None is each one's own."""

    services: tuple[str, ...] = ()
    pull: bool = False
    remove_orphans: bool = False
    grace_seconds: int | None = None


class Down(Struct, frozen=True):
    """How a project is brought down."""

    remove_volumes: bool = False
    remove_orphans: bool = False
    grace_seconds: int | None = None


class Compose(Protocol):
    """See `Docker`. A project's model is what its files come to; the agent keeps the one that was brought up last.

    A program that was begun goes on when its caller is cancelled, or dies; `compose_kept` tells whether it still does.
    """

    @property
    def compose_absent(self) -> str | None:
        """Why no project can be brought up or down here; None if they can."""

    async def compose_config(
        self, project: str, *, files: Mapping[str, str], use: Sequence[str], timeout_seconds: float
    ) -> str:
        """What these files come to, as a YAML document."""

    async def compose_hashes(
        self, project: str, *, model: Mapping[str, object], timeout_seconds: float
    ) -> dict[str, str]:
        """What a container of each service is labelled with if it is as the model says."""

    async def compose_kept(self, project: str) -> Kept:
        """What is kept of a project."""

    async def compose_up(
        self, project: str, *, model: Mapping[str, object] | None, how: Up, watch: Watch
    ) -> str:
        """Bring it up as the model says, which is kept first; None is the one that is kept. The end of the output."""

    async def compose_down(self, project: str, *, how: Down, watch: Watch) -> str:
        """Bring it down, and forget its model. The end of the output."""


class AioCompose(AioEngine):
    """`Compose` through the host's program."""

    _program: ComposeProgram | None = None
    _projects: ComposeProjects | None = None

    async def find_compose(self, directory: Path, path: str) -> None:
        """Look for the program in the folders of `path`; what is kept of projects is in `directory`."""
        projects = ComposeProjects(directory)
        await asyncio.to_thread(projects.prepare)
        self._projects = projects
        self._program = await find_program(path, self.address, projects.home)

    @property
    def compose_version(self) -> str | None:
        """What brings projects up here, and its version."""
        return self._program.version if self._program is not None else None

    @property
    def compose_absent(self) -> str | None:
        """See `Compose.compose_absent`."""
        return None if self._program is not None else "this host has no Compose program"

    async def compose_config(
        self, project: str, *, files: Mapping[str, str], use: Sequence[str], timeout_seconds: float
    ) -> str:
        """See `Compose.compose_config`."""
        program, projects = self._tools()
        with _keeping(project):
            folder = await asyncio.to_thread(projects.lay_out, project, files)
        try:
            chosen = [word for name in use for word in ("-f", name)]
            return await program.ask(
                ("-p", project, "--project-directory", str(folder), *chosen, *program.config),
                folder,
                f"read the files of project {project}",
                timeout_seconds,
            )
        finally:
            await asyncio.to_thread(projects.clear_away, project)

    async def compose_hashes(
        self, project: str, *, model: Mapping[str, object], timeout_seconds: float
    ) -> dict[str, str]:
        """See `Compose.compose_hashes`."""
        program, projects = self._tools()
        name, home = "model.json", str(projects.folder(project))
        with _keeping(project):
            folder = await asyncio.to_thread(projects.lay_out, project, {name: encode_model(model)})
        try:
            answer = await program.ask(
                ("-p", project, "--project-directory", home, "-f", name, "config", "--hash", "*"),
                folder,
                f"read the model of project {project}",
                timeout_seconds,
            )
        finally:
            await asyncio.to_thread(projects.clear_away, project)
        pairs = (line.split() for line in answer.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    async def compose_kept(self, project: str) -> Kept:
        """See `Compose.compose_kept`."""
        if self._projects is None:
            return Kept(None, busy=False)
        return await asyncio.to_thread(self._projects.kept, project)

    async def compose_up(
        self, project: str, *, model: Mapping[str, object] | None, how: Up, watch: Watch
    ) -> str:
        """See `Compose.compose_up`."""
        program, projects = self._tools()
        if model is not None:
            with _keeping(project):
                await asyncio.to_thread(projects.keep, project, encode_model(model))
        if how.pull:
            words = ("pull", *how.services)
            await program.work(projects, project, words, f"pull the images of project {project}", watch)
        words = ("up", "--detach", "--no-build")
        if how.remove_orphans:
            words += ("--remove-orphans",)
        words += (*_grace(how.grace_seconds), *how.services)
        return await program.work(projects, project, words, f"bring project {project} up", watch)

    async def compose_down(self, project: str, *, how: Down, watch: Watch) -> str:
        """See `Compose.compose_down`."""
        program, projects = self._tools()
        words: tuple[str, ...] = ("down", *_grace(how.grace_seconds))
        if how.remove_volumes:
            words += ("--volumes",)
        if how.remove_orphans:
            words += ("--remove-orphans",)
        output = await program.work(projects, project, words, f"bring project {project} down", watch)
        await asyncio.to_thread(projects.forget, project)
        return output

    def _tools(self) -> tuple[ComposeProgram, ComposeProjects]:
        if self._program is None or self._projects is None:
            raise DockerFailure(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                Circumstance.NONE,
                "this host has no Compose program: nothing was done. Install docker compose or docker-compose on it, "
                "then restart the agent",
            )
        return self._program, self._projects


def encode_model(model: Mapping[str, object]) -> str:
    """A model as it is kept; the same text for the same model."""
    return json.dumps(model, sort_keys=True)


@contextmanager
def _keeping(project: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DockerFailure(
            CommandErrorCode.AGENT_ERROR,
            Circumstance.NOT_APPLIED,
            f"the files of project {project} can't be kept on this host ({error.strerror}). Nothing was done: make "
            "room where the agent keeps its own files, then try again",
        ) from error


def _grace(seconds: int | None) -> tuple[str, ...]:
    return ("--timeout", str(seconds)) if seconds is not None else ()
