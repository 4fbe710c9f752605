"""The declaration of an operation, and the check of a command's arguments against it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum

from msgspec import Struct

from seawall.core.command import Lane as Lane
from seawall.core.command import SafetyClass
from seawall.operations.passwords import without_password


class Role(Enum):
    """What a caller must be at least."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def allows(self, required: Role) -> bool:
        """Whether a caller of this role may do what needs `required`."""
        return _RANK[self] >= _RANK[required]


_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


class StreamKind(Enum):
    """How an operation is streamed to a reader."""

    READ = "read"
    """Every byte counts: the host waits for a slow reader."""
    LIVE = "live"
    """Telemetry: what a reader is too slow for is left out, and how much that was is said."""
    DUPLEX = "duplex"
    """As READ, with input from the reader; begun once at most."""
    UPLOAD = "upload"
    """Input that the host keeps: begun as often as need be, it goes on after what is there already."""


class Upload(Enum):
    """What is made into the archive that a command names."""

    FILES = "files"
    """A file or directory, or an archive of some."""
    IMAGES = "images"
    """An archive of images, as it is."""
    CONTEXT = "context"
    """A directory without what its .dockerignore names."""


class Argument(Struct, frozen=True):
    """One argument and its limits.

    `kind` is str, int, float, bool, list (of texts) or dict (of texts by texts). `pattern` must match the whole text,
    or each text of a list or of a dict's values, which `max_length` and `choices` are for as well; `key_pattern` is
    for a dict's keys, `max_items` for the size of both. A `secret` is never kept or shown. On the command line a
    `positional` one needs no option, and `option` is the option's name where it isn't the argument's own (a bool that
    is true unless told otherwise is turned off by it).
    """

    name: str
    kind: type
    summary: str
    required: bool = False
    default: object = None
    minimum: float | None = None
    maximum: float | None = None
    max_length: int = 255
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    key_pattern: str | None = None
    max_items: int = 64
    secret: bool = False
    positional: bool = False
    option: str | None = None
    streamed: bool = False
    """Only a stream of the operation takes it, a command doesn't."""


class Operation(Struct, frozen=True):
    """A kind of command.

    `timeout_seconds` is what an attempt may take unless the command says otherwise; `container` names the argument
    that says which container is meant, so that changes to one container never overlap; `project` is the same for
    Compose projects. `grace` names the argument whose seconds the host may take on top of the timeout. `needs` is what
    a host must have beyond its Docker Engine. `supported=False` reserves a name that this version answers with a clean
    refusal. `touches_registry` says that an image's registry has to be reached from the host; `image` names the
    argument with an image whose registry may be asked for it, whatever else is done. `check` finds what the arguments'
    own limits can't say: a sentence for each problem of arguments that are fine one by one. One with a
    `stream` can be followed as one, beside or (`command=False`) instead of being a command. One that `waits` lasts
    until something happens on the host: it takes no worker's place meanwhile, and isn't hung. One that `prints` has an
    output that is worth following whole: see command_output. One with an `upload` names an archive in its arguments
    (`operations.uploads.ARCHIVE`), which is sent to the host before.
    """

    name: str
    summary: str
    safety: SafetyClass
    arguments: tuple[Argument, ...] = ()
    lane: Lane = Lane.DEFAULT
    role: Role = Role.OPERATOR
    timeout_seconds: float = 30.0
    touches_docker: bool = True
    touches_registry: bool = False
    image: str | None = None
    container: str | None = None
    project: str | None = None
    grace: str | None = None
    needs: str | None = None
    supported: bool = True
    check: Callable[[Mapping[str, object]], list[str]] | None = None
    waits: bool = False
    prints: bool = False
    stream: StreamKind | None = None
    command: bool = True
    upload: Upload | None = None

    @property
    def noun(self) -> str:
        """What it is about: "container" of container_start; "system" where the name says nothing."""
        noun, _, verb = self.name.partition("_")
        return noun if verb else "system"

    @property
    def verb(self) -> str:
        """What is done: "start" of container_start."""
        return self.name.partition("_")[2] or self.name

    @property
    def changes(self) -> bool:
        """Whether it may change the host."""
        return self.safety is not SafetyClass.SAFE_READ

    def turn(self, arguments: Mapping[str, object]) -> str | None:
        """The key of what a change is about: changes with the same key happen one after the other. None for none."""
        if not self.changes:
            return None
        if self.project is not None:
            return f"project {arguments.get(self.project)}"
        return str(arguments.get(self.container)) if self.container is not None else None

    def grace_seconds(self, arguments: Mapping[str, object]) -> float:
        """What the host may take on top of the timeout, because these arguments ask for it."""
        grace = arguments.get(self.grace) if self.grace is not None else None
        return grace if isinstance(grace, int) else 0


