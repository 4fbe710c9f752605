"""The guard of one agent: its circuits and its bulkhead, made when they are needed and dropped when they are clean.

Absence means health: an agent without a guard has CLOSED circuits and nothing under way, so that ten thousand quiet
agents cost nothing and an id that nobody knows leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic

from msgspec import Struct

from seawall.core.breaker import Breaker, BreakerSettings, CircuitState, Permit, Rejection, Transition
from seawall.core.bulkhead import PLANE_LIMITS, Bulkhead, BulkheadLimits, Waiter, host_limits, new_bulkhead
from seawall.core.circuit import Pass, Refused
from seawall.core.circuits import Circuits
from seawall.core.command import Command, Domain, Outcome
from seawall.core.errors import CircuitVerdict, verdict
from seawall.core.events import CircuitChanged
from seawall.core.retry import Dice

__all__ = ["Guard", "Guards", "Pass", "Refused"]

# The hot path's: a member costs a look-up.
_AGENT, _DOCKER, _REGISTRY = Domain.AGENT, Domain.DOCKER, Domain.REGISTRY
_CLOSED, _FAILURE = CircuitState.CLOSED, CircuitVerdict.FAILURE


class Guard(Struct, Generic[Waiter], eq=False):
    """Circuits by failure domain, and a bulkhead. Changes of circuits come back as events.

    A `quiet` guard has no breakers: nothing is refused and nothing wakes.
    """

    agent_id: str
    bulkhead: Bulkhead[Waiter]
    _circuits: Circuits
    quiet: bool = True
    _agent: Breaker | None = None
    _docker: Breaker | None = None
    _registry: Breaker | None = None

    @property
    def breakers(self) -> list[tuple[Domain, Breaker]]:
        """The breakers that exist; a domain without one is CLOSED."""
        all_three = ((_AGENT, self._agent), (_DOCKER, self._docker), (_REGISTRY, self._registry))
        return [(domain, breaker) for domain, breaker in all_three if breaker is not None]

    @property
    def closed(self) -> bool:
        """Whether every circuit is CLOSED, so that none refuses and none has to wake."""
        agent, docker, registry = self._agent, self._docker, self._registry
        return (
            (agent is None or agent.state is _CLOSED)
            and (docker is None or docker.state is _CLOSED)
            and (registry is None or registry.state is _CLOSED)
        )

    def refusal(self, command: Command, now: float) -> Refused | None:
        """Whether a circuit that this command depends on is in its way; takes nothing."""
        for domain in command.domains:
            breaker = self._existing(domain)
            rejection = breaker.rejection(now) if breaker is not None else None
            if rejection is not None:
                return Refused(domain, rejection.retry_after_seconds)
        return None

    def acquire(self, command: Command, now: float, lease_seconds: float) -> Pass | Refused:
        """Take the permits of one attempt, all or none."""
        if self.quiet:
            return self._circuits.quiet_pass(command)
        refused = None if self.closed else self.refusal(command, now)
        if refused is not None:
            return refused
        agent = self._permit(self._agent, now, lease_seconds)
        if not command.touches_docker:
            return Pass(agent)
        docker = self._permit(self._docker, now, lease_seconds)
        return Pass(
            agent,
            docker,
            self._permit(self._registry, now, lease_seconds) if command.touches_registry else None,
        )

    def record(self, permits: Pass, outcome: Outcome, now: float, dice: Dice) -> Sequence[CircuitChanged]:
        """Take the permits back with what the attempt showed, while its slot in the bulkhead is still held."""
        bulkhead = self.bulkhead
        if bulkhead.limits.largest and not self._circuits.frozen:
            bulkhead.learn(outcome, now)
        if self.quiet and outcome.code is None:
            return ()
        ruling = verdict(outcome.code, outcome.circumstance)
        changes = self._record(_AGENT, self._agent, permits.agent, ruling.agent, now, dice)
        if permits.docker is not None:
            changes += self._record(_DOCKER, self._docker, permits.docker, ruling.docker, now, dice)
        if permits.registry is not None:
            changes += self._record(_REGISTRY, self._registry, permits.registry, ruling.registry, now, dice)
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
            breaker = self._circuits.new_breaker()
            self._set(domain, breaker)
        return breaker

    def clean(self, now: float) -> bool:
        """Whether dropping this guard loses nothing. Clean breakers are dropped on the way, once it is idle."""
        if self.bulkhead.in_flight:  # nobody waits while nothing is under way
            return False
        if self._agent is not None:
            self._drop_if_clean(_AGENT, self._agent, now)
        if self._docker is not None:
            self._drop_if_clean(_DOCKER, self._docker, now)
        if self._registry is not None:
            self._drop_if_clean(_REGISTRY, self._registry, now)
        return self.quiet and self.bulkhead.clean(now)

    def _drop_if_clean(self, domain: Domain, breaker: Breaker, now: float) -> None:
        # A breaker whose settings a program has changed stays: the settings would be lost with it.
        if breaker.settings is self._circuits.settings and breaker.clean(now):
            self._set(domain, None)
            self._circuits.note_drop()

    def _existing(self, domain: Domain) -> Breaker | None:
        return self._agent if domain is _AGENT else self._docker if domain is _DOCKER else self._registry

    def _set(self, domain: Domain, breaker: Breaker | None) -> None:
        if domain is _AGENT:
            self._agent = breaker
        elif domain is _DOCKER:
            self._docker = breaker
        else:
            self._registry = breaker
        self.quiet = self._agent is None and self._docker is None and self._registry is None

    def _permit(self, breaker: Breaker | None, now: float, lease_seconds: float) -> Permit:
        if breaker is None:
            return self._circuits.quiet_permit
        permit = breaker.acquire(now, lease_seconds)
        if isinstance(permit, Rejection):
            raise AssertionError("a circuit refused right after it had agreed")
        return permit

    def _record(
        self,
        domain: Domain,
        breaker: Breaker | None,
        permit: Permit,
        ruling: CircuitVerdict,
        now: float,
        dice: Dice,
    ) -> tuple[CircuitChanged, ...]:
        if ruling is _FAILURE and self._circuits.frozen:
            ruling = CircuitVerdict.NEUTRAL
        if breaker is None:
            if ruling is not _FAILURE or permit.generation < self._circuits.dropped:
                return ()
            breaker = self.breaker(domain)
        change = self._changed(domain, breaker.record(permit, ruling, now, dice), now)
        return () if change is None else (change,)

    def _changed(self, domain: Domain, change: Transition | None, now: float) -> CircuitChanged | None:
        if change is None:
            return None
        return CircuitChanged(
            now, self.agent_id, domain, change.origin, change.target, change.reason, change.by
        )


class Guards(Circuits, Generic[Waiter]):
    """All guards of a process, what their circuits share, and the bulkhead around all of them."""

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        limits: BulkheadLimits | None = None,
        plane: BulkheadLimits | None = PLANE_LIMITS,
    ) -> None:
        super().__init__(settings)
        self.limits = limits if limits is not None else host_limits()
        self.plane: Bulkhead[Waiter] | None = new_bulkhead(plane) if plane is not None else None
        """Bounds the attempts to all agents together; None if nothing does."""
        self._guards: dict[str, Guard[Waiter]] = {}

    def hold(self, settings: BreakerSettings, limits: BulkheadLimits) -> None:
        """Let new settings hold: at once for circuits, for the bulkheads that are made from now on."""
        # In place: every breaker of the fleet refers to this very object.
        for name in settings.__struct_fields__:
            setattr(self.settings, name, getattr(settings, name))
        self.limits = limits

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
            guard = self._guards[agent_id] = Guard(agent_id, new_bulkhead(self.limits), self)
        return guard

    def tidy(self, guard: Guard[Waiter], now: float) -> None:
        """Drop the guard if it is clean."""
        if guard.clean(now) and self._guards.get(guard.agent_id) is guard:
            del self._guards[guard.agent_id]

    def evict(self, agent_id: str) -> None:
        """The agent left the fleet: forget it. What is still under way to it ends in peace and tells nobody."""
        if self._guards.pop(agent_id, None) is not None:
            self.note_drop()
