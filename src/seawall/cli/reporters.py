"""Who tells a person how commands go, line by line."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct

from seawall.cli.progress import Progress
from seawall.cli.wording import advice, host_name, safe, subject, verdict
from seawall.client.events import Event
from seawall.client.models import Agent, Command


class Ending(Struct):
    """How things went on one host. Without a `command` the `problem` says why there is none."""

    host: Agent
    exit_code: int
    command: Command | None = None
    problem: str = ""
    error_code: str | None = None
    followed: bool = True
    """Whether the end was waited for."""


class Reporter(Protocol):
    """Hears of each host's command as it goes on."""

    def accepted(self, host: Agent, command: Command) -> None:
        """The command exists now."""

    def heard(self, host: Agent, event: Event) -> None:
        """Something happened to it."""

    def ended(self, ending: Ending) -> None:
        """Nothing more will come."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class LineReporter:
    """Every happening is a line of its own; with several hosts each line begins with its host.

    `quiet` tells only of what doesn't go as it should.
    """

    def __init__(self, write: Callable[[str], None], *, plural: bool, quiet: bool) -> None:
        self._write = write
        self._plural = plural
        self._quiet = quiet
        self._progress: dict[str, Progress] = {}

    def accepted(self, host: Agent, command: Command) -> None:
        """See `Reporter.accepted`."""
        if not self._quiet:
            where = host_name(host, host.name)
            self._write(
                f"{where}: {subject(command)}, command {command.command_id}"
                if self._plural
                else f"{subject(command)} on {where}, command {command.command_id}"
            )

    def heard(self, host: Agent, event: Event) -> None:
        """See `Reporter.heard`."""
        progress = self._progress.setdefault(host.agent_id, Progress(quiet=self._quiet))
        for line in progress.lines(event):
            self._write(f"{host_name(host, host.name)}: {line}" if self._plural else line)

    def ended(self, ending: Ending) -> None:
        """See `Reporter.ended`."""
        progress = self._progress.pop(ending.host.agent_id, None)
        if self._quiet and ending.exit_code == 0:
            return
        for line in ending_lines(ending, told=progress.last_error if progress is not None else ""):
            self._write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return


def ending_lines(ending: Ending, told: str = "") -> list[str]:
    """How it went on one host: state, error code, the error unless it was `told` already, and what to do."""
    command, where = ending.command, host_name(ending.host, ending.host.name)
    if command is None:
        return [f"{where}: {safe(ending.problem)}"]
    line = f"{verdict(command)}: {subject(command)} on {where}"
    if command.error and command.error != told:
        line += f": {safe(command.error)}"
    lines = [line]
    if ending.problem:
        lines.append(f"  {safe(ending.problem)}")
    elif command.state.final and command.error_code is not None and advice(command):
        lines.append(f"  {advice(command)}")
    return lines
