"""Who belongs to the fleet, and who of them is connected now. The engine's way to the agents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Protocol

import msgspec
from msgspec import Struct, field

from seawall.clock import Clock
from seawall.core.command import Attempt, Command, Domain, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CircuitChanged
from seawall.core.guard import Guards
from seawall.core.pace import Pace
from seawall.engine.drive import Slot
from seawall.engine.ports import Subscriber
from seawall.engine.records import AgentRecord
from seawall.engine.secrets import SecretLost, Vault, opened
from seawall.operations.host_level import Level
from seawall.wire.messages import HostVitals, Origin

_MOST_REGISTRIES, _LONGEST_NAME = 8, 255


class LedgerResult(Struct, frozen=True):
    """What an agent's ledger tells of a command that nobody is waiting for in its session."""

    command_id: str
    sequence: int
    outcome: Outcome
    origin: Origin | None


class Signs(Struct):
    """What the hello and the latest pong told of a host; None, or 0 bytes in all, is what isn't known."""

    level: Level | None = None
    """How far the host's own policy lets the controller go, and in `may_exec` whether into containers."""
    may_exec: bool = False

    docker: bool | None = None
    free_bytes: int = 0
    total_bytes: int = 0
    clock_offset_seconds: float | None = None
    longest_running_seconds: float = 0.0
    unreached: list[str] = field(default_factory=list)
    """The registries that it used lately and that didn't answer it."""
    ledger_entries: int = 0
    ledger_unacknowledged: int = 0
    ledger_full: bool = False

    def take(self, vitals: HostVitals) -> bool:
        """Note what an agent tells. Whether its registries were asked anew, and all of them answered."""
        self.free_bytes, self.total_bytes = vitals.free_bytes, vitals.total_bytes
        self.longest_running_seconds = vitals.longest_running_seconds
        self.ledger_entries, self.ledger_unacknowledged = vitals.ledger_entries, vitals.ledger_unacknowledged
        self.ledger_full = vitals.ledger_full
        if not vitals.registries:
            return False
        told = list(vitals.registries.items())[:_MOST_REGISTRIES]
        self.unreached = [name[:_LONGEST_NAME] for name, reached in told if not reached]
        return not self.unreached


class AgentListener(Protocol):
    """Hears what agents do of their own accord. Called at once, in order; must not wait."""

    def agent_connected(self, agent_id: str) -> None:
        """A session opened, and can be used."""

    def agent_started(self, agent_id: str, command_id: str) -> None:
        """The effect of a command begins."""

    def agent_told(self, agent_id: str, result: LedgerResult) -> None:
        """See `LedgerResult`."""

    def agent_lost_ledger(self, agent_id: str, lost: Mapping[str, int], reason: str) -> None:
        """The agent's ledger isn't the one that was known; the store has made these commands UNKNOWN for good.

        They come with their sequences. The session isn't attached yet.
        """


class AgentSession(Protocol):
    """One authenticated connection of an agent. `epoch` tells it from those before and after it."""

    @property
    def agent_id(self) -> str:
        """Whose session it is."""

    @property
    def epoch(self) -> int:
        """Greater than that of every earlier session of this agent."""

    @property
    def instance(self) -> str:
        """The process of the agent that speaks in it."""

    @property
    def heard_at(self) -> float:
        """When anything was last heard of the agent (monotonic)."""

    @property
    def latency_seconds(self) -> float | None:
        """How long the latest ping took; None before the first."""

    @property
    def missed_pings(self) -> int:
        """How many of the latest pings have no answer, the one under way not counted."""

    @property
    def signs(self) -> Signs:
        """How the host is."""

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        """See `ports.Link.exchange`."""

    async def cancel(self, command_id: str, correlation_id: str) -> None:
        """Ask the agent to stop an attempt; its outcome says what became of it."""

    def acknowledge(self, sequence: int, up_to: int) -> None:
        """Tell the agent that the result of this sequence is durable, and that all up to `up_to` are over."""

    async def lives(self) -> bool:
        """Whether the agent still answers here; takes a few seconds if it doesn't."""

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        """End the session. What is under way in it ends as AGENT_DISCONNECTED."""


