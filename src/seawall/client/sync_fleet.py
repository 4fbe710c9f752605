"""The fleet for programs without an event loop: the async one, driven by a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from seawall.client.client import Client
from seawall.client.delivery import Delivery, On
from seawall.client.fleet import Seawall
from seawall.client.models import Agent
from seawall.client.output import Printed
from seawall.client.parcels import Source
from seawall.client.results import Results
from seawall.client.sync_operations.commands import SyncCommands
from seawall.client.sync_operations.compose import SyncCompose
from seawall.client.sync_operations.containers import SyncContainers
from seawall.client.sync_operations.images import SyncImages
from seawall.client.sync_operations.networks import SyncNetworks
from seawall.client.sync_operations.system import SyncSystem
from seawall.client.sync_operations.volumes import SyncVolumes
from seawall.client.sync_streams import SyncStream

Answer = TypeVar("Answer")


class SyncSeawall:
    """The fleet of one controller, as `Seawall` but with calls that block. Use it as a context manager.

        with SyncSeawall() as fleet:
            fleet.containers.restart("web", on="label=env=prod").raise_for_failures()

    Safe for many threads at once, and inside of a running event loop, which it blocks. After Ctrl-C nobody waits any
    more, but commands that were accepted go on.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        self._fleet = Seawall(url, token=token, token_file=token_file, ca_file=ca_file)
        self._loop = asyncio.new_event_loop()
        # A daemon: a program that forgets to close it can still end.
        self._thread = threading.Thread(target=self._loop.run_forever, name="seawall-client", daemon=True)
        self._thread.start()
        self.containers = SyncContainers(self.perform, self.stream, self.send)
        self.images = SyncImages(self.perform, self.stream, self.send)
        self.networks = SyncNetworks(self.perform, self.stream, self.send)
        self.volumes = SyncVolumes(self.perform, self.stream, self.send)
        self.system = SyncSystem(self.perform, self.stream, self.send)
        self.compose = SyncCompose(self.perform, self.stream, self.send)
        self.commands = SyncCommands(self.perform, self.stream, self.send)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; nothing may be asked afterwards. Doing so twice does nothing."""
        if self._loop.is_closed():
            return
        self.wait_for(self._fleet.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hosts(self, on: On = None) -> list[Agent]:
        """The hosts that `on` means; None is every host here. Raises SelectorProblem if there is none."""
        return self.wait_for(self._fleet.hosts(on))

    def ask(self, question: Callable[[Client], Coroutine[object, object, Answer]]) -> Answer:
        """Everything else that the API can do: `fleet.ask(lambda api: api.commands(limit=10))`."""
        return self.wait_for(question(self._fleet.api))

    def perform(self, operation: str, on: On, arguments: Mapping[str, object], delivery: Delivery) -> Results:
        """Have an operation done by its name; arguments that are None are left out."""
        return self.wait_for(self._fleet.perform(operation, on, arguments, delivery))

    def send(
        self, operation: str, source: Source, on: On, arguments: Mapping[str, object], delivery: Delivery
    ) -> Results:
        """As `perform`, for an operation that takes an archive: see `Seawall.send`."""
        return self.wait_for(self._fleet.send(operation, source, on, arguments, delivery))

    def stream(self, operation: str, on: str, arguments: Mapping[str, object]) -> SyncStream:
        """A stream of an operation on the one host `on`; arguments that are None are left out."""
        return SyncStream(self._fleet.stream(operation, on, arguments), self.wait_for)

    def output(self, command_id: str, *, follow: bool = False) -> Iterator[Printed]:
        """What a command prints on its host, line by line, from the beginning; with `follow` until it is over."""
        lines = self._fleet.output(command_id, follow=follow)
        try:
            while (line := self.wait_for(_next(lines))) is not None:
                yield line
        finally:
            self.wait_for(lines.aclose())

    def wait_for(self, work: Coroutine[object, object, Answer]) -> Answer:
        """Run a coroutine of the async fleet to its end on the thread, and return what it does."""
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("this fleet was closed: make another SyncSeawall")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            # After Ctrl-C; does nothing to what is done.
            future.cancel()


async def _next(lines: AsyncIterator[Printed]) -> Printed | None:
    return await anext(lines, None)
