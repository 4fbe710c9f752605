"""Commands themselves: what one has printed where it runs."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.operation import Argument, Operation, Role, StreamKind

COMMAND_OUTPUT = Operation(
    "command_output",
    "What a command prints while its host works on it, from the beginning, a JSON object a line.",
    SafetyClass.SAFE_READ,
    (
        Argument(
            "command_id",
            str,
            "a command's id",
            required=True,
            max_length=64,
            pattern=r"[A-Za-z0-9][A-Za-z0-9_.:-]*",
            positional=True,
        ),
        Argument(
            "follow",
            bool,
            "wait for the command if its host doesn't work on it yet, and go on to its end",
            default=False,
        ),
    ),
    role=Role.VIEWER,
    touches_docker=False,
    stream=StreamKind.READ,
    command=False,
)

OPERATIONS = (COMMAND_OUTPUT,)
