"""Up to which sequence everything is over, for each agent: so far its ledger may forget."""

from __future__ import annotations

from msgspec import Struct, field


class _Agent(Struct, eq=False):
    last: int = 0
    unsettled: dict[int, None] = field(default_factory=dict)


class Watermarks:
    """The unsettled sequences of each agent. They open in ascending order, so the oldest is always the first."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}

    def open(self, agent_id: str, sequence: int) -> None:
        """A command was accepted, or found open at the start. 0 is no sequence."""
        if not sequence:
            return
        agent = self._agents.get(agent_id)
        if agent is None:
            agent = self._agents[agent_id] = _Agent()
        agent.unsettled[sequence] = None
        agent.last = max(agent.last, sequence)

    def settle(self, agent_id: str, sequence: int) -> None:
        """Its state is the last word, and durable."""
        agent = self._agents.get(agent_id)
        if agent is not None:
            agent.unsettled.pop(sequence, None)

    def up_to(self, agent_id: str) -> int:
        """Everything up to this is over; 0 if nothing is known to be."""
        agent = self._agents.get(agent_id)
        if agent is None:
            return 0
        for oldest in agent.unsettled:
            return oldest - 1
        return agent.last
