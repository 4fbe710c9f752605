"""Cuts the power thousands of times, at any point of one traced run, and looks at what is left."""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from seawall.engine.store import StoreFailed
from tests.chaos.disk import Disk
from tests.chaos.promises import KEPT, MARKS_FILE, Marks, Promises
from tests.chaos.strace import Call, traced

SUFFIXES = ("", "-wal", "-journal")
"""What belongs to a database beside its file; the -shm is made anew from them."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - only a place that is fast, used through mkdtemp

_LOG_BYTES = 96 * 1024
_REOPENED = 100
"""One of so many images is opened by the product itself, which takes longer."""

Content = dict[str, object]


class Commit:
    """Ends a transaction as the product does, and carries the log over far more often, so that cuts fall into that too.

    Without `flush` it doesn't wait for the disk: that has to be noticed.
    """

    def __init__(self, database: Path, commit: Callable[[sqlite3.Connection], object], flush: bool) -> None:
        self._log = Path(f"{database}-wal")
        self._commit = commit
        self._flush = flush

    def __call__(self, connection: sqlite3.Connection) -> None:
        self._commit(connection)
        if not self._flush:
            connection.execute("PRAGMA synchronous = OFF")
        if self._log.stat().st_size > _LOG_BYTES:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


class Work(Protocol):
    """What goes on while the power goes."""

    async def run(self, rounds: int) -> None:
        """Start, write and stop, `rounds` times."""


@dataclass(frozen=True)
class Kind:
    """What is put under power loss: its file, what writes it, and what a reader finds in it."""

    name: str
    file: str
    work: Callable[[Path, Marks, random.Random, bool], Work]
    """With a directory, dice, and whether it waits for the disk as it should."""
    read: Callable[[sqlite3.Connection], Content]
    reopen: Callable[[Path, Content], None]
    """Opens it by the product's own code, migrations included, which has to find the same and be able to go on."""


@dataclass
class Findings:
    """What came of a number of cuts."""

    images: int = 0
    broken: list[str] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    """How many cuts fell where something rare was under way."""

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.images + other.images, self.broken + other.broken, self.reached + other.reached)


@dataclass(frozen=True)
class Run:
    """What one run of a workload asked of its disk."""

    calls: list[Call]
    trace: Path

    def keep(self, where: Path) -> None:
        """Save the trace, which no other run is going to repeat exactly."""
        shutil.copy(self.trace, where)


@contextmanager
def fast_directory() -> Iterator[Path]:
    """A directory of one's own, in memory if possible."""
    path = Path(tempfile.mkdtemp(prefix="seawall-power-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def run_traced(kind: Kind, directory: Path, seed: int, rounds: int, *, flush: bool = True) -> Run:
    """Let the workload run in `directory`."""
    database, trace = directory / kind.file, directory / "trace"
    files = [Path(f"{database}{suffix}") for suffix in SUFFIXES]
    words = ["-m", "tests.chaos.power_workload", kind.name, str(directory), str(seed), str(rounds)]
    words.append("flush" if flush else "no-flush")
    return Run(traced([sys.executable, *words], [directory, directory / MARKS_FILE, *files], trace), trace)


def cut(
    kind: Kind, calls: Sequence[Call], directory: Path, times: int, seed: int, *, until_broken: bool = False
) -> Findings:
    """Cut the power `times` times during a run that happened in `directory`, and look at each image.

    Half of the cuts come right after an answer, when there is most to lose; some images are opened by the product
    itself. With `until_broken` the first broken promise is enough.
    """
    dice = random.Random(seed)
    moments = Counter(_moments(calls, directory, times, dice))
    disk, promises, findings = Disk(str(directory)), Promises(), Findings()
    marks = str(directory / MARKS_FILE)
    with fast_directory() as scratch:
        for index, call in enumerate(calls):
            if call.path != marks:
                disk.hear(call)
            elif call.name == "append":
                promises.hear(call.data.decode())
            for _ in range(moments[index]):
                if until_broken and findings.broken:
                    return findings
                findings.images += 1
                _note(disk, kind, findings.reached)
                image = disk.after_loss(dice)
                reopen = findings.images % _REOPENED == 0
                for problem in _problems(kind, image, scratch, promises, reopen):
                    findings.broken.append(f"seed {seed}, after call {index} of {len(calls)}: {problem}")
    findings.reached["promises"] = promises.count
    return findings


def without_flushes(calls: Iterable[Call], path: Path) -> list[Call]:
    """The same run on a system that ignores the flushes of one file or directory."""
    # Left in place but turned into one that does nothing, since the others refer to their places.
    return [
        call._replace(began=0) if call.name == "flush" and call.path == str(path) else call for call in calls
    ]


def _moments(calls: Sequence[Call], directory: Path, times: int, dice: random.Random) -> list[int]:
    marks = str(directory / MARKS_FILE)
    answers = [
        index
        for index, call in enumerate(calls)
        if call.path == marks and call.data.startswith(b'["%s"' % KEPT.encode())
    ]
    anywhere = range(len(calls))
    return [dice.choice(answers if nth % 2 else anywhere) for nth in range(times)]


def _note(disk: Disk, kind: Kind, reached: Counter[str]) -> None:
    reached["log unflushed"] += disk.pending(f"{kind.file}-wal")
    reached["tables unflushed"] += disk.pending(kind.file)
    reached["names unflushed"] += disk.pending_names


def _problems(
    kind: Kind, image: dict[str, bytearray], scratch: Path, promises: Promises, reopen: bool
) -> list[str]:
    database = scratch / kind.file
    try:
        _lay_down(image, scratch)
        found = _look(kind, database)
        problems = promises.broken(found)
        if reopen and not problems:
            _lay_down(image, scratch)
            kind.reopen(database, found)
        return problems
    except (sqlite3.Error, StoreFailed, Unsound, ValueError) as error:  # a damaged value is no JSON any more
        return [f"{type(error).__name__}: {error}"]


def _lay_down(image: dict[str, bytearray], scratch: Path) -> None:
    for old in scratch.iterdir():
        old.unlink()
    for path, content in image.items():
        (scratch / Path(path).name).write_bytes(content)


class Unsound(Exception):
    """The file is damaged, or half of something is in it."""


def _look(kind: Kind, database: Path) -> Content:
    if not database.exists():
        return {}
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise Unsound(f"damaged: {verdict}")
        strays = connection.execute("PRAGMA foreign_key_check").fetchall()
        if strays:
            raise Unsound(f"rows that belong to nothing: {strays}")
        return kind.read(connection)
    finally:
        connection.close()
