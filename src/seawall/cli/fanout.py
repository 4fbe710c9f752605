"""One order on many hosts: a few at a time, each followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from seawall.cli.exits import UNKNOWN, UsageProblem, code_of_error, code_of_state
from seawall.cli.reporters import Ending, Reporter
from seawall.cli.sending import send
from seawall.client import choice
from seawall.client.delivery import key_on_host
from seawall.client.errors import ClientError, Unreachable
from seawall.client.events import Event
from seawall.client.models import Agent, Command, CommandOrder
from seawall.client.parcels import Parcel
from seawall.client.selector import Selector, SelectorProblem
from seawall.client.uploads import AGAIN, misses_upload
from seawall.clock import Clock
from seawall.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from seawall.client.client import Client

_UNAVAILABLE = 503
_CANCEL_SECONDS = 10.0
"""How long Ctrl-C waits for what becomes of a command."""


class Work(Struct, frozen=True):
    """What is to be done, wherever.

    `instead_of` is the UNKNOWN command that it does over, if any. A `plan` is a read that comes first: what it finds on
    each host is what a person confirms, and then becomes the arguments there, `by_host` by its id. A `stream` is
    followed on one host, and is no command.
    """

    operation: str
    arguments: dict[str, object]
    instead_of: str | None = None
    plan: Plan | None = None
    stream: bool = False
    into: Path | None = None
    """Where the archive that the stream is goes, unpacked."""
    output: Path | None = None
    """The file that the stream goes to as it is."""
    source: str | None = None
    """What the archive is made of that the operation takes."""
    parcel: Parcel | None = None
    """That archive, once it is made."""
    by_host: dict[str, dict[str, object]] = field(default_factory=dict)

    def on(self, host: Agent) -> dict[str, object]:
        """The arguments on one host."""
        return self.by_host.get(host.agent_id, self.arguments)


class Plan(Struct, frozen=True):
    """The read before a change, and whether the change is `confirmed` already."""

    operation: str
    arguments: dict[str, object]
    confirmed: bool


class Manner(Struct, frozen=True):
    """How it is to be done. `key` is the caller's idempotency key, `several` whether hosts get keys made from it."""

    timeout_seconds: float | None = None
    max_attempts: int | None = None
    deadline_seconds: float | None = None
    queue: bool = True
    key: str | None = None
    several: bool = False
    follow: bool = True
    parallel: int = 50


async def choose(client: Client, selector: Selector) -> list[Agent]:
    """The hosts that are meant. Raises UsageProblem, which says what there is."""
    try:
        return await choice.choose(client, selector)
    except SelectorProblem as error:
        raise UsageProblem(str(error)) from error


async def perform(
    client: Client, clock: Clock, hosts: Sequence[Agent], work: Work, manner: Manner, reporter: Reporter
) -> list[Ending]:
    """Have the work done on all hosts, at most `manner.parallel` at once; the endings in the hosts' order."""
    turns = asyncio.Semaphore(manner.parallel)
    under_way: dict[str, str] = {}

    async def one(host: Agent) -> Ending:
        async with turns:
            ending = await _perform_on(client, clock, host, work, manner, reporter, under_way)
        reporter.ended(ending)
        return ending

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(host)) for host in hosts]
    except asyncio.CancelledError:
        # A task of its own: this one is being cancelled, and would be again by whatever it waits for.
        await asyncio.create_task(_cancel_all(client, hosts, under_way, reporter))
        raise
    return [task.result() for task in tasks]


async def _cancel_all(
    client: Client, hosts: Sequence[Agent], under_way: dict[str, str], reporter: Reporter
) -> None:
    """After Ctrl-C: ask for the end of what is under way, and say what became of it."""
    by_id = {host.agent_id: host for host in hosts}
    left = dict(under_way)

    async def one(command_id: str, host: Agent) -> None:
        try:
            command = await client.cancel(command_id)
            if not command.state.final:
                command = await client.wait(command_id, _CANCEL_SECONDS)
        except (ClientError, Unreachable) as error:
            _say_it_goes_on(reporter, host, command_id, f"it couldn't be cancelled: {error}")
        else:
            if command.state.final:
                reporter.ended(Ending(host, code_of_state(command.state), command))
            else:
                _say_it_goes_on(reporter, host, command_id, "its cancellation was asked for")
        del left[command_id]

    try:
        async with asyncio.TaskGroup() as group:
            for command_id, agent_id in under_way.items():
                text = f"command {command_id}: asking for its end; Ctrl-C again leaves at once"
                reporter.heard(by_id[agent_id], Event("progress", {"text": text}))
                group.create_task(one(command_id, by_id[agent_id]))
    except asyncio.CancelledError:
        for command_id, agent_id in left.items():
            _say_it_goes_on(reporter, by_id[agent_id], command_id, "its cancellation was asked for")
        raise


