"""`python -m bench [--json FILE] [--quick] [NAME ...]`: measure, print a table, exit 1 if a limit is broken."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from bench import circuits, commands, durable, link, state, streams, watchers
from bench.measure import Row

# What is measured, in order, each with the repetitions and the rounds that it is given. A bench is one line here.
BENCHES: dict[str, Callable[[bool], Awaitable[list[Row]]]] = {
    "commands": lambda quick: commands.commands(1_280, 5 if quick else 31),
    "circuits": lambda quick: circuits.circuits(20_000, 3 if quick else 11),
    "state": lambda quick: state.state(),
    "durable": lambda quick: durable.measure(3 if quick else 7, 2_048),
    "link": lambda quick: link.measure(3 if quick else 15),
    "streams": lambda quick: streams.measure(3 if quick else 7),
    "watchers": lambda quick: watchers.measure(200 if quick else 10_000, 1 if quick else 10),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(BENCHES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file as well")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first look, no verdict")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench is called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    rows = uvloop.run(measure(asked.names or list(BENCHES), asked.quick))
    print(table(rows))
    if asked.json is not None:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
        }
        content = [msgspec.structs.asdict(row) | {"kept": row.kept} for row in rows]
        asked.json.write_bytes(
            msgspec.json.format(msgspec.json.encode({"machine": machine, "rows": content}))
        )
    return 0 if asked.quick or all(row.kept is not False for row in rows) else 1


async def measure(names: list[str], quick: bool) -> list[Row]:
    return [row for name in names for row in await BENCHES[name](quick)]


def table(rows: list[Row]) -> str:
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  {'median':>12}  {'ratio':>6}  {'limit':>6}"]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        limit = f"{row.limit:.4g}" if row.limit is not None else ""
        note = {True: "kept", False: "BROKEN", None: ""}[row.kept]
        beside = f"  x {row.beside}" if row.beside is not None else ""
        lines.append(
            f"{row.name:{width}}  {row.value:>9,.0f} {row.unit:2}  {ratio:>6}  {limit:>6}  {note:6}{beside}".rstrip()
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
