"""The alert file: which rules hold, where messages go and when none do. Without one, the rules' defaults hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct, field

from seawall.core.alert_rules import GROUP_SECONDS, MEANINGS, RULES, AlertKind, AlertRule, Severity, Silence
from seawall.core.reach import Reach
from seawall.engine.limits import Limit, Table, check_table, there_is
from seawall.toml_document import TomlDocument

ALERT_FILE = "alerts.toml"
CHANNEL_NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_KINDS = tuple(kind.value for kind in AlertKind)
_CHANNELS = Limit(list, pattern=CHANNEL_NAME, words="of names of channels")
_CLOCK = Limit(str, pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]", words='a time of day such as "22:00"')

PLANE_KEYS = {
    "channels": _CHANNELS,
    "group_seconds": Limit(float, 0, 3_600),
    "allow": Limit(list, pattern=r"\S{1,253}", words="of hosts, addresses and networks"),
}
"""What the file may say before its tables."""
RULE_KEYS = {
    "enabled": Limit(bool),
    "severity": Limit(str, choices=tuple(severity.value for severity in Severity)),
    "for_seconds": Limit(float, 0, 86_400),
    "calm_seconds": Limit(float, 0, 86_400),
    "cool_down_seconds": Limit(float, 0, 604_800),
    "escalate_after_seconds": Limit(float, 1, 604_800),
    "threshold": Limit(float, 0, 100_000),
    "channels": _CHANNELS,
    "escalate_to": _CHANNELS,
}
"""What the table of a rule may hold."""
SILENCE_KEYS = {
    "from": _CLOCK,
    "to": _CLOCK,
    "zone": Limit(str, pattern=r"[A-Za-z0-9_+/-]{1,64}", words='a time zone such as "Europe/Berlin"'),
    "days": Limit(list, choices=DAYS),
    "rules": Limit(list, choices=_KINDS),
    "hosts": Limit(list, pattern=r"\S{1,253}", words='of names of hosts, or patterns such as "web-*"'),
}
"""What the table of a silence may hold."""


class AlertSettings(Struct, frozen=True):
    """What holds. `channels=None` means every channel that there is; `sources` say where a rule's values come from."""

    rules: Mapping[AlertKind, AlertRule] = field(default_factory=lambda: dict(RULES))
    silences: tuple[Silence, ...] = ()
    channels: tuple[str, ...] | None = None
    group_seconds: float = GROUP_SECONDS
    allow: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


def read_alert_settings(name: str, text: str) -> AlertSettings:
    """What a TOML text says. Raises InvalidToml, which names the line and what would be right."""
    document = TomlDocument(name, text)
    tables = ("rule", "silence")
    plane: dict[str, object] = {}
    for key, value in document.values.items():
        if key not in tables:
            plane[key] = value
            if key not in PLANE_KEYS:
                raise document.complaint((key,), f"isn't known; {there_is(key, (*PLANE_KEYS, *tables))}")
    check_table(document, (), plane, PLANE_KEYS)
    allow = _texts(plane.get("allow"))
    try:
        Reach(allow)
    except ValueError as error:
        raise document.complaint(("allow",), f"has what is no host, address or network: {error}") from None
    rules, sources = dict(RULES), dict[str, str]()
    for name_of_rule, table in _tables(document, "rule").items():
        if name_of_rule not in _KINDS:
            raise document.complaint(("rule", name_of_rule), f"isn't known; {there_is(name_of_rule, _KINDS)}")
        kind = AlertKind(name_of_rule)
        rules[kind] = _rule(document, kind, table)
        for key in table:
            sources[f"{name_of_rule}.{key}"] = f"{name}, line {document.line_of('rule', name_of_rule, key)}"
    return AlertSettings(
        rules,
        tuple(_silence(document, each, table) for each, table in _tables(document, "silence").items()),
        _texts(plane["channels"]) if "channels" in plane else None,
        float(str(plane.get("group_seconds", GROUP_SECONDS))),
        allow,
        sources,
    )


def _tables(document: TomlDocument, kind: str) -> dict[str, Table]:
    found = document.values.get(kind, {})
    if not isinstance(found, dict):
        raise document.complaint((kind,), f"must hold tables: write [{kind}.NAME]")
    for name, table in found.items():
        if not isinstance(table, dict):
            raise document.complaint((kind, name), f"must be a table: write [{kind}.{name}]")
    return found


def _rule(document: TomlDocument, kind: AlertKind, table: Table) -> AlertRule:
    path = ("rule", kind.value)
    check_table(document, path, table, RULE_KEYS)
    if "threshold" in table and kind not in MEANINGS:
        raise document.complaint((*path, "threshold"), "means nothing for this rule; remove it")
    if "for_seconds" in table and kind is AlertKind.COMMAND_FAILED:
        raise document.complaint(
            (*path, "for_seconds"), "means nothing for this rule: a failure doesn't last; remove it"
        )
    changes = dict(table)
    if "severity" in changes:
        changes["severity"] = Severity(changes["severity"])
    for key in ("channels", "escalate_to"):
        if key in changes:
            changes[key] = _texts(changes[key])
    return msgspec.structs.replace(RULES[kind], **changes)


def _silence(document: TomlDocument, name: str, table: Table) -> Silence:
    path = ("silence", name)
    check_table(document, path, table, SILENCE_KEYS)
    for key in ("from", "to"):
        if key not in table:
            raise document.complaint(path, f'needs a time of day as {key!r}, such as {key} = "22:00"')
    zone = str(table.get("zone", "UTC"))
    try:
        found = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise document.complaint(
            (*path, "zone"), f"isn't a time zone that this machine knows: {zone!r}; write one such as UTC"
        ) from None
    return Silence(
        name,
        frozenset(AlertKind(kind) for kind in _texts(table.get("rules"))),
        _texts(table.get("hosts")),
        begin=time.fromisoformat(str(table["from"])),
        end=time.fromisoformat(str(table["to"])),
        zone=found,
        days=frozenset(DAYS.index(day) for day in _texts(table.get("days"))),
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
