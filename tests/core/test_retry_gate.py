"""The gate that a retry has to pass: its host's budget, the plane's, and what history says."""

from __future__ import annotations

from seawall.core.adaptive import RetryHistory
from seawall.core.budget import BudgetSettings
from seawall.core.command import Command, Outcome, SafetyClass, StoppedBy
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.retry_gate import GateSettings, RetryGate

READ = SafetyClass.SAFE_READ
LOST = Outcome(CommandErrorCode.AGENT_DISCONNECTED)
SILENT = Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.SILENT)


def command(agent_id: str = "a1", safety: SafetyClass = READ) -> Command:
    return Command("c-1", "container_list", agent_id, {}, safety)


def never_explores() -> float:
    return 0.999


def allowed(gate: RetryGate, agent_id: str = "a1", outcome: Outcome = LOST, now: float = 0.0) -> bool:
    return gate.refusal(command(agent_id), outcome, now, never_explores) is None


def test_a_host_without_retries_has_no_budget_to_keep() -> None:
    gate = RetryGate()
    gate.succeeded("a1", 0.0)
    assert len(gate) == 0
    assert (gate.tokens("a1", 0.0), gate.plane_tokens(0.0)) == (10.0, 100.0)


def test_each_host_has_a_budget_of_its_own() -> None:
    gate = RetryGate()
    assert sum(allowed(gate, "a1") for _ in range(50)) == 10
    assert gate.refusal(command("a1"), LOST, 0.0, never_explores) is StoppedBy.AGENT_BUDGET
    assert allowed(gate, "a2")


def test_the_plane_bounds_what_all_hosts_retry_together() -> None:
    gate = RetryGate(GateSettings(plane=BudgetSettings(capacity=15.0)))
    assert sum(allowed(gate, f"a{number}") for number in range(100)) == 15
    assert gate.refusal(command("a99"), LOST, 0.0, never_explores) is StoppedBy.PLANE_BUDGET


def test_a_host_does_not_pay_for_a_retry_that_the_plane_refuses() -> None:
    gate = RetryGate(GateSettings(plane=BudgetSettings(capacity=1.0)))
    assert allowed(gate, "a1")
    assert not allowed(gate, "a2")
    assert gate.tokens("a2", 0.0) == 10.0
    assert gate.tokens("a1", 0.0) == 9.0


def test_the_plane_does_not_pay_for_a_retry_that_the_host_can_not_afford() -> None:
    gate = RetryGate(GateSettings(agent=BudgetSettings(capacity=1.0)))
    assert allowed(gate)
    assert not allowed(gate)
    assert gate.plane_tokens(0.0) == 99.0


def test_a_success_pays_to_its_host_and_to_the_plane() -> None:
    gate = RetryGate()
    allowed(gate, outcome=SILENT)
    gate.succeeded("a1", 0.0)
    assert (gate.tokens("a1", 0.0), gate.plane_tokens(0.0)) == (8.2, 98.2)
    gate.succeeded("a2", 0.0)
    assert (gate.tokens("a1", 0.0), gate.plane_tokens(0.0)) == (8.2, 98.4)


def test_time_fills_both() -> None:
    gate = RetryGate()
    allowed(gate, outcome=SILENT)
    assert (gate.tokens("a1", 5.0), gate.plane_tokens(1.0)) == (8.5, 99.0)


def test_a_budget_is_dropped_when_it_is_full() -> None:
    gate = RetryGate()
    allowed(gate, "a1")
    allowed(gate, "a2")
    gate.tidy(9.0)
    assert len(gate) == 2
    gate.succeeded("a1", 9.0)
    assert len(gate) == 1
    gate.tidy(10.0)
    assert len(gate) == 0


