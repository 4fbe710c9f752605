"""The labels that a command gives to what it creates."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.operations.container_spec import OWN_LABELS
from seawall.operations.operation import Argument

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
    taken = [name for name in labels if name.startswith(OWN_LABELS)] if isinstance(labels, Mapping) else []
    return [
        f"argument 'labels' has the name {name!r}: what begins with {OWN_LABELS!r} is the agent's"
        for name in taken
    ]
