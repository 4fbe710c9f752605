"""Which message may come when: every state with every message."""

from __future__ import annotations

import pytest

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
    FromAgent,
    FromController,
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
from seawall.wire.session import ProtocolError, Session, SessionState, common_protocol

MESSAGES: dict[str, Message] = {
    "challenge": Challenge(b"n", "controller-1", 1, "2030-01-01T00:00:00Z"),
    "hello": Hello("agent-1", b"s", 1, "0.1.0"),
    "welcome": Welcome(1, 10.0),
    "execute": Execute("c-1", "x-1", 1, "ping", {}, 30.0, 1),
    "started": Started("c-1", "x-1", 1, 1),
    "progress": Progress("x-1", "half"),
    "completed": Completed("c-1", "x-1", 1),
    "acknowledge": Acknowledge([1], 1),
    "cancel": Cancel("c-1", "x-1"),
    "openstream": OpenStream("s-1", "container_logs", {}, 0, 10),
    "streamcredit": StreamCredit("s-1", 1),
    "streaminput": StreamInput("s-1", 0, b"x"),
    "closestream": CloseStream("s-1", "why"),
    "streamdata": StreamData("s-1", 0, b"x"),
    "streaminputcredit": StreamInputCredit("s-1", 1),
    "streamend": StreamEnd("s-1", 1),
    "ping": Ping(1),
    "pong": Pong(1),
    "goodbye": Goodbye("done"),
    "complaint": Complaint("frame", "why"),
}
# For each state: the messages that have a place in it, and the state after them.
TABLE = {
    "new": {"challenge": "challenged", "goodbye": "closed"},
    "challenged": {"hello": "proving", "goodbye": "closed"},
    "proving": {"welcome": "open", "goodbye": "closed"},
    "open": {
        **dict.fromkeys(
            [
                *("execute", "started", "progress", "completed", "acknowledge", "cancel"),
                *("openstream", "streamcredit", "streaminput", "closestream"),
                *("streamdata", "streaminputcredit", "streamend", "ping", "pong", "complaint"),
            ],
            "open",
        ),
        "goodbye": "closed",
    },
    "closed": {},
}


def session_in(state: str) -> Session:
    session = Session()
    session.state = SessionState(state)
    return session


def test_the_table_has_every_state_and_every_message() -> None:
    assert set(TABLE) == {state.value for state in SessionState}
    assert {type(message) for message in MESSAGES.values()} == {*FromController.__args__, *FromAgent.__args__}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("state", TABLE)
def test_a_message_moves_the_session_or_has_no_place_in_it(state: str, name: str) -> None:
    session = session_in(state)
    after = TABLE[state].get(name)
    if after is not None:
        session.move(MESSAGES[name])
        assert session.state is SessionState(after)
        return
    with pytest.raises(ProtocolError, match=f"a {name} has no place in a session that is {state}"):
        session.move(MESSAGES[name])
    assert session.state is SessionState(state)


def test_a_session_opens_by_challenge_hello_and_welcome() -> None:
    session = Session()
    for name in ("challenge", "hello", "welcome"):
        session.move(MESSAGES[name])
    assert session.state is SessionState.OPEN


@pytest.mark.parametrize(
    ("lowest", "highest", "common"),
    [
        (PROTOCOL_MIN, PROTOCOL_MAX, PROTOCOL_MAX),
        (PROTOCOL_MIN, PROTOCOL_MAX + 5, PROTOCOL_MAX),
        (PROTOCOL_MAX, PROTOCOL_MAX, PROTOCOL_MAX),
        (PROTOCOL_MAX + 1, PROTOCOL_MAX + 2, None),
        (0, PROTOCOL_MIN - 1, None),
    ],
)
def test_both_ends_speak_the_newest_protocol_that_both_know(
    lowest: int, highest: int, common: int | None
) -> None:
    challenge = Challenge(b"n", "controller-1", 1, "now", protocol_min=lowest, protocol_max=highest)
    assert common_protocol(challenge) == common
