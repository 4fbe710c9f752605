"""A recorded history is run again against another policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from seawall.client.models import Attempt, Command
from seawall.core.command import CommandState
from seawall.simulator.contenders import CONTENDERS
from seawall.simulator.figures import figures
from seawall.simulator.recording import RecordingInvalid, read_recording, recorded
from seawall.simulator.world import run

START = datetime(2030, 1, 1, tzinfo=UTC)
PRODUCTION = CONTENDERS["production"]


def command(second: float, host: str = "web", code: str | None = None, took: float = 0.2) -> Command:
    at = START + timedelta(seconds=second)
    attempt = Attempt(1, f"{host}-{second}", at, at + timedelta(seconds=took), error_code=code)
    return Command(
        f"{host}-{second}",
        "container_list",
        host,
        host,
        {},
        CommandState.SUCCEEDED if code is None else CommandState.FAILED,
        attempts=[attempt],
        accepted_at=at,
        timeout_seconds=2.0,
    )


def test_what_was_asked_is_asked_again_at_its_time() -> None:
    recording = recorded([command(30.0), command(0.0), command(10.0, "db")], "history")
    tally = run(recording, PRODUCTION, 1)
    assert [(life.host, life.asked_at) for life in tally.lives] == [("web", 0), ("db", 10), ("web", 30)]
    assert all(life.succeeded and life.ended_at == pytest.approx(life.asked_at + 0.2) for life in tally.lives)


def test_a_bad_minute_of_one_host_stays_its_own() -> None:
    good = [command(second, host) for host in ("web", "db") for second in range(0, 60, 5)]
    bad = [command(second, "web", "timeout", 2.0) for second in range(60, 120, 5)]
    others = [command(second, "db") for second in range(60, 120, 5)]
    tally = run(recorded([*good, *bad, *others], "history"), PRODUCTION, 1)
    failed = {(life.host, life.asked_at >= 60) for life in tally.lives if not life.succeeded}
    assert failed == {("web", True)}


def test_retries_meet_the_mixture_of_their_minute() -> None:
    mixed = [command(second, code="network_error" if second % 5 == 0 else None) for second in range(60)]
    recording = recorded(mixed, "history")
    found = figures(recording, run(recording, PRODUCTION, 1))
    assert found.amplification > 1.05
    assert found.success > 0.9


def test_an_export_is_read() -> None:
    exported = msgspec.json.encode([command(0.0), command(5.0)])
    assert len(read_recording(exported, "history.json").requests) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"no json", "command list --json"),
        (b"{}", "command list --json"),
        (b"[]", "nothing to replay"),
        (
            msgspec.json.encode([msgspec.structs.replace(command(0.0), attempts=[])]),
            "nothing to learn",
        ),
        (msgspec.json.encode([command(0.0), command(8 * 86_400.0)]), "seven"),
    ],
)
def test_what_can_not_be_replayed_is_said(text: bytes, problem: str) -> None:
    with pytest.raises(RecordingInvalid, match=problem):
        read_recording(text, "history.json")
