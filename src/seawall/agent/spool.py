"""Archives that were uploaded for commands: named by their SHA-256, gone on with where they broke off, never kept long.

    NAME.part --all bytes, and the right ones--> NAME --the command that names it is over--> gone

What is here has no effect by itself. A part outlives the link, the stream and the process; whatever nobody has used for
a day is removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVarTuple

from seawall.agent.failure import DockerFailure
from seawall.agent.ledger_file import RESERVE_BYTES
from seawall.clock import Clock, Timer
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.files import free_bytes, sync_directory

SPOOL_BYTES = 16 * 1024**3
"""The most that all uploads of a host take together."""
KEEP_SECONDS = 24 * 3600.0
"""How long an upload is kept that nobody uses."""

_SWEEP_SECONDS = 3600.0
_RESERVE_BYTES = 16 * RESERVE_BYTES
"""What uploads leave of the disk: the ledger needs room, and so does everything else."""
_PART = ".part"
_NAME = re.compile(r"[0-9a-f]{64}(\.part)?")
_READ_BYTES = 1024 * 1024

Given = TypeVarTuple("Given")

_logger = logging.getLogger("seawall.agent.spool")


class Upload:
    """One archive on its way in; `position` is how much of it is there. Only the latest of one archive goes on."""

    def __init__(self, part: Path, digest: str, size: int) -> None:
        self.digest = digest
        self.size = size
        self.position = 0
        self._part = part
        self._hash = hashlib.sha256()
        self._lock = asyncio.Lock()
        self._file = -1
        self._over = False

    async def open(self) -> None:
        """Look at what is there already. Raises OSError."""
        async with self._lock:
            await _to_its_end(self._open)

    async def write(self, data: bytes) -> None:
        """Add the next bytes. Raises DockerFailure: this one is given up, what is there stays."""
        async with self._lock:
            if self._over:
                text = f"another upload of the archive {self.digest[:12]} goes on: this one ends"
                raise refused(CommandErrorCode.CANCELLED, text)
            if self.position + len(data) > self.size:
                text = f"the archive {self.digest[:12]} was announced with {self.size} bytes, and more came"
                raise refused(CommandErrorCode.INVALID_ARGUMENT, text)
            try:
                await _to_its_end(self._append, data)
            except OSError as error:
                raise _disk_failed(error) from error

    async def finish(self) -> None:
        """All bytes are there: put it in its place, durably. Raises DockerFailure, and what was wrong is removed."""
        async with self._lock:
            if self._hash.hexdigest() != self.digest:
                self._close()
                self._part.unlink(missing_ok=True)
                text = (
                    f"the {self.size} bytes that came aren't the archive {self.digest[:12]}: their SHA-256 is another. "
                    "They were removed: upload it again"
                )
                raise refused(CommandErrorCode.INVALID_ARGUMENT, text)
            try:
                await _to_its_end(self._settle)
            except OSError as error:
                raise _disk_failed(error) from error

    async def stop(self) -> None:
        """Nothing more is written by this one; what is there stays."""
        self._over = True
        async with self._lock:
            self._close()

    def _open(self) -> None:
        self._file = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.fstat(self._file).st_size > self.size:
            os.ftruncate(self._file, 0)
        while data := os.read(self._file, _READ_BYTES):
            self._hash.update(data)
            self.position += len(data)

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = os.write(self._file, left)
            self._hash.update(left[:written])
            self.position += written
            left = left[written:]

    def _settle(self) -> None:
        os.fsync(self._file)
        self._close()
        self._part.replace(self._part.with_suffix(""))
        sync_directory(self._part.parent)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Spool:
    """All uploads of a host, in a directory of its own. One event loop owns it."""

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        free_bytes: Callable[[Path], int] = free_bytes,
        most_bytes: int = SPOOL_BYTES,
    ) -> None:
        """`free_bytes` says how much room the disk of a directory has. Raises OSError."""
        self._directory = directory
        self._clock = clock
        self._free_bytes = free_bytes
        self._most_bytes = most_bytes
        self._coming: dict[str, Upload] = {}
        # Uploads that were asked for and that no command has come for yet.
        self._expected: Counter[str] = Counter()
        self._users: dict[str, set[str]] = {}
        self._timer: Timer | None = None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)

    # What an upload asks

    async def begin(self, digest: str, size: int) -> Upload | None:
        """Go on with an archive, or begin it; None if all of it is there. Raises DockerFailure: it isn't taken."""
        self.sweep()
        earlier = self._coming.get(digest)
        if earlier is not None:
            await earlier.stop()
        if self._has(digest, size):
            self.expect(digest)
            return None
        self._check_room(digest, size)
        upload = Upload(self._directory / f"{digest}{_PART}", digest, size)
        self._coming[digest] = upload
        try:
            await upload.open()
        except OSError as error:
            raise _disk_failed(error) from error
        return upload

    def expect(self, digest: str) -> None:
        """A command will come for it."""
        self._expected[digest] += 1
        # Its day begins anew.
        os.utime(self._directory / digest)

    async def end(self, upload: Upload) -> None:
        """This one is over, whatever came of it."""
        await upload.stop()
        if self._coming.get(upload.digest) is upload:
            del self._coming[upload.digest]

    # What a command asks

    def use(self, digest: str, size: int, command_id: str) -> Path:
        """The archive that a command names: it stays until that command is over. Raises DockerFailure."""
        if not self._has(digest, size):
            text = (
                f"the archive {digest[:12]} of {size} bytes isn't on this host (any more): nothing was done. Upload it "
                "again, and give the command again"
            )
            raise refused(CommandErrorCode.UPLOAD_MISSING, text)
        users = self._users.setdefault(digest, set())
        if command_id not in users:
            users.add(command_id)
            self._came(digest)
        return self._directory / digest

    def hold(self, digest: str, command_id: str) -> None:
        """A command of an earlier process has begun and names it."""
        self._users.setdefault(digest, set()).add(command_id)

    def over(self, digest: str, command_id: str) -> None:
        """A command is over for good: what it named goes, unless somebody else needs it."""
        users = self._users.get(digest, set())
        if command_id in users:
            users.discard(command_id)
        else:
            self._came(digest)
        if not users:
            self._users.pop(digest, None)
            if not self._expected[digest]:
                self._remove(self._directory / digest)

    # How long things stay

    def start(self) -> None:
        """Look now and then for what nobody uses."""
        self.sweep()
        self._timer = self._clock.call_at(self._clock.now() + _SWEEP_SECONDS, self.start)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def sweep(self) -> None:
        """Remove what nobody has used for a day."""
        oldest = self._clock.wall().timestamp() - KEEP_SECONDS
        for path in self._files():
            digest = path.name.removesuffix(_PART)
            if digest in self._coming or digest in self._users:
                continue
            try:
                old = path.stat().st_mtime < oldest
            except FileNotFoundError:
                continue
            if old:
                self._expected.pop(digest, None)
                self._remove(path)

    def _came(self, digest: str) -> None:
        self._expected[digest] -= 1
        if self._expected[digest] <= 0:
            del self._expected[digest]

    def _has(self, digest: str, size: int) -> bool:
        try:
            return (self._directory / digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def _files(self) -> Iterable[Path]:
        return [path for path in self._directory.iterdir() if _NAME.fullmatch(path.name)]

    def _check_room(self, digest: str, size: int) -> None:
        taken = {path.name.removesuffix(_PART): path.stat().st_size for path in self._files()}
        there = taken.pop(digest, 0)
        promised = sum(
            max(taken.pop(each.digest, 0), each.size)
            for each in self._coming.values()
            if each.digest != digest
        )
        total = sum(taken.values()) + promised + size
        if total > self._most_bytes:
            text = (
                f"with this archive of {size} bytes the uploads of this host would take {total} bytes, and the limit "
                f"is {self._most_bytes}: try again when the commands that use the others are over"
            )
            raise refused(CommandErrorCode.BULKHEAD_FULL, text)
        left = self._free_bytes(self._directory) - max(0, size - there)
        if left < _RESERVE_BYTES:
            text = (
                f"the disk of this host's agent has no room for an archive of {size} bytes: {_RESERVE_BYTES} bytes "
                "have to stay free. Make room there, then try again"
            )
            raise refused(CommandErrorCode.AGENT_ERROR, text)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("the upload %s can't be removed: %s", path.name[:12], error)


async def _to_its_end(do: Callable[[*Given], object], *given: *Given) -> None:
    """Do it in a thread. Whoever is cancelled meanwhile waits: nobody may close a file that is being written."""
    work = asyncio.ensure_future(asyncio.to_thread(do, *given))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait((work,))
        raise


def refused(code: CommandErrorCode, text: str) -> DockerFailure:
    """Something isn't taken, or isn't there: Docker was not asked."""
    return DockerFailure(code, Circumstance.NONE, text)


def _disk_failed(error: OSError) -> DockerFailure:
    text = (
        f"the upload can't be written on this host ({error.strerror or error}); what came so far is kept. Look at the "
        "disk of its agent, then try again"
    )
    return refused(CommandErrorCode.AGENT_ERROR, text)
