"""Reading a stream of an operation within the controller, as a reader over the API would."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec import Struct

from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services
from seawall.controller.api.streams import MAX_STREAMS
from seawall.core.errors import CommandErrorCode
from seawall.engine.commands import find_operation
from seawall.engine.records import AgentRecord
from seawall.operations.operation import check_arguments


class _Order(Struct, frozen=True):
    operation: str
    arguments: dict[str, object]


class StreamEnded(Exception):
    """A stream came to an end that isn't its own; the message says why."""


async def follow(
    services: Services, owner: str, agent: AgentRecord, operation: str, arguments: dict[str, object]
) -> AsyncGenerator[bytes]:
    """The bytes of a stream as they come; whoever reads them may do so. Raises Problem and StreamEnded."""
    declared = find_operation(operation)
    checked = check_arguments(declared, arguments, stream=True)
    streams = services.streams
    if len(streams) >= MAX_STREAMS:
        raise Problem(503, ProblemCode.BUSY, f"{MAX_STREAMS} streams are open already; close some")
    if not streams.is_connected(agent.agent_id):
        raise Problem(503, CommandErrorCode.AGENT_NOT_CONNECTED, f"the host {agent.name} isn't connected")
    relay = streams.open(
        services.clock.new_id(), agent.agent_id, owner, _Order(operation, checked), 0, again=False
    )
    generation = streams.attach(relay, 0)
    news = relay.news
    try:
        while relay.generation == generation:
            while (chunk := relay.next_chunk()) is not None:
                offset, data = chunk
                yield data
                streams.credit(relay, offset + len(data))
            end = relay.end
            if end is not None:
                if end.error is not None:
                    raise StreamEnded(end.error)
                return
            if relay.over:
                return
            news.clear()
            await news.wait()
    finally:
        if not relay.over:
            streams.close(relay, "the page was left")
