"""From an operation's declared arguments to parameters of its command, and from what was typed back to arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import Parameter
from typing import Annotated

import typer

from seawall.cli.exits import UsageProblem
from seawall.cli.secrets import secret_text
from seawall.operations.operation import Argument, InvalidArguments, Operation, check_arguments
from seawall.operations.uploads import ARCHIVE


def parameters(operation: Operation) -> list[Parameter]:
    """The command's own parameters, in the order of the declaration, positional ones first."""
    ordered = sorted(of_command(operation), key=lambda argument: not argument.positional)
    return [parameter for argument in ordered for parameter in _parameters(argument)]


def parameters_beside_upload(operation: Operation) -> list[Parameter]:
    """As `parameters`, without those that name an archive, which is made first."""
    names = {parameter_name(argument) for argument in ARCHIVE}
    return [each for each in parameters(operation) if each.name not in names]


def of_command(operation: Operation) -> list[Argument]:
    """The arguments that a command takes: not those of its stream alone."""
    return [argument for argument in operation.arguments if not argument.streamed]


def parameter_name(argument: Argument) -> str:
    """The name of an argument's parameter: never one of the options that every command has."""
    return f"argument_{argument.name}"


def is_hidden(argument: Argument) -> bool:
    """Whether the value never stands on the command line. Who one is may, as everywhere else."""
    return argument.secret and argument.name != "username"


def option_name(argument: Argument) -> str:
    """The name of an argument's option, with its dashes."""
    name = (argument.option or argument.name).replace("_", "-")
    if is_hidden(argument):
        return f"--{name}-file"
    if argument.kind is bool and argument.default is True and argument.option is None:
        return f"--no-{name}"
    return f"--{name}"


def metavar(argument: Argument) -> str:
    """What stands for the value in the help, such as CONTAINER or COMMAND..."""
    name = argument.name.upper().replace("_", "-")
    return f"{name}..." if argument.kind is list and argument.positional else name


def read(operation: Operation, given: Mapping[str, object]) -> dict[str, object]:
    """The operation's arguments out of what its parameters were given. Raises UsageProblem before anything is sent."""
    return checked(operation, read_some(operation, given))


def read_some(operation: Operation, given: Mapping[str, object]) -> dict[str, object]:
    """As `read`, for those parameters that there are; nothing is checked yet."""
    found = {
        argument.name: value
        for argument in of_command(operation)
        if parameter_name(argument) in given
        and (value := _value(argument, given[parameter_name(argument)])) is not None
    }
    for argument in of_command(operation):
        typed = given.get(_typed_name(argument))
        if isinstance(typed, list | tuple) and typed:
            secret = found.get(argument.name)
            pairs = dict(_pair(argument, str(each)) for each in typed)
            found[argument.name] = {**pairs, **(secret if isinstance(secret, dict) else {})}
    return found


def checked(operation: Operation, found: dict[str, object]) -> dict[str, object]:
    """The same arguments, if the operation takes them. Raises UsageProblem, which names every problem."""
    try:
        check_arguments(operation, found)
    except InvalidArguments as error:
        raise UsageProblem(f"{operation.name}: {'; '.join(error.problems)}") from error
    return found


def checked_before_upload(operation: Operation, found: dict[str, object]) -> dict[str, object]:
    """As `checked`, for arguments to which those are added that name an archive."""
    _ = checked(operation, {**found, "archive": "0" * 64, "size": 1})
    return found


def _parameters(argument: Argument) -> list[Parameter]:
    """One; of a secret map also one for those of its entries that are none, and may be typed."""
    own = _parameter(argument)
    if not _is_half_hidden(argument):
        return [own]
    text = (
        f"{_help(argument)} May be given several times. Others here can see it: secrets belong into a file."
    )
    shown = typer.Option(_typed_option(argument), metavar="KEY=VALUE", help=text)
    kind = Annotated[list[str] | None, shown]
    return [Parameter(_typed_name(argument), Parameter.KEYWORD_ONLY, annotation=kind, default=None), own]


def _is_half_hidden(argument: Argument) -> bool:
    return is_hidden(argument) and argument.kind is dict


def _typed_name(argument: Argument) -> str:
    return f"{parameter_name(argument)}_typed"


def _typed_option(argument: Argument) -> str:
    return option_name(argument).removesuffix("-file")


def _parameter(argument: Argument) -> Parameter:
    shape = _positional(argument) if argument.positional and not is_hidden(argument) else _option(argument)
    kind, default = shape
    return Parameter(parameter_name(argument), Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _positional(argument: Argument) -> tuple[object, object]:
    shown = typer.Argument(
        metavar=metavar(argument),
        help=_help(argument),
        min=argument.minimum if argument.kind in (int, float) else None,
        max=argument.maximum if argument.kind in (int, float) else None,
    )
    kind: object = list[str] if argument.kind in (list, dict) else argument.kind
    if argument.required:
        return Annotated[kind, shown], Parameter.empty
    return Annotated[kind | None, shown], None  # type: ignore[operator]  # a type at run time, which typer reads


def _option(argument: Argument) -> tuple[object, object]:
    name, text = option_name(argument), _help(argument)
    if is_hidden(argument):
        lines = ", KEY=VALUE in each line" if argument.kind is dict else ""
        source = f"Read from this file{lines}; '-' asks, or reads stdin."
        shown = typer.Option(name, metavar="FILE", help=f"{text} {source}")
        return Annotated[str | None, shown], None
    if argument.kind is bool:
        return Annotated[bool, typer.Option(name, help=text)], False
    if argument.kind in (list, dict):
        value = "KEY=VALUE" if argument.kind is dict else metavar(argument)
        shown = typer.Option(name, metavar=value, help=f"{text} May be given several times.")
        return Annotated[list[str] | None, shown], None
    number = argument.kind in (int, float)
    shown = typer.Option(
        name,
        help=text,
        metavar="SECONDS" if number and argument.name.endswith("_seconds") else None,
        min=argument.minimum if number else None,
        max=argument.maximum if number else None,
    )
    if argument.required:
        return Annotated[argument.kind, shown], Parameter.empty
    return Annotated[argument.kind | None, shown], argument.default


def _help(argument: Argument) -> str:
    summary = argument.summary
    text = f"{summary[:1].upper()}{summary[1:]}"
    if argument.kind is bool and argument.default is True:
        text = f"Turn off: {summary}"
    if argument.choices:
        text = f"{text}: {', '.join(argument.choices)}"
    return f"{text.rstrip('.')}."


def _value(argument: Argument, given: object) -> object:
    if is_hidden(argument):
        # A map's variable would be named like many another, such as SEAWALL_ENV.
        environment = {} if argument.kind is dict else os.environ
        text = secret_text(environment, argument.name, given if isinstance(given, str) else None)
        if text is None and argument.required:
            text = secret_text(environment, argument.name, "-")
        return _structured(argument, text.splitlines()) if text is not None else None
    if argument.kind is bool:
        return not given if argument.default is True else given
    if isinstance(given, list | tuple):
        return _structured(argument, [str(each) for each in given]) if given else None
    return given


def _structured(argument: Argument, lines: list[str]) -> object:
    if argument.kind is list:
        return lines
    if argument.kind is dict:
        return dict(_pair(argument, line) for line in lines if line)
    return "\n".join(lines)


def _pair(argument: Argument, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        shown = "" if argument.secret else f", not {text[:64]!r}"
        raise UsageProblem(f"{_typed_option(argument)} takes KEY=VALUE{shown}")
    return key, value
