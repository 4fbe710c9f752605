"""What happened in a run, counted while it happens."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from seawall.core.breaker import CircuitState
from seawall.core.command import CommandResult
from seawall.core.events import CircuitChanged


class Life(Struct):
    """One command as its caller saw it: when it was asked for and how it ended. `result=None` while it is open."""

    host: str
    asked_at: float
    ended_at: float = 0.0
    attempts: int = 0
    result: CommandResult | None = None
    lost: bool = False
    """Whether its plane forgot it."""

    @property
    def succeeded(self) -> bool:
        """Whether it is known to have succeeded."""
        return self.result is not None and self.result.success


class Tally(Struct):
    """All commands, the time of every attempt, every change of a circuit."""

    lives: list[Life] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    circuits: list[CircuitChanged] = field(default_factory=list)
    probes: int = 0
    most_probes: int = 0
    """The most probes under way at once in one circuit."""
    repeated_effects: int = 0
    """How often a command had its effect once more."""
    unmatched: int = 0
    """Answers that came too late or once too often."""
    _probing: Counter[tuple[str, str]] = field(default_factory=Counter)

    def probe_started(self, host: str, domain: str) -> None:
        """A probe is sent."""
        self.probes += 1
        self._probing[host, domain] += 1
        self.most_probes = max(self.most_probes, self._probing[host, domain])

    def probe_ended(self, host: str, domain: str) -> None:
        """A probe's permit came back."""
        self._probing[host, domain] -= 1

    def opened(self) -> set[str]:
        """The hosts of which a circuit has opened."""
        return {change.agent_id for change in self.circuits if change.target is CircuitState.OPEN}
