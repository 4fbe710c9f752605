"""How things are said: durations, times, what to do next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from seawall.client.models import Agent, Attempt, Command
from seawall.core.command import CommandState
from seawall.operations.registry import OPERATIONS

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

_LOG_SAYS_MORE = "The agent's log on {host} says more"
_ADVICE = {
    "circuit_open": "Nothing was sent. Try again{when}; 'seawall circuit show {host}' says why it is open",
    "bulkhead_full": "Nothing was sent. Try again{when}; 'seawall command list --on {host}' shows what runs there",
    "agent_not_connected": "It never started. Look whether the agent runs on {host}: 'seawall agent show {host}'",
    "deadline_exceeded": "It never started. Give it longer with --deadline",
    "timeout": "Give it longer with --timeout, or look whether the host answers: 'seawall agent ping {host}'",
    "network_error": "Try again once the host is connected: 'seawall agent show {host}'",
    "agent_disconnected": "Try again once the host is connected: 'seawall agent show {host}'",
    "unsupported_operation": "Update the agent on {host}, or see 'seawall operation list'",
    "invalid_argument": "Correct that and try again; --help says what is allowed",
    "agent_error": _LOG_SAYS_MORE,
    "invalid_response": _LOG_SAYS_MORE,
    "unknown_error": _LOG_SAYS_MORE,
}


def duration(seconds: float) -> str:
    """A duration in the unit that fits it."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return _rounded(seconds)


def took(seconds: float) -> str:
    """How long something short took."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else duration(seconds)


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago a moment was, or how far ahead it is."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    if -1 < seconds < 1:
        return "now"
    return f"{_rounded(seconds)} ago" if seconds > 0 else f"in {_rounded(-seconds)}"


def _rounded(seconds: float) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def missing(lines: int) -> str:
    """What is said in place of lines of an output that a host had no room for."""
    return f"({lines} lines are missing: the host had no room for them)"


def printed(text: str, detail: object) -> list[str]:
    """What a line of progress says to people: what a program has said on the host, else the text."""
    said = detail.get("said") if isinstance(detail, Mapping) else None
    lines = [safe(line) for line in said if isinstance(line, str)] if isinstance(said, list) else []
    return lines or [safe(text)]


def safe(text: str) -> str:
    """A text of another machine as one harmless line: no control characters reach the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def safe_line(text: str) -> str:
    """As `safe`, with spaces and tabs as they are."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def host_name(agent: Agent | None, name: str) -> str:
    """A host's name; a simulated one is always called so."""
    return f"{name} (simulated)" if agent is not None and agent.simulated else name


def subject(command: Command) -> str:
    """What a command does to what, without the host."""
    container = _container(command)
    return f"{command.operation} {safe(container)}" if container else command.operation


def verdict(command: Command) -> str:
    """A command's state with its error code, duration and number of attempts."""
    attempts = f", {command.total_attempts} attempts" if command.total_attempts > 1 else ""
    code = f" {command.error_code}" if command.error_code else ""
    if not command.state.final:
        return f"{command.state.value}{code}"
    return f"{command.state.value}{code} ({duration(command.duration_seconds)}{attempts})"


def attempt_line(attempt: Attempt) -> str:
    """One attempt that is over, or under way."""
    if attempt.finished_at is None:
        return f"attempt {attempt.number}: no answer seen"
    took = duration((attempt.finished_at - attempt.started_at).total_seconds())
    return finished_attempt(attempt.number, took, attempt.error_code, attempt.error)


def finished_attempt(number: object, took: str, error_code: object, error: object) -> str:
    """How one attempt ended."""
    if error_code is None:
        return f"attempt {number} done after {took}"
    reason = f": {safe(str(error))}" if error else ""
    return f"attempt {number} failed after {took}: {error_code}{reason}"


def advice(command: Command) -> str:
    """What to do now; empty where nothing is, or where the error's text says it already."""
    host, container = command.agent, _container(command)
    if command.state is CommandState.UNKNOWN:
        operation = OPERATIONS.get(command.operation)
        if operation is None or operation.changes:
            look = (
                f"seawall container inspect {safe(container)} --on {host}"
                if container
                else f"seawall agent show {host}"
            )
            return (
                f"It may have happened: look with '{look}' before you repeat it; "
                f"'seawall command show {command.command_id}' says what is known"
            )
    if command.error is not None and "seawall " in command.error:
        # Whoever found the error knew best what to do about it.
        return ""
    when = f" in {command.retry_after_seconds:.0f} s" if command.retry_after_seconds else " later"
    words = _ADVICE.get(command.error_code or "", "")
    return words.format(host=host, when=when)


def _container(command: Command) -> str:
    container = command.arguments.get("container")
    return container if isinstance(container, str) else ""
