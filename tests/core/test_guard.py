"""Guards: made when they are needed, dropped when they are clean; two circuits that don't mistake one for the other."""

from __future__ import annotations

import pytest

from seawall.core.breaker import BreakerSettings, CircuitState
from seawall.core.bulkhead import host_limits
from seawall.core.command import Command, Domain, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CircuitChanged
from seawall.core.guard import Guard, Guards, Pass, Refused

AGENT = "agent-1"
PING = Command("1", "ping", AGENT, {}, touches_docker=False)
LIST = Command("2", "container_list", AGENT, {}, touches_docker=True)
PULL = Command("3", "image_pull", AGENT, {}, touches_docker=True, touches_registry=True)
DONE = Outcome()
SILENT = Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.SILENT)
DOCKER_DOWN = Outcome(CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.DOCKER_UNREACHABLE)
NO_SUCH_CONTAINER = Outcome(CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.DOCKER_REFUSED)
REGISTRY_DOWN = Outcome(CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.REGISTRY_UNREACHABLE)
LOST = Outcome(CommandErrorCode.AGENT_DISCONNECTED)
LOST_WITH_IT = Outcome(CommandErrorCode.AGENT_DISCONNECTED, circumstance=Circumstance.SAME_DISCONNECT)


def middle() -> float:
    return 0.5


def attempt(
    guards: Guards[None], outcome: Outcome, command: Command = LIST, now: float = 0.0
) -> list[CircuitChanged]:
    """One attempt from its permit to its outcome, as the engine makes it."""
    guard = guards.of(command.agent_id)
    changes = list(guard.wake(now))
    permits = guard.acquire(command, now, 35.0)
    assert isinstance(permits, Pass)
    changes += guard.record(permits, outcome, now, middle)
    guards.tidy(guard, now)
    return changes


def state(guards: Guards[None], domain: Domain) -> CircuitState:
    guard = guards.get(AGENT)
    breaker = dict(guard.breakers).get(domain) if guard is not None else None
    return breaker.state if breaker is not None else CircuitState.CLOSED


def test_a_success_leaves_nothing_behind() -> None:
    guards: Guards[None] = Guards()
    attempt(guards, DONE)
    assert len(guards) == 0


def test_the_first_failure_makes_the_breaker_that_it_concerns() -> None:
    guards: Guards[None] = Guards()
    attempt(guards, SILENT)
    guard = guards.get(AGENT)
    assert guard is not None
    assert [domain for domain, _ in guard.breakers] == [Domain.AGENT]


def test_a_guard_is_dropped_when_its_failures_are_forgotten() -> None:
    guards: Guards[None] = Guards()
    attempt(guards, SILENT, now=0.0)
    assert len(guards) == 1
    attempt(guards, DONE, now=61.0)
    assert len(guards) == 0


def test_a_guard_with_something_under_way_stays() -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    assert guard.bulkhead.enter()
    guards.tidy(guard, 0.0)
    assert guards.get(AGENT) is guard
    guard.bulkhead.leave()
    guards.tidy(guard, 0.0)
    assert guards.get(AGENT) is None


def test_a_guard_that_was_replaced_does_not_drop_its_successor() -> None:
    guards: Guards[None] = Guards()
    former = guards.of(AGENT)
    guards.tidy(former, 0.0)
    successor = guards.of(AGENT)
    guards.tidy(former, 0.0)
    assert guards.get(AGENT) is successor


def test_a_breaker_with_settings_of_its_own_is_not_dropped() -> None:
    guards: Guards[None] = Guards()
    guards.of(AGENT).breaker(Domain.AGENT).settings = BreakerSettings(failure_threshold=9)
    attempt(guards, DONE)
    assert len(guards) == 1


def test_incident_27_a_thousand_bogus_ids_leave_no_breaker() -> None:
    guards: Guards[None] = Guards()
    absent = Outcome(CommandErrorCode.AGENT_NOT_CONNECTED, circumstance=Circumstance.NOT_SENT)
    for number in range(1000):
        attempt(guards, absent, Command("1", "ping", f"bogus-{number}", {}))
    assert len(guards) == 0


def test_incident_19_ten_thousand_answers_about_the_request_open_nothing() -> None:
    guards: Guards[None] = Guards()
    denied = Outcome(CommandErrorCode.PERMISSION_DENIED)
    for number in range(10_000):
        assert attempt(guards, denied if number % 2 else NO_SUCH_CONTAINER, now=number / 1000) == []
    assert len(guards) == 0


