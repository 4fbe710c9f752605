"""Work on its way through the worker: an attempt of a read, or a command that changes something."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from seawall.agent.admission import Slot
from seawall.agent.answers import failed
from seawall.agent.discretion import hold_secrets
from seawall.agent.failure import DockerFailure
from seawall.agent.intake import Order
from seawall.agent.verification import Case
from seawall.clock import Timer
from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode, verdict
from seawall.operations.operation import Lane, Operation
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import hidden
from seawall.wire.messages import Execute

_LONGEST_SECONDS = 86_400.0
_MARGIN_SHARE, _LONGEST_MARGIN_SECONDS = 0.1, 1.0


class Phase(Enum):
    """How far work has come. In BEGUN and IN_DOUBT there may be an effect."""

    WAITING = "waiting"
    RESOLVING = "resolving"
    BEGINNING = "beginning"
    """The ledger is about to hold that it has begun: too late to stop it."""
    BEGUN = "begun"
    IN_DOUBT = "in_doubt"
    ENDING = "ending"
    """Its end is known, and is about to be durable."""


_BEGUN = (Phase.BEGINNING, Phase.BEGUN, Phase.IN_DOUBT)


class Waiter(Struct, frozen=True):
    """An attempt that waits for the answer."""

    correlation_id: str
    epoch: int
    attempt: int


class Job:
    """One piece of work.

    `waiters` are the attempts that wait for it, oldest first; they are answered at `answer_at` at the latest.
    `begin_by` is when an effect may begin at the latest. `turn` is the key of what a change is about, as the
    command spells it; `project` is the Compose project that it changes as a whole.
    """

    __slots__ = (
        "__weakref__",
        "answer_at",
        "arguments",
        "attempt_seconds",
        "begin_by",
        "begun_at",
        "case",
        "command_id",
        "counted",
        "grace_until",
        "operation",
        "order",
        "phase",
        "progress_at",
        "project",
        "sequence",
        "slot",
        "task",
        "timer",
        "turn",
        "urgent",
        "waiters",
    )

    def __init__(self, message: Execute, order: Order | None = None) -> None:
        """`order` is None where nothing will be performed."""
        self.command_id = message.command_id
        self.sequence = message.sequence
        self.operation = message.operation
        self.arguments: Mapping[str, object] = message.arguments if order is None else order.arguments
        self.order = order
        hold_secrets(
            self, order.operation if order is not None else OPERATIONS.get(self.operation), self.arguments
        )
        self.urgent = order is not None and order.operation.lane is Lane.CONTROL
        self.turn = order.operation.turn(order.arguments) if order is not None else None
        self.project = project_of(order.operation, order.arguments) if order is not None else None
        self.waiters: list[Waiter] = []
        self.phase = Phase.WAITING
        self.case: Case | None = None
        self.begun_at = self.grace_until = self.progress_at = 0.0
        self.answer_at = self.begin_by = self.attempt_seconds = 0.0
        self.counted = False
        self.slot: Slot | None = None
        self.timer: Timer | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def about(self) -> str:
        """What it is, for people."""
        for noun in ("container", "image", "network", "volume", "project", "reference", "name"):
            if self.arguments.get(noun):
                return f"{self.operation[:64]} of {self.arguments[noun]}"
        return self.operation[:64]

    @property
    def told_arguments(self) -> dict[str, object]:
        """Its arguments as the ledger keeps them: without what is secret."""
        operation = self.order.operation if self.order is not None else OPERATIONS.get(self.operation)
        return hidden(operation, self.arguments)

    @property
    def moved_at(self) -> float:
        """When it last showed that it moves; a grace that was asked for counts as moving."""
        return max(self.begun_at, self.progress_at, self.grace_until)

    @property
    def begun(self) -> bool:
        """Whether nobody can stop it any more."""
        return self.phase in _BEGUN

    def await_by(self, message: Execute, remaining_seconds: float, now: float) -> None:
        """One more attempt waits, and gives it so much time; the same one again changes nothing."""
        waiter = Waiter(message.correlation_id, message.epoch, message.attempt)
        if waiter in self.waiters:
            return
        self.waiters.append(waiter)
        if remaining_seconds > 0:
            # The answer has to arrive before the controller gives the attempt up.
            seconds = min(remaining_seconds, _LONGEST_SECONDS)
            self.attempt_seconds = seconds - min(_MARGIN_SHARE * seconds, _LONGEST_MARGIN_SECONDS)
            self.answer_at = now + self.attempt_seconds
            self.begin_by = now + seconds

    def too_late(self, now: float) -> Outcome:
        """What its attempts are told when their time is over."""
        seconds = now - self.begun_at
        if self.phase is Phase.WAITING or self.order is None:
            text = f"{self.about} waited here until its time was over: nothing was done"
            return Outcome(CommandErrorCode.DEADLINE_EXCEEDED, text)
        if self.phase is Phase.RESOLVING:
            if self.order.operation.touches_registry:
                reason = f"the image's registry did not answer within {seconds:.3g} s"
                return self.unresolved(reason, Circumstance.REGISTRY_UNREACHABLE)
            return self.unresolved(f"the Docker Engine did not answer within {seconds:.3g} s")
        if self.phase is Phase.BEGINNING:
            text = f"{self.about} is about to begin, and what becomes of it is told as soon as it is known"
            return Outcome(CommandErrorCode.TIMEOUT, text, circumstance=Circumstance.HEARD)
        if now < self.grace_until:
            text = (
                f"{self.about} goes on: the container may take {self.grace_until - now:.3g} s more to stop. Look at it "
                "later, or give the command a timeout above its grace"
            )
            return Outcome(CommandErrorCode.TIMEOUT, text, circumstance=Circumstance.HEARD)
        if self.order.operation.waits:
            text = f"{self.about} has waited {seconds:.3g} s, and what it waits for has not happened"
            return Outcome(CommandErrorCode.TIMEOUT, text, circumstance=Circumstance.HEARD)
        text = f"{self.about} had no answer within {seconds:.3g} s"
        if self.order.operation.changes:
            text += ": it goes on, and what becomes of it is told as soon as it is known"
        silent = Circumstance.DOCKER_SILENT if self.order.operation.touches_docker else Circumstance.HEARD
        if self.order.operation.touches_registry:
            silent = (
                Circumstance.REGISTRY_UNREACHABLE
            )  # Docker itself is pinged; what takes so long is behind it
        return Outcome(CommandErrorCode.TIMEOUT, text, circumstance=silent)

    def unanswered(self, failure: DockerFailure) -> Outcome:
        """The outcome when Docker did not say what it is about: only a question was asked, so that a doubt is none."""
        if not verdict(failure.code, failure.circumstance).may_have_run:
            return failed(failure)
        if failure.circumstance is Circumstance.REGISTRY_UNREACHABLE:
            return self.unresolved(failure.message, failure.circumstance)
        return self.unresolved(failure.message)

    def unresolved(
        self, reason: str, circumstance: Circumstance = Circumstance.DOCKER_UNREACHABLE
    ) -> Outcome:
        """Its object could not be looked at, so nothing began."""
        return Outcome(
            CommandErrorCode.DOCKER_ERROR,
            f"{self.about} did not begin, because {reason}. Nothing was changed",
            circumstance=circumstance,
        )


def project_of(operation: Operation, arguments: Mapping[str, object]) -> str | None:
    """The Compose project that an operation changes as a whole."""
    if operation.project is None or not operation.changes:
        return None
    return str(arguments.get(operation.project))
