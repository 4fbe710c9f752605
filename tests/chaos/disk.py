"""A disk that loses power: what may be on it then, as POSIX allows, out of the system calls made before.

What a flush covered is there. Of everything else any part may have arrived: each write may be lost, kept, or torn
between two sectors, in whatever order; a file may be missing whose directory wasn't flushed, or still be there. That
is harsher than most file systems are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.chaos.strace import Call

SECTOR = 512

_SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass
class _File:
    """One file's content: what is certain, and what isn't yet, in order."""

    certain: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Call]] = field(default_factory=list)

    def flush(self, began: int) -> None:
        """Everything that was asked for before is certain now."""
        for index, call in self.pending:
            if index < began:
                _put(self.certain, call)
        self.pending = [(index, call) for index, call in self.pending if index >= began]

    def after_loss(self, dice: random.Random) -> bytearray:
        """One content that may be found."""
        content = bytearray(self.certain)
        kept, torn = dice.choice(_SHARES), dice.choice((0.0, 0.0, 0.3))
        for _, call in self.pending:
            if dice.random() < torn:
                _put_torn(content, call, dice)
            elif dice.random() < kept:
                _put(content, call)
        return content


class Disk:
    """Follows the calls of one process; `after_loss` may be asked at any time."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._index = 0
        self._names: dict[str, _File] = {}
        self._certain_names: dict[str, _File] = {}
        self._pending_names: list[tuple[int, dict[str, _File | None]]] = []
        self._open: dict[int, _File] = {}

    def hear(self, call: Call) -> None:
        """The next call."""
        if call.name == "open":
            self._opened(call)
        elif call.name == "close":
            self._open.pop(call.descriptor, None)
        elif call.name == "flush" and call.path == self._directory:
            self._flush_names(call.began)
        elif call.name == "flush":
            self._open[call.descriptor].flush(call.began)
        elif call.name == "unlink":
            del self._names[call.path]
            self._pending_names.append((self._index, {call.path: None}))
        elif call.name == "rename":
            file = self._names[call.target] = self._names.pop(call.path)
            self._pending_names.append((self._index, {call.path: None, call.target: file}))
        else:
            self._open[call.descriptor].pending.append((self._index, call))
        self._index += 1

    def pending(self, suffix: str) -> bool:
        """Whether a file whose path ends so has writes that no flush has covered."""
        return any(path.endswith(suffix) and file.pending for path, file in self._names.items())

    @property
    def pending_names(self) -> bool:
        """Whether files came or went without a flush of the directory."""
        return bool(self._pending_names)

    def after_loss(self, dice: random.Random) -> dict[str, bytearray]:
        """One set of files, by path, that may be found if the power goes now."""
        names: dict[str, _File | None] = {**self._certain_names}
        kept = dice.choice(_SHARES)
        for _, change in self._pending_names:
            if dice.random() < kept:
                names.update(change)
        return {path: file.after_loss(dice) for path, file in names.items() if file is not None}

    def _opened(self, call: Call) -> None:
        if call.path == self._directory:
            return
        file = self._names.get(call.path)
        if file is None:
            file = self._names[call.path] = _File()
            self._pending_names.append((self._index, {call.path: file}))
        self._open[call.descriptor] = file

    def _flush_names(self, began: int) -> None:
        for index, change in self._pending_names:
            if index < began:
                for path, file in change.items():
                    if file is None:
                        self._certain_names.pop(path, None)
                    else:
                        self._certain_names[path] = file
        self._pending_names = [(index, change) for index, change in self._pending_names if index >= began]


def _put(content: bytearray, call: Call) -> None:
    if call.name == "truncate":
        del content[call.offset :]
        content.extend(bytes(call.offset - len(content)))
        return
    _grow(content, call.offset)
    content[call.offset : call.offset + len(call.data)] = call.data


def _put_torn(content: bytearray, call: Call, dice: random.Random) -> None:
    """Of a write that spans sectors some arrive."""
    position, end = call.offset, call.offset + len(call.data)
    while position < end:
        border = min(end, (position // SECTOR + 1) * SECTOR)
        if dice.random() < 0.5:
            _grow(content, position)
            content[position:border] = call.data[position - call.offset : border - call.offset]
        position = border


def _grow(content: bytearray, size: int) -> None:
    if len(content) < size:
        content.extend(bytes(size - len(content)))