def test_new_settings_hold_at_once_for_the_budgets_that_there_are() -> None:
    gate = RetryGate()
    gate.hold(GateSettings(agent=BudgetSettings(per_second=2.0)))
    assert allowed(gate, outcome=SILENT)
    gate.hold(GateSettings(BudgetSettings(per_second=0.5), BudgetSettings(capacity=100.0, per_second=0.25)))
    assert gate.settings.agent.per_second == 0.5
    assert (gate.tokens("a1", 2.0), gate.plane_tokens(4.0)) == (9.0, 99.0)
    assert gate.tokens("a2", 2.0) == 10.0


def history(retries: int, successes: int) -> RetryHistory:
    """Of so many retries of reads after a lost connection, the last `successes` of which succeeded."""
    told = RetryHistory()
    for number in range(retries):
        told.record(READ, LOST.code, succeeded=number >= retries - successes)  # type: ignore[arg-type]  # has a code
    return told


def worthless(told: RetryHistory, throw: float = 0.999) -> bool:
    return told.worthless(READ, CommandErrorCode.AGENT_DISCONNECTED, lambda: throw)


def test_nothing_is_concluded_from_nineteen_retries() -> None:
    assert not worthless(history(19, 0))
    assert worthless(history(20, 0))


def test_a_retry_that_nearly_never_helps_is_skipped_and_one_in_twenty_is_made_to_find_out() -> None:
    told = history(100, 0)
    assert worthless(told, 0.05)
    assert not worthless(told, 0.0499)


def test_a_retry_that_helps_in_one_case_of_twenty_is_made() -> None:
    told = history(40, 2)
    assert told.of(READ, CommandErrorCode.AGENT_DISCONNECTED).rate > 0.05
    assert not worthless(told)


def test_old_retries_count_half_after_fifty_more() -> None:
    told = RetryHistory()
    told.record(READ, CommandErrorCode.TIMEOUT, succeeded=True)
    for _ in range(50):
        told.record(READ, CommandErrorCode.TIMEOUT, succeeded=False)
    record = told.of(READ, CommandErrorCode.TIMEOUT)
    assert round(record.successes, 9) == 0.5
    assert record.seen == 51


def test_the_rate_is_the_share_of_those_that_succeeded() -> None:
    told = RetryHistory()
    for succeeded in (True, False, False, True):
        told.record(READ, CommandErrorCode.TIMEOUT, succeeded=succeeded)
    assert 0.49 < told.of(READ, CommandErrorCode.TIMEOUT).rate < 0.51


def test_a_host_that_recovers_is_believed_again() -> None:
    told = history(200, 0)
    assert worthless(told)
    for _ in range(6):
        told.record(READ, CommandErrorCode.AGENT_DISCONNECTED, succeeded=True)
    assert not worthless(told)


def test_what_is_known_about_one_kind_of_operation_and_code_says_nothing_about_another() -> None:
    told = history(100, 0)
    assert not told.worthless(SafetyClass.IDEMPOTENT, CommandErrorCode.AGENT_DISCONNECTED, never_explores)
    assert not told.worthless(READ, CommandErrorCode.TIMEOUT, never_explores)
    assert told.of(READ, CommandErrorCode.TIMEOUT).rate == 1.0


def test_the_gate_tells_history_how_its_retries_ended() -> None:
    gate = RetryGate()
    for _ in range(19):
        gate.retried(command(), LOST, succeeded=False)
    assert allowed(gate)
    gate.retried(command(), LOST, succeeded=False)
    assert gate.refusal(command(), LOST, 0.0, never_explores) is StoppedBy.HISTORY
    assert gate.refusal(command(), SILENT, 0.0, never_explores) is None


def test_a_retry_that_history_refuses_costs_nothing() -> None:
    gate = RetryGate()
    for _ in range(20):
        gate.retried(command(), LOST, succeeded=False)
    assert not allowed(gate)
    assert (len(gate), gate.plane_tokens(0.0)) == (0, 100.0)


def test_a_success_is_no_retry_to_remember() -> None:
    gate = RetryGate()
    gate.retried(command(), Outcome(), succeeded=True)
    assert all(gate.history.of(READ, code).seen == 0 for code in CommandErrorCode)
