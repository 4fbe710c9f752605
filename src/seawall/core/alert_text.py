"""What people are told of an alert, in words."""

from __future__ import annotations

from seawall.core.alert import Alert, Message, Said
from seawall.core.alert_rules import AlertKind

MOST_LINES = 20
"""Of more alerts together, the rest is counted."""
_LONGEST_LINE = 300

_WORDS = {
    AlertKind.CIRCUIT: "circuit open",
    AlertKind.AGENT_OFFLINE: "agent offline",
    AlertKind.ERROR_RATE: "many commands fail",
    AlertKind.COMMAND_FAILED: "command failed",
    AlertKind.UNKNOWN_OUTCOME: "outcome unknown",
    AlertKind.DISK_LOW: "disk almost full",
    AlertKind.CLOCK_OFFSET: "clock is off",
    AlertKind.MASS_FAILURE: "mass failure",
    AlertKind.CERTIFICATE_EXPIRY: "certificate ends soon",
    AlertKind.REMEDIATION_GAVE_UP: "remediation gave up",
}
_BEFORE = {Said.OPENED: "", Said.ESCALATED: "still ", Said.RECOVERED: "recovered: "}


def title_of(message: Message) -> str:
    """One line that says what it is about."""
    hosts = sorted({alert.host for alert in message.alerts if alert.host})
    where = f" on {hosts[0]}" if len(hosts) == 1 else f" on {len(hosts)} hosts" if hosts else ""
    return _plain(f"{_BEFORE[message.said]}{_WORDS[message.kind]}{where}")


def body_of(message: Message) -> str:
    """A line for each alert."""
    lines = [_line(alert, message.said) for alert in message.alerts[:MOST_LINES]]
    more = len(message.alerts) - MOST_LINES
    return "\n".join([*lines, f"and {more} more" if more > 0 else ""]).rstrip()


def _line(alert: Alert, said: Said) -> str:
    host = f"{alert.host}: " if alert.host else ""
    if said is Said.RECOVERED:
        lasted = (alert.resolved_at or alert.since) - alert.opened_at
        text = f"over after {lasted:.0f} s ({alert.text})"
    else:
        text = alert.text
    times = f"; it came {alert.openings} times" if alert.openings > 1 else ""
    return _plain(f"{host}{text}{times}")


def _plain(text: str) -> str:
    """A line of what hosts have told, without what could steer whoever shows it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
