"""Streams on the command line: a container's output as it comes, what happens, what is used."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import DONE, FAILED, CliProblem, UsageProblem
from seawall.cli.fanout import Work, choose
from seawall.client.frames import Output
from seawall.client.selector import Selector
from seawall.client.streams import StreamFailed
from seawall.core.errors import CommandErrorCode

if TYPE_CHECKING:
    from seawall.client.client import Client

_FRAMED = frozenset({"container_logs"})
_MISTAKES = frozenset(
    {
        CommandErrorCode.INVALID_ARGUMENT.value,
        CommandErrorCode.UNSUPPORTED_OPERATION.value,
        "unknown_host",
        "invalid_request",
    }
)


class StreamProblem(CliProblem):
    """A stream ended, and not well."""

    def __init__(self, error: StreamFailed) -> None:
        super().__init__(str(error))
        self.exit_code = UsageProblem.exit_code if error.code in _MISTAKES else FAILED


def follow(context: typer.Context, selector: Selector, work: Work) -> NoReturn:
    """Print a stream of one host as it comes, until it ends or Ctrl-C."""
    ask(context, lambda client: _follow(client, selector, work))
    raise typer.Exit(DONE)


async def _follow(client: Client, selector: Selector, work: Work) -> None:
    hosts = await choose(client, selector)
    if len(hosts) != 1:
        named = ", ".join(host.name for host in hosts[:5])
        raise UsageProblem(
            f"a stream is of one host, and {len(hosts)} are meant ({named}): name one with --on"
        )
    try:
        async with client.stream(work.operation, hosts[0].name, work.arguments) as stream:
            if work.operation in _FRAMED:
                output = Output()
                async for data in stream:
                    for is_error, piece in output.feed(data):
                        await _print(sys.stderr.buffer if is_error else sys.stdout.buffer, piece)
            else:
                async for data in stream:
                    await _print(sys.stdout.buffer, data)
    except StreamFailed as error:
        raise StreamProblem(error) from error


async def _print(where: BinaryIO, data: bytes) -> None:
    """Write it out; a terminal or pipe that takes nothing must not keep the connection from answering."""
    await asyncio.to_thread(_write, where, data)


def _write(where: BinaryIO, data: bytes) -> None:
    where.write(data)
    where.flush()
