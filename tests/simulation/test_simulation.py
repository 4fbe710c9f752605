"""The real code in thousands of simulated worlds, each with faults of its own, and not one breaks a promise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.chaos import figures
from tests.simulation.history import AcceptedDurable, Effect, Fault, Rare
from tests.simulation.world import Outcome, World

SEEDS = int(os.environ.get("SEAWALL_SIMULATION_SEEDS", "2000"))
FIRST = int(os.environ.get("SEAWALL_SIMULATION_FROM", "0"))

_CHUNK = 100
_CHUNKS = [range(start, min(start + _CHUNK, FIRST + SEEDS)) for start in range(FIRST, FIRST + SEEDS, _CHUNK)]
_SHOWN = 3
_RARE_SEEDS = range(1_000_000, 1_000_400)
_NOT_SIMULATED = {Rare.STALE_TERM, Rare.QUARANTINED}
"""A stale controller and a clone are the business of the tests of real processes."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", _CHUNKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_no_world_breaks_a_promise(seeds: range) -> None:
    bad = _run(seeds)
    assert not bad, _report(bad)


@pytest.mark.timeout(600)
def test_the_worlds_reach_every_rare_state() -> None:
    reached: Counter[str] = Counter()
    for seed in _RARE_SEEDS:
        reached.update(World(seed).run().counters)
    missing = [rare.value for rare in Rare if not reached[rare.value] and rare not in _NOT_SIMULATED]
    assert not missing, f"never reached in {len(_RARE_SEEDS)} worlds: {missing}"


def test_a_seed_makes_the_same_world_whatever_the_hashes_are() -> None:
    digests = [_digests(hash_seed) for hash_seed in ("1", "4711")]
    assert digests[0] == digests[1]
    assert len(set(digests[0].split())) > 1


def _digests(hash_seed: str) -> str:
    program = (
        "from tests.simulation.world import World\nfor seed in range(6): print(World(seed).run().digest)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    return run.stdout


def _run(seeds: Iterable[int]) -> list[Outcome]:
    """The worlds that went wrong; what was counted goes into the summary of the run."""
    bad: list[Outcome] = []
    totals: Counter[str] = Counter()
    for seed in seeds:
        outcome = World(seed).run()
        totals["worlds"] += 1
        totals["commands"] += sum(isinstance(event, AcceptedDurable) for event in outcome.history)
        totals["effects"] += sum(isinstance(event, Effect) for event in outcome.history)
        totals["faults"] += sum(isinstance(event, Fault) and not event.ended for event in outcome.history)
        totals.update({f"reached: {name}": times for name, times in outcome.counters.items()})
        if not outcome.good:
            bad.append(outcome)
    for name, times in totals.items():
        figures.record("simulation", times, len(bad) if name == "worlds" else 0, name)
    return bad


def _report(bad: list[Outcome]) -> str:
    lines = [f"{len(bad)} worlds broke a promise: seeds {[outcome.seed for outcome in bad]}"]
    for outcome in bad[:_SHOWN]:
        lines.append(f"seed {outcome.seed}; replay it with `python -m tests.simulation {outcome.seed}`")
        lines += [str(violation) for violation in outcome.violations[:_SHOWN]]
        lines += outcome.defects[:_SHOWN]
    return "\n".join(lines)
