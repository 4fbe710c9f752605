"""What a runner is, and what runners say to each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker
from seawall.wire.codec import encode_message

Arguments = Mapping[str, object]


class Target(Struct, frozen=True):
    """The container that a name stood for when a change began.

    `record` is what inspect said of it; `grace_seconds` what it is given to stop, unless told otherwise.
    """

    container_id: str
    name: str
    grace_seconds: int
    record: Mapping[str, object]


class Execution(Struct, frozen=True):
    """What a runner is given: checked arguments, how long each call may take, and for a change its target.

    `progress` tells people, and the controller, that the work moves.
    """

    docker: Docker
    command_id: str
    arguments: Arguments
    timeout_seconds: float
    progress: Callable[[str], None]
    target: Target | None = None


Runner = Callable[[Execution], Awaitable[object]]
"""Performs an operation. The response is made of what JSON knows.

Raises `DockerFailure`, and `ResponseTooLarge` for a response that no frame could carry.
"""

RESPONSE_LIMIT_BYTES = 3 * 1024 * 1024
"""The most that a response may take on the wire; the rest of the frame is room for what is around it."""

Kind = TypeVar("Kind")


class ResponseTooLarge(Exception):
    """A response has more than RESPONSE_LIMIT_BYTES. The message says how to ask for less."""


def limited(response: object, ask_for_less: str) -> object:
    """The response, if a frame can carry it; `ask_for_less` completes "... : " in the error."""
    size = len(encode_message(response))
    if size > RESPONSE_LIMIT_BYTES:
        raise ResponseTooLarge(
            f"the response has {size} bytes, the limit is {RESPONSE_LIMIT_BYTES}: {ask_for_less}"
        )
    return response


def argument(arguments: Arguments, name: str, kind: type[Kind]) -> Kind:
    """A checked argument; a missing one is a bug of ours."""
    return msgspec.convert(arguments[name], kind)


def section(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object inside one of Docker's objects; empty if Docker left it out."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}
