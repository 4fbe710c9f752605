"""The guard of one agent: its circuits and its bulkhead, made when they are needed and dropped when they are clean.

Absence means health: an agent without a guard has CLOSED circuits and nothing under way, so that ten thousand quiet
agents cost nothing and an id that nobody knows leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic

from msgspec import Struct

from seawall.core.breaker import Breaker, BreakerSettings, CircuitState, Permit, Rejection, Transition
from seawall.core.bulkhead import Bulkhead, BulkheadLimits, Waiter
from seawall.core.command import Command, Domain, Outcome
from seawall.core.errors import CircuitVerdict, verdict
from seawall.core.events import CircuitChanged
from seawall.core.retry import Dice


class Pass(Struct, frozen=True):
    """The permits of one attempt; `docker` is None for an operation that doesn't touch Docker."""

    agent: Permit
    docker: Permit | None


class Refused(Struct, frozen=True):
    """A circuit that lets nothing through now, and for how long."""

    domain: Domain
    retry_after_seconds: float


class Guard(Struct, Generic[Waiter], eq=False):
    """Circuits by failure domain, and a bulkhead. Changes of circuits come back as events.

    A `quiet` guard has no breakers: nothing is refused and nothing wakes.
    """

    agent_id: str
    bulkhead: Bulkhead[Waiter]
    _guards: Guards[Waiter]
    quiet: bool = True
    _agent: Breaker | None = None
    _docker: Breaker | None = None

    @property
    def breakers(self) -> list[tuple[Domain, Breaker]]:
        """The breakers that exist; a domain without one is CLOSED."""
        both = ((Domain.AGENT, self._agent), (Domain.DOCKER, self._docker))
        return [(domain, breaker) for domain, breaker in both if breaker is not None]

    @property
    def closed(self) -> bool:
        """Whether every circuit is CLOSED, so that none refuses and none has to wake."""
        agent, docker = self._agent, self._docker
        return (agent is None or agent.state is CircuitState.CLOSED) and (
            docker is None or docker.state is CircuitState.CLOSED
        )

    def refusal(self, command: Command, now: float) -> Refused | None:
        """Whether a circuit that this command depends on is in its way; takes nothing."""
        agent, docker = self._agent, self._docker
        if agent is not None:
            rejection = agent.rejection(now)
            if rejection is not None:
                return Refused(Domain.AGENT, rejection.retry_after_seconds)
        if docker is not None and command.touches_docker:
            rejection = docker.rejection(now)
            if rejection is not None:
                return Refused(Domain.DOCKER, rejection.retry_after_seconds)
        return None

    def acquire(self, command: Command, now: float, lease_seconds: float) -> Pass | Refused:
        """Take the permits of one attempt, all or none."""
        if self.quiet:
            return self._guards.quiet_pass(command)
        refused = None if self.closed else self.refusal(command, now)
        if refused is not None:
            return refused
        agent = self._permit(self._agent, now, lease_seconds)
        return Pass(agent, self._permit(self._docker, now, lease_seconds) if command.touches_docker else None)

    def record(self, permits: Pass, outcome: Outcome, now: float, dice: Dice) -> Sequence[CircuitChanged]:
        """Take the permits back with what the attempt showed."""
        if self.quiet and outcome.code is None:
            return ()
        ruling = verdict(outcome.code, outcome.circumstance)
        change = self._record(Domain.AGENT, permits.agent, ruling.agent, now, dice)
        changes = () if change is None else (change,)
        if permits.docker is not None:
            change = self._record(Domain.DOCKER, permits.docker, ruling.docker, now, dice)
            changes = changes if change is None else (*changes, change)
        return changes

    def wake(self, now: float) -> Sequence[CircuitChanged]:
        """Let open circuits whose time is over become half-open."""
        if self.closed:
            return ()
        changes = [self._changed(domain, breaker.wake(now), now) for domain, breaker in self.breakers]
        return [change for change in changes if change is not None]

    def heard(self, domain: Domain, now: float, reason: str) -> list[CircuitChanged]:
        """The agent, or its Docker Engine, was heard: an open circuit may probe at once."""
        breaker = self._existing(domain)
        change = self._changed(domain, breaker.heard(now, reason), now) if breaker is not None else None
        return [] if change is None else [change]

    def breaker(self, domain: Domain) -> Breaker:
        """The domain's breaker, made if it is missing."""
        breaker = self._existing(domain)
        if breaker is None:
            breaker = self._guards.new_breaker()
            self._set(domain, breaker)
        return breaker

    def clean(self, now: float) -> bool:
        """Whether dropping this guard loses nothing. Clean breakers are dropped on the way, once it is idle."""
        if self.bulkhead.in_flight:  # nobody waits while nothing is under way
            return False
        if self._agent is not None:
            self._drop_if_clean(Domain.AGENT, self._agent, now)
        if self._docker is not None:
            self._drop_if_clean(Domain.DOCKER, self._docker, now)
        return self.quiet

    def _drop_if_clean(self, domain: Domain, breaker: Breaker, now: float) -> None:
        # A breaker whose settings a program has changed stays: the settings would be lost with it.
        if breaker.settings is self._guards.settings and breaker.clean(now):
            self._set(domain, None)
            self._guards.note_drop()

    def _existing(self, domain: Domain) -> Breaker | None:
        return self._agent if domain is Domain.AGENT else self._docker

    def _set(self, domain: Domain, breaker: Breaker | None) -> None:
        if domain is Domain.AGENT:
            self._agent = breaker
        else:
            self._docker = breaker
        self.quiet = self._agent is None and self._docker is None

    def _permit(self, breaker: Breaker | None, now: float, lease_seconds: float) -> Permit:
        if breaker is None:
            return self._guards.quiet_permit
        permit = breaker.acquire(now, lease_seconds)
        if isinstance(permit, Rejection):
            raise AssertionError("a circuit refused right after it had agreed")
        return permit

    def _record(
        self, domain: Domain, permit: Permit, ruling: CircuitVerdict, now: float, dice: Dice
    ) -> CircuitChanged | None:
        breaker = self._agent if domain is Domain.AGENT else self._docker
        if breaker is None:
            if ruling is not CircuitVerdict.FAILURE or permit.generation < self._guards.dropped:
                return None
            breaker = self.breaker(domain)
        transition = breaker.record(permit, ruling, now, dice)
        return None if transition is None else self._changed(domain, transition, now)

    def _changed(self, domain: Domain, transition: Transition | None, now: float) -> CircuitChanged | None:
        if transition is None:
            return None
        return CircuitChanged(
            now, self.agent_id, domain, transition.origin, transition.target, transition.reason
        )


