"""What a run amounts to, in the figures by which policies are compared.

Two of them need their definition. *Amplification* is attempts divided by the commands of which at least one attempt was
sent, over the whole run: what a fleet has to bear for each command that reaches it. *Recovery* counts from the end of
the last fault to the first moment at which no circuit is open and from which on, for a minute, nine of ten commands
succeed, the first of them included. A run in which that moment doesn't come never recovered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from seawall.core.breaker import CircuitState
from seawall.simulator.tally import Life, Tally
from seawall.simulator.world import Play

RECOVERED_SHARE = 0.9
RECOVERED_SECONDS = 60.0


class Figures(Struct, frozen=True):
    """One run. `recovery_seconds` is None if it never recovered, or if there was nothing to recover from."""

    commands: int
    sent: int
    attempts: int
    successes: int
    goodput: float
    amplification: float
    recovery_seconds: float | None
    recovered: bool
    probes: int
    most_probes: int
    opened: int
    """How many hosts had a circuit open at some time."""
    peak_rate: float
    """The most attempts in one second."""
    repeated_effects: int
    lost: int
    """Commands that their controller forgot."""
    ends: dict[str, int]
    """How often each error code, or success, was the end; refusals by what stopped them."""

    @property
    def success(self) -> float:
        """The share of the commands that are known to have succeeded."""
        return self.successes / self.commands if self.commands else 1.0


def figures(play: Play, tally: Tally) -> Figures:
    """Count it up."""
    sent = sum(1 for life in tally.lives if life.attempts)
    attempts = sum(life.attempts for life in tally.lives)
    successes = sum(1 for life in tally.lives if life.succeeded)
    healed_at = play.healed_at
    recovery = _recovery(tally, healed_at, play.seconds) if healed_at is not None else None
    return Figures(
        commands=len(tally.lives),
        sent=sent,
        attempts=attempts,
        successes=successes,
        goodput=successes / play.seconds,
        amplification=attempts / sent if sent else 1.0,
        recovery_seconds=recovery,
        recovered=healed_at is None or recovery is not None,
        probes=tally.probes,
        most_probes=tally.most_probes,
        opened=len(tally.opened()),
        peak_rate=max(Counter(int(at) for at in tally.sent_at).values(), default=0),
        repeated_effects=tally.repeated_effects,
        lost=sum(1 for life in tally.lives if life.lost),
        ends=dict(Counter(_end(life) for life in tally.lives).most_common()),
    )


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share doesn't exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))] if ordered else None


def open_circuits(tally: Tally) -> list[tuple[float, int, int]]:
    """After each change: when, how many circuits are open, how many half-open."""
    states: dict[tuple[str, str], CircuitState] = {}
    steps = []
    for change in tally.circuits:
        states[change.agent_id, change.domain.value] = change.target
        counts = Counter(states.values())
        steps.append((change.at, counts[CircuitState.OPEN], counts[CircuitState.HALF_OPEN]))
    return steps


def _end(life: Life) -> str:
    if life.result is None:
        return "lost" if life.lost else "still open"
    code = life.result.error_code
    return "success" if code is None else code.value


def _recovery(tally: Tally, healed_at: float, end: float) -> float | None:
    lives = [life for life in tally.lives if life.asked_at >= healed_at]
    asked = [life.asked_at for life in lives]
    good = [0]
    for life in lives:
        good.append(good[-1] + life.succeeded)
    for start in (healed_at, *asked):
        if start + RECOVERED_SECONDS > end:
            return None
        first, last = bisect_left(asked, start), bisect_left(asked, start + RECOVERED_SECONDS)
        well = first == last or (
            lives[first].succeeded and good[last] - good[first] >= RECOVERED_SHARE * (last - first)
        )
        if well and _none_open(tally, start):
            return start - healed_at
    return None


def _none_open(tally: Tally, moment: float) -> bool:
    count = 0
    for at, is_open, _ in open_circuits(tally):
        if at > moment:
            break
        count = is_open
    return count == 0
