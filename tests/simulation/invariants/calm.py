"""What is left once the faults have healed: I12. (That every command becomes final is I3.)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from seawall.core.breaker import CircuitState as Circuit
from seawall.core.command import CommandState
from tests.simulation.history import CircuitState, Event, QueueDepth
from tests.simulation.invariants.record import Invariant, Record, Violation
from tests.simulation.invariants.states import current_state

E = TypeVar("E", bound=Event)


def check_calm(record: Record) -> Iterator[Violation]:
    """I12: when the time to settle is over, and at the end, queues are empty, circuits closed, UNKNOWNs settled."""
    healed, due = record.healed, record.due_at()
    if healed is None or due is None:
        return
    circuits = ((f"{event.domain} circuit of {event.agent}", event) for event in record.of(CircuitState))
    for name, circuit in _last_ones(circuits, (due, record.ends_at)):
        if circuit.state is not Circuit.CLOSED:
            sentence = f"{circuit.state.value} since {circuit.at}, though all faults healed at {healed.at}"
            yield Violation(Invariant.I12, name, sentence, (healed, circuit))
    depths = ((event.queue, event) for event in record.of(QueueDepth))
    for name, queue in _last_ones(depths, (due, record.ends_at)):
        if queue.depth:
            sentence = f"{queue.depth} wait since {queue.at}, though all faults healed at {healed.at}"
            yield Violation(Invariant.I12, f"queue {name}", sentence, (healed, queue))
    yield from _check_settled(record, healed)


def _check_settled(record: Record, healed: Event) -> Iterator[Violation]:
    for story in record.stories.values():
        if not story.accepts or story.accepts[-1].agent in record.out:
            continue
        due = record.due_at(story.accepts[-1].at)
        last = current_state(record, story, due) if due is not None else None
        if last is not None and last.state is CommandState.UNKNOWN and not last.settled:
            sentence = f"UNKNOWN at {due}, and nobody has asked the agent's ledger to the end"
            yield Violation(Invariant.I12, story.command_id, sentence, (healed, last))


def _last_ones(events: Iterable[tuple[str, E]], times: Sequence[float]) -> list[tuple[str, E]]:
    """What each name stood at at each of these times; what stood at several of them, once."""
    found: list[dict[str, E]] = [{} for _ in times]
    for name, event in events:
        for time, last in zip(times, found, strict=True):
            if event.at <= time:
                last[name] = event
    once = {(name, event.order): event for last in found for name, event in last.items()}
    return [(name, event) for (name, _), event in once.items()]
