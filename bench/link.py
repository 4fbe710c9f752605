"""Round trips through gateway and agent beside a bare WebSocket echo, both ends in this process for both.

The path measured: Driver.drive -> Fleet -> GatewaySession.exchange -> WebSocket -> the agent's link and worker -> and
back, with circuits, bulkhead, retry policy and a counting subscriber on, without a store. The echo sends frames of the
same sizes there and back and does nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import aiohttp
import uvloop
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.measure import Row, Timed, in_turns, row
from seawall.agent.docker import Docker
from seawall.agent.identity import AgentIdentity
from seawall.agent.link import AgentLink
from seawall.agent.session import HostFacts
from seawall.agent.worker import Worker
from seawall.bus.local import LocalBus
from seawall.clock import SystemClock
from seawall.controller.authority import CertificateAuthority
from seawall.controller.gateway import Gateway
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.command import Command
from seawall.core.dispatch import Dispatch
from seawall.core.events import Event
from seawall.core.guard import Guards
from seawall.core.retry import DEFAULT_RETRY_POLICY
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import Fleet
from seawall.engine.identifiers import correlation_ids
from seawall.engine.records import AgentRecord
from seawall.engine.store import FleetStore
from seawall.operations.system import PING
from seawall.testing.ledger import MemoryDisk
from seawall.wire.codec import encode_message
from seawall.wire.join import CONTROLLER_SERVER_NAME
from seawall.wire.messages import Completed, Execute

HOST = "127.0.0.1"
AGENT_ID = "00000000-0000-7000-8000-000000000001"
IN_FLIGHT = (1, 64)
SHARE_OF_ECHO = 0.35
"""What the link has to carry of a bare echo, at 64 in flight without TLS."""

Trips = Callable[[int], Timed]
"""Round trips with so many in flight."""


class EpochsOnly:
    """What a session needs of a store."""

    def __init__(self) -> None:
        self._epoch = 0

    async def open_session(self, agent: AgentRecord) -> int:
        self._epoch += 1
        return self._epoch


@asynccontextmanager
async def link(authority: CertificateAuthority, server: ssl.SSLContext | None) -> AsyncIterator[Trips]:
    """Ours, end to end."""
    clock, events = SystemClock(), [0]

    def count(_: Event) -> None:
        events[0] += 1

    guards: Guards[Slot] = Guards(None, BulkheadLimits(in_flight=256, queue=256))
    fleet = Fleet(guards, clock, count)
    driver = Driver(fleet, guards, clock, correlation_ids(clock), [count])
    key = Ed25519PrivateKey.generate()
    fleet.learn(AgentRecord(AGENT_ID, "bench", key.public_key().public_bytes_raw(), clock.wall()))
    store = cast(FleetStore, EpochsOnly())
    gateway = Gateway(store, fleet, LocalBus(), clock, authority, "controller", 1)
    await gateway.start(HOST, 0, server)
    url = f"{'http' if server is None else 'https'}://{HOST}:{gateway.port}"
    identity = AgentIdentity(AGENT_ID, "bench", url, "controller", {}, authority.ca_pem, key)

    async def describe() -> HostFacts:
        return HostFacts("1.0")

    agent_link = AgentLink(identity, clock, describe)
    # A ping asks nothing of Docker.
    ledger = MemoryDisk().ledger(AGENT_ID, clock)
    worker = Worker(cast(Docker, None), clock, agent_link.send, ledger=ledger, version="1.0")
    agent = asyncio.create_task(agent_link.run(worker))
    await fleet.connected(AGENT_ID, clock.now() + 10.0)
    new_command_id = correlation_ids(clock)

    def trips(in_flight: int) -> Timed:
        async def some(times: int) -> None:
            for _ in range(times):
                command = Command(
                    new_command_id(), PING.name, AGENT_ID, {}, PING.safety, PING.touches_docker, 10.0
                )
                result = await driver.drive(Dispatch(command, DEFAULT_RETRY_POLICY))
                assert result.success, result

        async def all_of_them(times: int) -> None:
            await asyncio.gather(*(some(times // in_flight) for _ in range(in_flight)))

        return all_of_them

    try:
        yield trips
    finally:
        agent.cancel()
        await asyncio.wait((agent,))
        await worker.close()
        await gateway.stop()
    assert events[0]


@asynccontextmanager
async def echo(server: ssl.SSLContext | None, client: ssl.SSLContext | None) -> AsyncIterator[Trips]:
    """The same frames there and back, by nothing but aiohttp."""
    asked = encode_message(Execute(AGENT_ID, AGENT_ID, 1, "ping", {}, 10.0, 1))
    answered = encode_message(Completed(AGENT_ID, AGENT_ID, 1, response={"pong": True}))
    opened: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        opened.set_result(socket)
        await over.wait()
        return socket

    application = web.Application()
    application.router.add_get("/agent", accept)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=server)
    await site.start()

    async def answer(http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(
            f"{'http' if server is None else 'https'}://{HOST}:{site.port}/agent",
            ssl=client if client is not None else True,
            server_hostname=CONTROLLER_SERVER_NAME if client is not None else None,
            compress=0,
        ) as socket:
            async for _ in socket:
                await socket.send_bytes(answered)

    async with aiohttp.ClientSession() as http:
        peer = asyncio.create_task(answer(http))
        socket = await opened

        def trips(in_flight: int) -> Timed:
            async def all_of_them(times: int) -> None:
                for _ in range(in_flight):
                    await socket.send_bytes(asked)
                for _ in range(times - in_flight):
                    await socket.receive()
                    await socket.send_bytes(asked)
                for _ in range(in_flight):
                    await socket.receive()

            return all_of_them

        try:
            yield trips
        finally:
            over.set()
            await socket.close()
            await peer
            await runner.cleanup()


async def measure(rounds: int = 15, times: int = 2_560) -> list[Row]:
    """A row for the link and one for the echo, with 1 and with 64 in flight, without and with TLS."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        authority = CertificateAuthority.open(Path(directory) / "ca", datetime.now(UTC))
        client = ssl.create_default_context(cadata=authority.ca_pem)
        for tls in (False, True):
            server = authority.server_context() if tls else None
            async with link(authority, server) as ours, echo(server, client if tls else None) as bare:
                for in_flight in IN_FLIGHT:
                    how = f"{in_flight} in flight{', TLS' if tls else ''}"
                    names = f"bare echo, {how}", f"link round trip, {how}"
                    things = dict(zip(names, (bare(in_flight), ours(in_flight)), strict=True))
                    samples = await in_turns(things, times if in_flight > 1 else times // 4, rounds)
                    # Time, not rate: a third of the rate is three times the time.
                    limit = 1 / SHARE_OF_ECHO if in_flight > 1 and not tls else None
                    rows += [
                        row(samples, names[0]),
                        row(samples, names[1], beside=names[0], limit=limit),
                    ]
    return rows


def main() -> int:
    """Print what was measured as rates; 1 if the link carries less than it must."""
    rows = uvloop.run(measure())
    for one in rows:
        share = f"{1 / one.ratio:6.0%} of the echo" if one.ratio is not None else ""
        print(f"{one.name:<36}{1e9 / one.value:>10,.0f} /s {share}")
    return 0 if all(one.kept in (None, True) for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
