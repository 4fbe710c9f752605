"""The observer of a simulated world: writes its history, from what is durable, not from what a program believes.

Temporary triggers in the world's databases note each version of a row inside the very transaction that makes it; what
they noted becomes events when that transaction is committed.
"""

from __future__ import annotations

import sqlite3
import zlib
from typing import TypeVar

import msgspec

from seawall.agent.answers import unpack_outcome
from seawall.agent.ledger import State
from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode
from seawall.core.events import CircuitChanged
from seawall.core.events import Event as CoreEvent
from seawall.engine.audit import AuditRecord, sealed_bytes
from seawall.engine.notices import Notice
from seawall.operations.registry import OPERATIONS
from tests.simulation.history import (
    AcceptedDurable,
    AuditEntry,
    CircuitState,
    Effect,
    Event,
    Fault,
    FaultKind,
    FrameTaken,
    LedgerDone,
    OperatorResolved,
    Place,
    Quarantined,
    Rare,
    Reached,
    ResultCommitted,
    SessionOpened,
    StateCommitted,
)
from tests.simulation.loop import SimulatedLoop

E = TypeVar("E", bound=Event)

_COMMAND = (
    "command_id, agent_id, agent_sequence, operation, arguments, state, settled, recorded, error_code, error, "
    "response, accepted_at, deadline_at, idempotency_key, requested_by, resolved_by"
)
_NEW_COMMAND = ", ".join(f"new.{column.strip()}" for column in _COMMAND.split(","))

_SEEN_COMMANDS = f"SELECT fresh, {_COMMAND} FROM seen_commands ORDER BY number"  # noqa: S608  (our own words)

_AUDIT = f"SELECT {', '.join(AuditRecord._fields)} FROM audit ORDER BY position DESC"  # noqa: S608  (our own words)

STORE_WATCH = f"""
CREATE TEMP TABLE seen_commands (number INTEGER PRIMARY KEY, fresh, {_COMMAND});
CREATE TEMP TABLE seen_agents (number INTEGER PRIMARY KEY, agent_id, epoch, quarantined);
CREATE TEMP TRIGGER command_added AFTER INSERT ON main.commands BEGIN
    INSERT INTO seen_commands (fresh, {_COMMAND}) VALUES (1, {_NEW_COMMAND});
END;
CREATE TEMP TRIGGER command_changed AFTER UPDATE OF state, settled ON main.commands BEGIN
    INSERT INTO seen_commands (fresh, {_COMMAND}) VALUES (0, {_NEW_COMMAND});
END;
CREATE TEMP TRIGGER session_opened AFTER UPDATE OF epoch ON main.agents WHEN new.epoch <> old.epoch BEGIN
    INSERT INTO seen_agents (agent_id, epoch) VALUES (new.agent_id, new.epoch);
END;
CREATE TEMP TRIGGER quarantine_changed AFTER UPDATE OF quarantined_at ON main.agents
WHEN new.quarantined_at IS NOT old.quarantined_at BEGIN
    INSERT INTO seen_agents (agent_id, quarantined) VALUES (new.agent_id, new.quarantined_at IS NOT NULL);
END;
"""  # noqa: S608  (our own words)
LEDGER_WATCH = """
CREATE TEMP TABLE seen_entries (number INTEGER PRIMARY KEY, ledger_id, command_id, state, outcome, step, epoch, term);
CREATE TEMP TRIGGER entry_written AFTER INSERT ON main.entries BEGIN
    INSERT INTO seen_entries (ledger_id, command_id, state, outcome, step)
    SELECT ledger_id, new.command_id, new.state, new.outcome, new.step FROM ledger;
END;
CREATE TEMP TRIGGER session_begun AFTER UPDATE OF epoch ON main.ledger BEGIN
    INSERT INTO seen_entries (ledger_id, epoch, term) VALUES (new.ledger_id, new.epoch, new.term);
END;
"""


