"""Which arguments nobody may see, and what is shown in their place."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.operations.operation import Operation

HIDDEN = "***"


def secrets_of(operation: Operation | None) -> frozenset[str]:
    """The names of an operation's secret arguments; none of an operation that this version doesn't know."""
    if operation is None:
        return frozenset()
    return frozenset(argument.name for argument in operation.arguments if argument.secret)


def hidden(operation: Operation | None, arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments as they may be shown and kept; of an operation that nobody here knows, their names alone."""
    secret = secrets_of(operation) if operation is not None else frozenset(arguments)
    return {name: HIDDEN if name in secret else value for name, value in arguments.items()}
