"""What the circuits of a fleet share: their settings, one generation counter, and whether anything counts at all."""

from __future__ import annotations

from seawall.core.breaker import Breaker, BreakerSettings, Permit
from seawall.core.circuit import Pass
from seawall.core.command import Command


class Circuits:
    """Makes breakers, and the passes of those who have none."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self.settings = settings if settings is not None else BreakerSettings()
        self.frozen = ""
        """Why nothing that fails counts against anybody; "" if it does."""
        self.generation = 0
        self.dropped = 0
        """The generation of the latest drop: a permit older than that can't tell a new breaker anything."""
        self._next = self.next_generation  # bound once: a fleet's breakers share it
        self._prepare_quiet_passes()

    def freeze(self, reason: str) -> None:
        """Suspect ourselves: until `thaw` no circuit opens, and no limit shrinks, by what fails."""
        self.frozen = reason or "frozen"

    def thaw(self) -> None:
        """What fails counts again."""
        self.frozen = ""

    def next_generation(self) -> int:
        """See `breaker.NextGeneration`."""
        self.generation += 1
        self._prepare_quiet_passes()
        return self.generation

    def new_breaker(self) -> Breaker:
        """A CLOSED breaker that listens to every permit given since the latest drop."""
        return Breaker(self.settings, self._next, self.dropped)

    def note_drop(self) -> None:
        """A breaker went: what was permitted before this moment is history."""
        self.dropped = self.next_generation()

    def quiet_pass(self, command: Command) -> Pass:
        """The pass through a guard without breakers."""
        if command.touches_docker:
            return self._quiet_beyond if command.touches_registry else self._quiet_docker
        return self._quiet

    def _prepare_quiet_passes(self) -> None:
        permit = self.quiet_permit = Permit(self.generation)
        self._quiet = Pass(permit)
        self._quiet_docker = Pass(permit, permit)
        self._quiet_beyond = Pass(permit, permit, permit)
