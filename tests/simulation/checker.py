"""The judge of a run: which of the invariants I1 to I13 its history breaks, and which rare states it reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tests.simulation.history import Event
from tests.simulation.invariants.audit import check_audit
from tests.simulation.invariants.calm import check_calm
from tests.simulation.invariants.effects import check_effects, check_order
from tests.simulation.invariants.keys import check_keys
from tests.simulation.invariants.record import Invariant, Record, Violation
from tests.simulation.invariants.results import check_results
from tests.simulation.invariants.sessions import check_sessions
from tests.simulation.invariants.states import check_presence, check_stability, check_truth
from tests.simulation.invariants.streams import check_streams

__all__ = ["Invariant", "Violation", "check"]

_CHECKS: tuple[Callable[[Record], Iterator[Violation]], ...] = (
    check_effects,
    check_order,
    check_presence,
    check_truth,
    check_stability,
    check_results,
    check_sessions,
    check_keys,
    check_streams,
    check_calm,
    check_audit,
)


def check(
    history: Iterable[Event],
    *,
    skew_seconds: float = 1.0,
    settle_seconds: float = 120.0,
    aftermath_seconds: float = 0.0,
) -> list[Violation]:
    """Every violation of an invariant; a good history has none.

    An effect may begin `skew_seconds` past its deadline (what the clocks of two machines may differ by). What
    must come to rest after `Healed` has `settle_seconds`; a history that ends before that isn't judged for it. A fault
    explains an UNKNOWN for `aftermath_seconds` more: a connection that it broke is missed by its heartbeats only.
    """
    record = Record(
        history,
        skew_seconds=skew_seconds,
        settle_seconds=settle_seconds,
        aftermath_seconds=aftermath_seconds,
    )
    return [violation for checks in _CHECKS for violation in checks(record)]
