"""Power loss: whatever was answered is there afterwards, whole, on every disk that POSIX allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seawall.clock import SystemClock
from tests.chaos.figures import record
from tests.chaos.power import Findings, Kind, cut, fast_directory, run_traced, without_flushes
from tests.chaos.power_kinds import KINDS

TIMES = int(os.environ.get("SEAWALL_POWER_LOSSES", "5000")) // len(KINDS)
TIMES_A_RUN = 2_500
SABOTAGED = 400
ROUNDS = 3

pytestmark = pytest.mark.timeout(600 + TIMES // 10, func_only=True)


@pytest.fixture
def seed() -> int:
    """Of the workload and of the cuts; the order of threads isn't in its power."""
    return int(os.environ.get("SEAWALL_SEED", SystemClock().wall().strftime("%s")))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_what_was_promised_survives_a_power_cut_at_any_moment(kind: Kind, seed: int, tmp_path: Path) -> None:
    findings = Findings()
    while findings.images < TIMES and not findings.broken:
        times = min(TIMES_A_RUN, TIMES - findings.images)
        with fast_directory() as directory:
            run = run_traced(kind, directory, seed, ROUNDS)
            findings += cut(kind, run.calls, directory, times, seed)
            if findings.broken:
                run.keep(tmp_path)
        seed += 1
    record(f"power losses of the {kind.name}", findings.images, len(findings.broken), unit="images")
    assert not findings.broken, "\n".join([f"the trace is in {tmp_path}", *findings.broken[:10]])
    for place in ("log unflushed", "tables unflushed", "names unflushed", "promises"):
        assert findings.reached[place] > 0, f"no cut fell where {place}: this run proves nothing"


def test_a_disk_that_ignores_one_kind_of_flush_is_caught(kind: Kind, seed: int) -> None:
    with fast_directory() as directory:
        calls = run_traced(kind, directory, seed, ROUNDS).calls
        for ignored in (directory / f"{kind.file}-wal", directory / kind.file, directory):
            sabotaged = without_flushes(calls, ignored)
            findings = cut(kind, sabotaged, directory, SABOTAGED, seed, until_broken=True)
            assert findings.broken, f"nobody noticed that {ignored} isn't flushed (seed {seed})"


def test_a_writer_that_does_not_wait_for_the_disk_is_caught(kind: Kind, seed: int) -> None:
    with fast_directory() as directory:
        calls = run_traced(kind, directory, seed, ROUNDS, flush=False).calls
        findings = cut(kind, calls, directory, SABOTAGED, seed, until_broken=True)
        assert findings.broken, f"nobody noticed (seed {seed})"
