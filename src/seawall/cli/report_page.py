"""The report as a page of its own: no script, nothing from elsewhere, every text escaped, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from seawall.cli.wording import duration, safe, took
from seawall.engine.analytics import Analytics, HostFigures
from seawall.engine.analytics_shown import (
    HeatBy,
    HeatRow,
    counted,
    heat_rows,
    line,
    notes,
    part_length,
    part_name,
    shade,
    share,
)

_WORST, _PATTERNS = 10, 60
_LINE_WIDTH, _LINE_HEIGHT = 140, 22
_NAMES = (
    *("Host", "Reliability", "Availability", "Over time", "Failed", "Commands", "Outages", "MTBF", "MTTR"),
    *("p50", "p95", "p99"),
)
_STYLE = """
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff; --line: #dce2e8; --text: #17212b; --muted: #5b6875;
  --bad: 194 47 47; --accent: #0b5c8a; }
@media (prefers-color-scheme: dark) { :root { --page: #0d141b; --card: #141e28; --line: #263543; --text: #e3eaf0;
  --muted: #93a3b2; --bad: 255 120 115; --accent: #4db2e0; } }
body { margin: 0; padding: 24px; background: var(--page); color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
main { max-width: 1500px; margin: auto; display: grid; gap: 16px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px; overflow-x: auto; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 15px; margin: 0 0 10px; } p { margin: 4px 0; color: var(--muted); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--muted); font-weight: 500; font-size: 12px; white-space: nowrap; }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); } td { white-space: nowrap; }
.heat th, .heat td { padding: 3px 6px; }
.heat td.n { text-align: center; min-width: 22px; font-size: 12px; border: 1px solid var(--card); }
.heat th.n { font-size: 10px; writing-mode: vertical-rl; }
.s1 { background: rgb(var(--bad) / 14%); } .s2 { background: rgb(var(--bad) / 28%); }
.s3 { background: rgb(var(--bad) / 44%); } .s4 { background: rgb(var(--bad) / 62%); font-weight: 700; }
svg { display: block; } path { fill: none; stroke: var(--accent); stroke-width: 1.5; stroke-linecap: round; }
@media print { body { background: none; padding: 0; } section { break-inside: avoid; } }
"""


def report_page(analytics: Analytics) -> str:
    """The whole page."""
    since, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in (analytics.begins_at, analytics.ends_at))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Seawall report, {since} to {until} UTC</title><style>{_STYLE}</style></head><body><main>",
        f"<header><h1>Seawall report</h1><p>{since} to {until} UTC; {counted(analytics)}</p>",
        *(f"<p>{_text(note)}</p>" for note in notes(analytics)),
        "</header>",
        _section("The worst ten", _hosts(analytics.hosts[:_WORST])),
        _section("Errors by code", _heat(analytics, HeatBy.CODE, ("Code",))),
        _section("Error patterns", _heat(analytics, HeatBy.PATTERN, ("Code", "Host", "Operation"))),
        _section("The least reliable hosts", _hosts(analytics.hosts)),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _heat(analytics: Analytics, by: HeatBy, names: Sequence[str]) -> str:
    rows = heat_rows(analytics, by)
    if not rows:
        return "<p>Nothing failed.</p>"
    shown = rows[:_PATTERNS]
    most = max(count for row in shown for count in row.counts)
    parts = "".join(
        f'<th class="n" scope="col">{part_name(part, analytics.part_seconds)}</th>'
        for part in analytics.parts
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in (*names, "All"))
    body = "".join(_heat_row(row, most) for row in shown)
    more = f"<p>{len(rows) - len(shown):,} more aren't shown.</p>" if len(rows) > len(shown) else ""
    length = part_length(analytics.part_seconds)
    return (
        f'<p>Failures in each {length}; the first and the last column may be shorter.</p><table class="heat">'
        f"<thead><tr>{heads}{parts}</tr></thead><tbody>{body}</tbody></table>{more}"
    )


def _heat_row(row: HeatRow, most: int) -> str:
    about = "".join(f"<td>{_text(word)}</td>" for word in row.about)
    counts = "".join(
        f'<td class="n s{shade(count, most)}">{count:,}</td>' if count else '<td class="n"></td>'
        for count in row.counts
    )
    return f"<tr>{about}<td>{row.total:,}</td>{counts}</tr>"


def _hosts(hosts: Sequence[HostFigures]) -> str:
    if not hosts:
        return "<p>No host has joined yet.</p>"
    heads = "".join(f'<th scope="col">{name}</th>' for name in _NAMES)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(host))}</tr>" for host in hosts)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cells(host: HostFigures) -> Iterable[str]:
    yield _text(host.host)
    yield share(host.reliability)
    yield share(host.availability)
    path = line(host.availabilities, _LINE_WIDTH, _LINE_HEIGHT - 2, 0.0, 1.0)
    yield f'<svg width="{_LINE_WIDTH}" height="{_LINE_HEIGHT}" aria-hidden="true"><path d="{path}"/></svg>'
    yield f"{host.failed:,}"
    yield f"{host.commands:,}"
    yield f"{host.outages:,}"
    for lasted in (host.mtbf_seconds, host.mttr_seconds):
        yield "-" if lasted is None else duration(lasted)
    for each in (host.p50_seconds, host.p95_seconds, host.p99_seconds):
        yield "-" if each is None else took(each)


def _text(text: str) -> str:
    return escape(safe(text))
