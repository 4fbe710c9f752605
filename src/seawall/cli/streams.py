"""Streams on the command line: a container's output as it comes, what happens, what is used."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import DONE, FAILED, CliProblem, UsageProblem
from seawall.cli.fanout import Work, choose
from seawall.client.errors import StreamFailed
from seawall.client.frames import Output
from seawall.client.selector import Selector
from seawall.core.errors import CommandErrorCode

if TYPE_CHECKING:
    from seawall.client.client import Client
    from seawall.client.streams import Stream

_FRAMED = frozenset({"container_logs"})
_PROCESS = "container_exec"
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
    from seawall.cli.copying import keep, unpack
    from seawall.cli.terminal import check_terminal, converse

    given = work.arguments
    with_terminal, interactive = given.get("tty") is True, given.get("interactive") is True
    if with_terminal:
        check_terminal(interactive=interactive)

    async def work_on_it(client: Client) -> int:
        name = await _one_host(client, selector)
        try:
            async with client.stream(work.operation, name, given) as stream:
                if work.operation == _PROCESS:
                    return await converse(stream, with_terminal=with_terminal, interactive=interactive)
                if work.output is not None:
                    await keep(stream, work.output)
                    return DONE
                if work.into is not None:
                    await unpack(stream, work.into)
                    return DONE
                await _print_all(stream, framed=work.operation in _FRAMED)
        except StreamFailed as error:
            raise StreamProblem(error) from error
        return DONE

    raise typer.Exit(ask(context, work_on_it))


async def _one_host(client: Client, selector: Selector) -> str:
    hosts = await choose(client, selector)
    if len(hosts) != 1:
        named = ", ".join(host.name for host in hosts[:5])
        raise UsageProblem(
            f"a stream is of one host, and {len(hosts)} are meant ({named}): name one with --on"
        )
    return hosts[0].name


async def _print_all(stream: Stream, *, framed: bool) -> None:
    output = Output()
    async for data in stream:
        if not framed:
            await _print(sys.stdout.buffer, data)
            continue
        for is_error, piece in output.feed(data):
            await _print(sys.stderr.buffer if is_error else sys.stdout.buffer, piece)


async def _print(where: BinaryIO, data: bytes) -> None:
    """Write it out; a terminal or pipe that takes nothing must not keep the connection from answering."""
    await asyncio.to_thread(_write, where, data)


def _write(where: BinaryIO, data: bytes) -> None:
    where.write(data)
    where.flush()
