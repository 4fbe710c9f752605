"""Whether it is the plane itself that is sick: when much fails at once, the common cause is likelier on this side.

A network that breaks between the controller and its hosts looks like a hundred dead hosts. Opening a hundred
circuits, repairing a hundred hosts and sending a hundred alerts would add to the damage and hide the cause. So when a
good part of the agents that were spoken with lately fails at once, failures stop counting until it is over, and one
event says so.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from msgspec import Struct


class SuspicionSettings(Struct, frozen=True):
    """Mass failure is when at least `fewest_agents` and `share` of those heard of in `window_seconds` have failed last.

    It is over when fewer than half of that share do, for `calm_seconds`.
    """

    window_seconds: float = 10.0
    fewest_agents: int = 5
    share: float = 0.3
    calm_seconds: float = 5.0


class Change(Enum):
    """What an observation has changed."""

    BEGAN = "began"
    ENDED = "ended"


class Suspicion:
    """Watches the latest outcome of each agent. Time is monotonic seconds, given by the caller."""

    def __init__(self, settings: SuspicionSettings | None = None) -> None:
        self.settings = settings if settings is not None else SuspicionSettings()
        self.since: float | None = None
        """Since when there is a mass failure; None if there is none."""
        self._latest: dict[str, tuple[float, bool]] = {}
        self._order: deque[tuple[float, str]] = deque()
        self._failing = 0
        self._calm_since: float | None = None

    @property
    def agents(self) -> int:
        """How many agents were heard of lately."""
        return len(self._latest)

    @property
    def failing(self) -> int:
        """How many of them failed last."""
        return self._failing

    def observe(self, agent_id: str, now: float, *, failed: bool) -> Change | None:
        """An attempt at this agent has ended; `failed` is one that its circuit would count."""
        before = self._latest.pop(agent_id, None)
        if before is not None:
            self._failing -= before[1]
        self._latest[agent_id] = (now, failed)
        self._failing += failed
        self._order.append((now, agent_id))
        return self.look(now)

    def look(self, now: float) -> Change | None:
        """Forget what is old, and say whether that changes anything."""
        self._forget(now - self.settings.window_seconds)
        if self.since is None:
            if self._failing < max(self.settings.fewest_agents, self.settings.share * len(self._latest)):
                return None
            self.since, self._calm_since = now, None
            return Change.BEGAN
        if self._failing >= self.settings.share / 2 * len(self._latest) and self._failing:
            self._calm_since = None
            return None
        if self._calm_since is None:
            self._calm_since = now
        if now - self._calm_since < self.settings.calm_seconds:
            return None
        self.since = self._calm_since = None
        return Change.ENDED

    def _forget(self, before: float) -> None:
        while self._order and self._order[0][0] < before:
            at, agent_id = self._order.popleft()
            latest = self._latest.get(agent_id)
            if latest is not None and latest[0] == at:
                del self._latest[agent_id]
                self._failing -= latest[1]
