"""The picture of a play: what was asked and done, what was sent, and the circuits. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from seawall.simulator.figures import open_circuits
from seawall.simulator.scenario import Scenario
from seawall.simulator.tally import Tally
from seawall.simulator.world import Play

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 150
_ASKED, _DONE, _SENT, _OPEN, _HALF_OPEN, _TROUBLE = (
    "#888888",
    "#1b7837",
    "#2166ac",
    "#b2182b",
    "#f4a582",
    "#f3e9d2",
)
_INCHES_WIDE, _INCHES_HIGH, _DOTS = 5.6, 6.4, 80


class Panel(Struct, frozen=True):
    """One contender's run."""

    contender: str
    tally: Tally


def draw(play: Play, panels: Sequence[Panel], file: Path) -> None:
    """Write the picture; the file's ending names its format. Raises OSError, and ValueError for an unknown format."""
    # A back-end without a screen, and without matplotlib's global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES_WIDE * len(panels), _INCHES_HIGH), dpi=_DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(panels), sharex=True, sharey="row", squeeze=False)
    figure.suptitle(play.summary if isinstance(play, Scenario) else play.name)
    for column, panel in enumerate(panels):
        top, middle, bottom = (axes[row][column] for row in range(3))
        top.set_title(panel.contender)
        _draw_commands(top, play, panel.tally)
        _draw_attempts(middle, play, panel.tally)
        _draw_circuits(bottom, play, panel.tally)
        bottom.set_xlabel("seconds")
        for each in (top, middle, bottom):
            _shade_troubles(each, play)
    for row, label in enumerate(("commands per second", "attempts per second", "circuits")):
        axes[row][0].set_ylabel(label)
        axes[row][-1].legend(loc="upper right", fontsize="small", framealpha=0.9)
    figure.savefig(file)


def _draw_commands(axes: Axes, play: Play, tally: Tally) -> None:
    _draw_rate(axes, play, [life.asked_at for life in tally.lives], _ASKED, "asked for")
    _draw_rate(axes, play, [life.ended_at for life in tally.lives if life.succeeded], _DONE, "succeeded")


def _draw_attempts(axes: Axes, play: Play, tally: Tally) -> None:
    _draw_rate(axes, play, tally.sent_at, _SENT, "sent")


def _draw_rate(axes: Axes, play: Play, moments: Sequence[float], colour: str, label: str) -> None:
    width = play.seconds / _BINS
    counts = [0] * _BINS
    for moment in moments:
        if moment < play.seconds:
            counts[int(moment / width)] += 1
    edges = [width * number for number in range(_BINS + 1)]
    axes.stairs([count / width for count in counts], edges, color=colour, label=label)


def _draw_circuits(axes: Axes, play: Play, tally: Tally) -> None:
    steps = [(0.0, 0, 0), *open_circuits(tally)]
    last = steps[-1]
    steps.append((max(play.seconds, last[0]), last[1], last[2]))
    moments = [at for at, _, _ in steps]
    axes.step(moments, [count for _, count, _ in steps], where="post", color=_OPEN, label="open")
    axes.step(moments, [count for _, _, count in steps], where="post", color=_HALF_OPEN, label="half-open")
    axes.set_ylim(bottom=0, top=max(1.2, *(1.2 * (is_open + half) for _, is_open, half in steps)))
    axes.set_xlim(0, play.seconds)


def _shade_troubles(axes: Axes, play: Play) -> None:
    for fault in play.fault if isinstance(play, Scenario) else ():
        begin = getattr(fault, "begin", getattr(fault, "at", 0.0))
        axes.axvspan(begin, max(fault.over_at, begin + play.seconds / 300), color=_TROUBLE, zorder=0)
