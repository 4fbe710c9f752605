"""An attempt on its way through the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum

from seawall.agent.admission import Slot
from seawall.agent.operations.runner import Runner
from seawall.clock import Timer
from seawall.operations.operation import Lane, Operation
from seawall.wire.messages import Execute


class Phase(Enum):
    """How far an attempt has come. Only in RUNNING may there be an effect."""

    WAITING = "waiting"
    RESOLVING = "resolving"
    RUNNING = "running"


class Job:
    """An attempt on its way.

    `container` is the one that a change is about, as the command spells it; `epochs` has one entry for each Execute
    that waits for the answer.
    """

    __slots__ = (
        "answer_at",
        "arguments",
        "begun_at",
        "container",
        "epochs",
        "execute",
        "grace_until",
        "operation",
        "phase",
        "runner",
        "slot",
        "task",
        "timer",
        "urgent",
    )

    def __init__(
        self,
        execute: Execute,
        operation: Operation,
        runner: Runner,
        arguments: Mapping[str, object],
        answer_at: float,
    ) -> None:
        self.execute = execute
        self.operation = operation
        self.runner = runner
        self.arguments = arguments
        self.answer_at = answer_at
        self.urgent = operation.lane is Lane.CONTROL
        self.container: str | None = None
        if operation.container is not None and operation.changes:
            self.container = str(arguments[operation.container])
        self.epochs = [execute.epoch]
        self.phase = Phase.WAITING
        self.begun_at = 0.0
        self.grace_until = 0.0
        self.slot: Slot | None = None
        self.timer: Timer | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def about(self) -> str:
        """What it is, for people."""
        container = self.arguments.get("container")
        return f"{self.operation.name} of {container}" if container else self.operation.name
