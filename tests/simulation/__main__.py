"""Replay a seed: `python -m tests.simulation SEED [HISTORY]`. HISTORY is a file for the events, one a line."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.simulation.history import write_lines
from tests.simulation.world import World


def main(arguments: list[str]) -> int:
    outcome = World(int(arguments[0])).run()
    for event in outcome.history:
        sys.stdout.write(f"{event.at:10.3f} #{event.order} {event!r}\n")
    for violation in outcome.violations:
        sys.stdout.write(f"{violation}\n")
    for defect in outcome.defects:
        sys.stdout.write(f"defect: {defect}\n")
    sys.stdout.write(f"digest {outcome.digest}\n")
    if len(arguments) > 1:
        Path(arguments[1]).write_bytes(write_lines(outcome.history))
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
