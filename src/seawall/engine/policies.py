"""Which policy holds for which operation, and where each value comes from.

A value is looked up for the operation, then for its safety class, then for all operations, then in the preset; timeouts
and lanes that nobody sets are those of the operation's declaration.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec
from msgspec import Struct

from seawall.core.command import Lane, SafetyClass
from seawall.core.policy import PRESETS, Policy
from seawall.core.retry import Jitter, RetryPolicy
from seawall.engine.limits import Limit, Table, check_table, there_is
from seawall.operations.images import HOST_PATTERN
from seawall.operations.operation import Operation
from seawall.operations.registry import OPERATIONS
from seawall.toml_document import TomlDocument

DEFAULT_PRESET = "production"
BUILT_IN = "(built in)"
MAX_TIMEOUT_SECONDS = 86_400.0
MAX_ATTEMPTS = 20
"""What neither a policy nor a command may exceed."""


class Fallback(Enum):
    """What a caller is given where an operation fails because its host can't be reached."""

    NONE = "none"
    STALE = "stale"
    """The last known answer, marked as such and with its age. Reads only."""


class OperationPolicy(Struct, frozen=True):
    """What holds for one operation. `timeout_seconds` is an attempt's, without the grace that a command asks for.

    `mirror` is the registry that is asked where an image's own can't be reached; None for operations without that.
    `sources` says for each value which table, or which preset, it comes from.
    """

    retry: RetryPolicy
    timeout_seconds: float
    lane: Lane
    fallback: Fallback
    mirror: str | None
    sources: dict[str, str]


OPERATION_KEYS = {
    "timeout_seconds": Limit(float, 0.001, MAX_TIMEOUT_SECONDS),
    "max_attempts": Limit(int, 1, MAX_ATTEMPTS),
    "initial_delay": Limit(float, 0, 3_600),
    "max_delay": Limit(float, 0, 3_600),
    "backoff_multiplier": Limit(float, 1, 100),
    "jitter": Limit(str, choices=tuple(jitter.value for jitter in Jitter)),
    "lane": Limit(str, choices=tuple(lane.value for lane in Lane)),
    "fallback": Limit(str, choices=tuple(fallback.value for fallback in Fallback)),
    "mirror": Limit(
        str, pattern=rf"none|{HOST_PATTERN}", words="none, or a registry such as mirror.example.com:5000"
    ),
}
"""What an operation's table may hold."""
PLANE_KEYS: dict[str, dict[str, Limit]] = {
    "breaker": {
        "failure_threshold": Limit(int, 1, 1_000),
        "success_threshold": Limit(int, 1, 100),
        "failure_window_seconds": Limit(float, 1, 86_400),
        "open_seconds": Limit(float, 0.1, 86_400),
        "max_open_seconds": Limit(float, 0.1, 86_400),
        "failure_rate": Limit(float, 0.01, 1),
        "allow_for_chance": Limit(bool),
        "shadow": Limit(bool),
    },
    "bulkhead": {
        "in_flight": Limit(int, 1, 1_000),
        "queue": Limit(int, 0, 10_000),
        "largest": Limit(int, 1, 1_000),
    },
    "budget": {
        "capacity": Limit(float, 0, 1_000_000),
        "per_success": Limit(float, 0, 100),
        "per_second": Limit(float, 0, 10_000),
    },
    "plane_budget": {
        "capacity": Limit(float, 0, 1_000_000),
        "per_success": Limit(float, 0, 100),
        "per_second": Limit(float, 0, 10_000),
    },
}
"""The tables that are for the whole plane, and what they may hold."""
_CLASSES = {safety.value: safety for safety in SafetyClass}
_PRESET_LINE = re.compile(r"""\s*["']?preset["']?\s*=""")
_NO_MIRROR = "none"
_RETRY_KEYS = ("max_attempts", "initial_delay", "max_delay", "backoff_multiplier", "jitter")


