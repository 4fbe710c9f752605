"""The check of a command's arguments, and what every declaration keeps to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.command import SafetyClass
from seawall.operations.operation import (
    Argument,
    InvalidArguments,
    Lane,
    Operation,
    Role,
    StreamKind,
    check_arguments,
)
from seawall.operations.registry import OPERATIONS, by_name

PROBE = Operation(
    "probe",
    "An operation with an argument of each kind.",
    SafetyClass.SAFE_READ,
    (
        Argument("name", str, "a name", required=True, max_length=8, pattern="[a-z]+"),
        Argument("size", int, "a size", default=3, minimum=1, maximum=9),
        Argument("share", float, "a share", minimum=0.0, maximum=1.0),
        Argument("all", bool, "everything", default=False),
        Argument("mode", str, "a mode", choices=("fast", "safe")),
    ),
)


def problems(given: dict[str, object], operation: Operation = PROBE) -> list[str]:
    with pytest.raises(InvalidArguments) as caught:
        check_arguments(operation, given)
    return caught.value.problems


def test_defaults_are_filled_in() -> None:
    assert check_arguments(PROBE, {"name": "web"}) == {"name": "web", "size": 3, "all": False}


def test_null_is_as_good_as_absent() -> None:
    assert check_arguments(PROBE, {"name": "web", "size": None}) == {"name": "web", "size": 3, "all": False}
    assert problems({"name": None}) == ["argument 'name' is missing (a name)"]


@pytest.mark.parametrize(
    ("argument", "value", "problem"),
    [
        ("name", 7, "must be of type str, not int"),
        ("name", "toolongname", "is 11 characters long, at most 8 are allowed"),
        ("name", "Web", "is not a valid value (a name): 'Web'"),
        ("name", "web\n", "is not a valid value (a name): 'web\\n'"),
        ("name", "", "is not a valid value (a name): ''"),
        ("size", "3", "must be of type int, not str"),
        ("size", True, "must be of type int, not bool"),
        ("size", 3.0, "must be of type int, not float"),
        ("size", 0, "must be at least 1, not 0"),
        ("size", 10, "must be at most 9, not 10"),
        ("size", 10**400, f"must be at most 9, not {10**400}"),
        ("share", "half", "must be of type float, not str"),
        ("share", 1.5, "must be at most 1, not 1.5"),
        ("share", float("nan"), "must be a finite number"),
        ("share", float("-inf"), "must be a finite number"),
        ("all", 1, "must be of type bool, not int"),
        ("mode", "quick", "must be one of fast, safe, not 'quick'"),
        ("mode", [], "must be of type str, not list"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_reason(
    argument: str, value: object, problem: str
) -> None:
    assert problems({"name": "web", argument: value}) == [f"argument {argument!r} {problem}"]


@pytest.mark.parametrize(
    ("argument", "value"), [("size", 1), ("size", 9), ("share", 1), ("share", 0.5), ("all", True)]
)
def test_a_value_at_the_limit_fits(argument: str, value: object) -> None:
    assert check_arguments(PROBE, {"name": "web", argument: value})[argument] == value


def test_all_problems_are_told_at_once() -> None:
    assert problems({"size": 0, "colour": "red"}) == [
        "unknown argument 'colour'",
        "argument 'name' is missing (a name)",
        "argument 'size' must be at least 1, not 0",
    ]


def test_the_error_names_the_operation() -> None:
    with pytest.raises(InvalidArguments, match=r"^probe: argument 'name' is missing"):
        check_arguments(PROBE, {})


@pytest.mark.parametrize(
    "name", ["web;reboot", "../etc/passwd", "-v", "a b", "$(id)", "web\n", "", "x" * 129]
)
def test_incident_43_a_container_name_is_never_more_than_a_name(name: str) -> None:
    assert problems({"container": name}, OPERATIONS["container_start"])


@pytest.mark.parametrize("signal", ["SIGTERM", "TERM", "9", "64", "SIGRTMIN+3"])
def test_a_signal_goes_by_name_or_number(signal: str) -> None:
    given = {"container": "web", "signal": signal}
    assert check_arguments(OPERATIONS["container_kill"], given)["signal"] == signal


@pytest.mark.parametrize("signal", ["0", "65", "term", "SIGTERM;", "-9", "9 "])
def test_what_is_no_signal_is_refused(signal: str) -> None:
    assert problems({"container": "web", "signal": signal}, OPERATIONS["container_kill"])


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
argument_names = sorted(
    {argument.name for operation in OPERATIONS.values() for argument in operation.arguments}
)


@given(
    st.sampled_from([*OPERATIONS.values(), PROBE]),
    st.dictionaries(st.sampled_from(argument_names) | st.text(), junk, max_size=5),
)
def test_junk_is_refused_as_invalid_arguments_and_never_otherwise(
    operation: Operation, arguments: dict[str, object]
) -> None:
    known = {argument.name: argument for argument in operation.arguments}
    try:
        checked = check_arguments(operation, arguments)
    except InvalidArguments:
        return
    assert set(checked) <= set(known)
    for name, argument in known.items():
        assert name in checked or not argument.required
        if name in checked and argument.kind is not float:
            assert type(checked[name]) is argument.kind


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_declaration_keeps_to_the_rules(operation: Operation) -> None:
    assert operation.summary.endswith(".")
    assert operation.timeout_seconds > 0
    for_operators = operation.changes or operation.stream is StreamKind.UPLOAD
    assert operation.role is (Role.OPERATOR if for_operators else Role.VIEWER)
    assert len({argument.name for argument in operation.arguments}) == len(operation.arguments)
    for argument in operation.arguments:
        assert argument.kind in (str, int, float, bool, list, dict)
        assert not (argument.required and argument.default is not None)
        if argument.default is not None:
            some: dict[type, object] = {list: ["web"], dict: {"web": "web"}, int: 1}
            required = {a.name: some.get(a.kind, "web") for a in operation.arguments if a.required}
            if operation.upload is not None:
                required["archive"] = "a" * 64
            given = {**required, argument.name: argument.default}
            assert check_arguments(operation, given, stream=argument.streamed)


def test_the_operations_of_the_first_release_are_there() -> None:
    assert set(OPERATIONS) >= {
        "ping",
        "system_info",
        *(
            f"container_{verb}"
            for verb in [
                "list",
                "inspect",
                "start",
                "stop",
                "restart",
                "kill",
                "rename",
                "remove",
                "logs",
                "update",
            ]
        ),
    }
    assert [name for name, operation in OPERATIONS.items() if not operation.supported] == []


def test_what_must_get_through_has_the_control_lane() -> None:
    lanes = {name for name, operation in OPERATIONS.items() if operation.lane is Lane.CONTROL}
    assert lanes == {
        "ping",
        "container_inspect",
        "container_stop",
        "container_kill",
        "system_restart_agent",
    }


def test_a_name_declared_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        by_name([PROBE, PROBE])


def test_a_container_argument_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no argument 'host'"):
        by_name([Operation("probe", "A probe.", SafetyClass.OPAQUE, container="host")])


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {Role.VIEWER}),
        (Role.OPERATOR, {Role.VIEWER, Role.OPERATOR}),
        (Role.ADMIN, set(Role)),
    ],
)
def test_a_role_allows_what_lesser_roles_may(role: Role, allowed: set[Role]) -> None:
    assert {required for required in Role if role.allows(required)} == allowed
