"""Whether a host reaches its registries: asked now and then, for those that it uses, and told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from seawall.agent.registries import (
    ASK_AGAIN_SECONDS,
    ASK_SECONDS,
    MOST_REGISTRIES,
    Registries,
    reaches,
)
from seawall.agent.worker import Worker
from seawall.testing.clock import FakeClock
from seawall.testing.docker import FakeDocker
from seawall.testing.ledger import MemoryDisk
from seawall.wire.messages import Execute, FromAgent, Ping, Pong
from tests.system.plane import free_port

pytestmark = pytest.mark.asyncio


class Asked:
    """Answers for registries, and says which were asked."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.names: list[str] = []

    async def __call__(self, registry: str) -> bool:
        self.names.append(registry)
        return registry not in self.down


@asynccontextmanager
async def registry(status: int) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status if request.path == "/v2/" else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "reached"), [(200, True), (401, True), (404, True), (500, False), (503, False)]
)
async def test_a_registry_is_reached_if_it_answers_whatever_it_thinks_of_us(
    status: int, reached: bool
) -> None:
    async with registry(status) as address:
        assert await reaches(address) is reached


async def test_a_registry_that_is_not_there_is_not_reached() -> None:
    assert not await reaches(f"127.0.0.1:{free_port()}")
    assert not await reaches("no host:at all")


async def test_only_what_was_used_lately_is_asked_and_not_too_often() -> None:
    clock, asked = FakeClock(), Asked()
    registries = Registries(clock, asked)
    await clock.advance(100)
    assert not registries.due
    for number in range(MOST_REGISTRIES + 2):
        registries.used(f"registry-{number}.test/app:1")
    registries.used("Not a reference")
    assert registries.due
    await registries.ask()
    assert asked.names == [f"registry-{number}.test" for number in range(2, MOST_REGISTRIES + 2)]
    assert not registries.due
    assert registries.fresh() == dict.fromkeys(asked.names, True)
    assert registries.fresh() == {}
    await clock.advance(ASK_SECONDS)
    assert registries.due


async def test_one_that_is_down_is_asked_again_sooner() -> None:
    clock, asked = FakeClock(), Asked()
    registries = Registries(clock, asked)
    registries.used("nginx")
    asked.down.add("docker.io")
    await registries.ask()
    assert registries.fresh() == {"docker.io": False}
    await clock.advance(ASK_AGAIN_SECONDS)
    assert registries.due


@pytest.mark.parametrize(
    ("operation", "arguments", "asked_for"),
    [
        ("image_pull", {"reference": "registry.test/app:1"}, ["registry.test"]),
        ("image_push", {"reference": "registry.test/app:1"}, ["registry.test"]),
        ("container_update", {"container": "web", "image": "registry.test/app:1"}, ["registry.test"]),
        ("container_update", {"container": "web", "image": "registry.test/app:1", "pull": "never"}, []),
        ("container_update", {"container": "web", "image": f"sha256:{'a' * 64}"}, []),
    ],
)
async def test_a_pong_tells_how_the_registries_of_the_images_are_that_were_asked_for(
    operation: str, arguments: dict[str, object], asked_for: list[str]
) -> None:
    clock, asked, sent = FakeClock(), Asked(), list[FromAgent]()
    worker = Worker(
        FakeDocker(clock),
        clock,
        sent.append,
        ledger=MemoryDisk().ledger("agent-1", clock),
        version="0.1.0",
        reach=asked,
    )
    await worker.begin_session(1, 1)
    worker.execute(Execute("command-1", "attempt-1", 1, operation, arguments, 30.0, 1, 1))
    await clock.settle()
    for sequence in (1, 2, 3):
        worker.ping(Ping(sequence, False, 0.0, 1))
        await clock.settle()
    told = [message.vitals.registries for message in sent if isinstance(message, Pong) and message.vitals]
    assert dict.fromkeys(asked_for, True) in told
    assert told[-1] == {}
    assert asked.names == asked_for
    await worker.close()
