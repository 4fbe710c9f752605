"""What the API says of remediation, typed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct, field


class RemediationRule(Struct):
    """What is tried for which alerts. `mode` is act or dry-run; the durations are seconds."""

    name: str
    alert: str
    operation: str
    mode: str
    arguments: dict[str, object] = field(default_factory=dict)
    about: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    after_seconds: float = 0.0
    cool_down_seconds: float = 0.0
    tries: int = 0
    helped_within_seconds: float = 0.0
    timeout_seconds: float | None = None


class RemediationStop(Struct):
    """Who stopped it, and why."""

    reason: str
    by: str
    at: datetime


class RemediationView(Struct):
    """What holds. `budget` is how many tries a host is worth within `budget_seconds`; `text` is the file."""

    rules: list[RemediationRule]
    budget: int
    budget_seconds: float
    text: str = ""
    stopped: RemediationStop | None = None


class RemediationDecision(Struct):
    """What was decided about an alert: acted, dry_run, refused or gave_up, and why.

    Of what was done, `command_id` is the command, `state` its end, `helped` whether the alert was over in time (None
    until that can be said) and `outcome` why it is thought so.
    """

    remediation_id: str
    at: datetime
    decision: str
    reason: str
    rule: str
    number: int
    alert_id: str
    alert: str
    agent_id: str
    host: str
    operation: str
    arguments: dict[str, object] = field(default_factory=dict)
    refusal: str = ""
    timeout_seconds: float | None = None
    judge_by: datetime | None = None
    command_id: str = ""
    state: str = ""
    helped: bool | None = None
    outcome: str = ""
    judged_at: datetime | None = None
