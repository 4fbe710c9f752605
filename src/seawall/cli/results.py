"""What hosts answered, as tables, lines or JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from seawall.cli import tables
from seawall.cli.exits import DONE, FAILED, code_of_process, worst
from seawall.cli.fanout import Work
from seawall.cli.output import print_json, print_table, say, tell
from seawall.cli.reporters import Ending
from seawall.cli.wording import host_name, safe_line
from seawall.client.models import Command
from seawall.core.command import CommandState
from seawall.operations.registry import OPERATIONS

_AS_JSON = frozenset({"system_info"})
"""Answers that programs of old read as JSON."""
_TELLING = frozenset(
    {"container_create", "container_run", "image_prune", "network_prune", "volume_prune", "image_pull"}
)
"""Changes whose answer says what wasn't known before."""


def print_records(endings: Sequence[Ending], work: Work, *, plural: bool) -> None:
    """The records as JSON. A host without one has an entry with the same names and no command_id."""
    documents = [_document(ending, work) for ending in endings]
    print_json(documents if plural or len(documents) != 1 else documents[0])


def print_accepted(endings: Sequence[Ending], *, plural: bool) -> None:
    """The records that nobody waits for."""
    accepted: list[object] = [ending.command for ending in endings if ending.command is not None]
    if accepted:
        print_json(accepted if plural else accepted[0])


def print_responses(endings: Sequence[Ending], work: Work, *, plural: bool) -> None:
    """What a person wants to see of the answers of reads; changes have been told already."""
    done = [ending for ending in endings if ending.exit_code == DONE or _response(ending) is not None]
    for ending in done:
        _warn_of_age(ending)
    match work.operation:
        case "ping":
            for ending in done:
                _print_ping(ending)
        case "container_logs" | "compose_logs":
            for ending in done:
                _print_log(ending, plural=plural)
        case "container_exec":
            for ending in done:
                _print_output(ending, plural=plural)
        case operation if operation in _TELLING or not _changes(operation):
            _print_answers(done, operation, plural=plural)
        case _:
            return


def _changes(name: str) -> bool:
    operation = OPERATIONS.get(name)
    return operation is None or operation.changes


def _print_ping(ending: Ending) -> None:
    if ending.command is not None:
        took = ending.command.duration_seconds * 1000
        say(f"{host_name(ending.host, ending.host.name)} answered in {took:.1f} ms")


def _print_answers(endings: Sequence[Ending], operation: str, *, plural: bool) -> None:
    found = [(ending, tables.listed(operation, _response(ending))) for ending in endings]
    lists = [(ending, rows) for ending, rows in found if rows is not None]
    if lists:
        _print_lists(lists, operation, plural=plural)
    for ending, rows in found:
        if rows is None:
            _print_object(ending, operation, plural=plural)


def exit_code(endings: Sequence[Ending], *, plural: bool) -> int:
    """How the call ends. A program in a container passes its own code on; of several it counts only that one failed."""
    if not plural and len(endings) == 1:
        return _program_code(endings[0]) or endings[0].exit_code
    return worst(FAILED if _program_code(ending) else ending.exit_code for ending in endings)


def _program_code(ending: Ending) -> int:
    """The exit code of the program that an exec ran to its end; 0 where nothing ran to its end."""
    command = ending.command
    if (
        command is None
        or command.operation != "container_exec"
        or command.state is not CommandState.SUCCEEDED
    ):
        return DONE
    return code_of_process(command.response)


def summary(endings: Sequence[Ending]) -> str:
    """How many ended how."""
    states = Counter(
        ending.command.state.value if ending.command is not None else "NOT ACCEPTED" for ending in endings
    )
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return f"{len(endings)} hosts: {counted}"


def _document(ending: Ending, work: Work) -> object:
    if ending.command is not None:
        return ending.command
    return {
        "command_id": None,
        "operation": work.operation,
        "agent_id": ending.host.agent_id,
        "agent": ending.host.name,
        "arguments": work.on(ending.host),
        "state": None,
        "error_code": ending.error_code,
        "error": ending.problem,
        "response": None,
        "attempts": [],
        "total_attempts": 0,
        "retried": False,
        "duration_seconds": 0.0,
    }


def _response(ending: Ending) -> object:
    """What the host answered, or else what is known to have been its answer before."""
    command: Command | None = ending.command
    if command is None:
        return None
    return command.response if ending.exit_code == DONE else (command.fallback or {}).get("value")


def _warn_of_age(ending: Ending) -> None:
    fallback = ending.command.fallback if ending.command is not None else None
    if ending.exit_code != DONE and fallback is not None:
        age = fallback.get("age_seconds")
        seconds = f"{age:.0f} s" if isinstance(age, int | float) else "an unknown time"
        tell(
            f"{host_name(ending.host, ending.host.name)} can't be reached; this is what it answered {seconds} ago:"
        )


def _print_lists(lists: Sequence[tuple[Ending, list[tables.Row]]], operation: str, *, plural: bool) -> None:
    """All hosts' lists in one table."""
    shown = tables.columns(operation, [row for _, rows in lists for row in rows])
    hosts = plural or any(ending.host.simulated for ending, _ in lists)
    written: list[list[str]] = []
    for ending, rows in lists:
        for row in rows:
            cells = [tables.cell(row, column) for column in shown]
            written.append([host_name(ending.host, ending.host.name), *cells] if hosts else cells)
    headings = [tables.heading(column) for column in shown]
    noun = operation.partition("_")[0]
    print_table(["host", *headings] if hosts else headings, written, empty=f"no {noun}s")


def _print_object(ending: Ending, operation: str, *, plural: bool) -> None:
    """A flat object as names and values, a deep one as JSON."""
    response = _response(ending)
    if plural:
        tell(f"{host_name(ending.host, ending.host.name)}:")
    flat = None
    if isinstance(response, Mapping) and operation not in _AS_JSON:
        flat = tables.pairs(response)
    if flat is None:
        print_json(response)
    else:
        for name, value in flat:
            say(f"{name}: {safe_line(value)}")


def _print_output(ending: Ending, *, plural: bool) -> None:
    """What a command inside of a container wrote."""
    response = _response(ending)
    if not isinstance(response, Mapping):
        return
    prefix = f"{host_name(ending.host, ending.host.name)}: " if plural else ""
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        for line in _text(response, name).splitlines():
            print(f"{prefix}{safe_line(line) if stream.isatty() else line}", file=stream)
    if response.get("truncated") is True:
        tell(f"{prefix}it wrote more than what is shown")
    if response.get("exit_code") != 0:
        tell(f"{prefix}it ended with exit code {response.get('exit_code')}")


def _print_log(ending: Ending, *, plural: bool) -> None:
    response = _response(ending)
    if not isinstance(response, Mapping):
        return
    lines = response.get("lines")
    prefix = f"{host_name(ending.host, ending.host.name)}: " if plural else ""
    for line in lines if isinstance(lines, list) else []:
        if not isinstance(line, Mapping):
            continue
        text = _text(line, "text").rstrip("\r\n")
        time = f"{line['time']} " if line.get("time") else ""
        stream = sys.stderr if line.get("stream") == "stderr" else sys.stdout
        # What a container writes may hold control sequences: they are for files and pipes, never for a terminal.
        print(f"{prefix}{time}{safe_line(text) if stream.isatty() else text}", file=stream)
    if response.get("truncated") is True:
        tell(f"{prefix}earlier lines were left out; ask for fewer with --tail")


def _text(content: Mapping[object, object], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""
