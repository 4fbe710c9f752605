"""Operations that remove exactly what they are given, and the reads that say what that could be."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.operations.operation import Argument, Operation
from seawall.operations.registry import OPERATIONS

_PLAN = "_plan"


def plan_of(operation: Operation) -> Operation | None:
    """The read that says what the operation would be given; None for one that needs none."""
    return OPERATIONS.get(operation.name + _PLAN)


def is_plan(operation: Operation) -> bool:
    """Whether it is such a read, which is no command of its own."""
    return operation.name.removesuffix(_PLAN) in OPERATIONS and operation.name.endswith(_PLAN)


def chosen_argument(operation: Operation) -> Argument:
    """The argument that lists what goes."""
    return next(each for each in operation.arguments if each.kind is list and each.required)


def chosen(operation: Operation, response: object) -> list[str]:
    """What the answer of an operation's plan says that could go, as far as it may be given at once."""
    argument = chosen_argument(operation)
    key = "name" if argument.name == "names" else "id"
    rows = response.get(f"{operation.noun}s") if isinstance(response, Mapping) else None
    found = [row.get(key) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    return [value for value in found if isinstance(value, str)][: argument.max_items]
