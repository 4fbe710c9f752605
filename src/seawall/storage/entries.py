"""What the audit log says of a change that the tables keep. Nothing of it is a secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from seawall.core.command import CommandState
from seawall.engine.alert_records import ChannelRecord, SilenceRecord
from seawall.engine.audit import (
    CONTROLLER,
    Action,
    Caller,
    Detail,
    Entry,
    Reason,
    host_actor,
    telling,
    token_actor,
    user_actor,
)
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

AUTOMATIC = "controller"
"""The subject of what concerns the controller as a whole."""


class Start(Detail, frozen=True, gc=False):
    """A start of the controller."""

    term: int


class Acceptance(Detail, frozen=True, gc=False):
    """What was asked for. The fingerprint is of all of it; a state is there if it was turned away at once.

    The first attempt is here and has no entry of its own where one write holds both, as it mostly does.
    """

    operation: str
    host: str
    arguments: dict[str, object]
    fingerprint: str
    correlation_id: str = ""
    state: str = ""
    error_code: str | None = None


class Dispatch(Detail, frozen=True, gc=False):
    """Which attempt it is."""

    attempt: int
    correlation_id: str


class Ending(Detail, frozen=True, gc=False):
    """How a command ended."""

    operation: str
    host: str
    state: str
    error_code: str | None
    attempts: int


class Finding(Detail, frozen=True, gc=False):
    """What an UNKNOWN command turned out to be, and how that is known."""

    state: str
    error_code: str | None = None
    reason: str = ""


class Order(Detail, frozen=True, gc=False):
    """What somebody wants of a circuit, and why."""

    order: str
    reason: str


class Invitation(Detail, frozen=True, gc=False):
    """How long a join token is good for."""

    expires_at: datetime


class Joining(Detail, frozen=True, gc=False):
    """Who a host is from now on, and what let it in."""

    name: str
    join_token: str
    public_key: str
    simulated: bool = False


class Session(Detail, frozen=True, gc=False):
    """A session of a host."""

    epoch: int
    version: str
    ledger: str


class NewToken(Detail, frozen=True, gc=False):
    """What an API token is good for."""

    name: str
    role: str
    expires_at: datetime | None


class Standing(Detail, frozen=True, gc=False):
    """A user, and what it may do; `before` is the role that it had, where that has changed."""

    name: str
    role: str
    before: str = ""


class UserSignIn(Detail, frozen=True, gc=False):
    """What somebody may do who has signed in."""

    role: str


class Quiet(Detail, frozen=True, gc=False):
    """What a silence covers, until when and why; without kinds or hosts it is for all."""

    until: datetime
    kinds: list[str]
    hosts: list[str]
    reason: str = ""


class NewChannel(Detail, frozen=True, gc=False):
    """Where messages go; of the address only the kind."""

    kind: str
    address: str


class Change(Detail, frozen=True, gc=False, rename={"origin": "from", "target": "to"}):
    """A circuit's change of state."""

    origin: str
    target: str
    reason: str


def accepted(record: CommandRecord, caller: Caller) -> Entry:
    """A command was accepted, or turned away, and maybe an attempt of it was put on record."""
    final = record.state.final
    detail = Acceptance(
        record.operation,
        record.agent,
        telling(record.operation, record.arguments),
        record.fingerprint,
        record.attempts[0].correlation_id if record.attempts else "",
        record.state.value if final else "",
        record.error_code if final else None,
    )
    return Entry(record.accepted_at, caller, Action.COMMAND_ACCEPTED, record.command_id, detail)


def dispatched(command_id: str, attempt: AttemptRecord) -> Entry:
    """An attempt is about to be sent."""
    detail = Dispatch(attempt.number, attempt.correlation_id)
    return Entry(attempt.started_at, CONTROLLER, Action.COMMAND_DISPATCHED, command_id, detail)


def finished(record: CommandRecord) -> Entry:
    """A command has its result."""
    return _ended(record, Action.COMMAND_FINISHED)


def settled(record: CommandRecord, now: datetime, caller: Caller | None) -> Entry:
    """What an UNKNOWN command turned out to be; without a caller its host has told it."""
    detail = Finding(record.state.value, record.error_code, record.resolution)
    who = caller if caller is not None else Caller(host_actor(record.agent))
    return Entry(now, who, Action.COMMAND_SETTLED, record.command_id, detail)