def test_one_disconnect_is_one_failure_however_many_were_pending() -> None:
    guards: Guards[None] = Guards()
    attempt(guards, LOST)
    for _ in range(63):
        attempt(guards, LOST_WITH_IT)
    guard = guards.get(AGENT)
    assert guard is not None
    assert guard.breaker(Domain.AGENT).window.failures == 1


def test_a_dead_docker_engine_opens_docker_and_leaves_the_agent_closed() -> None:
    guards: Guards[None] = Guards()
    changes = [change for _ in range(5) for change in attempt(guards, DOCKER_DOWN)]
    assert [(change.domain, change.target) for change in changes] == [(Domain.DOCKER, CircuitState.OPEN)]
    assert state(guards, Domain.AGENT) is CircuitState.CLOSED


def test_while_docker_is_open_what_does_not_touch_it_passes() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, DOCKER_DOWN)
    guard = guards.of(AGENT)
    assert guard.refusal(LIST, 1.0) == Refused(Domain.DOCKER, 29.0)
    assert guard.acquire(LIST, 1.0, 35.0) == Refused(Domain.DOCKER, 29.0)
    assert isinstance(guard.acquire(PING, 1.0, 35.0), Pass)


def test_a_silent_agent_opens_agent_and_leaves_docker_alone() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, SILENT)
    guard = guards.of(AGENT)
    assert state(guards, Domain.AGENT) is CircuitState.OPEN
    assert state(guards, Domain.DOCKER) is CircuitState.CLOSED
    assert guard.refusal(PING, 1.0) == Refused(Domain.AGENT, 29.0)


def test_a_registry_that_is_away_opens_its_own_circuit_and_hurts_nothing_else() -> None:
    guards: Guards[None] = Guards()
    changes = [change for _ in range(5) for change in attempt(guards, REGISTRY_DOWN, PULL)]
    assert [(change.domain, change.target) for change in changes] == [(Domain.REGISTRY, CircuitState.OPEN)]
    assert [domain for domain, _ in guards.of(AGENT).breakers] == [Domain.REGISTRY]
    guard = guards.of(AGENT)
    assert guard.refusal(PULL, 1.0) == guard.acquire(PULL, 1.0, 35.0) == Refused(Domain.REGISTRY, 29.0)
    assert isinstance(guard.acquire(LIST, 1.0, 35.0), Pass)
    assert isinstance(guard.acquire(PING, 1.0, 35.0), Pass)


def test_a_pull_that_succeeds_closes_the_circuit_of_the_registry() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, REGISTRY_DOWN, PULL)
    changes = [*attempt(guards, DONE, PULL, 31.0), *attempt(guards, DONE, PULL, 31.0)]
    assert [change.target for change in changes] == [CircuitState.HALF_OPEN, CircuitState.CLOSED]


def test_the_nearest_circuit_that_is_open_is_the_one_that_is_named() -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    for domain in (Domain.REGISTRY, Domain.DOCKER, Domain.AGENT):
        guard.breaker(domain).put(CircuitState.OPEN, 0.0)
        assert guard.refusal(PULL, 1.0) == Refused(domain, 29.0)
    assert [domain for domain, _ in guard.breakers] == list(Domain)


def test_all_three_circuits_are_dropped_when_they_are_clean() -> None:
    guards: Guards[None] = Guards()
    for outcome in (SILENT, DOCKER_DOWN, REGISTRY_DOWN):
        attempt(guards, outcome, PULL)
    assert len(guards.of(AGENT).breakers) == 3
    guards.tidy(guards.of(AGENT), 61.0)
    assert len(guards) == 0


@pytest.mark.parametrize(
    ("command", "permits"),
    [(PING, (True, False, False)), (LIST, (True, True, False)), (PULL, (True, True, True))],
)
@pytest.mark.parametrize("quiet", [True, False])
def test_an_attempt_has_a_permit_for_each_domain_that_it_depends_on(
    command: Command, permits: tuple[bool, ...], quiet: bool
) -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    if not quiet:
        guard.breaker(Domain.AGENT)
    given = guard.acquire(command, 0.0, 35.0)
    assert isinstance(given, Pass)
    assert tuple(permit is not None for permit in (given.agent, given.docker, given.registry)) == permits
    assert len(command.domains) == sum(permits)


