"""What a metric is declared by."""

from __future__ import annotations

from msgspec import Struct


class MetricDeclaration(Struct, frozen=True):
    """A metric's name as it is scraped (without the suffixes of a histogram's parts), its labels and its meaning."""

    name: str
    kind: str
    summary: str
    labels: tuple[str, ...] = ()
