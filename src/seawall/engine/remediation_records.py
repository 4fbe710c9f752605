"""What is kept of remediation: each decision with its reason, and who has stopped it. Times are aware, UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct, field

from seawall.engine.audit import CONTROLLER, Caller


class RemediationRecord(Struct):
    """A decision about an alert and a rule; see `core.remediation`.

    `decision` is acted, dry_run, refused or gave_up, `number` counts the rule's tries for the alert. `command_id` is ""
    until the command was accepted. Whether it `helped` is judged once, by `judge_by` at the latest after its command's
    end; `state` is that end, `outcome` says why it is judged so.
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

    @property
    def key(self) -> str:
        """The idempotency key of its command: the same rule, alert and try are the same command, whoever asks again."""
        return f"remediation/{self.rule}/{self.alert_id}/{self.number}"

    @property
    def caller(self) -> Caller:
        """Who it is to the audit log."""
        return Caller(remediation_actor(self.rule))


class StopRecord(Struct, frozen=True):
    """That nothing is done of the controller's own accord, why, and who wanted that."""

    reason: str
    by: str
    at: datetime


class RemediationStore(Protocol):
    """Decisions of remediation, and the switch that stops it. Each change is in the audit log, in one transaction."""

    async def add_remediation(self, record: RemediationRecord) -> None:
        """Keep a decision; durable before anything is done of it."""

    async def note_remedy(self, record: RemediationRecord, command_id: str, now: datetime) -> None:
        """Keep which command a decision became, and with the command why it is there."""

    async def judge_remediation(self, record: RemediationRecord) -> None:
        """Keep whether it helped."""

    async def remediations(self, *, limit: int = 100) -> list[RemediationRecord]:
        """The newest first."""

    async def recent_remediations(self, since: datetime, limit: int) -> Sequence[RemediationRecord]:
        """Those since a moment, of alerts that are open, and those that aren't judged yet, in their order."""

    async def stop_remediation(self, stop: StopRecord, caller: Caller = CONTROLLER) -> None:
        """Keep that it is stopped, in place of an earlier stop."""

    async def resume_remediation(self, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """End the stop; False if there is none."""

    async def remediation_stop(self) -> StopRecord | None:
        """Who stopped it, and why; None if nobody has."""


def remediation_actor(rule: str) -> str:
    """The actor that a rule is."""
    return f"remediation:{rule}"