def imported(record: CommandRecord) -> Entry:
    """A host told of a command that wasn't known."""
    return _ended(record, Action.COMMAND_IMPORTED)


def lost(command_id: str, now: datetime, reason: str) -> Entry:
    """What a lost ledger may have known of is UNKNOWN."""
    detail = Finding(CommandState.UNKNOWN.value, reason=reason)
    return Entry(now, CONTROLLER, Action.COMMAND_FINISHED, command_id, detail)


def invited(record: JoinTokenRecord, caller: Caller) -> Entry:
    """A join token was made."""
    detail = Invitation(record.expires_at)
    return Entry(record.created_at, caller, Action.JOIN_TOKEN_CREATED, record.token_id, detail)


def joined(agent: AgentRecord, token_id: str, now: datetime, source: str) -> Entry:
    """A host used a join token."""
    detail = Joining(agent.name, token_id, agent.public_key.hex(), agent.simulated)
    return Entry(now, Caller(host_actor(agent.name), source), Action.HOST_JOINED, agent.agent_id, detail)


def connected(
    agent: AgentRecord, ledger: LedgerFacts, epoch: int, amnesia: str, source: str, now: datetime
) -> list[Entry]:
    """A host has proved who it is and has a session; maybe with another ledger than before."""
    caller, detail = Caller(host_actor(agent.name), source), Session(epoch, agent.version, ledger.ledger_id)
    entries = [Entry(now, caller, Action.HOST_CONNECTED, agent.agent_id, detail)]
    if amnesia:
        entries.append(Entry(now, caller, Action.HOST_LOST_LEDGER, agent.agent_id, Reason(amnesia)))
    return entries


def token_created(record: TokenRecord, caller: Caller) -> Entry:
    """An API token was made."""
    detail = NewToken(record.name, record.role, record.expires_at)
    return Entry(record.created_at, caller, Action.TOKEN_CREATED, record.token_id, detail)


def user_added(record: UserRecord, caller: Caller, *, first: bool) -> Entry:
    """A user was made; the `first` one made itself, with the set-up code."""
    action = Action.SET_UP_CODE_USED if first else Action.USER_ADDED
    who = Caller(user_actor(record.name), caller.source) if first else caller
    return Entry(record.created_at, who, action, record.user_id, Standing(record.name, record.role))


def signed_in(record: SignInRecord, user: UserRecord) -> Entry:
    """A user signed in."""
    caller = Caller(user_actor(user.name), record.address)
    return Entry(record.created_at, caller, Action.SIGNED_IN, record.sign_in_id, UserSignIn(user.role))


def silence_added(record: SilenceRecord, now: datetime, caller: Caller) -> Entry:
    """Somebody wants to hear nothing for a while."""
    detail = Quiet(record.until, record.kinds, record.hosts, record.reason)
    return Entry(now, caller, Action.SILENCE_ADDED, record.silence_id, detail)


def channel_added(record: ChannelRecord, caller: Caller) -> Entry:
    """Messages go to one more place."""
    detail = NewChannel(record.kind, record.shown)
    return Entry(record.created_at, caller, Action.CHANNEL_ADDED, record.name, detail)


def changed(records: Sequence[TransitionRecord]) -> list[Entry]:
    """Circuits went from one state to another."""
    return [
        Entry(
            record.at,
            CONTROLLER if not record.by else Caller(token_actor(record.by)),
            Action.CIRCUIT_CHANGED,
            f"{record.agent_id}/{record.domain}",
            Change(record.origin, record.target, record.reason),
        )
        for record in records
    ]


def overruled(at: datetime, caller: Caller, circuit: tuple[str, str], order: str, reason: str) -> Entry:
    """Somebody wants a circuit, of a host and a domain, to be `open`, `close`d or `reset`."""
    return Entry(at, caller, Action.CIRCUIT_OVERRULED, "/".join(circuit), Order(order, reason))


def _ended(record: CommandRecord, action: Action) -> Entry:
    # Success can only come from the host, and so can what its ledger has recorded.
    from_host = record.recorded or record.state is CommandState.SUCCEEDED
    caller = Caller(host_actor(record.agent)) if from_host else CONTROLLER
    detail = Ending(
        record.operation, record.agent, record.state.value, record.error_code, record.total_attempts
    )
    return Entry(record.finished_at or record.accepted_at, caller, action, record.command_id, detail)