class Guards(Generic[Waiter]):
    """All guards of a process, and the one generation counter they share."""

    def __init__(self, settings: BreakerSettings | None = None, limits: BulkheadLimits | None = None) -> None:
        self.settings = settings if settings is not None else BreakerSettings()
        self.limits = limits if limits is not None else BulkheadLimits()
        self.generation = 0
        self.dropped = 0
        """The generation of the latest drop: a permit older than that can't tell a new breaker anything."""
        self.quiet_permit = Permit(0)
        self._next = self.next_generation  # bound once: a fleet's breakers share it
        self._guards: dict[str, Guard[Waiter]] = {}
        self._prepare_quiet_passes()

    def __iter__(self) -> Iterator[Guard[Waiter]]:
        return iter(list(self._guards.values()))

    def __len__(self) -> int:
        return len(self._guards)

    def get(self, agent_id: str) -> Guard[Waiter] | None:
        """The agent's guard, if it has anything to say."""
        return self._guards.get(agent_id)

    def of(self, agent_id: str) -> Guard[Waiter]:
        """The agent's guard, made if it is missing."""
        guard = self._guards.get(agent_id)
        if guard is None:
            guard = self._guards[agent_id] = Guard(agent_id, Bulkhead(self.limits), self)
        return guard

    def tidy(self, guard: Guard[Waiter], now: float) -> None:
        """Drop the guard if it is clean."""
        if guard.clean(now) and self._guards.get(guard.agent_id) is guard:
            del self._guards[guard.agent_id]

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
        return self._quiet_with_docker if command.touches_docker else self._quiet

    def _prepare_quiet_passes(self) -> None:
        self.quiet_permit = Permit(self.generation)
        self._quiet = Pass(self.quiet_permit, None)
        self._quiet_with_docker = Pass(self.quiet_permit, self.quiet_permit)
