"""The port to durable memory. One contract suite runs against every implementation.

Every writing method returns after its change is durable, or raises; a reading method sees all writes that returned
before it was called. All may be called concurrently and may be cancelled; a cancelled write may or may not happen,
never by half. `StoreFailed` is the only expected error beside those that a method names.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from seawall.core.command import CommandState
from seawall.engine.alert_records import AlertStore
from seawall.engine.audit import CONTROLLER, Action, AuditRecord, Caller, Entry
from seawall.engine.history import HistoryStore
from seawall.engine.records import (
    AgentRecord,
    AttemptRecord,
    CommandRecord,
    DecisionRecord,
    HoldRecord,
    JoinTokenRecord,
    LedgerFacts,
    SessionGrant,
    SignInRecord,
    TokenRecord,
    TransitionRecord,
    Unsettled,
    UserRecord,
)
from seawall.engine.remediation_records import RemediationStore


class StoreUsage(Struct, frozen=True):
    """How busy and how full a store is: counters since its start, and how things stand now."""

    waiting: int = 0
    writes: int = 0
    transactions: int = 0
    busy_seconds: float = 0.0
    log_bytes: int = 0
    size_bytes: int = 0
    free_bytes: int = 0


class StoreFailed(Exception):
    """The store can't be read or written; the message says what to do."""


class StoreFull(Exception):
    """Too little room is left to accept more: what is kept for the results of what was accepted isn't given away."""


class NameTaken(Exception):
    """A live agent has this name already."""


class JoinTokenRefused(Exception):
    """The join token is unknown, expired or used; the message says which."""


class UserNameTaken(Exception):
    """A user has this name already."""


class IdempotencyConflict(Exception):
    """The idempotency key belongs to a command with another fingerprint; `command_id` is that command."""

    def __init__(self, command_id: str) -> None:
        super().__init__(
            f"the idempotency key belongs to command {command_id}, which asked for something else"
        )
        self.command_id = command_id


class CommandOver(LookupError):
    """The command is over, or was never known: no attempt of it can start."""


