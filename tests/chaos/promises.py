"""What was promised at each moment of a run, and whether what is found later keeps it.

Whatever is kept has a name and looks different after each write to it. A caller says what it asks for before, and that
it was answered after: what is found later is the version that was answered last, or one that was asked for since.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")

MARKS_FILE = "marks"
ASKED, KEPT = "asked", "kept"


class Marks:
    """Writes down what is asked for and what was answered, each by one system call, so that a trace holds both."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = os.open(
            directory / MARKS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self._versions: dict[str, int] = {}

    async def promise(self, name: str, content: object, write: Awaitable[Answer]) -> Answer:
        """Have something written after which `name` looks like `content`."""
        version = self._next(name)
        self._mark([ASKED, name, version, content])
        answer = await write
        self._mark([KEPT, name, version])
        return answer

    async def given(self, name: str, content: Callable[[Answer], object], write: Awaitable[Answer]) -> Answer:
        """Have something written after which `name` looks as only the answer tells."""
        version = self._next(name)
        self._mark([ASKED, name, version])
        answer = await write
        self._mark([KEPT, name, version, content(answer)])
        return answer

    def ask(self, name: str, content: object) -> None:
        """Say that `name` may look like `content` from now on; nobody answers."""
        self._mark([ASKED, name, self._next(name), content])

    def _next(self, name: str) -> int:
        self._versions[name] = self._versions.get(name, 0) + 1
        return self._versions[name]

    def _mark(self, mark: list[object]) -> None:
        os.write(self._descriptor, json.dumps(mark).encode() + b"\n")


@dataclass
class _Versions:
    """How one thing may look: as it was when the last write to it was answered, or after one that wasn't yet."""

    possible: dict[int, str | None]
    """By version; None is whatever the answer would have told."""
    kept: int = 0


@dataclass
class Promises:
    """Fed with marks in their order; `broken` may be asked at any time."""

    _things: dict[str, _Versions] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """One mark, as `Marks` writes it; versions count from 1."""
        what, name, version, *content = json.loads(line)
        thing = self._things.setdefault(name, _Versions({0: _ABSENT}))
        if content:
            thing.possible[version] = _canonical(content[0])
        elif what == ASKED:
            thing.possible[version] = None
        if what == KEPT:
            thing.kept = max(thing.kept, version)
            thing.possible = {number: text for number, text in thing.possible.items() if number >= thing.kept}

    def broken(self, found: Mapping[str, object]) -> list[str]:
        """What of `found`, by name, isn't as it has to be; a name that is missing has the content None."""
        texts = {name: _canonical(content) for name, content in found.items()}
        complaints = [
            f"{name} is {_short(text)}, which nobody asked for"
            for name, text in texts.items()
            if name not in self._things and text != _ABSENT
        ]
        for name, thing in self._things.items():
            text = texts.get(name, _ABSENT)
            if text not in thing.possible.values() and None not in thing.possible.values():
                what = "was promised" if thing.kept else "was asked for"
                expected = " or ".join(_short(str(one)) for one in thing.possible.values())
                complaints.append(f"{name} is {_short(text)}, but {expected} {what}")
        return complaints

    @property
    def count(self) -> int:
        """How many things have been promised."""
        return sum(thing.kept > 0 for thing in self._things.values())


def _canonical(content: object) -> str:
    """Contents that are equal have the same text."""
    return json.dumps(content, sort_keys=True)


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}..."


_ABSENT = _canonical(None)
