"""A TOML file in the data directory: read at the start, read again when it changes, written through the API."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from seawall.clock import Clock
from seawall.engine.audit import CONTROLLER, Caller
from seawall.files import write_whole
from seawall.toml_document import InvalidToml

TEXT_LIMIT_BYTES = 256 * 1024

_LOOK_EVERY_SECONDS = 2.0

Content = TypeVar("Content")


class TomlFile(Generic[Content]):
    """Keeps what the file says now; `apply` is called with each new content, and at the start.

    `read` makes it of a name and a text, and raises InvalidToml; without a file it is that of an empty text. `subject`
    is what messages call it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        read: Callable[[str, str], Content],
        none: Content,
        apply: Callable[[Content], object],
        subject: str,
    ) -> None:
        """Read the file; without one `none` holds. Raises InvalidToml."""
        self._path = path
        self._clock = clock
        self._parse = read
        self._none = none
        self._apply = apply
        self._subject = subject
        self._logger = logging.getLogger(f"seawall.{subject}")
        self._stamp = _stamp(path)
        self.text = ""
        self.current = none
        if self._stamp is not None:
            self.text, self.current = self._read()
        apply(self.current)

    async def watch(self) -> None:
        """Take over what a person has changed, until cancelled. A file with mistakes leaves what holds as it is."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _LOOK_EVERY_SECONDS)
            stamp = await asyncio.to_thread(_stamp, self._path)
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                text, content = ("", self._none) if stamp is None else await asyncio.to_thread(self._read)
            except InvalidToml as error:
                self._logger.warning("what holds stays as it is: %s", error)
                continue
            await self.will_hold(text, content, CONTROLLER)
            self._take(text, content)

    async def replace(self, text: str, caller: Caller = CONTROLLER) -> Content:
        """Write the file anew and let it hold at once. Raises InvalidToml, and OSError if it can't be written."""
        content = self._parse(str(self._path), text)
        await self.will_hold(text, content, caller)
        try:
            await asyncio.to_thread(write_whole, self._path, text.encode())
        except OSError:
            await self.was_not_written(text, content, caller)
            raise
        self._stamp = await asyncio.to_thread(_stamp, self._path)
        self._take(text, content)
        return content

    async def will_hold(self, text: str, content: Content, caller: Caller) -> None:
        """Called before a new content holds, so that none ever holds that isn't on record; for who keeps one."""

    async def was_not_written(self, text: str, content: Content, caller: Caller) -> None:
        """Called when what `will_hold` told of could not be written, and doesn't hold."""

    def _take(self, text: str, content: Content) -> None:
        self.text, self.current = text, content
        self._apply(content)
        self._logger.info("a new %s file holds now", self._subject, extra={"file": str(self._path)})

    def _read(self) -> tuple[str, Content]:
        try:
            with self._path.open("rb") as file:
                content = file.read(TEXT_LIMIT_BYTES + 1)
            text = content.decode()
        except OSError as error:
            raise InvalidToml(
                f"{self._path} can't be read ({error.strerror or error}); correct its permissions"
            ) from error
        except UnicodeDecodeError as error:
            raise InvalidToml(f"{self._path}: this isn't UTF-8 text; save the file as UTF-8") from error
        if len(content) > TEXT_LIMIT_BYTES:
            raise InvalidToml(
                f"{self._path} is longer than {TEXT_LIMIT_BYTES} bytes, so it is no {self._subject} file"
            )
        return text, self._parse(str(self._path), text)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
