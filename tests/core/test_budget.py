"""The retry budget: what retries cost, and that no interval sees more of them than it paid for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.budget import BudgetSettings, RetryBudget, new_budget, retry_cost
from seawall.core.command import Command, Outcome, SafetyClass
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.retry_gate import GateSettings, RetryGate

HAIR = 1e-6


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("code", "circumstance", "cost"),
    [
        (CommandErrorCode.NETWORK_ERROR, Circumstance.NOT_SENT, 0.5),
        (CommandErrorCode.TIMEOUT, Circumstance.NOT_SENT, 0.5),
        (CommandErrorCode.NETWORK_ERROR, Circumstance.NONE, 1.0),
        (CommandErrorCode.AGENT_DISCONNECTED, Circumstance.NONE, 1.0),
        (CommandErrorCode.UNKNOWN_ERROR, Circumstance.NONE, 1.0),
        (CommandErrorCode.TIMEOUT, Circumstance.SILENT, 2.0),
        (CommandErrorCode.TIMEOUT, Circumstance.HEARD, 2.0),
    ],
)
def test_a_retry_costs_more_the_worse_the_host_is(
    code: CommandErrorCode, circumstance: Circumstance, cost: float
) -> None:
    assert retry_cost(Outcome(code, circumstance=circumstance)) == cost


def empty(now: float = 0.0) -> RetryBudget:
    budget = new_budget(BudgetSettings(), now)
    assert budget.spend(10.0, now)
    return budget


def test_a_new_budget_is_full_and_pays_for_ten_lost_connections() -> None:
    budget = new_budget(BudgetSettings(), 0.0)
    assert budget.full(0.0)
    assert [budget.spend(1.0, 0.0) for _ in range(11)] == [True] * 10 + [False]


def test_what_can_not_be_paid_costs_nothing() -> None:
    budget = empty()
    budget.earn()
    assert not budget.spend(0.5, 0.0)
    assert budget.tokens == 0.2


def test_the_last_tokens_can_be_spent() -> None:
    budget = new_budget(BudgetSettings(), 0.0)
    assert budget.spend(8.0, 0.0)
    assert budget.spend(2.0, 0.0)


def test_five_successes_pay_for_a_retry() -> None:
    budget = empty()
    for _ in range(5):
        budget.earn()
    assert budget.tokens == pytest.approx(1.0)


def test_ten_seconds_pay_for_a_retry() -> None:
    budget = empty(now=5.0)
    assert not budget.spend(1.0, 14.9)
    assert budget.spend(1.0, 15.0)


def test_the_same_seconds_pay_only_once() -> None:
    budget = empty()
    assert budget.spend(1.0, 10.0)
    assert not budget.spend(1.0, 10.0)
    assert not budget.spend(1.0, 19.9)
    assert budget.spend(1.0, 20.0)


def test_a_full_budget_gets_no_fuller() -> None:
    budget = empty()
    assert not budget.full(99.0)
    assert budget.full(100.0)
    budget.earn()
    assert budget.tokens == 10.0
    budget.refund(5.0)
    assert budget.tokens == 10.0


def test_a_refund_undoes_a_payment() -> None:
    budget = new_budget(BudgetSettings(), 0.0)
    budget.spend(2.0, 0.0)
    budget.refund(2.0)
    assert budget.tokens == 10.0


def test_time_that_seems_to_go_back_pays_nothing() -> None:
    budget = empty(now=100.0)
    assert not budget.full(50.0)
    assert (budget.tokens, budget.at) == (0.0, 100.0)


class Paid:
    """What happened on a plane, so that any interval of it can be checked."""

    def __init__(self, agent: BudgetSettings, plane: BudgetSettings) -> None:
        self.settings = {"agent": agent, "plane": plane}
        self.spent: list[tuple[float, str, float]] = []
        self.earned: list[tuple[float, str]] = []

    def check(self) -> None:
        agents = {agent for _, agent, _ in self.spent}
        for agent in agents:
            self._check_intervals(self.settings["agent"], {agent})
        self._check_intervals(self.settings["plane"], agents | {agent for _, agent in self.earned})

    def _check_intervals(self, settings: BudgetSettings, agents: set[str]) -> None:
        costs = [(at, cost) for at, agent, cost in self.spent if agent in agents]
        moments = [at for at, agent in self.earned if agent in agents]
        for first, (start, _) in enumerate(costs):
            total = 0.0
            for end, cost in costs[first:]:
                total += cost
                successes = sum(start <= at <= end for at in moments)
                paid = (
                    settings.capacity + settings.per_success * successes + settings.per_second * (end - start)
                )
                assert total <= paid + HAIR, f"from {start} to {end} retries for {total} out of {paid}"


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.0, 60.0]),
        st.sampled_from(["a1", "a2", "a3"]),
        st.sampled_from(
            [
                Outcome(),
                Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.SILENT),
                Outcome(CommandErrorCode.NETWORK_ERROR, circumstance=Circumstance.NOT_SENT),
                Outcome(CommandErrorCode.AGENT_DISCONNECTED),
            ]
        ),
        st.booleans(),
    ),
    max_size=120,
)


@given(STEPS, st.sampled_from([10.0, 3.0]), st.sampled_from([100.0, 12.0]))
def test_in_no_interval_retries_cost_more_than_capacity_successes_and_time_have_paid(
    steps: list[tuple[float, str, Outcome, bool]], capacity: float, plane_capacity: float
) -> None:
    agent, plane = BudgetSettings(capacity), BudgetSettings(plane_capacity, per_second=1.0)
    gate, paid, now = RetryGate(GateSettings(agent, plane)), Paid(agent, plane), 1000.0
    for pause, agent_id, outcome, tidied in steps:
        now += pause
        command = Command("c", "list", agent_id, {}, SafetyClass.SAFE_READ)
        if outcome.code is None:
            gate.succeeded(agent_id, now)
            paid.earned.append((now, agent_id))
        elif gate.refusal(command, outcome, now, middle) is None:
            paid.spent.append((now, agent_id, retry_cost(outcome)))
        if tidied:
            gate.tidy(now)
    paid.check()
