"""`seawall simulate`: what a policy does to a fleet, in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.output import console, print_json, print_table, say, tell
from seawall.cli.wording import duration

if TYPE_CHECKING:
    from seawall.client.client import Client
    from seawall.client.models import Command
    from seawall.simulator.comparison import Summary
    from seawall.simulator.contenders import Contender
    from seawall.simulator.recording import Recording
    from seawall.simulator.world import Play

_LIST = "list"
_LIVE = "live"
_PAGE = 1000
_MOST_COMMANDS = 100_000
_COLUMNS = (
    "policy",
    "goodput/s",
    "success",
    "amplification",
    "recovery p50",
    "p95",
    "never recovered",
    "probes",
)


def simulate(
    context: typer.Context,
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENARIO", help="One of `seawall simulate list`, or a TOML file of your own."
        ),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(
            "--policy", metavar="POLICY", help="What is looked at: a preset, `naive`, or a policy file."
        ),
    ] = "production",
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="POLICY", help="Which others beside it; repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=10_000, help="How many runs of each.")] = 20,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="The first of them.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the first run; the ending names the format."),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="FILE",
            help="Instead of a scenario: what `seawall command list --json` printed, or `live` to ask the controller.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a policy does before a real fleet meets it: the real rules, in virtual time."""
    if scenario == _LIST:
        _list(as_json=as_json)
        return
    play = _play(context, scenario, replay)
    contenders = [_contender(name) for name in dict.fromkeys((policy, *(against or ())))]
    summaries = _compare(play, contenders, range(first_seed, first_seed + seeds))
    if plot is not None:
        _draw(play, contenders, first_seed, plot)
    if as_json:
        print_json({"scenario": play.name, "seconds": play.seconds, "policies": summaries})
        return
    print_table(_COLUMNS, [_row(each) for each in summaries], empty="nothing was compared")
    _say_what_matters(summaries)


def _list(*, as_json: bool) -> None:
    from seawall.simulator.scenario import shipped

    scenarios = shipped()
    if as_json:
        print_json([{"name": each.name, "summary": each.summary} for each in scenarios.values()])
        return
    rows = [(each.name, f"{each.hosts}", duration(each.seconds), each.summary) for each in scenarios.values()]
    print_table(("scenario", "hosts", "takes", "what"), rows, empty="no scenario is shipped")


def _play(context: typer.Context, scenario: str | None, replay: str | None) -> Play:
    from seawall.simulator.scenario import ScenarioInvalid, parse, shipped

    if (scenario is None) == (replay is None):
        raise UsageProblem(
            "give a scenario (`seawall simulate list`), or a history with --replay, and not both"
        )
    if replay is not None:
        return _recording(context, replay)
    name = scenario or ""
    found = shipped().get(name)
    if found is not None:
        return found
    file = Path(name)
    if not file.is_file():
        raise UsageProblem(f"there is no scenario {name!r} and no such file; see `seawall simulate list`")
    try:
        return parse(_read(file).decode("utf-8", "replace"), name)
    except ScenarioInvalid as error:
        raise UsageProblem(str(error)) from error


def _recording(context: typer.Context, source: str) -> Recording:
    from seawall.simulator.recording import RecordingInvalid, read_recording, recorded

    try:
        if source != _LIVE:
            return read_recording(_read(Path(source)), source)
        return recorded(ask(context, _history), "the controller's history")
    except RecordingInvalid as error:
        raise UsageProblem(str(error)) from error


async def _history(client: Client) -> list[Command]:
    """All that the controller remembers, up to a limit, the newest first."""
    found: list[Command] = []
    page = await client.commands(limit=_PAGE)
    while page and len(found) < _MOST_COMMANDS:
        found += page
        page = await client.commands(limit=_PAGE, before=page[-1].command_id)
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageProblem(f"{file} can't be read: {error.strerror}") from error


def _contender(name: str) -> Contender:
    from seawall.simulator.contenders import CONTENDERS

    found = CONTENDERS.get(name)
    if found is not None:
        return found
    file = Path(name)
    if not file.is_file():
        raise UsageProblem(f"there is no policy {name!r} and no such file; there are {', '.join(CONTENDERS)}")
    return _contender_of(file)


def _contender_of(file: Path) -> Contender:
    from seawall.engine.policies import read_policies
    from seawall.simulator.contenders import Contender
    from seawall.toml_document import InvalidToml

    try:
        policies = read_policies(str(file), _read(file).decode("utf-8", "replace"))
    except InvalidToml as error:
        raise UsageProblem(str(error)) from error
    if policies.special:
        # What is simulated has neither a name nor a class of its own.
        tell(f"{file}: of its tables for some operations none is simulated: {', '.join(policies.special)}")
    return Contender(str(file), policies.plane)


def _compare(play: Play, contenders: list[Contender], seeds: range) -> list[Summary]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from seawall.simulator.comparison import compare

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(errors=True), transient=True) as bar:
        task = bar.add_task(play.name, total=len(contenders) * len(seeds))
        return compare(play, contenders, seeds, lambda: bar.advance(task))


def _draw(play: Play, contenders: list[Contender], seed: int, file: Path) -> None:
    from seawall.simulator.picture import Panel, draw
    from seawall.simulator.world import run

    panels = [Panel(contender.name, run(play, contender, seed)) for contender in contenders]
    try:
        draw(play, panels, file)
    except OSError as error:
        raise CliProblem(f"the picture {file} can't be written: {error.strerror}") from error
    except ValueError as error:
        raise UsageProblem(f"the picture {file} can't be drawn: {error}") from error


def _row(summary: Summary) -> tuple[str, ...]:
    p50, p95 = summary.recovery_p50, summary.recovery_p95
    return (
        summary.contender,
        f"{summary.goodput:.2f}",
        f"{summary.success:.1%}",
        f"{summary.amplification:.3f} (at most {summary.most_amplification:.3f})",
        "-" if p50 is None else f"{p50:.1f} s",
        "-" if p95 is None else f"{p95:.1f} s",
        f"{summary.never_recovered} of {summary.runs}",
        f"{summary.probes:.1f}",
    )


def _say_what_matters(summaries: list[Summary]) -> None:
    for each in summaries:
        ends = sorted(each.ends.items(), key=lambda end: -end[1])
        told = ", ".join(f"{count:,.0f} {end}" for end, count in ends if count >= 0.5)
        say(f"{each.contender}: of a run's commands ended {told}")
        if each.repeated_effects:
            say(f"{each.contender}: {each.repeated_effects:,} changes were made twice, over all runs")
