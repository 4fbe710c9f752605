"""Who tells a person how commands go: line by line, or one line per host that changes in place."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from msgspec import Struct

from seawall.cli.progress import Progress
from seawall.cli.wording import advice, host_name, safe, subject, verdict
from seawall.client.events import Event
from seawall.client.models import Agent, Command

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live


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


class LiveReporter:
    """On a terminal: a line for each host where something runs, changed in place; what is over stays above them."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._progress: dict[str, Progress] = {}
        self._lines: dict[str, str] = {}
        self._live: Live | None = None

    def accepted(self, host: Agent, command: Command) -> None:
        """See `Reporter.accepted`."""
        self._show(host, f"{subject(command)}: accepted")

    def heard(self, host: Agent, event: Event) -> None:
        """See `Reporter.heard`."""
        progress = self._progress.setdefault(host.agent_id, Progress())
        for line in progress.lines(event):
            self._show(host, line)

    def ended(self, ending: Ending) -> None:
        """See `Reporter.ended`."""
        self._progress.pop(ending.host.agent_id, None)
        self._lines.pop(ending.host.agent_id, None)
        if not (self._quiet and ending.exit_code == 0):
            for line in ending_lines(ending):
                self._console.print(line, soft_wrap=True)
        self._refresh()

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(console=self._console, transient=True, refresh_per_second=8)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _show(self, host: Agent, line: str) -> None:
        self._lines[host.agent_id] = f"{host_name(host, host.name)}: {line}"
        self._refresh()

    def _refresh(self) -> None:
        from rich.text import Text

        if self._live is not None:
            shown = Text("\n".join(self._lines.values()), no_wrap=True, overflow="ellipsis")
            self._live.update(shown)


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
