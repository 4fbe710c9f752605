"""What an alert is made of, and what passes between it and those who watch, keep and send it."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field

from seawall.core.alert_rules import AlertKind

FLAPS = 3
"""An alert whose cause came so often is flapping."""


class Sign(Struct, frozen=True):
    """That a cause is there, or is gone. `subject` tells it from others of its kind; "" as agent is the plane itself.

    A `momentary` cause is gone as soon as it was there: nobody watches for its end.
    """

    kind: AlertKind
    subject: str
    agent_id: str
    active: bool
    text: str = ""
    momentary: bool = False

    @property
    def key(self) -> str:
        """What is the same alert has the same key."""
        return f"{self.kind.value}/{self.subject}"


class Alert(Struct):
    """An alert that is open, or was. `host` is the agent's name. Moments are monotonic; None is what hasn't happened.

    `active` says whether its cause is there now, and `since` since when that is so; `openings` counts how often the
    cause came; `told_at` is when the opening was said.
    """

    alert_id: str
    key: str
    kind: AlertKind
    agent_id: str
    host: str
    text: str
    opened_at: float
    active: bool
    since: float
    openings: int = 1
    told_at: float | None = None
    escalated_at: float | None = None
    resolved_at: float | None = None
    acknowledged_by: str = ""
    acknowledgement: str = ""

    @property
    def flapping(self) -> bool:
        """Whether its cause comes and goes."""
        return self.openings >= FLAPS


class Said(Enum):
    """What a message tells of its alerts."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RECOVERED = "recovered"


class Message(Struct, frozen=True):
    """What is to be said now, of alerts of one kind together."""

    said: Said
    kind: AlertKind
    alerts: tuple[Alert, ...]


class Turn(Struct, frozen=True):
    """What has changed: alerts to be kept as they are now, and what is to be said. Both belong into one transaction."""

    changed: dict[str, Alert] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
