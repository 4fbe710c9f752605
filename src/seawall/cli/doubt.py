"""What is known of a command that may have happened, and what can be done about it, in words. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from seawall.cli.wording import ago, safe
from seawall.client.models import Agent, Command
from seawall.core.command import CommandState

_NAMES = {
    "reason": "why",
    "started_at": "began",
    "last_frame_at": "last heard",
    "pre_image": "before",
    "now": "now",
}
_ACTIONS = {
    "verify": ("verify {id}", "has the host look what became of it"),
    "resolve": (
        "resolve {id} --state succeeded|failed --reason TEXT",
        "records what you found out yourself",
    ),
    "force-retry": ("force-retry {id}", "does it as a new command, although this one may have happened"),
}


def evidence_lines(command: Command, now: datetime) -> list[str]:
    """What is known; empty where nothing is."""
    lines = []
    if command.resolved_by:
        lines.append(f"resolved by {safe(command.resolved_by)}: {safe(command.resolution)}")
    evidence = command.evidence or {}
    # Whatever else a later agent shows comes under its own name.
    names = [*_NAMES, *(name for name in evidence if name not in _NAMES)]
    lines += [
        f"{_NAMES.get(name, safe(name)):<11}{_content(evidence[name], now)}"
        for name in names
        if evidence.get(name) is not None
    ]
    if command.state is CommandState.UNKNOWN and not command.settled:
        lines.append("its host may still find out, and is asked")
    return lines


def action_lines(command: Command) -> list[str]:
    """What can be done, each as it is typed; empty where nothing has to be."""
    found = [_ACTIONS[action] for action in command.safe_actions if action in _ACTIONS]
    words = [(f"seawall command {typed.format(id=command.command_id)}", meaning) for typed, meaning in found]
    width = max((len(typed) for typed, _ in words), default=0)
    return [f"{typed:<{width}}  {meaning}" for typed, meaning in words]


def still_unknown(command: Command, host: Agent | None) -> str:
    """What comes of having asked, where the answer isn't there."""
    if command.settled:
        return "its host can't tell: look yourself, then resolve it"
    if host is not None and host.state != "connected":
        return "its host isn't connected: it is asked as soon as it is back"
    return "its host hasn't found out yet: it is asked again until it has"


def warning(command: Command) -> str:
    """What whoever repeats it has to know first."""
    return (
        f"command {command.command_id} may have happened already: this is a second one, with an effect of its own "
        "beside whatever the first had"
    )


def _content(content: object, now: datetime) -> str:
    if not isinstance(content, str):
        return safe(msgspec.json.encode(content).decode())
    try:
        moment = msgspec.convert(content, datetime)
        return f"{ago(moment, now)}, at {safe(content)}"
    except (msgspec.ValidationError, TypeError):
        # No time, or one without a zone.
        return safe(content)
