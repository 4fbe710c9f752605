"""One order on many hosts: a few at a time, each followed to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from seawall.cli.exits import UNKNOWN, UsageProblem, code_of_error, code_of_state
from seawall.cli.reporters import Ending, Reporter
from seawall.cli.selector import Selector, SelectorProblem, select
from seawall.client.errors import ClientError, Unreachable
from seawall.client.events import Event
from seawall.client.models import Agent, Command, CommandOrder
from seawall.clock import Clock

if TYPE_CHECKING:
    from seawall.client.client import Client

_MOST_ASKED_BY_NAME = 20
_UNAVAILABLE = 503
_NOT_FOUND = 404


class Work(Struct, frozen=True):
    """What is to be done, wherever. `instead_of` is the UNKNOWN command that it does over, if any.

    A `stream` is followed on one host, and is no command.
    """

    operation: str
    arguments: dict[str, object]
    instead_of: str | None = None
    stream: bool = False


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
    if selector.by_name and 0 < len(selector.names) <= _MOST_ASKED_BY_NAME:
        # A large fleet isn't listed for the sake of a few names, unless one is wrong.
        try:
            return _selected([await client.agent(name) for name in selector.names], selector)
        except ClientError as error:
            if error.status != _NOT_FOUND:
                raise
    return _selected(await client.agents(), selector)


def _selected(agents: list[Agent], selector: Selector) -> list[Agent]:
    try:
        return select(agents, selector)
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
        for command_id in under_way:
            _say_it_goes_on(reporter, hosts, under_way[command_id], command_id)
        raise
    return [task.result() for task in tasks]


def _say_it_goes_on(reporter: Reporter, hosts: Sequence[Agent], agent_id: str, command_id: str) -> None:
    """Say that a command goes on although nobody waits for it any more."""
    host = next(host for host in hosts if host.agent_id == agent_id)
    text = (
        f"command {command_id} goes on: see it with 'seawall command show {command_id}', stop it with "
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
    order = CommandOrder(
        operation=work.operation,
        agent=host.agent_id,
        arguments=work.arguments,
        timeout_seconds=manner.timeout_seconds,
        max_attempts=manner.max_attempts,
        deadline_seconds=manner.deadline_seconds,
        queue=manner.queue,
    )
    key = clock.new_id() if manner.key is None else manner.key
    if manner.key is not None and manner.several:
        # By id: a host that joins anew under an old name is another host, and its command another command.
        key = f"{key}:{host.agent_id}"
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
        async with aclosing(client.follow(command.command_id)) as events:
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


def _without_record(host: Agent, error: ClientError | Unreachable, key: str) -> Ending:
    code = code_of_error(error, submitting=True)
    text = str(error)
    if code == UNKNOWN:
        text += f". It may have been accepted: repeat it with '--idempotency-key {key}', which never makes a second one"
    return Ending(host, code, problem=text, error_code=_code_of(error))


def _code_of(error: ClientError | Unreachable) -> str:
    return error.error_code if isinstance(error, ClientError) else "unreachable"
