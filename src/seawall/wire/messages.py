"""The messages on the wire: one page, the whole contract.

Unknown fields are ignored, so a newer peer may add some; an unknown kind is answered with a `Complaint`. Durations are
relative, so that the two clocks need not agree.
"""

from __future__ import annotations

from msgspec import Struct, field

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1


class Challenge(Struct, frozen=True, tag="challenge"):
    """Controller, first of all: prove who you are over this fresh nonce. `now` is the controller's time of day."""

    nonce: bytes
    controller_id: str
    term: int
    now: str
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX


class Hello(Struct, frozen=True, tag="hello"):
    """Agent: who I am, signed, and what I can do. `operations` are the names that this agent performs."""

    agent_id: str
    signature: bytes
    protocol: int
    version: str
    hostname: str = ""
    docker_version: str = ""
    simulated: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)


class Welcome(Struct, frozen=True, tag="welcome"):
    """Controller: the session is open. Frames of an older epoch have no effect."""

    epoch: int
    heartbeat_seconds: float


class Execute(Struct, frozen=True, tag="execute"):
    """Controller: perform this attempt. `remaining_seconds` is what is left until the attempt is given up."""

    command_id: str
    correlation_id: str
    attempt: int
    operation: str
    arguments: dict[str, object]
    remaining_seconds: float
    epoch: int


class Progress(Struct, frozen=True, tag="progress"):
    """Agent: the work moves. `text` is for people."""

    correlation_id: str
    text: str


class Completed(Struct, frozen=True, tag="completed"):
    """Agent: how the attempt ended. No `code` is a success; code and circumstance are the values of core.errors."""

    command_id: str
    correlation_id: str
    epoch: int
    code: str | None = None
    circumstance: str = "none"
    error: str | None = None
    response: object = None


class Cancel(Struct, frozen=True, tag="cancel"):
    """Controller: stop this attempt if it can be stopped; `Completed` says what became of it."""

    command_id: str
    correlation_id: str


class Ping(Struct, frozen=True, tag="ping"):
    """Controller: answer across your worker; with `docker`, ask the Docker Engine too."""

    sequence: int
    docker: bool = False


class Pong(Struct, frozen=True, tag="pong"):
    """Agent: the answer; `docker` says whether the Docker Engine answered, None if it wasn't asked."""

    sequence: int
    docker: bool | None = None


class Goodbye(Struct, frozen=True, tag="goodbye"):
    """Either side, last of all: why, and after how many seconds a new session makes sense (None: don't come back)."""

    reason: str
    retry_after_seconds: float | None = 0.0


class Complaint(Struct, frozen=True, tag="complaint"):
    """Either side: a frame of yours was not understood and had no effect."""

    about: str
    reason: str


FromController = Challenge | Welcome | Execute | Cancel | Ping | Goodbye | Complaint
FromAgent = Hello | Progress | Completed | Pong | Goodbye | Complaint
Message = FromController | FromAgent
