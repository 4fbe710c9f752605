"""What is worth an alert, when it is said and when it is not: rules and silences, with defaults that hold unasked."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from enum import Enum

from msgspec import Struct


class AlertKind(Enum):
    """What an alert is about; each has a rule."""

    CIRCUIT = "circuit"
    AGENT_OFFLINE = "agent_offline"
    ERROR_RATE = "error_rate"
    COMMAND_FAILED = "command_failed"
    UNKNOWN_OUTCOME = "unknown_outcome"
    DISK_LOW = "disk_low"
    CLOCK_OFFSET = "clock_offset"
    MASS_FAILURE = "mass_failure"
    CERTIFICATE_EXPIRY = "certificate_expiry"
    REMEDIATION_GAVE_UP = "remediation_gave_up"

    @property
    def may_be_the_planes(self) -> bool:
        """Whether a mass failure may be its cause, so that it isn't said during one."""
        return self in _EFFECTS_OF_A_MASS_FAILURE

    @property
    def looked_for(self) -> bool:
        """Whether its cause is looked for again and again, so that nothing has to be remembered of it."""
        return self in _LOOKED_FOR


_LOOKED_FOR = frozenset(
    {
        AlertKind.AGENT_OFFLINE,
        AlertKind.DISK_LOW,
        AlertKind.CLOCK_OFFSET,
        AlertKind.CERTIFICATE_EXPIRY,
        AlertKind.REMEDIATION_GAVE_UP,
    }
)
_EFFECTS_OF_A_MASS_FAILURE = frozenset(
    {
        AlertKind.CIRCUIT,
        AlertKind.AGENT_OFFLINE,
        AlertKind.ERROR_RATE,
        AlertKind.COMMAND_FAILED,
        AlertKind.UNKNOWN_OUTCOME,
    }
)


class Severity(Enum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertRule(Struct, frozen=True):
    """When an alert opens and ends, and what is said of it. Durations are seconds.

    It opens once its cause has lasted `for_seconds` and ends once that has been gone for `calm_seconds`. After an
    opening was said, none of the same is for `cool_down_seconds`. One that nobody has acknowledged after
    `escalate_after_seconds` (None: never) is said once more, to the channels in `escalate_to` as well. What `threshold`
    counts in is said in `MEANINGS`. `channels=None` stands for those that are for all rules.
    """

    severity: Severity = Severity.WARNING
    for_seconds: float = 0.0
    calm_seconds: float = 60.0
    cool_down_seconds: float = 900.0
    escalate_after_seconds: float | None = None
    threshold: float = 0.0
    enabled: bool = True
    channels: tuple[str, ...] | None = None
    escalate_to: tuple[str, ...] = ()


RULES = {
    AlertKind.CIRCUIT: AlertRule(calm_seconds=120.0),
    AlertKind.AGENT_OFFLINE: AlertRule(Severity.CRITICAL, for_seconds=120.0),
    AlertKind.ERROR_RATE: AlertRule(threshold=0.5),
    AlertKind.COMMAND_FAILED: AlertRule(calm_seconds=600.0),
    AlertKind.UNKNOWN_OUTCOME: AlertRule(calm_seconds=0.0),
    AlertKind.DISK_LOW: AlertRule(for_seconds=60.0, calm_seconds=300.0, threshold=0.05),
    AlertKind.CLOCK_OFFSET: AlertRule(for_seconds=60.0, threshold=5.0),
    AlertKind.MASS_FAILURE: AlertRule(Severity.CRITICAL, cool_down_seconds=300.0),
    AlertKind.CERTIFICATE_EXPIRY: AlertRule(Severity.CRITICAL, cool_down_seconds=86_400.0, threshold=14.0),
    AlertKind.REMEDIATION_GAVE_UP: AlertRule(Severity.CRITICAL, calm_seconds=0.0),
}
"""What holds without any configuration."""

MEANINGS = {
    AlertKind.ERROR_RATE: "the share of a host's commands in five minutes that fail by its own fault",
    AlertKind.DISK_LOW: "the share of a host's disk that is free",
    AlertKind.CLOCK_OFFSET: "seconds by which a host's clock is off",
    AlertKind.CERTIFICATE_EXPIRY: "days until a certificate of the controller ends",
}
"""What the threshold of a rule counts; the others have none."""

GROUP_SECONDS = 5.0
"""How long an alert waits for others of its kind, to be said together with them."""


class Silence(Struct, frozen=True):
    """A time in which nothing opens out loud. Empty `kinds` and `hosts` mean all; hosts are patterns such as `web-*`.

    With `until` it is over then; else it comes each day from `begin` to `end` by the clock of `zone`, over midnight if
    the end isn't after the beginning, on the `days` on which it begins (0 is Monday; none means every day).
    """

    name: str
    kinds: frozenset[AlertKind] = frozenset()
    hosts: tuple[str, ...] = ()
    until: float | None = None
    begin: time = time()
    end: time = time()
    zone: tzinfo | None = None
    days: frozenset[int] = frozenset()

    def covers(self, kind: AlertKind, host: str, now: float, wall: datetime) -> bool:
        """Whether it keeps an alert quiet at this moment. `until` is monotonic, so no jump of the clock moves it."""
        if self.kinds and kind not in self.kinds:
            return False
        if self.hosts and not any(matches(pattern, host) for pattern in self.hosts):
            return False
        return now < self.until if self.until is not None else self._is_within(wall.astimezone(self.zone))

    def _is_within(self, local: datetime) -> bool:
        day, at = local.weekday(), local.time()
        if self.begin < self.end:
            return self.begin <= at < self.end and self._begins_on(day)
        # The part after midnight belongs to the window that began the day before.
        yesterday = (local - timedelta(days=1)).weekday()
        return (at >= self.begin and self._begins_on(day)) or (at < self.end and self._begins_on(yesterday))

    def _begins_on(self, day: int) -> bool:
        return not self.days or day in self.days


def matches(pattern: str, host: str) -> bool:
    """Whether a pattern such as `web-*` means a host. A star stands for any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), host) is not None
