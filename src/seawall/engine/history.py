"""What is kept of the past, as much of it as figures over time need, and the port that reads it page by page.

Times of commands are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct

from seawall.engine.records import TransitionRecord

# A million of these come and go in a short time, so the garbage collector isn't to look at them.


class PastFailure(Struct, frozen=True, gc=False):
    """A failed attempt, or the refusal of a command of which no attempt failed with this code."""

    at: float
    code: str
    circumstance: str


class PastCommand(Struct, frozen=True, gc=False):
    """A command and how it ended; `place` is its place in the order of acceptance."""

    place: int
    agent_id: str
    agent: str
    operation: str
    state: str
    accepted_at: float
    duration_seconds: float
    failures: Sequence[PastFailure] = ()


class Absence(NamedTuple):
    """From when to when an agent had no session; without an end it still has none."""

    agent_id: str
    begin: datetime
    end: datetime | None


class AbsenceStore(Protocol):
    """When agents had no session."""

    async def add_absences(self, records: Sequence[Absence]) -> None:
        """Keep absences that go on, of agents of which none is kept that does."""

    async def end_absences(self, agent_ids: Sequence[str], at: datetime) -> None:
        """End those of these agents that go on."""

    async def absences(
        self, since: datetime, *, agent_id: str | None = None, limit: int = 1_000
    ) -> list[Absence]:
        """The newest first, none that ended before `since`."""


class HistoryStore(AbsenceStore, Protocol):
    """The past, for whoever counts. Each answer is small, so that others who read have their turn."""

    async def past_commands(
        self, *, agent_id: str | None = None, before: int | None = None, limit: int = 1_000
    ) -> list[PastCommand]:
        """The newest first; `before` is the place to go on from."""

    async def past_transitions(
        self, since: datetime, *, agent_id: str | None = None, limit: int = 1_000
    ) -> list[TransitionRecord]:
        """The newest first, none from before `since`."""
