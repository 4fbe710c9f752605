"""Puts into the audit log who was let in and who wasn't, at a pace that nobody from outside can make a burden."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from seawall.clock import Clock
from seawall.engine.audit import NOBODY, Action, Caller, Detail, Entry
from seawall.engine.store import AuditStore, StoreFailed

WINDOW_SECONDS = 60.0
KINDS_AT_ONCE = 20
"""How many kinds of refusal are told apart in a window; what goes beyond is only counted."""

_SIGN_IN_SECONDS = 24 * 3600.0
_SIGN_INS = 4_096
_OTHERS = "others"

_logger = logging.getLogger("seawall.access")


class SignIn(Detail, frozen=True, gc=False):
    """What somebody may do."""

    role: str


class Refusal(Detail, frozen=True, gc=False):
    """Why somebody was refused, and how often the same came again within the window."""

    reason: str
    more: int = 0


class _Kind(NamedTuple):
    """Refusals that differ in this are told apart."""

    action: Action
    actor: str
    source: str
    subject: str
    reason: str


class DoorLog:
    """Records sign-ins and refusals.

    The first refusal of a kind is an entry of its own, written soon; how many more of that kind came within the window
    is told by one more entry when the window ends. So the log grows by a few dozen entries a minute at most, whatever
    knocks at the door.
    """

    def __init__(self, store: AuditStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._signed_in: dict[tuple[str, str], float] = {}
        self._counts: dict[_Kind, int] = {}
        self._others = 0
        self._entries: list[Entry] = []
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()

    async def signed_in(self, caller: Caller, subject: str, role: str) -> None:
        """Somebody has proved who they are; recorded once a day for each token and address."""
        key, now = (subject, caller.source), self._clock.now()
        until = self._signed_in.get(key)
        if until is not None and now < until:
            return
        if len(self._signed_in) >= _SIGN_INS:
            self._signed_in.clear()
        self._signed_in[key] = now + _SIGN_IN_SECONDS
        try:
            await self._store.record(
                Entry(self._clock.wall(), caller, Action.SIGNED_IN, subject, SignIn(role))
            )
        except BaseException:
            self._signed_in.pop(key, None)
            raise

    def refused(
        self, action: Action, source: str, reason: str, *, actor: str = NOBODY, subject: str = ""
    ) -> None:
        """Somebody wasn't let in, or not let do something."""
        kind = _Kind(action, actor, source, subject, reason)
        if kind in self._counts:
            self._counts[kind] += 1
        elif len(self._counts) >= KINDS_AT_ONCE:
            self._others += 1
        else:
            self._counts[kind] = 0
            self._note(kind, Refusal(reason))
        self._arrived.set()

    async def run(self) -> None:
        """Write what is noted, until cancelled."""
        while True:
            await self._arrived.wait()
            window_ends = self._clock.now() + WINDOW_SECONDS
            while self._clock.now() < window_ends:
                self._arrived.clear()
                await self.flush()
                await self._arrived_or(window_ends)
            self._end_window()
            await self.flush()

    async def flush(self) -> None:
        """Write what is noted now."""
        async with self._writing:
            entries, self._entries = self._entries, []
            if not entries:
                return
            try:
                await self._store.record(*entries)
            except StoreFailed as error:
                _logger.warning("%d refusals were not recorded: %s", len(entries), error)

    def _note(self, kind: _Kind, detail: Detail) -> None:
        caller = Caller(kind.actor, kind.source)
        self._entries.append(Entry(self._clock.wall(), caller, kind.action, kind.subject, detail))

    def _end_window(self) -> None:
        counts, self._counts = self._counts, {}
        for kind, more in counts.items():
            if more:
                self._note(kind, Refusal(kind.reason, more))
        others, self._others = self._others, 0
        if others:
            kind = _Kind(Action.SIGN_IN_REFUSED, NOBODY, "", _OTHERS, "")
            self._note(kind, Refusal("too many kinds at once to tell them apart", others))
        self._arrived.clear()

    async def _arrived_or(self, moment: float) -> None:
        """Wait for the next refusal, at most until then."""
        arrival = asyncio.ensure_future(self._arrived.wait())
        timer = self._clock.call_at(moment, arrival.cancel)
        try:
            await asyncio.wait((arrival,))
        finally:
            timer.cancel()
            arrival.cancel()
