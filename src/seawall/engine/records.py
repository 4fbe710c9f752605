"""What is kept of commands, agents, tokens and circuits, as every store and door sees it. Times are aware, UTC."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct, field

from seawall.core.command import CommandState


class AttemptRecord(Struct):
    """One delivery of a command. `finished_at` is None while it is under way, or if its end was never seen."""

    number: int
    correlation_id: str
    started_at: datetime
    finished_at: datetime | None = None
    error_code: str | None = None
    circumstance: str = "none"
    error: str | None = None


class CommandRecord(Struct):
    """An accepted command and what became of it. `deadline_at` is when nothing more is started."""

    command_id: str
    operation: str
    agent_id: str
    agent: str
    arguments: dict[str, object]
    state: CommandState
    accepted_at: datetime
    deadline_at: datetime
    timeout_seconds: float
    max_attempts: int
    queue: bool = True
    requested_by: str = ""
    idempotency_key: str | None = None
    fingerprint: str = ""
    error_code: str | None = None
    error: str | None = None
    response: object = None
    total_attempts: int = 0
    duration_seconds: float = 0.0
    finished_at: datetime | None = None
    retry_after_seconds: float | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)

    @property
    def retried(self) -> bool:
        """Whether there was more than one attempt."""
        return self.total_attempts > 1


class AgentRecord(Struct):
    """A host that joined. `epoch` counts its sessions; `revoked_at` ends its identity for good."""

    agent_id: str
    name: str
    public_key: bytes
    joined_at: datetime
    labels: dict[str, str] = field(default_factory=dict)
    simulated: bool = False
    version: str = ""
    hostname: str = ""
    docker_version: str = ""
    operations: list[str] = field(default_factory=list)
    epoch: int = 0
    last_seen_at: datetime | None = None
    revoked_at: datetime | None = None


class TokenRecord(Struct):
    """An API token, known by the hash of its secret."""

    token_id: str
    name: str
    role: str
    secret_hash: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class JoinTokenRecord(Struct):
    """A join token, known by the hash of its secret; used once."""

    token_id: str
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    created_by: str = ""
    used_at: datetime | None = None
    used_by: str | None = None


class TransitionRecord(Struct):
    """A circuit's change of state."""

    at: datetime
    agent_id: str
    domain: str
    origin: str
    target: str
    reason: str


def command_document(record: CommandRecord) -> dict[str, object]:
    """The record as the API and the CLI show it: plain values, times as RFC 3339, `retried` spelled out."""
    document: dict[str, object] = msgspec.to_builtins(record)
    del document["fingerprint"]
    document["retried"] = record.retried
    return document
