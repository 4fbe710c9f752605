"""What hosts answered, as tables, lines or JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from seawall.cli.exits import DONE
from seawall.cli.fanout import Work
from seawall.cli.output import print_json, print_table, say, tell
from seawall.cli.reporters import Ending
from seawall.cli.wording import host_name, safe_line
from seawall.client.models import Command


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
        case "container_list":
            _print_containers(done, plural=plural)
        case "container_logs":
            for ending in done:
                _print_log(ending, plural=plural)
        case "container_inspect" | "system_info":
            for ending in done:
                if plural:
                    tell(f"{host_name(ending.host, ending.host.name)}:")
                print_json(_response(ending))
        case "ping":
            for ending in done:
                if ending.command is not None:
                    took = ending.command.duration_seconds * 1000
                    say(f"{host_name(ending.host, ending.host.name)} answered in {took:.1f} ms")
        case _:
            return


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
        "arguments": work.arguments,
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


def _print_containers(endings: Sequence[Ending], *, plural: bool) -> None:
    rows: list[list[str]] = []
    simulated = any(ending.host.simulated for ending in endings)
    for ending in endings:
        response = _response(ending)
        for container in response if isinstance(response, list) else []:
            if isinstance(container, Mapping):
                row = [_text(container, name) for name in ("name", "image", "state", "status")]
                row.append(_text(container, "id")[:12])
                rows.append([host_name(ending.host, ending.host.name), *row] if plural or simulated else row)
    columns = ["name", "image", "state", "status", "id"]
    if endings:
        print_table(["host", *columns] if plural or simulated else columns, rows, empty="no containers")


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