def test_while_frozen_no_circuit_opens_and_no_breaker_is_made() -> None:
    guards: Guards[None] = Guards()
    guards.freeze("62 of 100 agents failed at once")
    assert guards.frozen == "62 of 100 agents failed at once"
    for outcome in (SILENT, DOCKER_DOWN, REGISTRY_DOWN) * 100:
        assert attempt(guards, outcome, PULL) == []
    assert len(guards) == 0


def test_a_freeze_without_a_reason_freezes_too() -> None:
    guards: Guards[None] = Guards()
    guards.freeze("")
    assert guards.frozen


def test_after_a_thaw_failures_count_from_none_on() -> None:
    guards: Guards[None] = Guards()
    guards.freeze("the loop lags")
    for _ in range(10):
        attempt(guards, SILENT)
    guards.thaw()
    for _ in range(4):
        assert attempt(guards, SILENT) == []
    assert [change.target for change in attempt(guards, SILENT)] == [CircuitState.OPEN]


def test_a_probe_that_fails_while_frozen_gives_its_place_back() -> None:
    guards: Guards[None] = Guards()
    guards.of(AGENT).breaker(Domain.AGENT).put(CircuitState.HALF_OPEN, 0.0)
    guards.freeze("the loop lags")
    for _ in range(3):
        assert attempt(guards, SILENT, PING) == []
    assert state(guards, Domain.AGENT) is CircuitState.HALF_OPEN


def test_while_frozen_a_circuit_may_still_recover() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, SILENT)
    guards.freeze("the loop lags")
    for _ in range(2):
        attempt(guards, DONE, now=40.0)
    assert state(guards, Domain.AGENT) is CircuitState.CLOSED


def test_timeouts_shrink_the_limit_of_a_host_unless_we_suspect_ourselves() -> None:
    guards: Guards[None] = Guards()
    guards.freeze("the loop lags")
    attempt(guards, SILENT)
    assert guards.of(AGENT).bulkhead.limit == 8
    guards.thaw()
    attempt(guards, SILENT)
    assert guards.of(AGENT).bulkhead.limit == 5


def test_successes_of_a_quiet_host_raise_its_limit() -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    for _ in range(8):
        assert guard.bulkhead.enter()
    for _ in range(9):
        attempt(guards, DONE)
    assert guard.quiet
    assert guard.bulkhead.limit == 9


def test_a_guard_that_has_learnt_a_limit_stays_for_a_minute() -> None:
    guards: Guards[None] = Guards()
    attempt(guards, Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.HEARD), now=0.0)
    guard = guards.get(AGENT)
    assert guard is not None
    assert guard.quiet
    guards.tidy(guard, 59.0)
    assert len(guards) == 1
    guards.tidy(guard, 60.0)
    assert len(guards) == 0


def test_a_plane_without_a_limit_has_no_bulkhead() -> None:
    guards: Guards[None] = Guards(plane=None)
    assert guards.plane is None


def test_an_operators_order_says_whose_it_is() -> None:
    breaker = Guards[None]().of(AGENT).breaker(Domain.AGENT)
    assert breaker.force(CircuitState.OPEN, 0.0, "maintenance", "ada").by == "ada"
    assert breaker.reset(0.0, "over", by="bob").by == "bob"


def test_a_circuit_in_shadow_changes_says_so_and_refuses_nothing() -> None:
    guards: Guards[None] = Guards(BreakerSettings(shadow=True))
    changes = [change for _ in range(5) for change in attempt(guards, SILENT)]
    (opened,) = changes
    assert opened.reason.endswith("(shadow: nothing is rejected)")
    assert guards.of(AGENT).refusal(LIST, 1.0) is None
    assert attempt(guards, SILENT, now=1.0) == []
    recovery = [change.target for _ in range(2) for change in attempt(guards, DONE, now=40.0)]
    assert recovery == [CircuitState.HALF_OPEN, CircuitState.CLOSED]


@pytest.mark.parametrize("domain", Domain)
def test_a_guard_is_closed_unless_one_of_its_circuits_is_not(domain: Domain) -> None:
    guard = Guards[None]().of(AGENT)
    assert guard.closed is True
    guard.breaker(domain)
    assert guard.closed is True
    guard.breaker(domain).put(CircuitState.OPEN, 0.0)
    assert guard.closed is False


