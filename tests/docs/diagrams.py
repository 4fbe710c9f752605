"""Diagrams of the documentation, found out by trying the real core: every event in every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from seawall.core.breaker import Breaker, BreakerSettings, CircuitState, Permit
from seawall.core.command import Command, Outcome, SafetyClass
from seawall.core.dispatch import Dispatch, Park, Send, Step, Wait
from seawall.core.errors import CircuitVerdict, Circumstance, CommandErrorCode
from seawall.core.retry import RetryPolicy

_LATER = 1_000.0

Event = Callable[[Breaker], object]


def _outcome(ruling: CircuitVerdict) -> Event:
    def happen(breaker: Breaker) -> None:
        permit = breaker.acquire(1.0, 10.0)
        if isinstance(permit, Permit):
            breaker.record(permit, ruling, 1.0, lambda: 0.5)

    return happen


EVENTS: dict[str, Event] = {
    "enough failures, and enough of the outcomes": _outcome(CircuitVerdict.FAILURE),
    "enough probes succeed": _outcome(CircuitVerdict.SUCCESS),
    "an attempt ends without a verdict": _outcome(CircuitVerdict.NEUTRAL),
    "the open time is over": lambda breaker: breaker.wake(_LATER),
    "the host is heard": lambda breaker: breaker.heard(1.0, "heard"),
    "an operator opens it": lambda breaker: breaker.force(CircuitState.OPEN, 1.0, "by hand"),
    "an operator closes or resets it": lambda breaker: breaker.reset(1.0, "by hand"),
}
_IN_HALF_OPEN = {"enough failures, and enough of the outcomes": "the probe fails"}


def circuit_diagram() -> str:
    """The states of a circuit, in Mermaid."""
    lines = ["stateDiagram-v2", f"    [*] --> {CircuitState.CLOSED.name}"]
    for state in CircuitState:
        for name, event in EVENTS.items():
            breaker = _in(state)
            event(breaker)
            if breaker.state is not state:
                label = _IN_HALF_OPEN.get(name, name) if state is CircuitState.HALF_OPEN else name
                lines.append(f"    {state.name} --> {breaker.state.name}: {label}")
    return "\n".join(lines)


def dispatch_diagram() -> str:
    """What follows an attempt of a command that may be repeated, in Mermaid."""
    codes: dict[str, list[str]] = {}
    for code, circumstance in _outcomes():
        step = _after(Outcome(code, circumstance=circumstance))
        name = "success" if code is None else code.name
        found = codes.setdefault(_name(step), [])
        if name not in found:
            found.append(name)
    lines = ["stateDiagram-v2", "    [*] --> Send"]
    lines += [f"    Send --> {step}: {', '.join(names)}" for step, names in sorted(codes.items())]
    lines += ["    Wait --> Send: the delay is over", "    Park --> Send: the agent is connected"]
    lines += ["    Wait --> Finish: no time left", "    Park --> Finish: no time left", "    Finish --> [*]"]
    return "\n".join(lines)


def _in(state: CircuitState) -> Breaker:
    settings = BreakerSettings(failure_threshold=1, success_threshold=1)
    numbers = count(1)
    breaker = Breaker(settings, lambda: next(numbers))
    breaker.put(state, 0.0)
    return breaker


def _outcomes() -> Iterator[tuple[CommandErrorCode | None, Circumstance]]:
    yield None, Circumstance.NONE
    for code in CommandErrorCode:
        for circumstance in Circumstance:
            yield code, circumstance


def _after(outcome: Outcome) -> Step:
    command = Command("c", "o", "a", {}, SafetyClass.SAFE_READ, deadline=_LATER, waits_for_agent=True)
    dispatch = Dispatch(command, RetryPolicy())
    assert isinstance(dispatch.start(0.0), Send)
    return dispatch.on_outcome(outcome, 1.0, lambda: 0.5)


def _name(step: Step) -> str:
    return "Wait" if isinstance(step, Wait) else "Park" if isinstance(step, Park) else "Finish"
