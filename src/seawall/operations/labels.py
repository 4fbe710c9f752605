"""The labels that a command gives to what it creates."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.operations.operation import Argument

COMMAND_LABEL = "seawall.command_id"
"""On what an agent has created: the id of the command that it was created for."""

_OURS = "seawall."

LABELS = Argument(
    "labels",
    dict,
    "its labels: names of letters, digits, '.', '_', '/' and '-', not beginning with 'seawall.'",
    key_pattern=r"[a-zA-Z0-9]([a-zA-Z0-9._/-]*[a-zA-Z0-9])?",
    max_length=1024,
    option="label",
)


def label_problems(arguments: Mapping[str, object]) -> list[str]:
    """Labels that only the agent may give: it knows by them what it has created."""
    labels = arguments.get("labels")
    taken = [name for name in labels if name.startswith(_OURS)] if isinstance(labels, Mapping) else []
    return [
        f"argument 'labels' has the name {name!r}: what begins with {_OURS!r} is the agent's"
        for name in taken
    ]