class InvalidArguments(ValueError):
    """A command's arguments don't fit its operation; `problems` has a sentence for each that doesn't."""

    def __init__(self, operation: str, problems: list[str]) -> None:
        super().__init__(f"{operation}: {'; '.join(problems)}")
        self.problems = problems


def check_arguments(
    operation: Operation, given: Mapping[str, object], *, stream: bool = False
) -> dict[str, object]:
    """The arguments with defaults filled in; raises InvalidArguments, which names every problem at once.

    `stream`: it is to be followed as a stream, which may take arguments that a command doesn't.
    """
    known = {argument.name: argument for argument in operation.arguments if stream or not argument.streamed}
    problems = [f"unknown argument {name[:64]!r}" for name in given if name not in known]
    checked: dict[str, object] = {}
    for name, argument in known.items():
        value = given.get(name)
        if value is None:
            if argument.required:
                problems.append(f"argument {name!r} is missing ({argument.summary})")
            elif argument.default is not None:
                checked[name] = argument.default
            continue
        problem = _problem(argument, value)
        if problem is None:
            checked[name] = value
        else:
            problems.append(f"argument {name!r} {problem}")
    if operation.check is not None and not problems:
        problems = operation.check(checked)
    if problems:
        raise InvalidArguments(operation.name, problems)
    return checked


def _problem(argument: Argument, value: object) -> str | None:
    kind = argument.kind
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float:
        fits = number
    elif kind is int:
        fits = number and isinstance(value, int)
    else:
        fits = isinstance(value, kind)
    if not fits:
        return f"must be of type {kind.__name__}, not {type(value).__name__}"
    if isinstance(value, str):
        return _text_problem(argument, value)
    if isinstance(value, list | dict):
        return _items_problem(argument, value)
    if isinstance(value, int | float) and kind is not bool:
        if not (value == value and abs(value) != float("inf")):
            return "must be a finite number"
        if argument.minimum is not None and value < argument.minimum:
            return f"must be at least {argument.minimum:g}, not {value}"
        if argument.maximum is not None and value > argument.maximum:
            return f"must be at most {argument.maximum:g}, not {value}"
    return None


def _text_problem(argument: Argument, value: str) -> str | None:
    if len(value) > argument.max_length:
        return f"is {len(value)} characters long, at most {argument.max_length} are allowed"
    if argument.choices and value not in argument.choices:
        return f"must be one of {', '.join(argument.choices)}, not {value!r}"
    if argument.pattern is not None and re.fullmatch(argument.pattern, value) is None:
        shown = "" if argument.secret else f": {without_password(value)!r}"
        return f"is not a valid value ({argument.summary}){shown}"
    return None


def _items_problem(argument: Argument, value: list[object] | dict[object, object]) -> str | None:
    if len(value) > argument.max_items:
        return f"has {len(value)} entries, at most {argument.max_items} are allowed"
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return f"has a name that is no text: {str(key)[:64]!r}"
            if len(key) > argument.max_length:
                return f"has a name of {len(key)} characters, at most {argument.max_length} are allowed"
            if argument.key_pattern is not None and re.fullmatch(argument.key_pattern, key) is None:
                return f"has an entry whose name is not valid ({argument.summary}): {key[:64]!r}"
    for text in value.values() if isinstance(value, dict) else value:
        if not isinstance(text, str):
            return f"has an entry that is no text but of type {type(text).__name__}"
        problem = _text_problem(argument, text)
        if problem is not None:
            return f"has an entry that {problem}"
    return None
