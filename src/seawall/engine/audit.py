"""The audit log: who did what, from where, and why. Each entry is chained to the one before by a SHA-256.

The hash of an entry is taken over netstrings (the length in bytes, a colon, the bytes, a comma) of its position, the 32
bytes of the previous entry's hash (zeros before the first), then `at` in microseconds since 1970, actor, source,
action, subject, and detail as the JSON text that is kept. docs/reference/audit.md says the same for other programs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import msgspec
from msgspec import Struct

from seawall.operations.operation import Argument
from seawall.operations.registry import OPERATIONS

ORIGIN = bytes(32)
"""What stands for the hash of the entry before the first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST_MICROSECOND = 253_402_300_799_999_999
_LONGEST_TEXT = 512
_NAMES = ("name", "image")

_encode = msgspec.json.Encoder().encode


class Action(StrEnum):
    """What is recorded."""

    CHAIN_BEGAN = "chain_began"
    CONTROLLER_STARTED = "controller_started"
    CONTROLLER_RESTORED = "controller_restored"
    COMMAND_ACCEPTED = "command_accepted"
    COMMAND_DISPATCHED = "command_dispatched"
    COMMAND_CANCEL_ASKED = "command_cancel_asked"
    COMMAND_FINISHED = "command_finished"
    COMMAND_SETTLED = "command_settled"
    COMMAND_IMPORTED = "command_imported"
    STREAM_OPENED = "stream_opened"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    ACCESS_DENIED = "access_denied"
    TOKEN_CREATED = "token_created"  # noqa: S105 - a word for an action
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    SET_UP_CODE_USED = "set_up_code_used"
    USER_ADDED = "user_added"
    USER_REMOVED = "user_removed"
    USER_ROLE_CHANGED = "user_role_changed"
    USER_PASSWORD_CHANGED = "user_password_changed"  # noqa: S105
    JOIN_TOKEN_CREATED = "join_token_created"  # noqa: S105
    HOST_JOINED = "host_joined"
    JOIN_REFUSED = "join_refused"
    HOST_CONNECTED = "host_connected"
    HOST_REFUSED = "host_refused"
    HOST_LOST_LEDGER = "host_lost_ledger"
    HOST_QUARANTINED = "host_quarantined"
    HOST_RELEASED = "host_released"
    HOST_REVOKED = "host_revoked"
    POLICY_LOADED = "policy_loaded"
    POLICY_CHANGED = "policy_changed"
    POLICY_NOT_CHANGED = "policy_not_changed"
    CIRCUIT_OVERRULED = "circuit_overruled"
    CIRCUIT_CHANGED = "circuit_changed"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    SILENCE_ADDED = "silence_added"
    SILENCE_ENDED = "silence_ended"
    CHANNEL_ADDED = "channel_added"
    CHANNEL_REMOVED = "channel_removed"
    CHANNEL_TESTED = "channel_tested"
    REMEDIATION_DECIDED = "remediation_decided"
    REMEDIATION_JUDGED = "remediation_judged"
    REMEDIATION_STOPPED = "remediation_stopped"
    REMEDIATION_RESUMED = "remediation_resumed"
    REMEDIATION_LOADED = "remediation_loaded"
    REMEDIATION_CHANGED = "remediation_changed"
    AUDIT_PRUNED = "audit_pruned"


class Caller(Struct, frozen=True, gc=False):
    """Who has something done: a `token:NAME`, `user:NAME`, `host:NAME` or the controller; `source` is where from."""

    actor: str
    source: str = ""


CONTROLLER = Caller("controller")
"""Of its own accord."""
NOBODY = "nobody"
"""The actor where it couldn't be proved who it was."""


def token_actor(name: str) -> str:
    """The actor that an API token stands for."""
    return f"token:{name}"


def user_actor(name: str) -> str:
    """The actor that a user of the dashboard is."""
    return f"user:{name}"


def host_actor(name: str) -> str:
    """The actor that a host is."""
    return f"host:{name}"


class Detail(Struct, frozen=True, gc=False, omit_defaults=True):
    """More about an entry, in plain values, none of them a secret. Each action has a kind of its own."""


class Reason(Detail, frozen=True, gc=False):
    """Why, where that is all there is to say."""

    reason: str = ""


