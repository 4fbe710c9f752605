"""Volumes: what can be asked of a host about them."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.labels import LABELS, label_problems
from seawall.operations.operation import Argument, Lane, Operation, Role

_NAME_PATTERN = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"  # Docker wants two characters
_NAME_SUMMARY = "at least two letters, digits, '_', '.' or '-', the first a letter or a digit"


def _volume_argument(name: str, summary: str) -> Argument:
    return Argument(
        name,
        str,
        f"{summary}: {_NAME_SUMMARY}",
        required=True,
        max_length=255,
        pattern=_NAME_PATTERN,
        positional=True,
    )


_VOLUME = _volume_argument("volume", "the volume's name")

VOLUME_LIST = Operation(
    "volume_list",
    "List the host's volumes.",
    SafetyClass.SAFE_READ,
    (Argument("unused", bool, "only those that no container names, running or not", default=False),),
    role=Role.VIEWER,
)
VOLUME_INSPECT = Operation(
    "volume_inspect",
    "Everything that Docker knows about a volume.",
    SafetyClass.SAFE_READ,
    (_VOLUME,),
    role=Role.VIEWER,
)
VOLUME_CREATE = Operation(
    "volume_create",
    "Create a volume; fine if there is one of that name, driver and options.",
    SafetyClass.VERIFIABLE,
    (
        _volume_argument("name", "the new volume's name"),
        Argument(
            "driver",
            str,
            "the driver that keeps it",
            default="local",
            max_length=64,
            pattern=r"[a-zA-Z0-9][a-zA-Z0-9_.:/-]*",
        ),
        Argument(
            "options",
            dict,
            "options of the driver, such as type=tmpfs; the host's policy says which are allowed",
            key_pattern=r"[a-zA-Z0-9][a-zA-Z0-9._-]*",
            max_length=1024,
            option="option",
        ),
        LABELS,
    ),
    check=label_problems,
)
VOLUME_REMOVE = Operation(
    "volume_remove",
    "Remove a volume that no container names, with all that is in it.",
    SafetyClass.VERIFIABLE,
    (_VOLUME,),
)
VOLUME_PRUNE_PLAN = Operation(
    "volume_prune_plan",
    "The volumes that no container names, running or not: what volume_prune would remove.",
    SafetyClass.SAFE_READ,
    role=Role.VIEWER,
)
VOLUME_PRUNE = Operation(
    "volume_prune",
    "Remove unused volumes with all that is in them: those of a plan, by their names. One that is used by now is kept.",
    SafetyClass.VERIFIABLE,
    (
        Argument(
            "names",
            list,
            "the names of the volumes, as volume_prune_plan tells them",
            required=True,
            pattern=_NAME_PATTERN,
            max_items=1000,
            option="name",
        ),
    ),
    lane=Lane.BULK,
    timeout_seconds=120.0,
)

OPERATIONS = (
    VOLUME_LIST,
    VOLUME_INSPECT,
    VOLUME_CREATE,
    VOLUME_REMOVE,
    VOLUME_PRUNE_PLAN,
    VOLUME_PRUNE,
)