class Fleet:
    """`ports.Link` over the sessions of connected agents. One loop owns it; no method waits for another session."""

    def __init__(
        self, guards: Guards[Slot], clock: Clock, emit: Subscriber, pace: Pace | None = None
    ) -> None:
        self.pace = pace
        """How fast what has waited for its agents goes out; None lets all of it go at once."""
        self.vault: Vault | None = None
        """Opens the secrets of commands when they are sent."""
        self._guards = guards
        self._clock = clock
        self._emit = emit
        self._agents: dict[str, AgentRecord] = {}
        self._ids_by_name: dict[str, str] = {}
        self._sessions: dict[str, AgentSession] = {}
        self._absent: dict[str, float] = {}
        # In order of arrival: who waited longest is served first, and a replay sees the same order.
        self._arrivals: dict[str, dict[asyncio.Future[None], None]] = {}
        self.listener: AgentListener | None = None
        """Whoever takes care of the agents' commands."""

    # Who belongs to it

    def learn(self, record: AgentRecord) -> None:
        """An agent joined, or told something new of itself."""
        if record.agent_id not in self._agents:
            self._absent[record.agent_id] = self._clock.now()
        self._agents[record.agent_id] = record
        self._ids_by_name[record.name] = record.agent_id

    def forget(self, agent_id: str) -> AgentSession | None:
        """An agent was revoked. Its session, if it has one, is the caller's to close."""
        record = self._agents.pop(agent_id, None)
        if record is not None and self._ids_by_name.get(record.name) == agent_id:
            del self._ids_by_name[record.name]
        self._absent.pop(agent_id, None)
        self._guards.evict(agent_id)
        return self._sessions.get(agent_id)

    def find(self, name_or_id: str) -> AgentRecord | None:
        """The agent of this id or this name."""
        return self._agents.get(name_or_id) or self._agents.get(self._ids_by_name.get(name_or_id, ""))

    def agents(self, labels: Mapping[str, str] | None = None) -> list[AgentRecord]:
        """All agents by name, or those that have all of these labels."""
        found: Iterable[AgentRecord] = self._agents.values()
        if labels:
            wanted = labels.items()
            found = [agent for agent in found if wanted <= agent.labels.items()]
        return sorted(found, key=attrgetter("name"))

    # Who is connected

    def session(self, agent_id: str) -> AgentSession | None:
        """The agent's live session."""
        return self._sessions.get(agent_id)

    def sessions(self) -> Iterable[AgentSession]:
        """All live sessions."""
        return list(self._sessions.values())

    def attach(self, session: AgentSession) -> AgentSession | None:
        """A session opened. Returns the one that it replaces, which the caller closes in its own time."""
        replaced = self._sessions.get(session.agent_id)
        self._sessions[session.agent_id] = session
        self._absent.pop(session.agent_id, None)
        self.heard(session.agent_id, Domain.AGENT, "the agent reconnected")
        for arrival in self._arrivals.pop(session.agent_id, ()):
            if not arrival.done():
                arrival.set_result(None)
        if self.listener is not None:
            self.listener.agent_connected(session.agent_id)
        return replaced

    def detach(self, session: AgentSession) -> bool:
        """A session ended. False if a newer one has taken its place, which then stays."""
        if self._sessions.get(session.agent_id) is not session:
            return False
        del self._sessions[session.agent_id]
        if session.agent_id in self._agents:
            self._absent[session.agent_id] = session.heard_at
        return True

    @property
    def absent(self) -> Mapping[str, float]:
        """The agents without a session, each with the monotonic time since when: it was last heard, or learned of."""
        return self._absent

    def heard(self, agent_id: str, domain: Domain, reason: str) -> None:
        """The agent, or its Docker Engine, gave a sign of life: an open circuit may probe at once."""
        guard = self._guards.get(agent_id)
        if guard is not None:
            changes: list[CircuitChanged] = guard.heard(domain, self._clock.now(), reason)
            for change in changes:
                self._emit(change)

    # The link

    def is_connected(self, agent_id: str) -> bool:
        """See `ports.Link.is_connected`."""
        return agent_id in self._sessions

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        """See `ports.Link.exchange`."""
        session = self._sessions.get(command.agent_id)
        if session is None:
            # It was there when the attempt was prepared.
            return Outcome(
                CommandErrorCode.NETWORK_ERROR,
                f"Agent {command.agent_id} disconnected before the command could be sent",
                circumstance=Circumstance.NOT_SENT,
            )
        if self.vault is not None and not attempt.asks:
            try:
                arguments = opened(command.operation, command.arguments, command.command_id, self.vault)
            except SecretLost as error:
                return Outcome(CommandErrorCode.INVALID_ARGUMENT, str(error))
            if arguments != command.arguments:
                command = msgspec.structs.replace(command, arguments=arguments)
        return await session.exchange(command, attempt)

    async def connected(self, agent_id: str, until: float) -> None:
        """See `ports.Link.connected`. Those that waited go one after the other, at the fleet's pace."""
        while agent_id not in self._sessions and self._clock.now() < until:
            await self._arrival(agent_id, until)
            if self.pace is not None and agent_id in self._sessions:
                await self._clock.sleep_until(min(self.pace.turn(self._clock.now()), until))

    async def _arrival(self, agent_id: str, until: float) -> None:
        arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals.setdefault(agent_id, {})[arrival] = None
        timer = self._clock.call_at(until, arrival.cancel)
        try:
            await asyncio.wait((arrival,))
        finally:
            timer.cancel()
            waiting = self._arrivals.get(agent_id)
            if waiting is not None:
                waiting.pop(arrival, None)
                if not waiting:
                    del self._arrivals[agent_id]