class CommandStore(Protocol):
    """Commands and their attempts."""

    async def accept(
        self, record: CommandRecord, *, sequenced: bool = False, caller: Caller = CONTROLLER
    ) -> CommandRecord:
        """Keep a new command, with the attempts that it brings, and return it.

        A `sequenced` one gets the next sequence of its agent.

        With an idempotency key that is known: the command that has it, unchanged, if the fingerprint is the same;
        else raises IdempotencyConflict. Raises StoreFull instead of using up the room that results will need.
        """

    async def command_by_key(self, idempotency_key: str) -> CommandRecord | None:
        """The command that has this idempotency key, with its attempts, or None."""

    async def start_attempt(self, command_id: str, attempt: AttemptRecord) -> None:
        """Add an attempt and make the command DISPATCHED. Raises CommandOver."""

    async def finish_attempt(
        self, command_id: str, attempt: AttemptRecord | None, decisions: Sequence[DecisionRecord] = ()
    ) -> None:
        """Fill in how an attempt ended, by its number, and add what was decided."""

    async def running(self, command_ids: Sequence[str]) -> None:
        """Make those of them RUNNING that are DISPATCHED."""

    async def finish(self, record: CommandRecord, decisions: Sequence[DecisionRecord] = ()) -> bool:
        """Write how a command ended: its state and what belongs to it, the end of its last attempt, and decisions.

        Its idempotency key is released if the record has none any more. A command that is final already stays as it is:
        False.
        """

    async def decisions(self, command_id: str) -> list[DecisionRecord]:
        """What was decided about a command, in order."""

    async def settle(
        self,
        record: CommandRecord,
        decisions: Sequence[DecisionRecord] = (),
        *,
        caller: Caller | None = None,
    ) -> bool:
        """Write what an UNKNOWN command turned out to be, or what is shown of it now.

        Without a `caller` it is its host that says so. False, and nothing is changed, if it isn't UNKNOWN any more.
        """

    async def adopt(self, record: CommandRecord) -> bool:
        """Keep a command that an agent has told of and nobody here knows. False if it is known."""

    async def command(self, command_id: str) -> CommandRecord | None:
        """The command with its attempts in order, or None."""

    async def commands(
        self,
        *,
        agent_id: str | None = None,
        states: Sequence[CommandState] = (),
        operation: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[CommandRecord]:
        """The newest commands first, with their attempts; `before` is the command_id to go on from."""

    async def unsettled(self) -> list[Unsettled]:
        """All commands whose state isn't the last word, by agent, and in the order of their acceptance."""

    async def open_commands(self, agent_id: str) -> list[CommandRecord]:
        """The agent's commands that aren't final, the oldest first, with their attempts."""


class FleetStore(Protocol):
    """Agents and the tokens that let them in."""

    async def add_join_token(self, record: JoinTokenRecord, caller: Caller = CONTROLLER) -> None:
        """Keep a join token."""

    async def redeem(
        self, secret_hash: str, now: datetime, agent: AgentRecord, source: str = ""
    ) -> AgentRecord:
        """Use up a join token and add the agent, both or neither, in one transaction; `source` is where it is.

        Raises JoinTokenRefused, or NameTaken (and the token stays unused).
        """

    async def agents(self, *, revoked: bool = False) -> list[AgentRecord]:
        """All agents by name; the revoked ones only when asked for."""

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """One agent, revoked or not."""

    async def open_session(self, agent: AgentRecord, ledger: LedgerFacts, source: str = "") -> SessionGrant:
        """Note what an agent said of itself at hello and begin its next epoch, in one transaction.

        That is: version, hostname, docker_version, labels, operations, last_seen_at and the ledger's id. The epoch is
        above all that either side has seen, and so is the next sequence. If the ledger is another one, or has lost what
        it had proved to know, every command that it may have had becomes UNKNOWN for good.
        """

    async def prove_epoch(self, agent_id: str, epoch: int) -> None:
        """Note that the agent's ledger knows this epoch."""

    async def quarantine(self, agent_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """Keep an agent out from now on. False if there is no such live agent."""

    async def release(self, agent_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """Let an agent in again that was kept out. False if there is no such live agent."""

    async def seen(self, agent_ids: Sequence[str], now: datetime) -> None:
        """Note when these agents were last heard."""

    async def revoke_agent(self, agent_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """End an agent's identity; its name is free again. False if there is no such live agent."""


class AccessStore(Protocol):
    """API tokens."""

    async def add_token(self, record: TokenRecord, caller: Caller = CONTROLLER) -> None:
        """Keep a token."""

    async def token_by_hash(self, secret_hash: str) -> TokenRecord | None:
        """The token with this hash, revoked and expired ones too."""

    async def tokens(self) -> list[TokenRecord]:
        """All tokens that aren't revoked, by name."""

    async def revoke_token(self, token_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """End a token; False if there is no such live one."""


class UserStore(Protocol):
    """People, and where they are signed in."""

    async def had_users(self) -> bool:
        """Whether there is a user, or ever was one."""

    async def add_user(self, record: UserRecord, caller: Caller = CONTROLLER, *, first: bool = False) -> bool:
        """Keep a user. Raises UserNameTaken; False, and nothing is kept, for a `first` one if there ever was one."""

    async def users(self) -> list[UserRecord]:
        """All users that aren't removed, by name."""

    async def user(self, name: str) -> UserRecord | None:
        """The user of this name, unless it is removed."""

    async def change_user(
        self,
        name: str,
        now: datetime,
        caller: Caller = CONTROLLER,
        *,
        password_hash: str | None = None,
        role: str | None = None,
    ) -> bool:
        """Give a user another password or role, and end its sign-ins with that. False if there is no such user."""

    async def remove_user(self, name: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        """Remove a user, whose name is free again, and end its sign-ins. False if there is no such user."""

    async def add_sign_in(self, record: SignInRecord) -> bool:
        """Keep a sign-in, and forget those that expired. False if its user was removed meanwhile."""

    async def sign_in(self, secret_hash: str) -> tuple[SignInRecord, UserRecord] | None:
        """The sign-in with this hash, ended and expired ones too, with its user."""

    async def seen_sign_in(self, sign_in_id: str, now: datetime) -> None:
        """Note when a sign-in was last used."""

    async def end_sign_in(self, sign_in_id: str, now: datetime, caller: Caller = CONTROLLER) -> None:
        """End a sign-in, unless it has ended."""


class CircuitStore(Protocol):
    """The history of circuits."""

    async def add_transitions(self, records: Sequence[TransitionRecord]) -> None:
        """Keep transitions."""

    async def transitions(self, *, agent_id: str | None = None, limit: int = 100) -> list[TransitionRecord]:
        """The newest first."""

    async def hold_circuit(self, record: HoldRecord, caller: Caller = CONTROLLER) -> None:
        """Somebody holds a circuit from now on, whatever held it before."""

    async def reset_circuit(
        self, agent_id: str, domain: str, reason: str, now: datetime, caller: Caller = CONTROLLER
    ) -> None:
        """Somebody resets a circuit, and nobody holds it any more."""

    async def holds(self) -> list[HoldRecord]:
        """The circuits that are held, the oldest first. Those of a host that is revoked aren't."""

    async def unclosed_circuits(self) -> list[TransitionRecord]:
        """The latest transition of each circuit that isn't closed since."""


class AuditStore(Protocol):
    """The audit log. What the other methods change is recorded by them, in the transaction of the change."""

    async def record(self, *entries: Entry) -> None:
        """Record what no other method does."""

    async def audit(
        self,
        *,
        actor: str | None = None,
        actions: Sequence[Action] = (),
        subject: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[AuditRecord]:
        """The newest entries first; `before` is the position to go on from."""

    async def audit_after(self, position: int, limit: int) -> list[AuditRecord]:
        """The entries behind a position, in order."""

    async def prune_audit(self, before: datetime, now: datetime, caller: Caller) -> int:
        """Remove the oldest entries, up to the first that isn't older than `before`; how many there were.

        An entry says up to where, and what the hash was there, so that the chain can still be followed. The last entry
        stays.
        """


class RecordingStore(CommandStore, AuditStore, Protocol):
    """What a door to commands needs."""


class Store(
    CommandStore,
    FleetStore,
    AccessStore,
    UserStore,
    CircuitStore,
    AuditStore,
    AlertStore,
    HistoryStore,
    RemediationStore,
    Protocol,
):
    """All of it, behind one connection to the truth."""

    async def controller_identity(self) -> tuple[str, int]:
        """This controller's id, made at the first start, and the term of this start, later than any before."""

    def usage(self) -> StoreUsage:
        """How busy and how full it is. May be asked from any thread."""

    async def check(self) -> None:
        """A cheap proof that it can be read and written; raises StoreFailed."""

    async def close(self) -> None:
        """Let what was asked for finish, then let go."""
