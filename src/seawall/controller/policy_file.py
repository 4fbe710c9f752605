"""The policy file of a controller: read at the start, read again when it changes, written through the API."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from seawall.clock import Clock
from seawall.engine.audit import CONTROLLER, Action, Caller, Detail, Entry
from seawall.engine.policies import Policies, read_policies
from seawall.engine.store import AuditStore
from seawall.files import write_whole
from seawall.toml_document import InvalidToml

POLICY_FILE = "policy.toml"
TEXT_LIMIT_BYTES = 256 * 1024

_LOOK_EVERY_SECONDS = 2.0

_logger = logging.getLogger("seawall.policy")


class PolicyText(Detail, frozen=True, gc=False):
    """Which policies they are."""

    preset: str
    sha256: str


class PolicyFile:
    """Keeps the policies that hold now; `apply` is called with each new set, and at the start."""

    def __init__(
        self, path: Path, clock: Clock, apply: Callable[[Policies], object], log: AuditStore | None = None
    ) -> None:
        """Read the file; none means the default preset. Changes are recorded in `log`. Raises InvalidToml."""
        self._path = path
        self._clock = clock
        self._apply = apply
        self._log = log
        self._stamp = _stamp(path)
        self.text = ""
        self.current = Policies()
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
                text, policies = ("", Policies()) if stamp is None else await asyncio.to_thread(self._read)
            except InvalidToml as error:
                _logger.warning("the policies stay as they are: %s", error)
                continue
            await self._record(Action.POLICY_CHANGED, CONTROLLER, text, policies)
            self._take(text, policies)

    async def replace(self, text: str, caller: Caller = CONTROLLER) -> Policies:
        """Write the file anew and let it hold at once. Raises InvalidToml, and OSError if it can't be written."""
        policies = read_policies(str(self._path), text)
        # Before it holds: no policy ever holds that isn't on record.
        await self._record(Action.POLICY_CHANGED, caller, text, policies)
        try:
            await asyncio.to_thread(write_whole, self._path, text.encode())
        except OSError:
            await self._record(Action.POLICY_NOT_CHANGED, caller, text, policies)
            raise
        self._stamp = await asyncio.to_thread(_stamp, self._path)
        self._take(text, policies)
        return policies

    async def record(self) -> None:
        """Record what holds from the start on."""
        await self._record(Action.POLICY_LOADED, CONTROLLER, self.text, self.current)

    async def _record(self, action: Action, caller: Caller, text: str, policies: Policies) -> None:
        if self._log is not None:
            detail = PolicyText(policies.preset, hashlib.sha256(text.encode()).hexdigest())
            await self._log.record(Entry(self._clock.wall(), caller, action, self._path.name, detail))

    def _take(self, text: str, policies: Policies) -> None:
        self.text, self.current = text, policies
        self._apply(policies)
        _logger.info("new policies hold now", extra={"preset": policies.preset, "file": str(self._path)})

    def _read(self) -> tuple[str, Policies]:
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
                f"{self._path} is longer than {TEXT_LIMIT_BYTES} bytes, so it is no policy file"
            )
        return text, read_policies(str(self._path), text)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
