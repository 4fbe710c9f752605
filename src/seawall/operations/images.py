"""Images: look at them, fetch and send them, name and remove them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from seawall.core.command import SafetyClass
from seawall.operations.image_reference import LONGEST_REFERENCE, InvalidReference, parse_reference
from seawall.operations.operation import Argument, Lane, Operation, Role, StreamKind, Upload
from seawall.operations.uploads import ARCHIVE

MOST_PRUNED = 500
"""Images that one command removes at most."""

MOST_SAVED = 32
"""Images in one archive at most."""

HOST_PATTERN = r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?"
"""A registry: its name or address, with a port if need be."""

_REFERENCE_PATTERN = r"[a-zA-Z0-9\[][a-zA-Z0-9_.:/@+\[\]-]*"
_ID = re.compile(r"sha256:[0-9a-f]{4,64}|[0-9a-f]{4,64}")

_IMAGE = Argument(
    "image",
    str,
    "the image's reference, such as nginx:1.27, or its id",
    required=True,
    max_length=LONGEST_REFERENCE,
    pattern=_REFERENCE_PATTERN,
    positional=True,
)
_REFERENCE = Argument(
    "reference",
    str,
    "the image's reference, such as registry.example.com/team/app:1.2, with a tag or a digest",
    required=True,
    max_length=LONGEST_REFERENCE,
    pattern=_REFERENCE_PATTERN,
    positional=True,
)
_CREDENTIALS = (
    Argument("username", str, "who to be at the registry, if it wants to know", max_length=255, secret=True),
    Argument(
        "password",
        str,
        "the password or token for the registry; it is kept sealed until the command is over, and never shown",
        max_length=8192,
        secret=True,
    ),
)


def _is_reference(name: str) -> Callable[[Mapping[str, object]], list[str]]:
    def check(arguments: Mapping[str, object]) -> list[str]:
        problem = _reference_problem(str(arguments[name]))
        return [f"argument {name!r}: {problem}"] if problem is not None else []

    return check


def _is_image(arguments: Mapping[str, object]) -> list[str]:
    """An id, or its beginning, is an image as well."""
    return [] if _ID.fullmatch(str(arguments["image"])) else _is_reference("image")(arguments)


def _are_images(arguments: Mapping[str, object]) -> list[str]:
    given = arguments["images"]
    if not isinstance(given, list) or not given:
        return ["argument 'images' is empty: name an image"]
    texts = [str(each) for each in given if _ID.fullmatch(str(each)) is None]
    return [
        f"argument 'images': {problem}" for text in texts if (problem := _reference_problem(text)) is not None
    ]


def _is_transfer(arguments: Mapping[str, object]) -> list[str]:
    problems = _is_reference("reference")(arguments)
    if ("username" in arguments) != ("password" in arguments):
        problems.append("arguments 'username' and 'password' go together: give both or none")
    return problems


def _is_push(arguments: Mapping[str, object]) -> list[str]:
    return _is_transfer(arguments) or _is_tag(arguments)


def _is_tag(arguments: Mapping[str, object]) -> list[str]:
    problems = _is_reference("reference")(arguments)
    if not problems and parse_reference(str(arguments["reference"])).digest is not None:
        problems.append("argument 'reference': a tag is meant here, a digest is what the content says")
    return problems


def _is_new_tag(arguments: Mapping[str, object]) -> list[str]:
    return _is_image(arguments) + _is_tag(arguments)


def _reference_problem(text: str) -> str | None:
    try:
        parse_reference(text)
    except InvalidReference as error:
        return str(error)
    return None


IMAGE_LIST = Operation(
    "image_list",
    "List the host's images.",
    SafetyClass.SAFE_READ,
    (
        Argument("all", bool, "those as well that are only steps of others", default=False),
        Argument("dangling", bool, "only those without a tag; false: only those with one"),
        Argument(
            "label",
            list,
            "only images with these labels, each as name or name=value",
            max_items=16,
            max_length=512,
            pattern=r"[^\x00-\x1f=]+(=[^\x00-\x1f]*)?",
        ),
        Argument(
            "reference",
            list,
            "only images with one of these references; * and ? stand for what may vary",
            max_items=16,
            max_length=LONGEST_REFERENCE,
            pattern=r"[a-zA-Z0-9*?][a-zA-Z0-9_.:/@+*?-]*",
        ),
    ),
    role=Role.VIEWER,
)
IMAGE_INSPECT = Operation(
    "image_inspect",
    "Everything that Docker knows about an image.",
    SafetyClass.SAFE_READ,
    (_IMAGE,),
    role=Role.VIEWER,
    check=_is_image,
)
IMAGE_PULL = Operation(
    "image_pull",
    "Fetch an image from its registry: exactly the one that its reference means when the command begins.",
    SafetyClass.VERIFIABLE,
    (
        _REFERENCE,
        *_CREDENTIALS,
        Argument(
            "mirror",
            str,
            "a registry such as mirror.example.com:5000 that is asked where the image's own can't be reached",
            max_length=255,
            pattern=HOST_PATTERN,
        ),
    ),
    lane=Lane.BULK,
    timeout_seconds=300.0,
    touches_registry=True,
    image="reference",
    check=_is_transfer,
    prints=True,
)
IMAGE_PUSH = Operation(
    "image_push",
    "Send an image to its registry.",
    SafetyClass.IDEMPOTENT,
    (_REFERENCE, *_CREDENTIALS),
    lane=Lane.BULK,
    timeout_seconds=300.0,
    touches_registry=True,
    image="reference",
    check=_is_push,
    prints=True,
)
IMAGE_TAG = Operation(
    "image_tag",
    "Give an image one more reference; whatever had that reference loses it.",
    SafetyClass.VERIFIABLE,
    (
        _IMAGE,
        Argument(
            "reference",
            str,
            "the new reference, such as registry.example.com/team/app:1.2",
            required=True,
            max_length=LONGEST_REFERENCE,
            pattern=_REFERENCE_PATTERN,
            positional=True,
        ),
    ),
    check=_is_new_tag,
)
IMAGE_REMOVE = Operation(
    "image_remove",
    "Take a reference away, and the image with it if that was the last one.",
    SafetyClass.VERIFIABLE,
    (
        _IMAGE,
        Argument(
            "force",
            bool,
            "the image with all its references, even if containers that don't run are made of it",
            default=False,
        ),
    ),
    timeout_seconds=120.0,
    check=_is_image,
)
IMAGE_PRUNE_PLAN = Operation(
    "image_prune_plan",
    "List the images that no container is made of, and how much room they take: what image_prune may be given.",
    SafetyClass.SAFE_READ,
    (Argument("all", bool, "images with a tag as well, not only those without one", default=False),),
    role=Role.VIEWER,
)
IMAGE_PRUNE = Operation(
    "image_prune",
    "Remove exactly these images; one that a container is made of by now is kept.",
    SafetyClass.VERIFIABLE,
    (
        Argument(
            "images",
            list,
            "whole ids, as image_prune_plan lists them",
            required=True,
            max_items=MOST_PRUNED,
            max_length=71,
            pattern=r"sha256:[0-9a-f]{64}",
            positional=True,
        ),
    ),
    timeout_seconds=300.0,
)
IMAGE_SAVE = Operation(
    "image_save",
    "Images with their tags as one tar archive, which image_load takes.",
    SafetyClass.SAFE_READ,
    (
        Argument(
            "images",
            list,
            "the images' references, such as nginx:1.27, or their ids; the archive keeps what names them here",
            required=True,
            max_items=MOST_SAVED,
            max_length=LONGEST_REFERENCE,
            pattern=_REFERENCE_PATTERN,
            positional=True,
        ),
    ),
    role=Role.VIEWER,
    stream=StreamKind.READ,
    command=False,
    check=_are_images,
)
IMAGE_LOAD = Operation(
    "image_load",
    "Take the images of an archive that image_save or docker save has made, with their tags.",
    SafetyClass.VERIFIABLE,
    ARCHIVE,
    lane=Lane.BULK,
    timeout_seconds=1800.0,
    prints=True,
    upload=Upload.IMAGES,
)

OPERATIONS = (
    IMAGE_LIST,
    IMAGE_INSPECT,
    IMAGE_PULL,
    IMAGE_PUSH,
    IMAGE_TAG,
    IMAGE_REMOVE,
    IMAGE_PRUNE_PLAN,
    IMAGE_PRUNE,
    IMAGE_SAVE,
    IMAGE_LOAD,
)
