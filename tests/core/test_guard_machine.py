"""Two agents' circuits and bulkheads, and everything that can happen to them, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seawall.core.breaker import BreakerSettings, CircuitState, Permit
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.command import Command, Domain, Lane, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CircuitChanged
from seawall.core.guard import Guard, Guards, Pass, Refused

AGENTS = ("a1", "a2")
LEASE_SECONDS = 35.0
LIMITS = BulkheadLimits(3, 4, reserved=1, bulk=1, smallest=1, largest=6)
CANCELLED = Outcome(CommandErrorCode.CANCELLED, circumstance=Circumstance.HEARD)
OUTCOMES = [
    Outcome(),
    Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.SILENT),
    Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.HEARD),
    Outcome(CommandErrorCode.AGENT_DISCONNECTED),
    Outcome(CommandErrorCode.AGENT_DISCONNECTED, circumstance=Circumstance.SAME_DISCONNECT),
    Outcome(CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.DOCKER_UNREACHABLE),
    Outcome(CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.REGISTRY_UNREACHABLE),
    Outcome(CommandErrorCode.PERMISSION_DENIED),
]
agents = st.sampled_from(AGENTS)
commands = st.sampled_from(
    [
        Command("1", "ping", "", {}, lane=Lane.CONTROL),
        Command("2", "container_list", "", {}, touches_docker=True),
        Command("3", "image_pull", "", {}, touches_docker=True, touches_registry=True, lane=Lane.BULK),
    ]
)


@dataclass(eq=False)
class Call:
    """A command on its way: in its agent's queue, or under way with its permits."""

    guard: Guard[Call]
    command: Command
    permits: Pass | None = None
    lease_until: float = 0.0


