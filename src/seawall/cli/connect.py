"""From the flags before the noun to a client, and from a coroutine to an exit code."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

import typer
from msgspec import Struct

from seawall.cli.exits import INTERRUPTED, CliProblem, Interrupted, code_of_error
from seawall.client.context import resolve
from seawall.client.errors import ClientError, ContextError, Unreachable

if TYPE_CHECKING:
    from seawall.client.client import Client

Result = TypeVar("Result")


class Target(Struct, frozen=True):
    """What the flags before the noun say about the controller."""

    url: str | None = None
    token_file: str | None = None
    ca_file: str | None = None


def run(work: Coroutine[object, object, Result]) -> Result:
    """Run it on a loop of its own. Ctrl-C cancels it and ends the call; a further one cancels what that waits for."""
    # Where Ctrl-C is ignored, as in the background, or somebody else's, it stays so.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        return asyncio.run(_cancelled_by_ctrl_c(work) if ours else work)
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        raise Interrupted("interrupted") from error


async def _cancelled_by_ctrl_c(work: Coroutine[object, object, Result]) -> Result:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is not None:
        # asyncio would raise a second one in the middle of whatever runs, and what is to be said then never is.
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await work
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def ask(context: typer.Context, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Do something with a client of the controller that is meant. Raises what the CLI turns into its exit code."""
    # Half a second of imports that `--help` and the agent don't need.
    from seawall.client.client import Client

    target = context.find_object(Target) or Target()
    connection = resolve(os.environ, url=target.url, token_file=target.token_file, ca_file=target.ca_file)

    async def with_client() -> Result:
        async with Client(connection) as client:
            return await work(client)

    return run(with_client())


def explain(error: Exception) -> tuple[str, int]:
    """What to print for an expected error, and the exit code."""
    if isinstance(error, CliProblem):
        return str(error), error.exit_code
    if isinstance(error, ClientError):
        return f"{error}{_hint(error)}", code_of_error(error)
    if isinstance(error, Unreachable):
        return str(error), code_of_error(error)
    if isinstance(error, ContextError):
        return str(error), code_of_error(error)
    return "interrupted", INTERRUPTED


def _hint(error: ClientError) -> str:
    if error.status == 401:
        return ". Give a token with SEAWALL_TOKEN or --token-file; the admin's lies in DIR/admin.token"
    if error.retry_after_seconds is not None:
        return f". Try again in {error.retry_after_seconds:.0f} s"
    return ""