def _say_it_goes_on(reporter: Reporter, host: Agent, command_id: str, why: str) -> None:
    """Say that a command may go on although nobody waits for it any more."""
    text = (
        f"command {command_id} goes on ({why}): see it with 'seawall command show {command_id}', stop it with "
        f"'seawall command cancel {command_id}'"
    )
    reporter.heard(host, Event("progress", {"text": text}))


async def _perform_on(
    client: Client,
    clock: Clock,
    host: Agent,
    work: Work,
    manner: Manner,
    reporter: Reporter,
    under_way: dict[str, str],
) -> Ending:
    key = clock.new_id() if manner.key is None else manner.key
    key = key_on_host(key, host.agent_id, several=manner.several)
    if work.parcel is None:
        return await _order_on(client, host, work, manner, reporter, under_way, key)
    ending = await send(client, host, work.operation, work.parcel, reporter)
    if ending is None:
        ending = await _order_on(client, host, work, manner, reporter, under_way, key)
        if ending.command is not None and misses_upload(ending.command):
            ending = await send(client, host, work.operation, work.parcel, reporter)
            ending = ending or await _order_on(
                client, host, work, manner, reporter, under_way, f"{key}{AGAIN}"
            )
    return ending


async def _order_on(
    client: Client,
    host: Agent,
    work: Work,
    manner: Manner,
    reporter: Reporter,
    under_way: dict[str, str],
    key: str,
) -> Ending:
    order = CommandOrder(
        operation=work.operation,
        agent=host.agent_id,
        arguments=work.on(host),
        timeout_seconds=manner.timeout_seconds,
        max_attempts=manner.max_attempts,
        deadline_seconds=manner.deadline_seconds,
        queue=manner.queue,
    )
    try:
        if work.instead_of is None:
            command = await client.submit(order, idempotency_key=key)
        else:
            command = await client.force_retry(work.instead_of, idempotency_key=key)
    except ClientError as error:
        if error.command is not None:
            return Ending(host, code_of_state(error.command.state), error.command)
        return _without_record(host, error, key)
    except Unreachable as error:
        return _without_record(host, error, key)
    except asyncio.CancelledError:
        text = f"it may have been accepted: 'seawall command list --on {host.name}' shows it then"
        reporter.heard(host, Event("progress", {"text": text}))
        raise
    if not manner.follow:
        return Ending(host, code_of_state(command.state), command, followed=False)
    reporter.accepted(host, command)
    if command.state.final:
        reporter.heard(host, Event("record", msgspec.to_builtins(command)))
        return Ending(host, code_of_state(command.state), command)
    under_way[command.command_id] = host.agent_id
    ending = await _follow(client, host, command, reporter)
    del under_way[command.command_id]
    return ending


async def _follow(client: Client, host: Agent, command: Command, reporter: Reporter) -> Ending:
    try:
        finished = await _end_of(client, host, command, reporter)
    except (ClientError, Unreachable) as error:
        text = f"{error}. It was accepted: 'seawall command show {command.command_id}' tells how it ends"
        return Ending(host, UNKNOWN, command, text, _code_of(error))
    reporter.heard(host, Event("record", msgspec.to_builtins(finished)))
    return Ending(host, code_of_state(finished.state), finished)


async def _end_of(client: Client, host: Agent, command: Command, reporter: Reporter) -> Command:
    try:
        async with aclosing(_happenings(client, command)) as events:
            async for event in events:
                if event.kind == "finished":
                    return msgspec.convert(event.content, Command)
                reporter.heard(host, event)
    except msgspec.ValidationError:
        return await client.command(command.command_id)
    except ClientError as error:
        if error.status != _UNAVAILABLE:
            raise
    # Too many listen already: asking now and then does as well.
    return await client.wait(command.command_id)


def _happenings(client: Client, command: Command) -> AsyncGenerator[Event]:
    operation = OPERATIONS.get(command.operation)
    if operation is None or not operation.prints:
        return client.follow(command.command_id)
    # It needs a library that a host without the client's extra doesn't have.
    from seawall.client.output import follow_with_output

    return follow_with_output(client, command)


def _without_record(host: Agent, error: ClientError | Unreachable, key: str) -> Ending:
    code = code_of_error(error, submitting=True)
    text = str(error)
    if code == UNKNOWN:
        text += f". It may have been accepted: repeat it with '--idempotency-key {key}', which never makes a second one"
    return Ending(host, code, problem=text, error_code=_code_of(error))


def _code_of(error: ClientError | Unreachable) -> str:
    return error.error_code if isinstance(error, ClientError) else "unreachable"
