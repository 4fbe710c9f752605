"""Archives that are sent to a host before the command that names them."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.operation import Argument, Lane, Operation, Role, StreamKind

LARGEST_BYTES = 8 * 1024**3
"""The largest archive that a host takes."""

ARCHIVE = (
    Argument(
        "archive",
        str,
        "the SHA-256 of the uploaded archive, in lowercase hexadecimal digits",
        required=True,
        max_length=64,
        pattern=r"[0-9a-f]{64}",
    ),
    Argument("size", int, "its size in bytes", required=True, minimum=1, maximum=LARGEST_BYTES),
)
"""What names an uploaded archive, among the arguments of every operation that takes one."""
ARCHIVE_NAMES = frozenset(argument.name for argument in ARCHIVE)

SYSTEM_UPLOAD = Operation(
    "system_upload",
    "Send an archive to the host, for a command that names it afterwards.",
    # By itself it changes nothing but the agent's own directory.
    SafetyClass.SAFE_READ,
    (
        Argument(
            "purpose",
            str,
            "the operation that will name it: who may not do that may not send it",
            required=True,
            choices=("container_copy_in", "image_load", "image_build"),
        ),
        *ARCHIVE,
    ),
    lane=Lane.BULK,
    role=Role.OPERATOR,
    touches_docker=False,
    stream=StreamKind.UPLOAD,
    command=False,
)

OPERATIONS = (SYSTEM_UPLOAD,)