def test_new_settings_hold_at_once_for_circuits_and_for_the_bulkheads_to_come() -> None:
    guards: Guards[None] = Guards()
    early = guards.of(AGENT)
    attempt(guards, SILENT)
    guards.hold(BreakerSettings(failure_threshold=2), host_limits(in_flight=3, queue=6))
    assert [change.target for change in attempt(guards, SILENT)] == [CircuitState.OPEN]
    assert early.bulkhead.limits.in_flight == 8
    assert guards.of("agent-2").bulkhead.limit == 3


def test_an_agent_that_left_the_fleet_is_forgotten_with_its_circuits() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, SILENT)
    guards.evict(AGENT)
    assert len(guards) == 0


def test_what_was_under_way_to_an_agent_that_left_tells_its_successor_nothing() -> None:
    guards: Guards[None] = Guards()
    former = guards.of(AGENT)
    late = former.acquire(PING, 0.0, 35.0)
    assert isinstance(late, Pass)
    guards.evict(AGENT)
    successor = guards.of(AGENT)
    assert list(successor.record(late, SILENT, 1.0, middle)) == []
    assert successor.breakers == []


def test_to_forget_who_is_not_there_makes_nothing_stale() -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    permits = guard.acquire(PING, 0.0, 35.0)
    assert isinstance(permits, Pass)
    guards.evict("agent-2")
    guard.record(permits, SILENT, 1.0, middle)
    assert guard.breaker(Domain.AGENT).window.failures == 1


def test_a_permit_given_after_a_breaker_was_dropped_counts() -> None:
    guards: Guards[None] = Guards()
    attempt(guards, SILENT, now=0.0)
    attempt(guards, DONE, now=61.0)
    assert len(guards) == 0
    attempt(guards, SILENT, now=62.0)
    assert guards.of(AGENT).breaker(Domain.AGENT).window.failures == 1


def test_permits_are_taken_all_or_none() -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    guard.breaker(Domain.AGENT).put(CircuitState.HALF_OPEN, 0.0)
    guard.breaker(Domain.DOCKER).put(CircuitState.OPEN, 0.0)
    assert isinstance(guard.acquire(LIST, 1.0, 35.0), Refused)
    assert isinstance(guard.acquire(PING, 1.0, 35.0), Pass), "the agent's probe was not given back"


def test_a_heard_domain_probes_and_the_other_does_not() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, DOCKER_DOWN)
    guard = guards.of(AGENT)
    assert list(guard.heard(Domain.AGENT, 1.0, "reconnected")) == []
    (change,) = guard.heard(Domain.DOCKER, 1.0, "Docker answered a ping")
    assert (change.agent_id, change.domain, change.target) == (AGENT, Domain.DOCKER, CircuitState.HALF_OPEN)
    assert change.reason == "Docker answered a ping"


def test_an_open_circuit_wakes_when_it_is_asked() -> None:
    guards: Guards[None] = Guards()
    for _ in range(5):
        attempt(guards, SILENT)
    changes = attempt(guards, DONE, now=40.0)
    assert [change.target for change in changes] == [CircuitState.HALF_OPEN]


def test_incident_22_a_permit_from_before_the_breaker_was_dropped_tells_its_successor_nothing() -> None:
    guards: Guards[None] = Guards()
    guard = guards.of(AGENT)
    late = guard.acquire(LIST, 0.0, 35.0)
    assert isinstance(late, Pass)
    attempt(guards, SILENT, now=0.0)
    attempt(guards, DONE, now=61.0)
    assert len(guards) == 0
    successor = guards.of(AGENT)
    assert list(successor.record(late, SILENT, 62.0, middle)) == []
    assert successor.breakers == []


def test_a_permit_from_before_the_breaker_was_made_counts() -> None:
    guards: Guards[None] = Guards()
    guard: Guard[None] = guards.of(AGENT)
    permits = [guard.acquire(PING, 0.0, 35.0) for _ in range(5)]
    for permit in permits:
        assert isinstance(permit, Pass)
        guard.record(permit, SILENT, 1.0, middle)
    assert state(guards, Domain.AGENT) is CircuitState.OPEN


@pytest.mark.parametrize("agents", [10_000])
def test_quiet_agents_cost_nothing(agents: int) -> None:
    guards: Guards[None] = Guards()
    for number in range(agents):
        attempt(guards, DONE, Command("1", "ping", f"agent-{number}", {}))
    assert len(guards) == 0
    assert list(guards) == []
