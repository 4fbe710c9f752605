"""What the detail of progress comes to as bars, and where they are shown."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from seawall.cli.bars import Bar, bars_of
from seawall.cli.live import ManyHostsReporter, OneHostReporter, rendered
from seawall.cli.reporters import Ending
from seawall.client.events import Event
from seawall.client.models import Agent, Command
from seawall.core.command import CommandState

HOST = Agent("id-a", "a", "connected")
COMMAND = Command("command-1", "image_pull", "id-a", "a", {}, CommandState.SUCCEEDED)
LAYERS = {
    "layers": {
        "aaa": {"status": "Pull complete", "current": 5, "total": 5, "done": True},
        "bbb": {"status": "Downloading", "current": 3, "total": 10, "done": False},
        "ccc": {"status": "Waiting", "current": None, "total": None, "done": False},
    }
}


def test_layers_are_bars_of_bytes_and_those_that_are_over_come_last() -> None:
    assert bars_of(LAYERS) == [
        Bar("bbb", 3.0, 10.0, "Downloading"),
        Bar("ccc", 0.0, 0.0, "Waiting"),
        Bar("aaa", 5.0, 5.0, "Pull complete"),
    ]


def test_steps_and_services_are_bars_too() -> None:
    steps = {"steps": [{"step": "pull", "state": "done"}, {"step": "create", "state": "running"}]}
    assert bars_of(steps) == [Bar("pull", 1.0, 1.0, "done"), Bar("create", 0.0, 1.0, "running")]
    assert bars_of({"services": {"web": {"running": 1, "containers": 2}}}) == [
        Bar("web", 1.0, 2.0, "1 of 2 running")
    ]


def test_a_long_list_is_cut_and_says_so() -> None:
    many = {"layers": {f"l{number}": {"status": "x"} for number in range(20)}}
    bars = bars_of(many)
    assert len(bars) == 13
    assert bars[-1].label == "8 more"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


LAYER = st.dictionaries(st.sampled_from(["status", "current", "total", "done"]), JSON)


@given(
    st.dictionaries(st.sampled_from(["layers", "steps", "services"]), JSON)
    | st.fixed_dictionaries({"layers": st.dictionaries(st.text(), LAYER)})
)
def test_whatever_a_host_tells_makes_bars_or_none_and_never_steers_the_terminal(detail: object) -> None:
    for bar in bars_of(detail):
        assert bar.label.isprintable()
        assert bar.note.isprintable()


@pytest.mark.parametrize("hosts", [1, 2])
def test_on_a_terminal_bars_are_shown_in_place_and_the_end_stays(hosts: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, markup=False, highlight=False)
    reporter = (
        OneHostReporter(console, quiet=False)
        if hosts == 1
        else ManyHostsReporter(console, quiet=False, hosts=hosts)
    )
    with reporter:
        reporter.accepted(HOST, COMMAND)
        reporter.heard(HOST, Event("progress", {"text": "pulling", "detail": LAYERS}))
        reporter.ended(Ending(HOST, 0, COMMAND))
    shown = screen.getvalue()
    assert "SUCCEEDED" in shown
    console.print(rendered(bars_of(LAYERS)))
    for word in ("bbb", "Downloading", "\N{BOX DRAWINGS HEAVY HORIZONTAL}"):
        assert word in screen.getvalue()
