"""Figures as CSV (RFC 4180), for spreadsheets. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from seawall.engine.analytics import Analytics

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvTable(Enum):
    """What can be had as CSV."""

    HOSTS = "hosts"
    ERRORS = "errors"


def csv_of(analytics: Analytics, table: CsvTable) -> str:
    """One table of the figures, with its headings."""
    return _TABLES[table](analytics)


def _hosts(analytics: Analytics) -> str:
    names = (
        *("host", "agent_id", "commands", "succeeded", "failed", "reliability", "availability"),
        *("down_seconds", "outages", "mtbf_seconds", "mttr_seconds"),
        *("p50_seconds", "p95_seconds", "p99_seconds"),
    )
    return _written(names, ([getattr(host, name) for name in names] for host in analytics.hosts))


def _errors(analytics: Analytics) -> str:
    """A row for each pattern and each part of the time in which there was one."""
    parts = [f"{part:%Y-%m-%dT%H:%M:%SZ}" for part in analytics.parts]
    rows = (
        (part, pattern.code, pattern.host, pattern.agent_id, pattern.operation, count)
        for pattern in analytics.patterns
        for part, count in zip(parts, pattern.counts, strict=True)
        if count
    )
    return _written(("from", "code", "host", "agent_id", "operation", "failures"), rows)


_TABLES: dict[CsvTable, Callable[[Analytics], str]] = {CsvTable.HOSTS: _hosts, CsvTable.ERRORS: _errors}


def _written(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    # A spreadsheet would calculate what begins like a formula.
    return f"'{text}" if text.startswith(_FORMULA) else text
