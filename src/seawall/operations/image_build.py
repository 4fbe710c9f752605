"""Images that are built on a host, of a context that is sent there."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.core.command import SafetyClass
from seawall.operations.image_reference import LONGEST_REFERENCE, InvalidReference, parse_reference
from seawall.operations.labels import LABELS, label_problems
from seawall.operations.operation import Argument, Lane, Operation, Upload
from seawall.operations.uploads import ARCHIVE

_MOST_TAGS = 16


def _problems(arguments: Mapping[str, object]) -> list[str]:
    problems = label_problems(arguments)
    tags = arguments.get("tags")
    for tag in tags if isinstance(tags, list) else []:
        try:
            if parse_reference(str(tag)).digest is not None:
                problems.append(f"argument 'tags': {tag!r} has a digest, which is what the content says")
        except InvalidReference as error:
            problems.append(f"argument 'tags': {error}")
    file = str(arguments["dockerfile"])
    if file.startswith("/") or ".." in file.split("/"):
        problems.append(f"argument 'dockerfile': {file[:64]!r} leads out of the context")
    return problems


IMAGE_BUILD = Operation(
    "image_build",
    "Build an image of a context that was sent to the host, with Docker's classic builder.",
    SafetyClass.VERIFIABLE,
    (
        *ARCHIVE,
        Argument(
            "tags",
            list,
            "what it is named, such as team/app:1.2",
            max_items=_MOST_TAGS,
            max_length=LONGEST_REFERENCE,
            option="tag",
        ),
        Argument(
            "dockerfile",
            str,
            "the file with the steps, named from the context on",
            default="Dockerfile",
            max_length=512,
            pattern=r"[^\x00-\x1f]+",
            option="file",
        ),
        Argument(
            "build_args",
            dict,
            "values for what its steps declare with ARG; kept sealed, but what uses them may write them into the image",
            key_pattern=r"[a-zA-Z_][a-zA-Z0-9_]*",
            pattern=r"[^\x00]*",
            max_length=32 * 1024,
            secret=True,
            option="build-arg",
        ),
        Argument(
            "target",
            str,
            "the stage to build, if not the last one",
            max_length=128,
            pattern=r"[a-zA-Z0-9][a-zA-Z0-9_.-]*",
        ),
        LABELS,
        Argument("no_cache", bool, "do every step anew", default=False),
        Argument("pull", bool, "ask the registry for newer images to build on", default=False),
        Argument(
            "network",
            str,
            "what its steps see of the network: Docker's default, or none",
            default="default",
            choices=("default", "none"),
        ),
    ),
    lane=Lane.BULK,
    timeout_seconds=1800.0,
    check=_problems,
    prints=True,
    upload=Upload.CONTEXT,
)

OPERATIONS = (IMAGE_BUILD,)
