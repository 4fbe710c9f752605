"""The agent's ledger under power loss: a workload, and what is found of it afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import sqlite3
from pathlib import Path

from seawall.agent.ledger import LEDGER_FILE, Ledger, LedgerDamaged
from seawall.agent.ledger_tables import Entry
from seawall.clock import SystemClock
from seawall.writer import commit
from tests.chaos.power import Commit, Content, Kind, Unsound
from tests.chaos.promises import Marks

AGENT = "a-1"

_BURSTS = 25
_SIZES = (0, 10, 100, 500, 5_000)
"""Of contents, in bytes; the last one doesn't fit into a page."""


class LedgerWork:
    """An agent's writes, some at a time, with acknowledgements, and restarts in between."""

    def __init__(self, directory: Path, marks: Marks, dice: random.Random, flush: bool) -> None:
        self._path = directory / LEDGER_FILE
        self._marks = marks
        self._dice = dice
        self._commit = Commit(self._path, commit, flush)
        self._sequences = itertools.count(1)
        self._over: set[int] = set()
        self._acknowledged: set[int] = set()

    async def run(self, rounds: int) -> None:
        """Open the ledger, use it, close it: `rounds` times."""
        for number in range(1, rounds + 1):
            ledger = await self._marks.given("ledger", _id_of, self._open())
            await self._marks.promise("session", [number, 7], ledger.begin_session(number, 7))
            for _ in range(_BURSTS):
                await asyncio.gather(*(self._life(ledger) for _ in range(self._dice.randint(1, 4))))
                if self._dice.random() < 0.5:
                    self._acknowledge(ledger)
            await ledger.close()

    async def _open(self) -> Ledger:
        return await Ledger.open(self._path, AGENT, SystemClock(), commit=self._commit)

    async def _life(self, ledger: Ledger) -> None:
        """One command, from its beginning to its end, or left in doubt."""
        sequence, dice = next(self._sequences), self._dice
        arguments, before, outcome = (dice.randbytes(dice.choice(_SIZES)) for _ in range(3))
        about = (sequence, f"c-{sequence}", "container_restart", arguments)
        name = f"entry:{sequence}"
        if dice.random() < 0.8:
            begun = ["STARTED", f"c-{sequence}", _sum(arguments), _sum(before), None, None]
            entry = await self._marks.promise(name, begun, ledger.start(*about, before))
            if dice.random() < 0.3:
                entry = await self._marks.promise(
                    name, [*begun[:4], "stopped", None], ledger.step(entry, "stopped")
                )
                begun = [*begun[:4], "stopped", None]
            if dice.random() < 0.2:
                void = ["VOID", *begun[1:5], _sum(outcome)]
                await self._marks.promise(name, void, ledger.void(entry, outcome))
            if dice.random() < 0.2:
                return
        else:
            begun = ["STARTED", f"c-{sequence}", _sum(arguments), None, None, None]
        done = ["DONE", *begun[1:5], _sum(outcome)]
        await self._marks.promise(name, done, ledger.finish(*about, outcome))
        self._over.add(sequence)

    def _acknowledge(self, ledger: Ledger) -> None:
        """Of what is over some is known to the controller; up to a point everything is."""
        kept = {sequence for sequence in self._over if self._dice.random() < 0.5}
        self._acknowledged |= kept
        up_to = next(number for number in itertools.count(1) if number not in self._over) - 1
        self._marks.ask("watermark", up_to or None)
        for sequence in self._acknowledged:
            if sequence <= up_to:
                self._marks.ask(f"entry:{sequence}", None)
        ledger.acknowledge(sorted(kept), up_to)


def _id_of(ledger: Ledger) -> object:
    return ledger.standing.ledger_id


def _content_of(entry: Entry) -> object:
    return [
        entry.state.value,
        entry.command_id,
        _sum(entry.arguments),
        _sum(entry.pre_image),
        entry.step,
        _sum(entry.outcome),
    ]


def _read(connection: sqlite3.Connection) -> Content:
    """By plain SQL, so that what is wrong in the ledger's own reading can't hide anything."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        return {}
    if tables != {"ledger", "entries"}:
        raise Unsound(f"half of the tables: {tables}")
    ((ledger_id, epoch, term, watermark),) = connection.execute(
        "SELECT ledger_id, epoch, term, watermark FROM ledger"
    ).fetchall()
    found: Content = {
        "ledger": ledger_id,
        "session": [epoch, term] if epoch else None,
        "watermark": watermark or None,
    }
    for sequence, state, command_id, arguments, before, step, outcome in connection.execute(
        "SELECT sequence, state, command_id, arguments, pre_image, step, outcome FROM entries"
    ):
        content = [state, command_id, _sum(arguments), _sum(before), step, _sum(outcome)]
        found[f"entry:{sequence}"] = content
    return found


def _reopen(database: Path, expected: Content) -> None:
    try:
        asyncio.run(_through_the_ledger(database, expected))
    except LedgerDamaged as error:
        raise Unsound(str(error)) from error


async def _through_the_ledger(database: Path, expected: Content) -> None:
    ledger = await Ledger.open(database, AGENT, SystemClock())
    try:
        standing = ledger.standing
        found: Content = {
            "ledger": standing.ledger_id,
            "session": [standing.epoch, standing.term] if standing.epoch else None,
            "watermark": standing.watermark or None,
        }
        entries = [ledger.at(sequence) for sequence in range(standing.last_sequence + 1)]
        found |= {f"entry:{entry.sequence}": _content_of(entry) for entry in entries if entry is not None}
        if expected and found != expected:
            raise Unsound("the ledger reads something else than is in its tables")
        await ledger.start(standing.last_sequence + 1, "afterwards", "container_restart", b"", b"")
        if ledger.entry("afterwards") is None:
            raise Unsound("the ledger can't go on from there")
    finally:
        await ledger.close()


def _sum(content: bytes | None) -> str | None:
    """As good as the content itself for telling whether it is the same, and much shorter."""
    return None if content is None else hashlib.blake2b(content, digest_size=12).hexdigest()


LEDGER = Kind("ledger", LEDGER_FILE, LedgerWork, _read, _reopen)
