"""How figures are shown, on a page and in a file: rows of a heat map, shades, shares and lines. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from operator import add
from typing import Final, NamedTuple

from seawall.engine.analytics import Analytics, ErrorPattern

SHADES: Final = 4
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_GAP = 0.24
"""Of the room of a bar this share stays free."""
_DAY, _HOUR = 86_400, 3_600


class HeatBy(Enum):
    """What the rows of a heat map are."""

    PATTERN = "pattern"
    CODE = "code"
    HOST = "host"
    OPERATION = "operation"


class HeatRow(NamedTuple):
    """A row: what it is about, and how many failures there were in each part of the time."""

    about: tuple[str, ...]
    total: int
    counts: tuple[int, ...]


_MEANINGS = (
    "Availability is the share of the time in which none of a host's circuits was open of its own accord and no alert "
    "said that it was offline. Failed are commands that failed by the host's fault, and those of unknown outcome. "
    "Reliability is availability times the share of commands that didn't fail. Durations are those of commands that "
    "succeeded, from acceptance to end, within 2.5 percent."
)


def notes(analytics: Analytics) -> list[str]:
    """What has to be known of the figures."""
    said = [_MEANINGS]
    if not analytics.complete:
        back_to = f"{analytics.read_back_to:%Y-%m-%d %H:%M}"
        said.append(
            f"Only the newest {analytics.commands:,} commands were looked at; they go back to {back_to} UTC."
        )
    if analytics.unlisted_failures:
        said.append(f"{analytics.unlisted_failures:,} failures belong to patterns that aren't listed.")
    return said


def heat_rows(analytics: Analytics, by: HeatBy) -> list[HeatRow]:
    """The rows of a heat map, those with the most failures first."""
    rows: dict[tuple[str, ...], tuple[int, ...]] = {}
    for pattern in analytics.patterns:
        about = _about(pattern, by)
        counts = rows.get(about)
        rows[about] = pattern.counts if counts is None else tuple(map(add, counts, pattern.counts))
    made = [HeatRow(about, sum(counts), counts) for about, counts in rows.items()]
    return sorted(made, key=lambda row: (-row.total, row.about))


def _about(pattern: ErrorPattern, by: HeatBy) -> tuple[str, ...]:
    match by:
        case HeatBy.PATTERN:
            return pattern.code, pattern.host, pattern.operation
        case HeatBy.CODE:
            return (pattern.code,)
        case HeatBy.HOST:
            return (pattern.host,)
        case HeatBy.OPERATION:
            return (pattern.operation,)


def shade(count: int, most: int) -> int:
    """From 0 for none to `SHADES` for the most, in even steps of its logarithm: single failures are seen as well."""
    if count <= 0 or most <= 0:
        return 0
    return max(1, math.ceil(SHADES * math.log1p(count) / math.log1p(most)))


def share(value: float) -> str:
    """A share in percent; what isn't all is never rounded up to it."""
    return f"{math.floor(value * 10_000) / 100:.2f} %"


def counted(analytics: Analytics) -> str:
    """How much was counted."""
    return f"commands: {analytics.commands:,}, failed attempts and refusals: {analytics.failures:,}"


def part_name(start: datetime, part_seconds: float) -> str:
    """When a part of the time began, as short as it can be told from the others, UTC."""
    if part_seconds >= _DAY:
        return f"{start:%m-%d}"
    return f"{start:%m-%d %H h}" if part_seconds >= _HOUR else f"{start:%H:%M}"


def part_length(part_seconds: float) -> str:
    """How long a part of the time is, in words."""
    for size, word in ((_DAY, "day"), (_HOUR, "hour"), (60, "minute")):
        if part_seconds >= size:
            count = part_seconds / size
            return f"a {word}".replace("a h", "an h") if count == 1 else f"{count:.0f} {word}s"
    return f"{part_seconds:.0f} seconds"


def line(values: Sequence[float | None], width: float, height: float, low: float, high: float) -> str:
    """The path of a line through values, each over the middle of its part; it breaks where none is."""
    step, pieces, drawn = width / max(1, len(values)), [], False
    for index, value in enumerate(values):
        if value is None:
            drawn = False
            continue
        place = (min(max(value, low), high) - low) / (high - low) if high > low else 0.0
        x, y = (index + 0.5) * step, height - height * place
        if not drawn and (index + 1 == len(values) or values[index + 1] is None):
            # A point has no length; one that stands alone gets that of its part.
            pieces.append(f"M{x - step * 0.4:.1f} {y:.1f}h{step * 0.8:.1f}")
        else:
            pieces.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}")
        drawn = True
    return "".join(pieces)


def blocks(shares: Sequence[float | None]) -> str:
    """Shares over time as a word of blocks, which are full only where it was all; a dot is a part without one."""
    return "".join("·" if each is None else _BLOCKS[math.floor(each * (len(_BLOCKS) - 1))] for each in shares)


def stacks(kinds: Sequence[Sequence[int]], width: float, height: float) -> list[str]:
    """The paths of bars that stand upon one another, one path for the counts of each kind; the highest is full."""
    sums = [sum(part) for part in zip(*kinds, strict=True)]
    most = max(sums, default=0) or 1
    step = width / max(1, len(sums))
    below = [0] * len(sums)
    paths = []
    for counts in kinds:
        pieces = []
        for index, count in enumerate(counts):
            if count:
                top = height - height * (below[index] + count) / most
                left, wide, tall = (index + _GAP / 2) * step, (1 - _GAP) * step, height * count / most
                pieces.append(f"M{left:.1f} {top:.1f}h{wide:.1f}v{tall:.1f}h{-wide:.1f}z")
                below[index] += count
        paths.append("".join(pieces))
    return paths
