"""How often a run reached the rare states: a proof that never met them proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState
from seawall.core.errors import CommandErrorCode
from tests.simulation.history import (
    AcceptedDurable,
    Answered,
    CircuitState,
    Effect,
    Event,
    Fault,
    LedgerDone,
    OperatorResolved,
    Quarantined,
    Rare,
    Reached,
    StateCommitted,
)

_BY_STATE = {
    CommandState.UNKNOWN: Rare.UNKNOWN,
    CommandState.EXPIRED: Rare.EXPIRED,
    CommandState.CANCELLED: Rare.CANCELLED,
    CommandState.REJECTED: Rare.REJECTED,
}
_BY_ROW = {
    CommandErrorCode.DEADLINE_EXCEEDED: Rare.EXPIRED_BY_AGENT,
    CommandErrorCode.CANCELLED: Rare.CANCELLED_BY_AGENT,
}


def counters(history: Iterable[Event]) -> dict[str, int]:
    """How often each rare state was reached, every `Rare` with its zero; and the faults, as "fault: partition"."""
    derived: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    states: dict[str, CommandState] = {}
    answers: dict[str, Answered] = {}
    for event in history:
        match event:
            case Reached():
                reached[str(event.name)] += 1
            case StateCommitted():
                _count_state(derived, states.get(event.command_id), event)
                states[event.command_id] = event.state
            case OperatorResolved():
                derived[Rare.UNKNOWN_RESOLVED] += 1
                states.pop(event.command_id, None)
            case LedgerDone(code=code) if code in _BY_ROW:
                derived[_BY_ROW[code]] += 1
            case AcceptedDurable(imported=True):
                derived[Rare.IMPORTED] += 1
            case Effect(step="resume"):
                derived[Rare.RESUMED] += 1
            case Quarantined(released=False):
                derived[Rare.QUARANTINED] += 1
            case CircuitState(state=Circuit.OPEN):
                derived[Rare.CIRCUIT_OPEN] += 1
            case Answered() if event.key:
                _count_answer(derived, answers, event)
            case Fault(ended=False):
                derived[f"fault: {event.kind.value}"] += 1
            case _:
                pass
    names = [*map(str, Rare), *sorted((derived | reached).keys() - set(Rare))]
    # What is derived may be told by the run as well: then one of the two has seen all of it.
    return {name: max(derived[name], reached[name]) for name in names}


def _count_state(derived: Counter[str], before: CommandState | None, commit: StateCommitted) -> None:
    if commit.state is before:
        return
    if commit.state in _BY_STATE:
        derived[_BY_STATE[commit.state]] += 1
    if before is CommandState.UNKNOWN:
        derived[Rare.UNKNOWN_SETTLED] += 1


def _count_answer(derived: Counter[str], answers: dict[str, Answered], answer: Answered) -> None:
    before = answers.get(answer.key)
    if 200 <= answer.status < 300:
        answers.setdefault(answer.key, answer)
        if before is not None and before.command_id == answer.command_id:
            derived[Rare.KEY_REPEATED] += 1
    elif answer.status == 409 and before is not None:
        derived[Rare.KEY_CONFLICT] += 1
