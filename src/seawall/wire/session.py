"""A session, the same at both ends: which message may come when.

    NEW --challenge--> CHALLENGED --hello--> PROVING --welcome--> OPEN
     any state --goodbye--> CLOSED

The machine moves on what is sent and on what is received, and does no I/O. A message at the wrong time is a
`ProtocolError`, which ends the session; a frame that can't be read is not, it only has no effect.
"""

from __future__ import annotations

from enum import Enum

from seawall.wire.messages import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    Acknowledge,
    Cancel,
    Challenge,
    CloseStream,
    Complaint,
    Completed,
    Execute,
    Goodbye,
    Hello,
    Message,
    OpenStream,
    Ping,
    Pong,
    Progress,
    Started,
    StreamCredit,
    StreamData,
    StreamEnd,
    StreamInput,
    StreamInputCredit,
    Welcome,
)


class SessionState(Enum):
    """How far a session has come."""

    NEW = "new"
    CHALLENGED = "challenged"
    PROVING = "proving"
    OPEN = "open"
    CLOSED = "closed"


_new, _challenged, _proving, _open = (
    SessionState.NEW,
    SessionState.CHALLENGED,
    SessionState.PROVING,
    SessionState.OPEN,
)

_WHILE_OPEN = (
    *(Execute, Started, Progress, Completed, Acknowledge, Cancel, Ping, Pong, Complaint),
    *(OpenStream, StreamCredit, StreamInput, CloseStream, StreamData, StreamInputCredit, StreamEnd),
)

# (state, kind of message) -> the state after it.
_MOVES: dict[tuple[SessionState, type], SessionState] = {
    (_new, Challenge): _challenged,
    (_challenged, Hello): _proving,
    (_proving, Welcome): _open,
    **{(_open, kind): _open for kind in _WHILE_OPEN},
    **{(state, Goodbye): SessionState.CLOSED for state in (_new, _challenged, _proving, _open)},
}


class ProtocolError(Exception):
    """A message came that has no place in the session's state."""


class Session:
    """One end's view of a session."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = SessionState.NEW

    def move(self, message: Message) -> None:
        """Take note of a message sent or received; raises ProtocolError if it has no place now."""
        after = _MOVES.get((self.state, type(message)))
        if after is None:
            kind = type(message).__name__.lower()
            raise ProtocolError(f"a {kind} has no place in a session that is {self.state.value}")
        self.state = after


def common_protocol(challenge: Challenge) -> int | None:
    """The newest protocol version that both ends speak; None if there is none."""
    newest = min(challenge.protocol_max, PROTOCOL_MAX)
    return newest if newest >= max(challenge.protocol_min, PROTOCOL_MIN) else None
