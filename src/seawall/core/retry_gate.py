"""Whether a retry that a policy allows is made: paid for by its host and by the plane, and worth it by history.

A budget exists only while it isn't full, and is dropped when it is: absence means that there is enough.
"""

from __future__ import annotations

from msgspec import Struct

from seawall.core.adaptive import RetryHistory
from seawall.core.budget import BudgetSettings, RetryBudget, new_budget, retry_cost
from seawall.core.command import Command, Outcome, StoppedBy
from seawall.core.retry import Dice


class GateSettings(Struct, frozen=True):
    """The budget of each agent, and that of the plane, which bounds what all of them retry together."""

    agent: BudgetSettings = BudgetSettings()
    plane: BudgetSettings = BudgetSettings(capacity=100.0, per_success=0.2, per_second=1.0)


class RetryGate:
    """All retry budgets of a plane, and its history."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings if settings is not None else GateSettings()
        self.history = RetryHistory()
        self._agents: dict[str, RetryBudget] = {}
        self._plane: RetryBudget | None = None

    def __len__(self) -> int:
        return len(self._agents)

    def hold(self, settings: GateSettings) -> None:
        """Let new settings hold at once; what is in the buckets stays, up to their new size."""
        self.settings = settings
        budgets = list(self._agents.values())
        for budget in budgets:
            budget.settings = settings.agent
        if self._plane is not None:
            self._plane.settings = settings.plane

    def refusal(self, command: Command, outcome: Outcome, now: float, dice: Dice) -> StoppedBy | None:
        """Why no retry may follow this outcome; None if one may, which is then paid for."""
        if outcome.code is not None and self.history.worthless(command.safety, outcome.code, dice):
            return StoppedBy.HISTORY
        cost = retry_cost(outcome)
        agent = self._agents.get(command.agent_id)
        if agent is None:
            agent = self._agents[command.agent_id] = new_budget(self.settings.agent, now)
        if self._plane is None:
            self._plane = new_budget(self.settings.plane, now)
        if not agent.spend(cost, now):
            return StoppedBy.AGENT_BUDGET
        if not self._plane.spend(cost, now):
            agent.refund(cost)
            return StoppedBy.PLANE_BUDGET
        return None

    def succeeded(self, agent_id: str, now: float) -> None:
        """A command to this agent succeeded."""
        agent = self._agents.get(agent_id)
        if agent is not None:
            agent.earn()
            if agent.full(now):
                del self._agents[agent_id]
        if self._plane is not None:
            self._plane.earn()

    def retried(self, command: Command, before: Outcome, *, succeeded: bool) -> None:
        """A retry after the outcome `before` has ended."""
        if before.code is not None:
            self.history.record(command.safety, before.code, succeeded=succeeded)

    def tokens(self, agent_id: str, now: float) -> float:
        """What is left for an agent's retries."""
        agent = self._agents.get(agent_id)
        if agent is None:
            return self.settings.agent.capacity
        agent.full(now)
        return agent.tokens

    def plane_tokens(self, now: float) -> float:
        """What is left for all retries."""
        if self._plane is None:
            return self.settings.plane.capacity
        self._plane.full(now)
        return self._plane.tokens

    def tidy(self, now: float) -> None:
        """Drop the budgets that are full."""
        for agent_id in [agent_id for agent_id, budget in self._agents.items() if budget.full(now)]:
            del self._agents[agent_id]
