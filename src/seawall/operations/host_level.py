"""How far a host's owner lets the controller go: both ends judge operations by it, the host has the last word."""

from __future__ import annotations

import re
from enum import Enum

from seawall.operations.operation import Operation


class Level(Enum):
    """What the controller may do here, each with what the levels before it permit."""

    READ_ONLY = "read-only"
    """Look at everything, change nothing."""
    OPERATE = "operate"
    """Start, stop and tune the containers that are there, and restart the agent."""
    MANAGE = "manage"
    """Create, replace and remove whatever the rules permit."""


_RANK = {Level.READ_ONLY: 0, Level.OPERATE: 1, Level.MANAGE: 2}
_OPERATE = frozenset(
    {
        "container_start",
        "container_stop",
        "container_restart",
        "container_kill",
        "container_pause",
        "container_unpause",
        "container_rename",
        "container_set_limits",
        "compose_restart",
        "system_restart_agent",
    }
)
_EXEC = re.compile(r"(^|_)(exec|attach|copy_in)(_|$)")
"""Whoever may put files or processes into a container does what its programs may."""


def lacks(operation: Operation, level: Level, *, may_exec: bool) -> tuple[str, str] | None:
    """The rule of a host at this level that forbids an operation, and what it would have to say; None if none does."""
    if _EXEC.search(operation.name):
        return None if may_exec else ("exec", f"{operation.name} needs exec = true")
    if not operation.changes:
        return None
    needed = Level.OPERATE if operation.name in _OPERATE else Level.MANAGE
    if _RANK[level] < _RANK[needed]:
        return "level", f'{operation.name} needs level = "{needed.value}", and it is "{level.value}"'
    return None
