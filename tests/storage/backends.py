"""The implementations of the store that the contract suite runs against, and records to put into them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.engine.records import (
    AgentRecord,
    AttemptRecord,
    CommandRecord,
    JoinTokenRecord,
    LedgerFacts,
    SignInRecord,
    TokenRecord,
    TransitionRecord,
    UserRecord,
)
from seawall.engine.store import Store
from seawall.storage.sqlite import SqliteStore
from seawall.storage.statements import Connection, Result

NOW = datetime(2030, 5, 17, 8, 30, 15, 123_456, tzinfo=UTC)

LEDGER = LedgerFacts("ledger-1")

OpenStore = Callable[[], Awaitable[Store]]
"""Opens the same data each time."""


def sqlite(directory: Path) -> OpenStore:
    async def open_store() -> Store:
        return await SqliteStore.open(directory / "seawall.db", SystemClock())

    return open_store


BACKENDS: dict[str, Callable[[Path], OpenStore]] = {"sqlite": sqlite}


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def command(command_id: str = "c-1", **changes: object) -> CommandRecord:
    fields: dict[str, object] = {
        "command_id": command_id,
        "operation": "container_restart",
        "agent_id": "a-1",
        "agent": "local",
        "arguments": {"container": "web"},
        "state": CommandState.ACCEPTED,
        "accepted_at": NOW,
        "deadline_at": later(90),
        "timeout_seconds": 30.0,
        "max_attempts": 3,
    }
    return CommandRecord(**(fields | changes))  # type: ignore[arg-type]  # a test may give any field


def attempt(number: int = 1, **changes: object) -> AttemptRecord:
    fields: dict[str, object] = {
        "number": number,
        "correlation_id": f"r-{number}",
        "started_at": later(number),
    }
    return AttemptRecord(**(fields | changes))  # type: ignore[arg-type]


def agent(agent_id: str = "a-1", name: str = "local", **changes: object) -> AgentRecord:
    fields: dict[str, object] = {
        "agent_id": agent_id,
        "name": name,
        "public_key": bytes(range(32)),
        "joined_at": NOW,
    }
    return AgentRecord(**(fields | changes))  # type: ignore[arg-type]


def join_token(secret_hash: str = "hash", **changes: object) -> JoinTokenRecord:
    fields: dict[str, object] = {
        "token_id": f"j-{secret_hash}",
        "secret_hash": secret_hash,
        "created_at": NOW,
        "expires_at": later(600),
        "created_by": "admin",
    }
    return JoinTokenRecord(**(fields | changes))  # type: ignore[arg-type]


def token(token_id: str = "t-1", **changes: object) -> TokenRecord:
    fields: dict[str, object] = {
        "token_id": token_id,
        "name": f"name of {token_id}",
        "role": "operator",
        "secret_hash": f"hash of {token_id}",
        "created_at": NOW,
    }
    return TokenRecord(**(fields | changes))  # type: ignore[arg-type]


def user(user_id: str = "u-1", **changes: object) -> UserRecord:
    fields: dict[str, object] = {
        "user_id": user_id,
        "name": f"name-of-{user_id}",
        "password_hash": "a hash",
        "role": "operator",
        "created_at": NOW,
    }
    return UserRecord(**(fields | changes))  # type: ignore[arg-type]


def sign_in(sign_in_id: str = "s-1", user_id: str = "u-1", **changes: object) -> SignInRecord:
    fields: dict[str, object] = {
        "sign_in_id": sign_in_id,
        "user_id": user_id,
        "secret_hash": f"hash of {sign_in_id}",
        "created_at": NOW,
        "seen_at": NOW,
        "expires_at": later(600),
        "address": "192.0.2.1",
    }
    return SignInRecord(**(fields | changes))  # type: ignore[arg-type]


def transition(reason: str, agent_id: str = "a-1") -> TransitionRecord:
    return TransitionRecord(NOW, agent_id, "docker", "closed", "open", reason)


class BusyStore(SqliteStore):
    """Knows how many of its answers are still awaited."""

    awaited = 0

    async def write(self, job: Callable[[Connection], Result]) -> Result:
        self.awaited += 1
        try:
            return await super().write(job)
        finally:
            self.awaited -= 1

    async def read(self, job: Callable[[Connection], Result]) -> Result:
        self.awaited += 1
        try:
            return await super().read(job)
        finally:
            self.awaited -= 1
