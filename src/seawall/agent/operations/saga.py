r"""A change of several steps, each in the ledger before it begins: it ends done, or undone, whatever is killed.

    forward: a step ... a step | final: a step ... a step          (done)
                 \                                  refused there: noted, and on
                  refused: back: a step ... a step                 (undone)

Every step looks before it acts, so that a step that has been done before does nothing. After a kill the way that the
ledger names is gone again from its beginning. Once the last step forward is done there is no way back any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from seawall.agent.failure import DockerFailure
from seawall.agent.operations.runner import Journal, Report
from seawall.core.errors import Circumstance, CommandErrorCode

_BACK = "undo "
_SEPARATOR = ": "
_LONGEST_REASON = 600
_ANSWERED = (Circumstance.DOCKER_REFUSED, Circumstance.DOCKER_ERRED)


class StepFailed(Exception):
    """A step can't be done, and it is known why: the way goes back from here. The message is the reason."""


class Step(Struct, frozen=True):
    """One step. `text` is for people, while it is under way; `work` raises DockerFailure and StepFailed."""

    name: str
    text: str
    work: Callable[[], Awaitable[None]]


class Saga(Struct, frozen=True):
    """The three ways of a change. Names of steps are one word each, and none of them twice."""

    forward: Sequence[Step]
    final: Sequence[Step]
    back: Sequence[Step]


class Ending(Struct, frozen=True):
    """How a saga ended: undone for a reason, or done (None); `problems` are steps that Docker would not do for it."""

    undone: str | None
    problems: list[str]


async def run_saga(saga: Saga, journal: Journal, progress: Report) -> Ending:
    """Go on from where the journal says, to the end. Raises LedgerFailed, and DockerFailure if Docker said nothing.

    Then it isn't known what became of the step: call this again once Docker answers.
    """
    way = _Way(saga, journal, progress)
    reason = _reason(journal.step)
    try:
        if reason is None and journal.step not in {step.name for step in saga.final}:
            reason = await way.forward()
        if reason is None:
            reason = await way.final()
        if reason is not None:
            await way.back(reason)
    except DockerFailure as failure:
        raise in_doubt(failure) from failure
    return Ending(reason, way.problems)


class _Way:
    """One run of a saga."""

    def __init__(self, saga: Saga, journal: Journal, progress: Report) -> None:
        self.problems: list[str] = []
        self._saga = saga
        self._journal = journal
        self._progress = progress

    async def forward(self) -> str | None:
        """Why it has to go back, if it has."""
        names = [step.name for step in self._saga.forward]
        reached = names.index(self._journal.step) if self._journal.step in names else -1
        for number, step in enumerate(self._saga.forward):
            if number > reached:
                await self._journal.record(step.name)
            self._tell(self._saga.forward, number, step)
            try:
                await step.work()
            except StepFailed as failed:
                return str(failed)
            except DockerFailure as failure:
                if failure.circumstance not in _ANSWERED:
                    raise
                return failure.message
        return None

    async def final(self) -> str | None:
        """As `forward`; what Docker refuses here is no reason to go back."""
        for number, step in enumerate(self._saga.final):
            await self._journal.record(step.name)
            self._tell(self._saga.final, number, step)
            try:
                await self._tried(step)
            except StepFailed as failed:
                return str(failed)
        return None

    async def back(self, reason: str) -> None:
        """Undo it, as far as Docker does it."""
        reason = reason[:_LONGEST_REASON]
        self.problems.clear()
        for number, step in enumerate(self._saga.back):
            await self._journal.record(f"{_BACK}{step.name}{_SEPARATOR}{reason}")
            self._tell(self._saga.back, number, step)
            try:
                await self._tried(step)
            except StepFailed as failed:
                self.problems.append(str(failed))

    async def _tried(self, step: Step) -> None:
        try:
            await step.work()
        except DockerFailure as failure:
            if failure.circumstance not in _ANSWERED:
                raise
            self.problems.append(failure.message)

    def _tell(self, steps: Sequence[Step], number: int, now: Step) -> None:
        if steps is not self._saga.back:
            steps = [*self._saga.forward, *self._saga.final]
            number = steps.index(now)
        states = ["done"] * number + ["running"] + ["waiting"] * (len(steps) - number - 1)
        told = [{"step": step.name, "state": state} for step, state in zip(steps, states, strict=True)]
        self._progress(now.text, {"steps": told})


def _reason(step: str | None) -> str | None:
    """Why a saga goes back, if its journal says that it does."""
    if step is None or not step.startswith(_BACK):
        return None
    return step.partition(_SEPARATOR)[2]


def in_doubt(failure: DockerFailure) -> DockerFailure:
    """Some steps are done: what Docker did not do of the next is no proof any more that nothing was done."""
    code, circumstance = failure.code, failure.circumstance
    if circumstance is not Circumstance.DOCKER_SILENT:
        code, circumstance = CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED
    return DockerFailure(code, circumstance, failure.message, failure.status)
