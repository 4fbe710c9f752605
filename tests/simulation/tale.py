"""A history told by hand: `Tale` numbers the events and fills in what a small story takes for granted."""

from __future__ import annotations

from typing import TypeVar

from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState, SafetyClass
from seawall.core.errors import CommandErrorCode
from tests.simulation.checker import check
from tests.simulation.history import (
    AcceptedDurable,
    Acknowledged,
    Answered,
    AuditEntry,
    CircuitState,
    CursorRead,
    Effect,
    Ended,
    Event,
    Fault,
    FaultKind,
    FrameTaken,
    Healed,
    LedgerDone,
    NotFound,
    OperatorResolved,
    Place,
    Quarantined,
    QueueDepth,
    ResultCommitted,
    SessionClosed,
    SessionOpened,
    StateCommitted,
    StateShown,
)
from tests.simulation.invariants.audit import link_digest

E = TypeVar("E", bound=Event)


class Tale:
    """Events in the order in which they are told, one second apart unless `at` says when.

    Commands are "c1", their agent "a1", their container "web", if nothing else is said.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now = 0.0

    @property
    def order(self) -> int:
        """The number of the last event."""
        return len(self.events)

    def tell(self, event: type[E], at: float | None = None, /, **fields: object) -> Tale:
        self.now = self.now + 1 if at is None else at
        self.events.append(event(at=self.now, order=self.order + 1, **fields))
        return self

    def accepted(
        self,
        command: str = "c1",
        *,
        sequence: int = 1,
        agent: str = "a1",
        container: str = "web",
        safety: SafetyClass = SafetyClass.VERIFIABLE,
        deadline_at: float = 60.0,
        key: str = "",
        imported: bool = False,
        at: float | None = None,
    ) -> Tale:
        return self.tell(
            AcceptedDurable,
            at,
            command_id=command,
            agent=agent,
            sequence=sequence,
            operation="container_restart",
            container=container,
            safety=safety,
            deadline_at=deadline_at,
            key=key,
            imported=imported,
        )

    def answered(
        self, command: str = "c1", *, key: str = "k1", fingerprint: str = "f1", status: int = 202
    ) -> Tale:
        return self.tell(
            Answered, client="client", key=key, fingerprint=fingerprint, status=status, command_id=command
        )

    def effect(
        self,
        command: str | None = "c1",
        *,
        began_at: float | None = None,
        step: str = "",
        changed: bool = True,
        agent: str = "a1",
        container: str = "web",
        at: float | None = None,
    ) -> Tale:
        """dockerd is through with a call that it got half a second ago."""
        ended_at = self.now + 1 if at is None else at
        return self.tell(
            Effect,
            at,
            agent=agent,
            container=container,
            operation="container_restart",
            command_id=command,
            began_at=ended_at - 0.5 if began_at is None else began_at,
            ended_at=ended_at,
            step=step,
            changed=changed,
        )

    def committed(
        self, state: CommandState, command: str = "c1", *, settled: bool = True, at: float | None = None
    ) -> Tale:
        return self.tell(StateCommitted, at, command_id=command, state=state, settled=settled)

    def shown(self, state: CommandState, command: str = "c1", reader: str = "reader") -> Tale:
        return self.tell(StateShown, reader=reader, command_id=command, state=state)

    def not_found(self, command: str = "c1") -> Tale:
        return self.tell(NotFound, reader="reader", command_id=command)

    def resolved(self, state: CommandState, command: str = "c1") -> Tale:
        return self.tell(OperatorResolved, command_id=command, state=state)

    def done(
        self,
        code: CommandErrorCode | None = None,
        command: str = "c1",
        *,
        digest: str = "d1",
        agent: str = "a1",
    ) -> Tale:
        return self.tell(
            LedgerDone,
            agent=agent,
            ledger_id=f"ledger of {agent}",
            command_id=command,
            code=code,
            digest=digest,
        )

    def result(
        self,
        code: CommandErrorCode | None = None,
        command: str = "c1",
        *,
        digest: str = "d1",
        agent: str = "a1",
    ) -> Tale:
        return self.tell(ResultCommitted, command_id=command, agent=agent, code=code, digest=digest)

    def acknowledged(self, command: str = "c1") -> Tale:
        return self.tell(Acknowledged, agent="a1", command_id=command)

    def succeeded(self, command: str = "c1") -> Tale:
        """The good end: dockerd did it, the ledger has it, the record has it, the agent may forget it."""
        told = self.effect(command).done(command=command).result(command=command)
        return told.committed(CommandState.SUCCEEDED, command).acknowledged(command)

    def opened(self, epoch: int, *, term: int = 1, agent: str = "a1", controller: str = "controller") -> Tale:
        return self.tell(SessionOpened, agent=agent, epoch=epoch, term=term, controller=controller)

    def closed(self, epoch: int, *, socket_epoch: int = 0) -> Tale:
        return self.tell(SessionClosed, agent="a1", epoch=epoch, socket_epoch=socket_epoch)

    def frame(
        self,
        taker: Place,
        epoch: int,
        *,
        current_epoch: int | None = None,
        term: int = 1,
        current_term: int | None = None,
        sender: str = "a1",
    ) -> Tale:
        return self.tell(
            FrameTaken,
            kind="Completed" if taker is Place.CONTROLLER else "Execute",
            taker=taker,
            agent="a1",
            sender=sender,
            epoch=epoch,
            current_epoch=epoch if current_epoch is None else current_epoch,
            term=term,
            current_term=term if current_term is None else current_term,
            command_id="c1",
        )

    def fault(
        self,
        kind: FaultKind,
        place: Place,
        agent: str = "a1",
        *,
        ended: bool = False,
        at: float | None = None,
    ) -> Tale:
        return self.tell(
            Fault, at, kind=kind, place=place, agent="" if place is Place.CONTROLLER else agent, ended=ended
        )

    def crash(self, place: Place = Place.AGENT, agent: str = "a1") -> Tale:
        """A process dies and is started again."""
        return self.fault(FaultKind.CRASH, place, agent).fault(FaultKind.CRASH, place, agent, ended=True)

    def restored(self, backup_order: int) -> Tale:
        """The controller is started with a backup that holds the events up to `backup_order`."""
        begun = self.tell(Fault, kind=FaultKind.RESTORED, place=Place.CONTROLLER, backup_order=backup_order)
        return begun.fault(FaultKind.RESTORED, Place.CONTROLLER, ended=True)

    def quarantined(self, agent: str = "a1") -> Tale:
        return self.tell(Quarantined, agent=agent)

    def healed(self, at: float | None = None) -> Tale:
        return self.tell(Healed, at)

    def ended(self, at: float) -> Tale:
        return self.tell(Ended, at)

    def circuit(self, state: Circuit, *, at: float | None = None) -> Tale:
        return self.tell(CircuitState, at, agent="a1", domain="docker", state=state)

    def queue(self, depth: int, name: str = "dispatcher", *, at: float | None = None) -> Tale:
        return self.tell(QueueDepth, at, queue=name, depth=depth)

    def read(self, cursor: int, after: int, about: str = "", reader: str = "reader") -> Tale:
        return self.tell(CursorRead, reader=reader, cursor=cursor, after=after, about=about)

    def audit(
        self, number: int, previous: str = "", *, content: str = "accepted", digest: str | None = None
    ) -> Tale:
        """An entry; "previous" is a name for the digest of the number before with the same content."""
        return self.tell(
            AuditEntry,
            number=number,
            content=content,
            previous=previous,
            digest=link_digest(number, previous, content) if digest is None else digest,
        )

    @property
    def last_digest(self) -> str:
        """The digest of the last audit entry."""
        return [event.digest for event in self.events if isinstance(event, AuditEntry)][-1]


def broken(tale: Tale) -> list[str]:
    """The names of the invariants that this tale breaks; each violation must prove itself."""
    violations = check(tale.events)
    for violation in violations:
        assert violation.subject
        assert violation.sentence
        assert 1 <= len(violation.proof) <= 3
        assert all(event in tale.events for event in violation.proof)
        assert f"#{violation.proof[0].order} " in str(violation)
    return sorted({violation.invariant.name for violation in violations})