class Entry(Struct, frozen=True, gc=False):
    """What is to be recorded. There are thousands a second, so the garbage collector isn't to look at them."""

    at: datetime
    caller: Caller
    action: Action
    subject: str
    detail: Detail = Detail()


Content = tuple[int, str, str, str, str, str]
"""An entry without its place: microseconds since 1970, actor, source, action, subject, and the detail as JSON."""


class AuditRecord(NamedTuple):
    """An entry in its place, as it is kept; `at` is microseconds since 1970, `detail` JSON."""

    position: int
    at: int
    actor: str
    source: str
    action: str
    subject: str
    detail: str
    previous: bytes
    hash: bytes

    @property
    def content(self) -> Content:
        """What its hash covers beside its place."""
        return self[1:7]

    @property
    def moment(self) -> datetime:
        """`at` as a time; the nearest one where a forger has left none."""
        return _EPOCH + timedelta(microseconds=min(max(self.at, 0), _LAST_MICROSECOND))


class Head(NamedTuple):
    """The last entry of a chain, as somebody keeps it elsewhere."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"

    @classmethod
    def of(cls, text: str) -> Head:
        """Read POSITION:HASH. Raises ValueError."""
        found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise ValueError(
                f"{text[:80]!r} is no head of an audit log: give the POSITION:HASH that an earlier "
                "'seawall audit verify' has printed"
            )
        return cls(int(found[1]), bytes.fromhex(found[2]))


def content_of(entry: Entry) -> Content:
    """The entry as it is kept. Texts that came from outside are cut to a length that is no burden."""
    caller = entry.caller
    return (
        (entry.at - _EPOCH) // _MICROSECOND,
        caller.actor[:_LONGEST_TEXT],
        caller.source[:_LONGEST_TEXT],
        entry.action._value_,
        entry.subject[:_LONGEST_TEXT],
        _encode(entry.detail).decode(),
    )


def sealed_bytes(content: Content) -> bytes:
    """What the hash of an entry covers beside its place. Raises UnicodeEncodeError for what is no text."""
    at, *others = content
    texts = [str(at), *others]
    plain = "".join([f"{len(text)}:{text}," for text in texts])
    if plain.isascii():  # a character is a byte then, as it nearly always is
        return plain.encode()
    return b"".join([b"%d:%b," % (len(encoded), encoded) for encoded in map(str.encode, texts)])


def link(position: int, previous: bytes, sealed: bytes) -> bytes:
    """The hash of an entry that says this, in this place."""
    place = b"%d" % position
    return hashlib.sha256(b"%d:%b,32:%b,%b" % (len(place), place, previous, sealed)).digest()


def telling(operation: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """Those arguments that say what a command is about and can hold no secret.

    That is what the operation is given first, such as a container's name, and switches and numbers that aren't as
    usual. Environments, labels, files and programs' words are left out: the fingerprint stands for them.
    """
    told: dict[str, object] = {}
    for argument in _telling(operation):
        value = arguments.get(argument.name)
        if value is None:
            continue
        if argument.kind is str:
            told[argument.name] = str(value)[:_LONGEST_TEXT]
        elif value != argument.default:
            told[argument.name] = value
    return told


@cache
def _telling(operation: str) -> tuple[Argument, ...]:
    declared = OPERATIONS.get(operation)
    return tuple(
        argument
        for argument in (declared.arguments if declared is not None else ())
        if not argument.secret
        and (
            argument.kind in (bool, int, float)
            or (argument.kind is str and (argument.positional or argument.name in _NAMES))
        )
    )


class _Line(Struct):
    """A line of an export: exactly what is chained, the hashes as hex digits."""

    position: int
    at: int
    actor: str
    source: str
    action: str
    subject: str
    detail: str
    previous: str
    hash: str


def exported(record: AuditRecord) -> bytes:
    """An entry as a line of JSON, with its line end."""
    line = _Line(*record[:7], record.previous.hex(), record.hash.hex())
    return msgspec.json.encode(line) + b"\n"


def read_exported(line: bytes) -> AuditRecord:
    """The entry of such a line. Raises ValueError."""
    read = msgspec.json.decode(line, type=_Line)
    links = bytes.fromhex(read.previous), bytes.fromhex(read.hash)
    return AuditRecord(
        *(read.position, read.at, read.actor, read.source, read.action, read.subject, read.detail), *links
    )
