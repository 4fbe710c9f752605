"""The remediation file: what is tried for which alerts. Without one nothing is; a rule rehearses unless told to act."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct, field

from seawall.core.alert_rules import AlertKind
from seawall.core.command import Domain
from seawall.core.remediation import REMEDIABLE, Budget, Remedy, circles
from seawall.engine.limits import Limit, check_table, there_is
from seawall.operations.operation import InvalidArguments, Operation, check_arguments
from seawall.operations.prunes import chosen_argument, plan_of
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import secrets_of
from seawall.toml_document import TomlDocument

REMEDIATION_FILE = "remediation.toml"
RULE_NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
DRY_RUN, ACT = "dry-run", "act"

_MODE = Limit(str, choices=(DRY_RUN, ACT))

REMEDIATION_KEYS = {
    "mode": _MODE,
    "budget": Limit(int, 1, 100),
    "budget_seconds": Limit(float, 1, 86_400),
}
"""What the file may say before its tables."""
REMEDY_KEYS = {
    "alert": Limit(str, choices=tuple(kind.value for kind in REMEDIABLE)),
    "about": Limit(
        list, pattern=r"[a-z_]{1,64}", words="of domains of circuits, or of operations that failed"
    ),
    "hosts": Limit(list, pattern=r"\S{1,253}", words='of names of hosts, or patterns such as "web-*"'),
    "operation": Limit(str, pattern=r"[a-z_]{1,64}", words="the name of an operation"),
    "arguments": Limit(dict),
    "timeout_seconds": Limit(float, 1, 3_600),
    "mode": _MODE,
    "after_seconds": Limit(float, 0, 86_400),
    "cool_down_seconds": Limit(float, 1, 604_800),
    "tries": Limit(int, 1, 20),
    "helped_within_seconds": Limit(float, 1, 86_400),
}
"""What the table of a rule may hold."""

LONGEST_COOL_DOWN_SECONDS = REMEDY_KEYS["cool_down_seconds"].high


class RemediationSettings(Struct, frozen=True):
    """What holds. `acts` is the mode of rules that don't say theirs."""

    remedies: tuple[Remedy, ...] = ()
    budget: Budget = field(default_factory=Budget)
    acts: bool = False


def read_remediation_settings(name: str, text: str) -> RemediationSettings:
    """What a TOML text says. Raises InvalidToml, which names the line and what would be right."""
    document = TomlDocument(name, text)
    plane = {key: value for key, value in document.values.items() if key != "rule"}
    for key in plane:
        if key not in REMEDIATION_KEYS:
            known = (*REMEDIATION_KEYS, "rule")
            raise document.complaint((key,), f"isn't known; {there_is(key, known)}")
    check_table(document, (), plane, REMEDIATION_KEYS)
    acts = plane.get("mode") == ACT
    rules = document.values.get("rule", {})
    if not isinstance(rules, dict):
        raise document.complaint(("rule",), "must hold tables: write [rule.NAME]")
    remedies = tuple(_remedy(document, rule, table, acts) for rule, table in rules.items())
    circle = circles([*remedies, *_plans_of(remedies)])
    if circle:
        raise document.complaint(
            ("rule", next(each.name for each in remedies if circle[0] in each.about)),
            f"would never end: each answers the failure of the one before ({' -> '.join(circle)}); break the circle",
        )
    default = Budget()
    budget = Budget(
        int(str(plane.get("budget", default.tries))),
        float(str(plane.get("budget_seconds", default.seconds))),
    )
    return RemediationSettings(remedies, budget, acts)


def _remedy(document: TomlDocument, name: str, table: object, acts: bool) -> Remedy:
    path = ("rule", name)
    if not isinstance(table, dict):
        raise document.complaint(path, f"must be a table: write [rule.{name}]")
    if re.fullmatch(RULE_NAME, name) is None:
        raise document.complaint(
            path, "must have a name of 1 to 40 small letters, digits, '-' and '_', such as restart-web"
        )
    arguments = table.get("arguments", {})
    check_table(
        document, path, {key: each for key, each in table.items() if key != "arguments"}, _BUT_ARGUMENTS
    )
    for key in ("alert", "operation"):
        if key not in table:
            raise document.complaint(path, f"needs {key!r}")
    if not isinstance(arguments, dict):
        raise document.complaint((*path, "arguments"), 'must be a table, such as { container = "web" }')
    kind = AlertKind(table["alert"])
    about = _about(document, path, kind, _texts(table.get("about")))
    operation = _operation(document, path, str(table["operation"]))
    _check_arguments(document, path, operation, arguments)
    changes = {key: each for key, each in table.items() if key in _TAKEN_OVER}
    remedy = Remedy(
        name,
        kind,
        operation.name,
        arguments,
        about,
        _texts(table.get("hosts")),
        table["mode"] == ACT if "mode" in table else acts,
    )
    return msgspec.structs.replace(remedy, **changes)


_BUT_ARGUMENTS = {key: limit for key, limit in REMEDY_KEYS.items() if key != "arguments"}
_ABOUT = {
    AlertKind.CIRCUIT: tuple(domain.value for domain in Domain),
    AlertKind.COMMAND_FAILED: tuple(OPERATIONS),
}
_TAKEN_OVER = ("timeout_seconds", "after_seconds", "cool_down_seconds", "tries", "helped_within_seconds")


def _about(
    document: TomlDocument, path: tuple[str, ...], kind: AlertKind, given: tuple[str, ...]
) -> tuple[str, ...]:
    if kind is AlertKind.COMMAND_FAILED and not given:
        raise document.complaint(
            path, 'needs the operations whose failure it answers, such as about = ["container_start"]'
        )
    known = _ABOUT.get(kind, ())
    if given and not known:
        raise document.complaint((*path, "about"), f"means nothing for {kind.value}; remove it")
    for each in given:
        if each not in known:
            raise document.complaint((*path, "about"), f"has what isn't known: {there_is(each, known)}")
    return given


def _plans_of(remedies: Sequence[Remedy]) -> list[Remedy]:
    """What else may fail of those that ask first."""
    plans = ((each, plan_for(OPERATIONS[each.operation], each.arguments)) for each in remedies)
    return [
        msgspec.structs.replace(remedy, operation=plan.name) for remedy, plan in plans if plan is not None
    ]


def _operation(document: TomlDocument, path: tuple[str, ...], name: str) -> Operation:
    operation = OPERATIONS.get(name)
    if operation is None:
        raise document.complaint((*path, "operation"), f"isn't known; {there_is(name, tuple(OPERATIONS))}")
    if not operation.command or not operation.supported:
        raise document.complaint((*path, "operation"), f"can't be {name}: it is no command")
    if operation.upload is not None:
        raise document.complaint((*path, "operation"), f"can't be {name}: it needs an upload")
    return operation


def _check_arguments(
    document: TomlDocument, path: tuple[str, ...], operation: Operation, arguments: Mapping[str, object]
) -> None:
    where = (*path, "arguments") if arguments else path
    plan = plan_for(operation, arguments)
    operation = operation if plan is None else plan
    told = secrets_of(operation) & set(arguments)
    if told:
        raise document.complaint(where, f"can't hold {min(told)}: a secret would lie open in this file")
    try:
        check_arguments(operation, arguments)
    except InvalidArguments as error:
        raise document.complaint(where, f"don't fit: {error}") from None


def plan_for(operation: Operation, arguments: Mapping[str, object]) -> Operation | None:
    """The read that says first what a prune is given, where its rule doesn't; it gets the rule's arguments then."""
    plan = plan_of(operation)
    return plan if plan is not None and chosen_argument(operation).name not in arguments else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
