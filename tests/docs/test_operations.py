"""The page of operations and the registry say the same."""

from __future__ import annotations

from seawall.operations.operation import Argument
from seawall.operations.registry import OPERATIONS
from tests.docs.tables import rows


def limits(argument: Argument) -> str:
    if argument.choices:
        return ", ".join(argument.choices)
    characters = f"at most {argument.max_length} characters"
    secret = ", a secret" if argument.secret else ""
    if argument.kind is str:
        return f"{characters}{secret}"
    if argument.kind in (list, dict):
        return f"at most {argument.max_items} of {characters}{secret}"
    match argument.minimum, argument.maximum:
        case None, None:
            return "-"
        case None, maximum:
            return f"at most {maximum}"
        case minimum, None:
            return f"at least {minimum}"
        case minimum, maximum:
            return f"{minimum} to {maximum}"
    raise AssertionError(argument.name)


def default(argument: Argument) -> str:
    if argument.required:
        return "required"
    if argument.default is None:
        return "-"
    return str(argument.default).lower() if argument.kind is bool else str(argument.default)


def test_every_operation_is_documented_as_it_is_declared_and_no_other() -> None:
    documented = [row[:5] for row in rows("operations.md", "operation")]
    declared = [
        [each.name, each.safety.value, each.lane.value, each.role.value, f"{each.timeout_seconds:g} s"]
        for each in OPERATIONS.values()
    ]
    assert sorted(documented) == sorted(declared)


def test_every_operation_is_summarised_as_it_summarises_itself() -> None:
    summaries = {row[0]: row[5] for row in rows("operations.md", "operation")}
    for operation in OPERATIONS.values():
        assert summaries[operation.name].startswith(operation.summary)
        assert ("Not supported" in summaries[operation.name]) is not operation.supported


def test_every_argument_is_documented_with_its_limits_and_no_other() -> None:
    documented = [row[:5] for row in rows("operations.md", "of operation")]
    declared = [
        [operation.name, argument.name, argument.kind.__name__, default(argument), limits(argument)]
        for operation in OPERATIONS.values()
        for argument in operation.arguments
    ]
    assert sorted(documented) == sorted(declared)
