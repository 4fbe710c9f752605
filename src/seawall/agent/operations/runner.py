"""What a runner is, and what runners say to each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from seawall.agent.docker import Docker
from seawall.wire.codec import encode_message

Arguments = Mapping[str, object]
Runner = Callable[[Docker, Arguments, float], Awaitable[object]]
"""`(docker, arguments, timeout_seconds) -> response`: performs an operation whose arguments are checked.

`timeout_seconds` bounds each of its calls. The response is made of what JSON knows. Raises `DockerFailure`, and
`ResponseTooLarge` for a response that no frame could carry.
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
