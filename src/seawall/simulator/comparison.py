"""Contenders side by side: the same play, the same seeds, and what that amounts to over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from seawall.simulator.contenders import Contender
from seawall.simulator.figures import Figures, figures, percentile
from seawall.simulator.world import Play, run


class Summary(Struct, frozen=True):
    """What one contender did over all seeds: means, unless the name says otherwise. Rates are per second."""

    contender: str
    runs: int
    goodput: float
    success: float
    least_success: float
    amplification: float
    most_amplification: float
    recovery_p50: float | None
    recovery_p95: float | None
    never_recovered: int
    probes: float
    most_probes_at_once: int
    peak_rate: float
    hosts_opened: float
    repeated_effects: int
    lost: int
    ends: dict[str, float]


def compare(
    play: Play,
    contenders: Iterable[Contender],
    seeds: Sequence[int],
    progressed: Callable[[], object] = lambda: None,
) -> list[Summary]:
    """Run them all; `progressed` is told after each run."""
    summaries = []
    for contender in contenders:
        runs = []
        for seed in seeds:
            runs.append(figures(play, run(play, contender, seed)))
            progressed()
        summaries.append(summarize(contender.name, runs))
    return summaries


def summarize(contender: str, runs: Sequence[Figures]) -> Summary:
    """The runs of one contender in one line."""
    recoveries = [each.recovery_seconds for each in runs if each.recovery_seconds is not None]
    ends: dict[str, float] = {}
    for each in runs:
        for end, count in each.ends.items():
            ends[end] = ends.get(end, 0.0) + count / len(runs)
    return Summary(
        contender=contender,
        runs=len(runs),
        goodput=_mean([each.goodput for each in runs]),
        success=_mean([each.success for each in runs]),
        least_success=min(each.success for each in runs),
        amplification=_mean([each.amplification for each in runs]),
        most_amplification=max(each.amplification for each in runs),
        recovery_p50=percentile(recoveries, 0.5),
        recovery_p95=percentile(recoveries, 0.95),
        never_recovered=sum(not each.recovered for each in runs),
        probes=_mean([each.probes for each in runs]),
        most_probes_at_once=max(each.most_probes for each in runs),
        peak_rate=max(each.peak_rate for each in runs),
        hosts_opened=_mean([each.opened for each in runs]),
        repeated_effects=sum(each.repeated_effects for each in runs),
        lost=sum(each.lost for each in runs),
        ends=ends,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
