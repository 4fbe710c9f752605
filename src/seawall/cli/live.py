"""On a terminal: what runs now in place, with bars where a host tells how far it is; what is over stays above."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from seawall.cli.bars import Bar, bars_of
from seawall.cli.progress import Progress
from seawall.cli.reporters import Ending, LineReporter, ending_lines
from seawall.cli.wording import host_name, subject
from seawall.client.events import Event
from seawall.client.models import Agent, Command

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_REFRESHES_PER_SECOND = 8
_BAR_WIDTH = 30


class Screen:
    """The part of a terminal that changes in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def show(self, parts: list[RenderableType]) -> None:
        """Put these in place of what is there."""
        from rich.console import Group

        if self._live is not None:
            self._live.update(Group(*parts))

    def write(self, line: str) -> None:
        """A line that stays, above what changes."""
        self._console.print(line, soft_wrap=True)

    def begin(self) -> None:
        """From now on things are shown."""
        from rich.live import Live

        self._live = Live(console=self._console, transient=True, refresh_per_second=_REFRESHES_PER_SECOND)
        self._live.start()

    def end(self) -> None:
        """What changes is gone, what stays stays."""
        if self._live is not None:
            self._live.stop()


class OneHostReporter:
    """Lines as they come, as where there is no terminal; below them the bars of what runs now."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._screen = Screen(console)
        self._lines = LineReporter(self._screen.write, plural=False, quiet=quiet)

    def accepted(self, host: Agent, command: Command) -> None:
        """See `Reporter.accepted`."""
        self._lines.accepted(host, command)

    def heard(self, host: Agent, event: Event) -> None:
        """See `Reporter.heard`."""
        bars = bars_of(event.content.get("detail")) if event.kind == "progress" else []
        if bars:
            # The bars say what the line says, and more.
            self._screen.show([rendered(bars)])
        else:
            self._lines.heard(host, event)

    def ended(self, ending: Ending) -> None:
        """See `Reporter.ended`."""
        self._screen.show([])
        self._lines.ended(ending)

    def __enter__(self) -> Self:
        self._screen.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._screen.end()


class ManyHostsReporter:
    """A bar of all hosts, and a line for each where something runs, with its own bars if there are any."""

    def __init__(self, console: Console, *, quiet: bool, hosts: int) -> None:
        self._screen = Screen(console)
        self._quiet = quiet
        self._hosts = hosts
        self._over = 0
        self._progress: dict[str, Progress] = {}
        self._lines: dict[str, str] = {}
        self._bars: dict[str, list[Bar]] = {}

    def accepted(self, host: Agent, command: Command) -> None:
        """See `Reporter.accepted`."""
        self._show(host, f"{subject(command)}: accepted")

    def heard(self, host: Agent, event: Event) -> None:
        """See `Reporter.heard`."""
        if event.kind == "progress":
            self._bars[host.agent_id] = bars_of(event.content.get("detail"))
        progress = self._progress.setdefault(host.agent_id, Progress())
        for line in progress.lines(event):
            self._show(host, line)

    def ended(self, ending: Ending) -> None:
        """See `Reporter.ended`."""
        agent_id = ending.host.agent_id
        self._progress.pop(agent_id, None)
        self._lines.pop(agent_id, None)
        self._bars.pop(agent_id, None)
        self._over += 1
        if not (self._quiet and ending.exit_code == 0):
            for line in ending_lines(ending):
                self._screen.write(line)
        self._refresh()

    def __enter__(self) -> Self:
        self._screen.begin()
        self._refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._screen.end()

    def _show(self, host: Agent, line: str) -> None:
        self._lines[host.agent_id] = f"{host_name(host, host.name)}: {line}"
        self._refresh()

    def _refresh(self) -> None:
        from rich.text import Text

        note = f"{self._over} of {self._hosts} over"
        parts: list[RenderableType] = [rendered([Bar("hosts", self._over, self._hosts, note)])]
        for agent_id, line in self._lines.items():
            parts.append(Text(line, no_wrap=True, overflow="ellipsis"))
            if self._bars.get(agent_id):
                parts.append(rendered(self._bars[agent_id]))
        self._screen.show(parts)


def rendered(bars: list[Bar]) -> RenderableType:
    """The bars, one below the other, with labels and notes in columns."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    for bar in bars:
        drawn = ProgressBar(total=bar.total, completed=bar.done, width=_BAR_WIDTH) if bar.total else Text("")
        grid.add_row(Text(f"  {bar.label}"), drawn, Text(bar.note))
    return grid
