"""How a fake Docker Engine serves its calls: in time that is the clock's, failing as told, and mortal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from seawall.agent.failure import DockerFailure
from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.containers import FakeContainer
from seawall.testing.effects import Effect, Work, executing
from seawall.testing.faults import Fault, Latency

_NOT_FOUND, _BAD_REQUEST = 404, 400
_SHORTEST_ID = 4

Answer = TypeVar("Answer")


class FakeEngine:
    """What the nouns beside this module share. `history` is the truth about what was done."""

    def __init__(
        self,
        clock: Clock,
        *,
        hostname: str = "simulated",
        latency: Callable[[str], Latency] | None = None,
    ) -> None:
        self.history: list[Effect] = []
        self.calls: list[str] = []
        """Every call that was made, whatever became of it."""
        self.closed = False
        self.latency = latency
        self.alive = True
        self._clock = clock
        self._hostname = hostname
        self._fault: Fault | None = None
        self._next: list[Fault | DockerFailure] = []
        self._healed = asyncio.Event()
        self._moments = 0
        self._work: set[asyncio.Future[Any]] = set()
        self._containers: dict[str, FakeContainer] = {}

    def fault(self, fault: Fault) -> None:
        """From now on every call fails this way, until `heal`."""
        self._fault = fault

    def fail_next(self, fault: Fault | DockerFailure, calls: int = 1) -> None:
        """The next calls fail this way, or with this very failure."""
        self._next += [fault] * calls

    def heal(self) -> None:
        """No more faults; calls that hang go on."""
        self._fault = None
        self._next.clear()
        self._healed.set()
        self._healed = asyncio.Event()

    async def close(self) -> None:
        """See `Docker.close`."""
        self.closed = True

    def _moment(self) -> str:
        """The time of day as Docker writes it, to the nanosecond: no two are the same."""
        self._moments += 1
        now = self._clock.wall()
        return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond * 1000 + self._moments % 1000:09d}Z"

    @property
    def containers(self) -> list[FakeContainer]:
        """All of them."""
        return list(self._containers.values())

    def _find(self, container: str) -> FakeContainer:
        for found in self.containers:
            if container in (found.name, found.container_id):
                return found
        if len(container) >= _SHORTEST_ID:
            matches = [found for found in self.containers if found.container_id.startswith(container)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise faults.refused(_BAD_REQUEST, f"several containers have ids that begin with {container}")
        raise faults.refused(_NOT_FOUND, f"No such container: {container}")

    # How a call goes

    async def _look(self, operation: str, read: Callable[[], Answer], timeout_seconds: float) -> Answer:
        async def work(_: Work) -> Answer:
            return read()

        return await self._call(operation, work, timeout_seconds)

    async def _change(
        self, operation: str, do: Callable[[Work], Awaitable[Answer]], timeout_seconds: float
    ) -> Answer:
        return await self._call(operation, do, timeout_seconds, changes=True)

    async def _call(
        self,
        operation: str,
        do: Callable[[Work], Awaitable[Answer]],
        timeout_seconds: float,
        *,
        changes: bool = False,
    ) -> Answer:
        """The caller's side: connect, and wait for the daemon's work as long as it may take."""
        self.calls.append(operation)
        await asyncio.sleep(0)
        fault = self._next.pop(0) if self._next else self._fault
        if fault is Fault.UNREACHABLE or not self.alive:
            raise faults.unreachable(self._hostname, operation)
        if fault is Fault.PERMISSION:
            raise faults.forbidden(self._hostname, operation)
        if isinstance(fault, DockerFailure):
            raise fault
        latency = self.latency(operation) if self.latency is not None else Latency()
        work = Work(self.history, self._clock, operation, executing.get(), latency)
        if fault is None and self.latency is None and not changes:
            return await do(work)  # a look that takes no time needs no task of the daemon's
        served = asyncio.ensure_future(self._serve(work, do, fault, timeout_seconds, changes=changes))
        self._work.add(served)
        served.add_done_callback(self._forget)
        over = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(self._clock.now() + timeout_seconds, over.cancel)
        try:
            await asyncio.wait((served, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not served.done():
            raise faults.silent(operation, timeout_seconds)
        if served.cancelled():
            raise faults.broken(operation)
        return served.result()

    async def _serve(
        self,
        work: Work,
        do: Callable[[Work], Awaitable[Answer]],
        fault: Fault | None,
        timeout_seconds: float,
        *,
        changes: bool,
    ) -> Answer:
        """The daemon's side."""
        await self._sleep(work.latency.request)
        if fault is Fault.BROKEN_BEFORE:
            raise faults.broken(work.operation)
        if fault is Fault.SERVER_ERROR:
            raise faults.server_error(work.operation, changes=changes)
        if fault is Fault.HANGS_BEFORE:
            await self._hang(work.operation, timeout_seconds)
        await self._sleep(work.latency.effect)
        answer = await do(work)
        if fault is Fault.HANGS_AFTER:
            await self._hang(work.operation, timeout_seconds)
        elif fault is Fault.BROKEN_AFTER:
            raise faults.broken(work.operation)
        await self._sleep(work.latency.response)
        return answer

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep_until(self._clock.now() + seconds)

    async def _hang(self, operation: str, timeout_seconds: float) -> None:
        """Return when healed; raise when the call's time is over."""
        healed = asyncio.ensure_future(self._healed.wait())
        timer = self._clock.call_at(self._clock.now() + timeout_seconds, healed.cancel)
        try:
            await asyncio.wait((healed,))
        finally:
            timer.cancel()
            healed.cancel()
        if healed.cancelled():
            raise faults.silent(operation, timeout_seconds)

    def _forget(self, served: asyncio.Future[Answer]) -> None:
        """Its failure may have nobody left to hear it."""
        self._work.discard(served)
        if not served.cancelled():
            served.exception()
