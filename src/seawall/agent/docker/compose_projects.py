"""What the agent keeps of Compose projects: a folder each, which nobody else can enter.

compose/.home           what the program takes for its user's home: empty
compose/NAME/model.json the model that was brought up last; it may hold secrets
compose/NAME/output     what the program said the last time
compose/NAME/lock       locked by the program for as long as it works, also when the agent has died since
compose/NAME/files/     what is being read, for a moment
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from seawall.files import sync_directory, write_whole

MODEL, OUTPUT = "model.json", "output"
_HOME, _LOCK, _FILES = ".home", "lock", "files"
_TAIL_BYTES = 64 * 1024


class Kept(Struct, frozen=True):
    """What is kept of a project: the `digest` of its model, None for none; `busy` while a program works on it."""

    digest: str | None
    busy: bool


class Busy(Exception):
    """A program works on a project already."""


class ComposeProjects:
    """In one folder of the agent's. Everything here takes a moment, and raises OSError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def home(self) -> Path:
        """An empty folder."""
        return self._directory / _HOME

    def prepare(self) -> None:
        """Make the folder, and remove what a crash has left half read."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        self.home.mkdir(mode=0o700, exist_ok=True)
        for folder in self._directory.iterdir():
            if folder.name != _HOME and folder.is_dir():
                self.clear_away(folder.name)

    def folder(self, project: str) -> Path:
        """Where a project is kept."""
        return self._directory / project

    def lay_out(self, project: str, files: Mapping[str, str]) -> Path:
        """Put files where a program can read them, until `clear_away`."""
        self.folder(project).mkdir(mode=0o700, exist_ok=True)
        folder = self.folder(project) / _FILES
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, text in files.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(text.encode())
        return folder

    def clear_away(self, project: str) -> None:
        """Remove what `lay_out` has put there; the project's folder too, if nothing else is kept of it."""
        shutil.rmtree(self.folder(project) / _FILES, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder(project).rmdir()

    def keep(self, project: str, model: str) -> None:
        """From now on this is the project's model."""
        self.folder(project).mkdir(mode=0o700, exist_ok=True)
        write_whole(self.folder(project) / MODEL, model.encode())

    def forget(self, project: str) -> None:
        """Keep nothing of it any more."""
        (self.folder(project) / MODEL).unlink(missing_ok=True)
        sync_directory(self.folder(project))
        shutil.rmtree(self.folder(project), ignore_errors=True)

    def kept(self, project: str) -> Kept:
        """What is kept of a project."""
        try:
            content = (self.folder(project) / MODEL).read_bytes()
        except FileNotFoundError:
            return Kept(None, busy=False)
        try:
            os.close(self.lock(project))
        except Busy:
            return Kept(digest(content), busy=True)
        return Kept(digest(content), busy=False)

    def lock(self, project: str) -> int:
        """A descriptor that holds the project's lock until its last copy is closed. Raises Busy."""
        path = self.folder(project) / _LOCK
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Busy from None
        return descriptor

    def open_output(self, project: str) -> int:
        """A descriptor for what a program is about to say."""
        path = self.folder(project) / OUTPUT
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def output_from(self, project: str, offset: int) -> bytes:
        """What a program has said from an offset on, so much as is dealt with at once."""
        with open(self.folder(project) / OUTPUT, "rb") as file:
            file.seek(offset)
            return file.read(_TAIL_BYTES)

    def output(self, project: str) -> str:
        """The end of what a program has said."""
        with open(self.folder(project) / OUTPUT, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode("utf-8", "replace")


def digest(model: bytes) -> str:
    """What tells one model from another."""
    return hashlib.sha256(model).hexdigest()