class EveryAgent(RuleBasedStateMachine):
    @initialize(shadow=st.booleans())
    def begin(self, shadow: bool) -> None:
        self.now = 1000.0
        self.wall = datetime(2030, 1, 1, tzinfo=UTC)
        settings = BreakerSettings(failure_threshold=2, shadow=shadow)
        self.guards: Guards[Call] = Guards(settings, LIMITS)
        self.waiting: list[Call] = []
        self.running: list[Call] = []

    @rule(agent=agents, command=commands)
    def send(self, agent: str, command: Command) -> None:
        guard = self.guards.of(agent)
        self.told(guard.wake(self.now))
        call = Call(guard, command)
        refused = guard.refusal(command, self.now)
        if refused is not None:
            assert refused.domain in command.domains
            assert refused.retry_after_seconds >= 0
            assert not self.guards.settings.shadow or dict(guard.breakers)[refused.domain].forced
        elif guard.bulkhead.enter(command.lane):
            self.start(call)
        elif guard.bulkhead.queue(call, command.lane):
            self.waiting.append(call)
        self.guards.tidy(guard, self.now)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES))
    def finish(self, data: st.DataObject, outcome: Outcome) -> None:
        self.end(data.draw(st.sampled_from(self.running)), outcome)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def cancel_what_runs(self, data: st.DataObject) -> None:
        assert self.end(data.draw(st.sampled_from(self.running)), CANCELLED) == []

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel_what_waits(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.waiting))
        assert call.guard.bulkhead.abandon(call, call.command.lane)
        self.waiting.remove(call)
        self.guards.tidy(call.guard, self.now)

    @rule(agent=agents)
    def evict(self, agent: str) -> None:
        self.guards.evict(agent)
        assert self.guards.get(agent) is None

    @rule(agent=agents, domain=st.sampled_from(Domain))
    def reconnect_or_ping(self, agent: str, domain: Domain) -> None:
        guard = self.guards.get(agent)
        if guard is not None:
            breaker = dict(guard.breakers).get(domain)
            probes = breaker is not None and breaker.state is CircuitState.OPEN and not breaker.forced
            assert len(self.told(guard.heard(domain, self.now, "heard"))) == probes

    @rule(agent=agents, domain=st.sampled_from(Domain), state=st.sampled_from(["open", "closed"]))
    def operator_holds(self, agent: str, domain: Domain, state: str) -> None:
        breaker = self.guards.of(agent).breaker(domain)
        transition = breaker.force(CircuitState(state), self.now, "an order", "ada")
        assert (breaker.state.value, breaker.forced, transition.by) == (state, True, "ada")

    @rule(agent=agents, domain=st.sampled_from(Domain))
    def operator_resets(self, agent: str, domain: Domain) -> None:
        guard = self.guards.get(agent)
        if guard is not None and domain in dict(guard.breakers):
            guard.breaker(domain).reset(self.now, "an order", "ada")
            self.guards.tidy(guard, self.now)

    @rule(frozen=st.booleans())
    def suspect_ourselves(self, frozen: bool) -> None:
        if frozen:
            self.guards.freeze("many agents fail at once")
        else:
            self.guards.thaw()

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 31.0, 40.0, 61.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.wall += timedelta(seconds=seconds)

    @rule(hours=st.integers(-24, 24))
    def the_wall_clock_jumps(self, hours: int) -> None:
        before = self.shown()
        self.wall += timedelta(hours=hours)
        for guard in self.guards:
            self.told(guard.wake(self.now))
        due = any(state == "open" and not forced and self.now >= at for _, _, state, forced, at in before)
        assert due or self.shown() == before

    def start(self, call: Call) -> None:
        """As the engine does with a slot in hand."""
        permits = call.guard.acquire(call.command, self.now, LEASE_SECONDS)
        if isinstance(permits, Refused):
            self.leave(call)
            return
        assert (permits.docker is not None) == call.command.touches_docker
        assert (permits.registry is not None) == call.command.touches_registry
        call.permits, call.lease_until = permits, self.now + LEASE_SECONDS
        self.running.append(call)

    def end(self, call: Call, outcome: Outcome) -> list[CircuitChanged]:
        assert call.permits is not None
        changes = self.told(call.guard.record(call.permits, outcome, self.now, lambda: 0.5))
        self.running.remove(call)
        self.leave(call)
        self.guards.tidy(call.guard, self.now)
        return changes

    def leave(self, call: Call) -> None:
        bulkhead = call.guard.bulkhead
        if not bulkhead.leave(call.command.lane):
            return
        while (given := bulkhead.admit()) is not None:
            next_call, lane = given
            assert next_call.command.lane is lane
            self.waiting.remove(next_call)
            self.start(next_call)

    def told(self, changes: object) -> list[CircuitChanged]:
        assert isinstance(changes, list | tuple)
        for change in changes:
            assert change.origin is not change.target
            if change.target is CircuitState.OPEN:
                assert not self.guards.frozen, "a circuit opened while frozen"
        return list(changes)

    def shown(self) -> list[tuple[str, Domain, str, bool, float]]:
        return [
            (guard.agent_id, domain, breaker.state.value, breaker.forced, breaker.admits_at)
            for guard in self.guards
            for domain, breaker in guard.breakers
        ]

    @invariant()
    def slots_and_places_in_queues_are_held_by_those_who_are_there(self) -> None:
        guards = {id(call.guard): call.guard for call in (*self.running, *self.waiting)}
        guards |= {id(guard): guard for guard in self.guards}
        for guard in guards.values():
            assert guard.bulkhead.in_flight == sum(call.guard is guard for call in self.running)
            assert guard.bulkhead.waiting == sum(call.guard is guard for call in self.waiting)
            assert guard.bulkhead.in_flight > 0 or guard.bulkhead.waiting == 0, "waiting for nobody"

    @invariant()
    def each_circuit_has_one_live_probe_at_most(self) -> None:
        for guard in self.guards:
            for domain, breaker in guard.breakers:
                probing = [
                    call
                    for call in self.running
                    if call.guard is guard
                    and (permit := permit_for(call, domain)) is not None
                    and permit.probe
                    and permit.generation == breaker.generation
                ]
                assert len(probing) <= 1
                leased = breaker.state is CircuitState.HALF_OPEN and breaker.admits_at > self.now
                assert not leased or probing, "the place of a probe has leaked"

    @invariant()
    def what_is_clean_is_not_kept_and_what_is_kept_is_bounded(self) -> None:
        assert {guard.agent_id for guard in self.guards} <= set(AGENTS)
        for guard in self.guards:
            assert 1 <= guard.bulkhead.limit <= LIMITS.largest
            assert guard.quiet == (not guard.breakers)

    def teardown(self) -> None:
        if not hasattr(self, "guards"):
            return
        while self.running:
            self.end(self.running[0], CANCELLED)
        assert self.waiting == []
        for guard in self.guards:
            for _, breaker in guard.breakers:
                breaker.reset(self.now, "over")
            self.guards.tidy(guard, self.now + 3600.0)
        assert len(self.guards) == 0, "something stays behind for ever"


def permit_for(call: Call, domain: Domain) -> Permit | None:
    permits = call.permits
    assert permits is not None
    return {Domain.AGENT: permits.agent, Domain.DOCKER: permits.docker, Domain.REGISTRY: permits.registry}[
        domain
    ]


TestEveryAgent = EveryAgent.TestCase
TestEveryAgent.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
