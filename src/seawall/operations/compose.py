"""Compose: projects of several containers, given as files."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.operation import Argument, Lane, Operation, Role

PROGRAM = "docker compose (version 2) or docker-compose"
"""What brings projects up and down on a host."""

_FILE_PATTERN = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
_NAME_PATTERN = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_MAX_TAIL = 10_000
_MOST_FILE_BYTES = 256 * 1024

_PROJECT = Argument(
    "project",
    str,
    "the project's name: lowercase letters, digits, '_' and '-', the first a letter or a digit",
    required=True,
    max_length=63,
    pattern=r"[a-z0-9][a-z0-9_-]*",
    positional=True,
)
_SERVICES = Argument(
    "services",
    list,
    "only these services, by their names in the files; all of them unless told otherwise",
    max_length=128,
    pattern=_NAME_PATTERN,
)
_GRACE = Argument(
    "grace_seconds",
    int,
    "how long a container may take to stop before it is killed",
    minimum=0,
    maximum=3600,
    option="grace",
)

COMPOSE_UP = Operation(
    "compose_up",
    "Bring a project up as its files say: create, change and start what differs.",
    SafetyClass.VERIFIABLE,
    (
        _PROJECT,
        Argument(
            "files",
            dict,
            "the project's files by plain names, without folders: at most 16, and 256 KiB together",
            required=True,
            max_length=_MOST_FILE_BYTES,
            key_pattern=_FILE_PATTERN,
            max_items=16,
        ),
        Argument(
            "use",
            list,
            "which of the files are the project, each refining those before it; compose.yaml unless told otherwise",
            max_length=128,
            pattern=_FILE_PATTERN,
            max_items=16,
        ),
        Argument(
            "environment",
            dict,
            "the values of the variables in the files; nothing else fills them in",
            max_length=32_768,
            key_pattern=r"[a-zA-Z_][a-zA-Z0-9_]{0,127}",
            max_items=256,
            secret=True,
        ),
        _SERVICES,
        Argument(
            "pull",
            str,
            "which images are pulled before: those that are missing, or all of them",
            default="missing",
            choices=("missing", "always"),
        ),
        Argument(
            "remove_orphans",
            bool,
            "remove the project's containers of services that the files don't have any more",
            default=False,
        ),
        _GRACE,
    ),
    lane=Lane.BULK,
    timeout_seconds=600.0,
    project="project",
    grace="grace_seconds",
    needs=PROGRAM,
    prints=True,
)
COMPOSE_DOWN = Operation(
    "compose_down",
    "Stop a project and remove its containers and networks, and what this host keeps of its files.",
    SafetyClass.VERIFIABLE,
    (
        _PROJECT,
        Argument("remove_volumes", bool, "remove its volumes too, and what they hold", default=False),
        Argument(
            "remove_orphans",
            bool,
            "remove the project's containers of services that its files don't have",
            default=False,
        ),
        _GRACE,
    ),
    lane=Lane.BULK,
    timeout_seconds=300.0,
    project="project",
    grace="grace_seconds",
    needs=PROGRAM,
    prints=True,
)
COMPOSE_RESTART = Operation(
    "compose_restart",
    "Stop the containers of a project and start them again.",
    SafetyClass.VERIFIABLE,
    (_PROJECT, _SERVICES, _GRACE),
    timeout_seconds=120.0,
    project="project",
    grace="grace_seconds",
    prints=True,
)
COMPOSE_PS = Operation(
    "compose_ps",
    "The services of a project and how their containers stand.",
    SafetyClass.SAFE_READ,
    (_PROJECT,),
    role=Role.VIEWER,
)
COMPOSE_LOGS = Operation(
    "compose_logs",
    "The end of the logs of a project's containers, in the order of time.",
    SafetyClass.SAFE_READ,
    (
        _PROJECT,
        _SERVICES,
        Argument("tail", int, "how many lines of each container", default=100, minimum=1, maximum=_MAX_TAIL),
        Argument("timestamps", bool, "put the time before each line", default=False),
    ),
    role=Role.VIEWER,
)

OPERATIONS = (COMPOSE_UP, COMPOSE_DOWN, COMPOSE_RESTART, COMPOSE_PS, COMPOSE_LOGS)
