"""How a fake Docker Engine can be sick, and the failures that come of it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from seawall.agent.failure import DockerFailure
from seawall.core.errors import Circumstance, CommandErrorCode


class Fault(Enum):
    """How a `FakeDocker` can be sick."""

    UNREACHABLE = "unreachable"
    """No connection can be made; nothing is done."""
    PERMISSION = "permission"
    """The agent's user may not use it; nothing is done."""
    BROKEN_BEFORE = "broken_before"
    """The connection breaks before the effect."""
    BROKEN_AFTER = "broken_after"
    """The connection breaks after the effect."""
    SERVER_ERROR = "server_error"
    """It answers 500; nothing is done."""
    HANGS_BEFORE = "hangs_before"
    """It accepts, does nothing, and says nothing until it is healed or the call's time is over."""
    HANGS_AFTER = "hangs_after"
    """It has the effect, and says nothing."""


class Latency(NamedTuple):
    """Seconds until a request arrives, until it is done after that, and until the answer is back.

    A restart takes `effect` twice, before its stop and before its start. Whoever asked may be gone by then: it is done
    all the same.
    """

    request: float = 0.0
    effect: float = 0.0
    response: float = 0.0


_SERVER_ERROR = 500


def unreachable(hostname: str, operation: str) -> DockerFailure:
    """Nobody listens."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_UNREACHABLE,
        f"no Docker Engine can be reached on {hostname} for {operation}. Nothing was done",
    )


def forbidden(hostname: str, operation: str) -> DockerFailure:
    """The socket is somebody else's."""
    return DockerFailure(
        CommandErrorCode.PERMISSION_DENIED,
        Circumstance.NONE,
        f"the agent's user may not use the Docker Engine on {hostname} for {operation}",
    )


def broken(operation: str) -> DockerFailure:
    """The connection ended during the call."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_FAILED,
        f"the connection to the Docker Engine broke during {operation}",
    )


def silent(operation: str, seconds: float) -> DockerFailure:
    """No answer came in time."""
    return DockerFailure(
        CommandErrorCode.TIMEOUT,
        Circumstance.DOCKER_SILENT,
        f"the Docker Engine did not answer {operation} within {seconds:g} s",
    )


def refused(status: int, text: str) -> DockerFailure:
    """An answer that is about the request."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_REFUSED,
        f"Docker answered {status}: {text}",
        status,
    )


def refused_with_doubt(status: int, text: str) -> DockerFailure:
    """An answer about a change that is Docker's own error (500), though nothing was done: nobody can tell."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_ERRED,
        f"Docker answered {status}: {text}",
        status,
    )


def server_error(operation: str, *, changes: bool) -> DockerFailure:
    """The Engine's own trouble."""
    return DockerFailure(
        CommandErrorCode.DOCKER_ERROR,
        Circumstance.DOCKER_ERRED if changes else Circumstance.DOCKER_FAILED,
        f"Docker answered 500 to {operation}",
        _SERVER_ERROR,
    )
