"""`seawall report`: which errors repeat and how reliable hosts are, on the terminal or as a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.moments import moment
from seawall.cli.output import print_json, print_table, say, tell
from seawall.cli.report_page import report_page
from seawall.cli.wording import duration, took
from seawall.engine.analytics import Analytics, HostFigures
from seawall.engine.analytics_csv import CsvTable
from seawall.engine.analytics_shown import HeatBy, counted, heat_rows, share

_MOST = 1_000
_WORST, _PATTERNS = 10, 20


def report(
    context: typer.Context,
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", callback=moment, help="From then on, such as 7d or a date."),
    ] = "7d",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page that needs nothing but itself."),
    ] = None,
    csv: Annotated[CsvTable | None, typer.Option("--csv", help="Print this table as CSV, in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which errors repeat and how reliable the hosts are: the worst ten here, a thousand in the file."""
    if sum((html is not None, csv is not None, as_json)) > 1:
        raise UsageProblem("give one of --html, --csv and --json")
    begin = datetime.fromtimestamp(float(since), UTC)
    if csv is not None:
        say(ask(context, lambda client: client.analytics.csv(csv, begin)).rstrip("\r\n"))
        return
    analytics = ask(context, lambda client: client.analytics.look(begin, limit=_MOST))
    if as_json:
        print_json(analytics)
    elif html is not None:
        _write(html, analytics)
    else:
        _tell(analytics)


def _write(file: Path, analytics: Analytics) -> None:
    try:
        file.write_text(report_page(analytics), encoding="utf-8")
    except OSError as error:
        raise CliProblem(f"{file} can't be written: {error.strerror or error}") from error
    tell(f"{file} is written; any browser shows it")


def _tell(analytics: Analytics) -> None:
    say(counted(analytics))
    if not analytics.complete:
        tell(
            f"only the newest commands were looked at; they go back to {analytics.read_back_to:%Y-%m-%d %H:%M} UTC"
        )
    columns = (
        "host",
        "reliability",
        "availability",
        "failed",
        "of",
        "outages",
        "mtbf",
        "mttr",
        "p50",
        "p95",
        "p99",
    )
    rows = [_row(host) for host in analytics.hosts[:_WORST]]
    print_table(columns, rows, empty="no host has joined yet")
    found = heat_rows(analytics, HeatBy.PATTERN)[:_PATTERNS]
    if found:
        say("")
        print_table(
            ("failures", "code", "host", "operation"),
            [(f"{row.total:,}", *row.about) for row in found],
            empty="",
        )


def _row(host: HostFigures) -> tuple[str, ...]:
    return (
        host.host,
        share(host.reliability),
        share(host.availability),
        f"{host.failed:,}",
        f"{host.commands:,}",
        str(host.outages),
        *("-" if each is None else duration(each) for each in (host.mtbf_seconds, host.mttr_seconds)),
        *(
            "-" if each is None else took(each)
            for each in (host.p50_seconds, host.p95_seconds, host.p99_seconds)
        ),
    )
