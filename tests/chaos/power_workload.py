"""The program under which the power goes: it works, and says before and after each write what it promises.

`power_workload.py KIND DIRECTORY SEED ROUNDS FLUSH`, run under strace.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from tests.chaos.power_kinds import KINDS
from tests.chaos.promises import Marks


def main() -> None:
    """See the module."""
    kind, directory, seed, rounds, flush = sys.argv[1:]
    where = Path(directory)
    work = KINDS[kind].work(where, Marks(where), random.Random(int(seed)), flush == "flush")
    asyncio.run(work.run(int(rounds)))


if __name__ == "__main__":
    main()
