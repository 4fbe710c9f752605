"""What pages say: states, texts from strangers, and a container's figures."""

from __future__ import annotations

import json

import pytest

from seawall.controller.ui import words
from seawall.controller.ui.usage import usage_of
from seawall.core.circuit import CircuitState
from seawall.core.command import CommandState
from seawall.core.health import HealthState


def test_every_state_has_a_shape_and_within_its_kind_no_two_have_the_same() -> None:
    for kind in (HealthState, CircuitState, CommandState):
        shapes = [words.STATES[state.value][0] for state in kind]
        assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "just now"), (29, "just now"), (31, "31 s ago"), (7_200, "2 h ago"), (None, "never")],
)
def test_what_comes_again_and_again_was_just_now_for_half_a_minute(seconds: int | None, shown: str) -> None:
    assert words.lately(seconds) == shown


def test_a_state_that_nobody_knows_is_shown_all_the_same() -> None:
    assert words.state("levitating") == ("◇ levitating", "state quiet")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("<b>&amp;", "<b>&amp;"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07", "␛[31mred␇"),
        ("a\x00b\x7f", "a␀b␡"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("a\u00a0b", "a b"),
        ("zwölf 🐳", "zwölf 🐳"),
    ],
)
def test_what_would_steer_a_terminal_or_the_eye_is_made_visible(text: str, shown: str) -> None:
    assert words.plain(text) == shown


def test_durations_are_told_in_the_unit_that_fits() -> None:
    told = [words.span(seconds) for seconds in (-1, 0, 59, 60, 3_599, 7_200, 172_800)]
    assert told == ["0 s", "0 s", "59 s", "1 min", "60 min", "2 h", "2 d"]
    assert [words.took(seconds) for seconds in (0.004, 1.25, 61)] == ["4 ms", "1.2 s", "1 min"]


def test_figures_are_those_of_docker_without_what_the_kernel_would_give_back() -> None:
    sample = {
        "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2_000, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 200}, "system_cpu_usage": 1_000},
        "memory_stats": {"usage": 1_000, "limit": 4_000, "stats": {"inactive_file": 300}},
        "pids_stats": {"current": 3},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
    }
    usage = usage_of(json.dumps(sample).encode())
    assert usage is not None
    assert (usage.cpu_percent, usage.memory_bytes, usage.processes) == (pytest.approx(40.0), 700, 3)
    assert (usage.received_bytes, usage.sent_bytes) == (11, 22)


@pytest.mark.parametrize("line", [b"", b"no json", b"[]", b'{"dropped": 3}', b'{"cpu_stats": 1}'])
def test_a_line_that_has_no_figures_is_no_trouble(line: bytes) -> None:
    usage = usage_of(line)
    assert usage is None or usage.cpu_percent == 0
