"""The stream of what a command prints."""

from __future__ import annotations

from seawall.agent.failure import DockerFailure
from seawall.agent.operations.runner import argument
from seawall.agent.operations.streaming import StreamWork
from seawall.agent.outputs import KEEP_SECONDS
from seawall.core.errors import Circumstance, CommandErrorCode


async def command_output(work: StreamWork) -> object:
    """See `operations.commands.COMMAND_OUTPUT`; the response counts the lines, and those that were left out."""
    command_id = argument(work.arguments, "command_id", str)
    follow = argument(work.arguments, "follow", bool)
    outputs, offset = work.outputs, 0
    output = await outputs.wait(command_id) if follow else outputs.find(command_id)
    while output is not None and output.holds(offset):
        if piece := output.piece(offset):
            offset += len(piece)
            await work.write(piece)
        elif follow and not output.ended:
            await output.news()
        else:
            return {"lines": output.lines, "dropped": output.dropped}
    raise DockerFailure(
        CommandErrorCode.INVALID_ARGUMENT,
        Circumstance.NONE,
        f"no output of the command {command_id} is here: it has printed nothing, or was over more than "
        f"{KEEP_SECONDS / 60:g} minutes ago. 'seawall command show {command_id}' tells what became of it",
    )
