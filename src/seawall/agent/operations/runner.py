"""What a runner is, and what runners say to each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy, Refusal
from seawall.agent.spool import Spool
from seawall.clock import Clock
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.wire.codec import encode_message

Arguments = Mapping[str, object]


class Target(Struct, frozen=True):
    """The object that a name stood for when a change began, such as a container: its id, and its name then.

    `record` is what inspect said of it.
    """

    object_id: str
    name: str
    record: Mapping[str, object]


class Report(Protocol):
    """Tells people, and the controller, that the work moves."""

    def __call__(self, text: str, detail: Mapping[str, object] | None = None) -> None:
        """`text` is a line for people; `detail` the same for programs, whole each time: the last one says it all."""


class Journal(Protocol):
    """The ledger's memory of the steps of one change."""

    @property
    def step(self) -> str | None:
        """The last step that was recorded."""

    async def record(self, step: str) -> None:
        """From now on this is the last step; it is durable when this returns."""


class Execution(Struct, frozen=True):
    """What a runner is given: checked arguments, the time of each call, and for a change its target and journal.

    `policy` is the host's own: whatever is created is judged by it, with `permit`, as it goes to Docker. `pre_image`
    is what was remembered of a change's object before it began, `clock` is what waits go by,
    `spool` has what was uploaded for commands.
    """

    docker: Docker
    command_id: str
    arguments: Arguments
    timeout_seconds: float
    progress: Report
    target: Target | None = None
    journal: Journal | None = None
    policy: LocalPolicy = UNRESTRICTED
    pre_image: Mapping[str, object] = {}
    clock: Clock | None = None
    spool: Spool | None = None


Runner = Callable[[Execution], Awaitable[object]]
"""Performs an operation. The response is made of what JSON knows.

Raises `DockerFailure`, and `ResponseTooLarge` for a response that no frame could carry.
"""

Resolver = Callable[[Docker, Arguments, float], Awaitable[Target | None]]
"""What the arguments of a change mean now, asked before it begins, within so many seconds. Raises `DockerFailure`."""

_NOT_FOUND, _SERVER_ERROR = 404, 500

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


def permit(refusal: Refusal | None) -> None:
    """Go on, unless the host's policy refuses. Raises `DockerFailure`: nothing has been done."""
    if refusal is not None:
        raise DockerFailure(CommandErrorCode.PERMISSION_DENIED, Circumstance.NONE, refusal.message)


def argument(arguments: Arguments, name: str, kind: type[Kind]) -> Kind:
    """A checked argument; a missing one is a bug of ours."""
    return msgspec.convert(arguments[name], kind)


def section(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object inside one of Docker's objects; empty if Docker left it out."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


async def if_there(call: Awaitable[Kind]) -> Kind | None:
    """What Docker answers to a call about an object, None if there is no such object. Raises DockerFailure."""
    try:
        return await call
    except DockerFailure as failure:
        if failure.status != _NOT_FOUND:
            raise
        return None


async def why_kept(removal: Awaitable[None]) -> str | None:
    """Why a prune leaves an object, None if it removed it. Raises DockerFailure where Docker didn't decide that."""
    try:
        await removal
    except DockerFailure as failure:
        if failure.status is None or failure.status >= _SERVER_ERROR:
            raise
        return failure.message if failure.status != _NOT_FOUND else "it was gone already"
    return None


def target_of(execution: Execution) -> Target:
    """The object that a change is about; that it has none is a bug of ours."""
    if execution.target is None:
        raise ValueError("a change was begun without its target")
    return execution.target


def clock_of(execution: Execution) -> Clock:
    """What a change waits by; that it has none is a bug of ours."""
    if execution.clock is None:
        raise ValueError("a change was begun without a clock")
    return execution.clock