class Policies:
    """The policies of a plane. Made by `read_policies`, or without a document from a preset alone."""

    def __init__(self, preset: str = DEFAULT_PRESET, document: TomlDocument | None = None) -> None:
        self.preset = preset
        self.text_name = document.name if document is not None else BUILT_IN
        self._document = document
        self._tables = _tables(document)
        self.plane = self._plane_policy()
        """What holds for the whole plane, and for an operation of which neither file nor declaration says anything."""
        self._by_operation: dict[str, OperationPolicy] = {}

    def of(self, operation: Operation) -> OperationPolicy:
        """What holds for this operation."""
        policy = self._by_operation.get(operation.name)
        if policy is None:
            policy = self._by_operation[operation.name] = self._resolve(operation)
        return policy

    def plane_sources(self) -> dict[str, str]:
        """Where each value of breaker, bulkhead and budgets comes from, by `table.key`."""
        found: dict[str, str] = {}
        for table, keys in PLANE_KEYS.items():
            given = self._tables.get((table,), {})
            for key in keys:
                found[f"{table}.{key}"] = self._source((table,), key) if key in given else self._preset_source
        return found

    @property
    def _preset_source(self) -> str:
        return f"preset {self.preset}"

    def _resolve(self, operation: Operation) -> OperationPolicy:
        layers = (
            ("operation", operation.name),
            ("class", operation.safety.value),
            ("default",),
        )
        retry = PRESETS[self.preset].retry
        jitter = retry.jitter if isinstance(retry.jitter, Jitter) else Jitter.PROPORTIONAL
        values: dict[str, object] = {
            "max_attempts": retry.max_attempts,
            "initial_delay": retry.initial_delay,
            "max_delay": retry.max_delay,
            "backoff_multiplier": retry.backoff_multiplier,
            "jitter": jitter.value,
            "timeout_seconds": operation.timeout_seconds,
            "lane": operation.lane.value,
            "fallback": Fallback.NONE.value,
            "mirror": _NO_MIRROR,
        }
        sources = dict.fromkeys(_RETRY_KEYS, self._preset_source)
        sources |= dict.fromkeys(("timeout_seconds", "lane"), "the operation's declaration")
        sources |= dict.fromkeys(("fallback", "mirror"), BUILT_IN)
        for layer in reversed(layers):
            for key, value in self._tables.get(layer, {}).items():
                if layer == ("default",) and key in ("timeout_seconds", "lane") and key in sources:
                    continue  # what an operation declares knows better than a value for all of them
                values[key] = value
                sources[key] = self._source(layer, key)
        fallback = Fallback(values["fallback"])
        if fallback is Fallback.STALE and operation.changes:
            fallback = Fallback.NONE
        mirrored = any(argument.name == "mirror" for argument in operation.arguments)
        mirror = str(values["mirror"]) if mirrored and values["mirror"] != _NO_MIRROR else None
        return OperationPolicy(
            _retry(retry, {key: values[key] for key in _RETRY_KEYS}),
            float(str(values["timeout_seconds"])),
            Lane(values["lane"]),
            fallback,
            mirror,
            sources,
        )

    def _plane_policy(self) -> Policy:
        preset = PRESETS[self.preset]
        budget = preset.budget
        agent, plane = self._tables.get(("budget",), {}), self._tables.get(("plane_budget",), {})
        if budget is not None:
            budget = msgspec.structs.replace(
                budget,
                agent=msgspec.structs.replace(budget.agent, **agent),
                plane=msgspec.structs.replace(budget.plane, **plane),
            )
        default = self._tables.get(("default",), {})
        return msgspec.structs.replace(
            preset,
            retry=_retry(preset.retry, {key: default[key] for key in _RETRY_KEYS if key in default}),
            breaker=msgspec.structs.replace(preset.breaker, **self._tables.get(("breaker",), {})),
            bulkhead=msgspec.structs.replace(preset.bulkhead, **self._tables.get(("bulkhead",), {})),
            budget=budget,
        )

    @property
    def special(self) -> list[str]:
        """The tables that are for some operations only."""
        return [".".join(path) for path in self._tables if path[0] in ("class", "operation")]

    def _source(self, table: tuple[str, ...], key: str) -> str:
        if self._document is None:
            return BUILT_IN
        return f"{self._document.name}, line {self._document.line_of(*table, key)}"


def read_policies(name: str, text: str) -> Policies:
    """The policies that a TOML text describes. Raises InvalidToml, which names the line and what would be right."""
    document = TomlDocument(name, text)
    preset = document.values.get("preset", DEFAULT_PRESET)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise document.complaint(("preset",), f"must be one of {', '.join(PRESETS)}, not {preset!r}")
    _check(document)
    return Policies(preset, document)


def with_preset(text: str, preset: str) -> str:
    """The text of a policy file with another preset, and nothing else changed."""
    line = f'preset = "{preset}"'
    lines = text.splitlines()
    for number, each in enumerate(lines):
        if each.lstrip().startswith("["):
            break
        if _PRESET_LINE.match(each):
            lines[number] = line
            return "\n".join([*lines, ""])
    return "\n".join([line, *lines, ""])


def _retry(retry: RetryPolicy, values: Table) -> RetryPolicy:
    changes = dict(values)
    if "jitter" in changes:
        changes["jitter"] = Jitter(changes["jitter"])
    return msgspec.structs.replace(retry, **changes)


def _tables(document: TomlDocument | None) -> dict[tuple[str, ...], Table]:
    found: dict[tuple[str, ...], Table] = {}
    if document is None:
        return found
    for name, content in document.values.items():
        if not isinstance(content, dict):
            continue
        if name in ("operation", "class"):
            found |= {(name, inner): table for inner, table in content.items()}
        else:
            found[name,] = content
    return found


def _check(document: TomlDocument) -> None:
    allowed = ("preset", "default", "class", "operation", *PLANE_KEYS)
    for name, content in document.values.items():
        if name not in allowed:
            raise document.complaint((name,), f"isn't known; {there_is(name, allowed)}")
        if name == "preset":
            continue
        if not isinstance(content, dict):
            raise document.complaint((name,), f"must be a table: write [{name}]")
        if name in ("class", "operation"):
            _check_inner(document, name, content)
        else:
            check_table(document, (name,), content, PLANE_KEYS.get(name, OPERATION_KEYS))


def _check_inner(document: TomlDocument, kind: str, tables: Table) -> None:
    known = tuple(_CLASSES) if kind == "class" else tuple(OPERATIONS)
    for name, content in tables.items():
        if name not in known:
            raise document.complaint((kind, name), f"isn't known; {there_is(name, known)}")
        if not isinstance(content, dict):
            raise document.complaint((kind, name), f"must be a table: write [{kind}.{name}]")
        check_table(document, (kind, name), content, OPERATION_KEYS)
