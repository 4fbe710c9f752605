"""A fleet as programs see it: its operations by noun, each on one host or on many."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from seawall.client.choice import choose
from seawall.client.client import Client
from seawall.client.context import TOKEN_VARIABLE, resolve
from seawall.client.delivery import PARALLEL, Delivery, On, key_on_host
from seawall.client.errors import ClientError, StreamFailed, Unreachable
from seawall.client.models import Agent, Command, CommandOrder
from seawall.client.operations.commands import Commands
from seawall.client.operations.compose import Compose
from seawall.client.operations.containers import Containers
from seawall.client.operations.images import Images
from seawall.client.operations.networks import Networks
from seawall.client.operations.system import System
from seawall.client.operations.volumes import Volumes
from seawall.client.output import Printed, output_of
from seawall.client.parcels import Parcel, Source, packed
from seawall.client.results import Results
from seawall.client.selector import Selector, parse_selector
from seawall.client.streams import Stream
from seawall.client.uploads import AGAIN, misses_upload
from seawall.clock import Clock, SystemClock
from seawall.operations.registry import OPERATIONS


class Seawall:
    """The fleet of one controller. Use it as an async context manager; safe for many tasks at once.

        async with Seawall() as fleet:
            results = await fleet.containers.restart("web", on="label=env=prod")
            results.raise_for_failures()

    Which controller is meant, and the token, come from the arguments, else from SEAWALL_URL, SEAWALL_TOKEN and
    SEAWALL_CA, else from what `seawall up` saved; raises ContextError if nothing says it.

    Each operation returns a `Results`, with the command of every host by its name: a command that failed is a result,
    no exception. It raises SelectorProblem if `on` means no host, and ClientError or Unreachable if no host at all has
    a command because of that. A request whose answer is lost is made again under the same idempotency key, which never
    makes a second command. Commands go on if the task that waits for them is cancelled.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        environment = dict(os.environ) if token is None else {**os.environ, TOKEN_VARIABLE: token}
        connection = resolve(
            environment,
            url=url,
            token_file=str(token_file) if token_file is not None else None,
            ca_file=str(ca_file) if ca_file is not None else None,
        )
        self._clock = clock if clock is not None else SystemClock()
        self.api = Client(connection, clock=self._clock)
        """Everything else that the API can do: hosts, commands, circuits, policies, tokens."""
        self.containers = Containers(self.perform, self.stream, self.send)
        self.images = Images(self.perform, self.stream, self.send)
        self.networks = Networks(self.perform, self.stream, self.send)
        self.volumes = Volumes(self.perform, self.stream, self.send)
        self.system = System(self.perform, self.stream, self.send)
        self.compose = Compose(self.perform, self.stream, self.send)
        self.commands = Commands(self.perform, self.stream, self.send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self.api.close()

    async def hosts(self, on: On = None) -> list[Agent]:
        """The hosts that `on` means; None is every host here. Raises SelectorProblem if there is none."""
        return await choose(self.api, _selector("all" if on is None else on))

    def stream(self, operation: str, on: str, arguments: Mapping[str, object]) -> Stream:
        """A stream of an operation on the one host `on`; arguments that are None are left out.

        async with fleet.containers.stream_logs("web", on="web-7", follow=True) as stream:
            async for data in stream:
                ...
        """
        return self.api.stream(operation, on, _plain_arguments(arguments))

    def output(self, command_id: str, *, follow: bool = False) -> AsyncGenerator[Printed]:
        """What a command prints on its host, line by line, from the beginning, through broken connections.

        With `follow` until the command is over. Raises StreamFailed where the host has no output of it.

            async for line in fleet.output(command_id, follow=True):
                print(line.text)
        """
        return output_of(self.api, command_id, follow=follow)

    async def perform(
        self, operation: str, on: On, arguments: Mapping[str, object], delivery: Delivery
    ) -> Results:
        """Have an operation done by its name; arguments that are None are left out. See the class."""
        return await self._deliver(operation, on, arguments, delivery)

    async def send(
        self, operation: str, source: Source, on: On, arguments: Mapping[str, object], delivery: Delivery
    ) -> Results:
        """As `perform`, for an operation that takes an archive: it is made of `source`, and sent to each host first.

        A source is a path; `-` stands for an archive that comes through stdin. Raises SourceRefused as well, and
        StreamFailed if no host takes the archive.
        """
        kind = OPERATIONS[operation].upload
        if kind is None:
            raise ValueError(f"{operation} takes no archive")
        with ExitStack() as stack:
            making = packed(
                kind, os.fspath(source), dockerfile=str(arguments.get("dockerfile") or "Dockerfile")
            )
            parcel = await asyncio.to_thread(stack.enter_context, making)
            return await self._deliver(operation, on, {**arguments, **parcel.arguments}, delivery, parcel)

    async def _deliver(
        self,
        operation: str,
        on: On,
        arguments: Mapping[str, object],
        delivery: Delivery,
        parcel: Parcel | None = None,
    ) -> Results:
        selector = _selector(on)
        hosts = await choose(self.api, selector)
        key = delivery.get("idempotency_key") or self._clock.new_id()
        retries = delivery.get("retries")
        order = CommandOrder(
            operation=operation,
            agent="",
            arguments=_plain_arguments(arguments),
            timeout_seconds=delivery.get("timeout"),
            max_attempts=retries + 1 if retries is not None else None,
            deadline_seconds=delivery.get("deadline"),
            queue=delivery.get("queue", True),
        )
        turns = asyncio.Semaphore(delivery.get("parallel", PARALLEL))
        commands: dict[str, Command] = {}
        errors: dict[str, ClientError | Unreachable | StreamFailed] = {}

        async def one(host: Agent) -> None:
            try:
                async with turns:
                    own_key = key_on_host(key, host.agent_id, several=selector.plural)
                    own = msgspec.structs.replace(order, agent=host.agent_id)
                    for again in ("", AGAIN):
                        if parcel is not None:
                            await self.api.upload(host.agent_id, operation, parcel).run()
                        command = await self.api.submit(own, idempotency_key=own_key + again)
                        commands[host.name] = command
                        if delivery.get("wait", True) and not command.state.final:
                            commands[host.name] = await self.api.wait(command.command_id)
                        if parcel is None or not misses_upload(commands[host.name]):
                            break
            except ClientError as error:
                if error.command is not None:
                    commands[host.name] = error.command
                else:
                    errors[host.name] = error
            except (Unreachable, StreamFailed) as error:
                errors[host.name] = error

        async with asyncio.TaskGroup() as group:
            for host in hosts:
                group.create_task(one(host))
        if not commands:
            raise next(iter(errors.values()))
        in_order = {host.name: commands[host.name] for host in hosts if host.name in commands}
        return Results(in_order, errors)


def _selector(on: On) -> Selector:
    if on is None:
        return Selector()
    return parse_selector([on] if isinstance(on, str) else on)


def _plain_arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    return {name: _plain(value) for name, value in arguments.items() if value is not None}


def _plain(value: object) -> object:
    """What JSON knows, of any sequence and mapping."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, list | tuple) else value
