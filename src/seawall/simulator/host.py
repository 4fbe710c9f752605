"""A simulated host: workers, a queue in front of them, a ledger, and what can be wrong with it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

from msgspec import Struct

from seawall.core.command import Command, Outcome, SafetyClass, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.retry import Dice
from seawall.simulator.timeline import Timeline


class HostModel(Struct, frozen=True, forbid_unknown_fields=True):
    """How a healthy host behaves. `workers` commands run at once, the rest waits in order of arrival.

    `service_seconds` is the mean of how long one runs, `latency_seconds` the time of one way over the network.
    """

    workers: int = 4
    service: Literal["exponential", "fixed"] = "exponential"
    service_seconds: float = 0.1
    latency_seconds: float = 0.005


class Delivery(Struct, eq=False, frozen=True):
    """An attempt on its way: `token` tells it from all others, `epoch` is that of the session that carries it."""

    command: Command
    token: int
    epoch: int


Answer = Callable[[Delivery, Outcome], None]
"""Takes an answer to the network."""


class Trouble(Struct):
    """What is wrong with a host now; faults write it. Shares are probabilities."""

    slowness: float = 1.0
    dead: bool = False
    frozen: bool = False
    flaky: float = 0.0
    refusing: float = 0.0
    refusal: Outcome | None = None
    late: float = 0.0
    late_seconds: float = 0.0
    duplicate: float = 0.0


SUCCEEDED = Outcome(source=Source.AGENT)
RECORDED = Outcome(source=Source.LEDGER)
NOT_SENT = Outcome(CommandErrorCode.NETWORK_ERROR, circumstance=Circumstance.NOT_SENT)


class Host:
    """Does what it is sent, once a worker is free. Nobody takes back what was sent: abandoned work still runs.

    A changing command is in the ledger: sent again, it joins its execution or gets the recorded answer.
    """

    def __init__(self, name: str, model: HostModel, timeline: Timeline, dice: Dice) -> None:
        self.name = name
        self.model = model
        self.dice = dice
        self.trouble = Trouble()
        self.answer: Answer = _nowhere
        self.crashes_after_effect = 0
        """So many of the next effects are followed by a crash before they could be answered."""
        self.on_crash: Callable[[], None] = _nothing
        self.repeated_effects = 0
        """How often a changing command had its effect once more."""
        self.timeline = timeline
        self._queue: deque[Delivery] = deque()
        self._running = 0
        self._life = 0
        self._held: list[Callable[[], None]] = []
        self._ledger: dict[str, Delivery] = {}
        self._effects: set[str] = set()

    @property
    def load(self) -> int:
        """How many commands run or wait here, abandoned ones included."""
        return self._running + len(self._queue)

    def receive(self, delivery: Delivery) -> None:
        """A command arrives."""
        trouble = self.trouble
        if trouble.dead:
            return
        if trouble.frozen:
            self._held.append(partial(self.receive, delivery))
            return
        if trouble.refusing and trouble.refusal is not None and self.dice() < trouble.refusing:
            self.answer(delivery, trouble.refusal)
            return
        if delivery.command.sequence:
            known = delivery.command.command_id in self._ledger
            self._ledger[delivery.command.command_id] = delivery
            if delivery.command.command_id in self._effects:
                self.answer(delivery, RECORDED)
                return
            if known:
                return
        self._queue.append(delivery)
        self._work()

    def thaw(self) -> None:
        """Go on where it was frozen."""
        self.trouble.frozen = False
        held, self._held = self._held, []
        for call in held:
            call()
        self._work()

    def die(self) -> None:
        """Lose everything but the ledger; what had begun without an effect is not known to have begun."""
        self._life += 1
        self._queue.clear()
        self._held.clear()
        self._running = 0
        self._ledger.clear()

    def _work(self) -> None:
        while self._running < self.model.workers and self._queue and not self.trouble.frozen:
            delivery = self._queue.popleft()
            self._running += 1
            self.timeline.after(self._service(), partial(self._done, delivery, self._life))

    def _service(self) -> float:
        mean = self.model.service_seconds * self.trouble.slowness
        return -mean * math.log(1.0 - self.dice()) if self.model.service == "exponential" else mean

    def _done(self, delivery: Delivery, life: int) -> None:
        if life != self._life:
            return
        if self.trouble.frozen:
            self._held.append(partial(self._done, delivery, life))
            return
        self._running -= 1
        command = delivery.command
        outcome = SUCCEEDED
        if command.safety is not SafetyClass.SAFE_READ:
            self._apply(command)
            if command.sequence:
                # Whoever has asked last hears it.
                delivery, outcome = self._ledger.get(command.command_id, delivery), RECORDED
            if self.crashes_after_effect:
                self.crashes_after_effect -= 1
                self.on_crash()
                return
        self.answer(delivery, outcome)
        self._work()

    def _apply(self, command: Command) -> None:
        if command.command_id in self._effects:
            self.repeated_effects += 1
        self._effects.add(command.command_id)


def _nowhere(delivery: Delivery, outcome: Outcome) -> None:
    raise AssertionError(f"no network carries {outcome} of {delivery}")


def _nothing() -> None:
    pass