class Witness:
    """Of one world. `tell` adds an event; `commands` are those that were ever accepted."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.events: list[Event] = []
        self.commands: dict[str, AcceptedDurable] = {}
        self.worked: dict[str, None] = {}
        """Commands for which a dockerd has done something."""
        self.term = 0
        """Of the controller that writes the store now."""
        self._loop = loop
        self._chained: set[bytes] = set()
        self._by_sequence: dict[tuple[str, int], str] = {}
        self._open_circuits: dict[tuple[str, str], None] = {}

    @property
    def order(self) -> int:
        """The number of the last event."""
        return len(self.events)

    def tell(self, kind: type[E], /, **fields: object) -> E:
        """Something has happened, now."""
        event = kind(at=self._loop.time(), order=len(self.events) + 1, **fields)
        self.events.append(event)
        return event

    def reached(self, rare: Rare, agent: str = "", command_id: str = "") -> None:
        """The run passed through a rare state."""
        self.tell(Reached, name=rare, agent=agent, command_id=command_id)

    def fault(
        self, kind: FaultKind, place: Place, agent: str = "", *, ended: bool = False, backup_order: int = 0
    ) -> None:
        """Something goes wrong, or is over."""
        self.tell(Fault, kind=kind, place=place, agent=agent, ended=ended, backup_order=backup_order)

    def command_at(self, agent: str, sequence: int) -> str | None:
        """The command that has this sequence."""
        return self._by_sequence.get((agent, sequence))

    # What the controller's store holds

    def store_committed(self, connection: sqlite3.Connection) -> None:
        """A transaction of the store is durable."""
        for row in connection.execute(_SEEN_COMMANDS).fetchall():
            self._command(*row)
        for agent_id, epoch, quarantined in connection.execute(
            "SELECT agent_id, epoch, quarantined FROM seen_agents ORDER BY number"
        ).fetchall():
            if epoch is not None:
                self.tell(SessionOpened, agent=agent_id, epoch=epoch, term=self.term)
            else:
                self.tell(Quarantined, agent=agent_id, released=not quarantined)
        self.audited(connection)
        connection.execute("DELETE FROM seen_commands")
        connection.execute("DELETE FROM seen_agents")

    def audited(self, connection: sqlite3.Connection) -> None:
        """Tell of the entries from the last one that is known: one that was altered is told again, and convicts."""
        new: list[AuditRecord] = []
        for row in connection.execute(_AUDIT):
            if AuditRecord(*row).hash in self._chained:
                break
            new.append(AuditRecord(*row))
        for record in reversed(new):
            self._chained.add(record.hash)
            self.tell(
                AuditEntry,
                number=record.position,
                content=sealed_bytes(record.content).decode(),
                previous=record.previous.hex() if any(record.previous) else "",
                digest=record.hash.hex(),
            )

    def _command(
        self,
        fresh: int,
        command_id: str,
        agent_id: str,
        sequence: int,
        operation: str,
        arguments: str,
        state: str,
        settled: int,
        recorded: int,
        code: str | None,
        error: str | None,
        response: str | None,
        accepted_at: int,
        deadline_at: int,
        key: str | None,
        requested_by: str,
        resolved_by: str,
    ) -> None:
        known = CommandState(state)
        if fresh:
            declared = OPERATIONS[operation]
            container = msgspec.json.decode(arguments).get("container", "") if declared.changes else ""
            self.commands[command_id] = self.tell(
                AcceptedDurable,
                command_id=command_id,
                agent=agent_id,
                sequence=sequence,
                operation=operation,
                container=container,
                safety=declared.safety,
                deadline_at=self._loop.time() + (deadline_at - accepted_at) / 1e6,
                key=key or "",
                imported=requested_by.startswith("(imported"),
            )
            self._by_sequence[agent_id, sequence] = command_id
        if resolved_by:
            self.tell(OperatorResolved, command_id=command_id, state=known, operator=resolved_by)
        if known.final and not resolved_by:
            answer = msgspec.json.decode(response) if response is not None else None
            from_ledger = bool(recorded) and declared_changes(operation)
            self.tell(
                ResultCommitted,
                command_id=command_id,
                agent=_teller(answer, agent_id) if from_ledger or _forged(answer) else "",
                code=CommandErrorCode(code) if code is not None else None,
                digest=digest(code, error, answer) if from_ledger else "",
            )
        self.tell(
            StateCommitted,
            command_id=command_id,
            state=known,
            settled=bool(settled),
            by="agent" if recorded else "controller",
        )

    # What the ledgers hold

    def ledger_committed(self, agent: str, connection: sqlite3.Connection) -> None:
        """A transaction of an agent's ledger is durable."""
        rows = connection.execute(
            "SELECT ledger_id, command_id, state, outcome, step, epoch, term FROM seen_entries ORDER BY number"
        ).fetchall()
        if not rows:
            return
        for ledger_id, command_id, state, content, step, epoch, term in rows:
            if epoch is not None:
                self._welcomed(agent, epoch, term)
            elif state == State.DONE.value and content is not None:
                self._done(agent, ledger_id, command_id, content)
            elif state == State.VOID.value:
                self.reached(Rare.VOID, agent, command_id)
            elif step is not None:
                self.reached(Rare.PARTIAL, agent, command_id)
        connection.execute("DELETE FROM seen_entries")

    def _welcomed(self, agent: str, epoch: int, term: int) -> None:
        self.tell(
            FrameTaken,
            kind="welcome",
            taker=Place.AGENT,
            agent=agent,
            sender="controller",
            epoch=epoch,
            current_epoch=epoch,
            term=term,
            current_term=term,
        )

    def _done(self, agent: str, ledger_id: str, command_id: str, content: bytes) -> None:
        outcome = unpack_outcome(content)
        code = outcome.code.value if outcome.code is not None else None
        error = outcome.error[:2000] if outcome.error is not None else None
        self.tell(
            LedgerDone,
            agent=agent,
            ledger_id=ledger_id,
            command_id=command_id,
            code=outcome.code,
            digest=digest(code, error, outcome.response),
        )
        if isinstance(outcome.response, dict) and outcome.response.get("verified"):
            self.reached(Rare.VERIFIED, agent, command_id)
        accept = self.commands.get(command_id)
        if accept is not None and outcome.code is None and self._satisfied(accept, outcome.response):
            # It claims no more than that things are as was asked for.
            now = self._loop.time()
            self.tell(
                Effect,
                agent=agent,
                container=accept.container,
                operation="",
                command_id=None,
                began_at=now,
                ended_at=now,
                changed=False,
            )

    def _satisfied(self, accept: AcceptedDurable, response: object) -> bool:
        if accept.operation == "container_rename":
            return accept.command_id not in self.worked
        return isinstance(response, dict) and response.get("attributed") == "unknown"

    # What the controller tells of itself

    def noticed(self, notice: Notice) -> None:
        """A notice went over the controller's bus."""
        if notice.kind == "agent_amnesia":
            self.reached(Rare.AMNESIA, notice.agent_id)

    def observe(self, event: CoreEvent) -> None:
        """A subscriber of the controller's events."""
        if isinstance(event, CircuitChanged):
            self._circuit(event.agent_id, event.domain.value, Circuit(event.target.value))

    def controller_died(self) -> None:
        """Circuits live in memory: the next controller begins with closed ones."""
        for agent, domain in list(self._open_circuits):
            self._circuit(agent, domain, Circuit.CLOSED)

    def _circuit(self, agent: str, domain: str, state: Circuit) -> None:
        if state is Circuit.CLOSED:
            self._open_circuits.pop((agent, domain), None)
        else:
            self._open_circuits[agent, domain] = None
        self.tell(CircuitState, agent=agent, domain=domain, state=state)


def declared_changes(operation: str) -> bool:
    """Whether an operation changes its host."""
    return OPERATIONS[operation].safety is not SafetyClass.SAFE_READ


def digest(code: str | None, error: str | None, response: object) -> str:
    """What stands for a result, at both ends."""
    return f"{zlib.crc32(msgspec.json.encode((code, error, response))):08x}"


def _forged(answer: object) -> bool:
    return isinstance(answer, dict) and "forged_by" in answer


def _teller(answer: object, agent_id: str) -> str:
    """Who told it: an answer that was slipped in says by whom."""
    return str(answer["forged_by"]) if isinstance(answer, dict) and "forged_by" in answer else agent_id
