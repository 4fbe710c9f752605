"""What streams cost: a container's whole log through one agent beside the bare HTTP answer, and pings beside a log.

Controller and agent are processes of their own (`seawall up`), the Docker Engine is a real one that the tests start
without network. The bare reader asks the Engine's socket itself and takes the frames apart in the same way; both run in
this process. The log of the second figure has 100 MB. On a machine without a free processor pings wait for their turn,
not for the log: what the same log does to them when it is read bare, by a process that has nothing to do with them,
stands beside it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from bench.measure import Row, Timed, in_turns, row
from seawall.client.client import Client
from seawall.client.context import Connection
from seawall.client.frames import Output
from seawall.client.models import CommandOrder
from seawall.wire.secret import Secret
from tests.system.engine import Engine
from tests.system.plane import Plane, plane_in
from tests.system.programs import prepare

LINE = 200
LINES = 100_000
LOUD_LINES = 500_000
PINGS = 200
SHARE_OF_BARE = 0.5
LONGEST_SHIFT_MS = 20.0
HOST = "local"

_BARE_READER = """
import socket, sys
from seawall.client.frames import Output
output, taken = Output(), 0
with socket.socket(socket.AF_UNIX) as engine:
    engine.connect(sys.argv[1])
    engine.sendall(b"GET /containers/loud/logs?stdout=1&stderr=1&tail=all HTTP/1.0\\r\\nHost: docker\\r\\n\\r\\n")
    answer = engine.makefile("rb")
    while answer.readline().strip():
        pass
    while data := answer.read1(65536):
        taken += sum(len(piece) for _, piece in output.feed(data))
print(taken)
"""


def write_log(engine: Engine, name: str, lines: int) -> None:
    """Have a container write so many lines, and end."""
    text = f"printf '%0{LINE - 1}d\\n' $(seq 1 {lines})"
    engine.run_container(name, ["sh", "-c", text])
    while engine.request("POST", f"/containers/{name}/wait", timeout_seconds=120).status != 200:
        pass


def bare(engine: Engine, size: int) -> Timed:
    """The Engine's own answer, read and taken apart."""

    async def read(times: int) -> None:
        connector = aiohttp.UnixConnector(engine.socket_path)
        async with aiohttp.ClientSession(connector=connector) as http:
            for _ in range(times):
                output, taken = Output(), 0
                url = "http://docker/containers/short/logs?stdout=1&stderr=1&tail=all"
                async with http.get(url) as answer:
                    async for data in answer.content.iter_any():
                        taken += sum(len(piece) for _, piece in output.feed(data))
                assert taken == size, taken

    return read


def streamed(client: Client, size: int) -> Timed:
    """The same through agent and controller."""

    async def read(times: int) -> None:
        for _ in range(times):
            assert await read_log(client, "short") == size

    return read


async def read_log(client: Client, name: str) -> int:
    output, taken = Output(), 0
    async with client.stream("container_logs", HOST, {"container": name, "whole": True}) as stream:
        async for data in stream:
            taken += sum(len(piece) for _, piece in output.feed(data))
    return taken


async def log_in_another_process(plane: Plane) -> int:
    words = ("container", "logs", "loud", "--whole", "--on", HOST)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "seawall", *words), env=plane.environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    taken = 0
    while data := await process.stdout.read(1 << 20):
        taken += len(data)
    assert await process.wait() == 0
    return taken


async def bare_log_in_another_process(engine: Engine) -> int:
    """The same log from the Engine's socket, past agent and controller."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _BARE_READER, engine.socket_path), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    return int(answer)


async def pings(client: Client, until: asyncio.Task[int] | None = None) -> list[float]:
    """Milliseconds of pings one after the other: PINGS of them, or as many as there are until something is over."""
    samples = []
    while len(samples) < PINGS if until is None else not until.done():
        began = time.perf_counter()
        record = await client.submit(CommandOrder("ping", HOST), wait_seconds=10.0)
        assert record.error is None, record.error
        samples.append((time.perf_counter() - began) * 1e3)
    return sorted(samples)


async def pings_beside_a_log(client: Client, plane: Plane, engine: Engine, rounds: int) -> list[Row]:
    alone, elsewhere, beside = [], [], []
    for _ in range(rounds):
        alone += await pings(client)
        reading = asyncio.create_task(bare_log_in_another_process(engine))
        elsewhere += await pings(client, reading)
        assert reading.result() == LOUD_LINES * LINE
        # Its reader is a process of its own, as in life.
        reading = asyncio.create_task(log_in_another_process(plane))
        beside += await pings(client, reading)
        assert reading.result() == LOUD_LINES * LINE
    quiet, busy, loud = (sorted(samples)[int(len(samples) * 0.99)] for samples in (alone, elsewhere, beside))
    return [
        Row("ping, p99", quiet * 1e3, "us"),
        Row(f"ping beside the same log read bare, p99 ({len(elsewhere)} pings)", busy * 1e3, "us"),
        Row(f"ping beside a 100 MB log, p99 ({len(beside)} pings)", loud * 1e3, "us"),
        Row("what the log adds to the p99", (loud - quiet) * 1e3, "us", limit=LONGEST_SHIFT_MS * 1e3),
    ]


async def measure(rounds: int = 5) -> list[Row]:
    """Rows for the rate, and for what a log does to pings."""
    engine = Engine(prepare())
    with tempfile.TemporaryDirectory() as directory, plane_in(Path(directory)) as plane:
        try:
            engine.start()
            write_log(engine, "short", LINES)
            write_log(engine, "loud", LOUD_LINES)
            plane.up("--docker", engine.host)
            async with Client(connection_to(plane)) as client:
                names = (f"bare log of {LINES * LINE // 10**6} MB", "the same through an agent")
                things = dict(
                    zip(names, (bare(engine, LINES * LINE), streamed(client, LINES * LINE)), strict=True)
                )
                samples = await in_turns(things, 1, rounds)
                rate = [
                    row(samples, names[0]),
                    # Time, not rate: half of the rate is twice the time.
                    row(samples, names[1], beside=names[0], limit=1 / SHARE_OF_BARE),
                ]
                return rate + await pings_beside_a_log(client, plane, engine, max(1, rounds // 3))
        finally:
            engine.stop()


def connection_to(plane: Plane) -> Connection:
    return Connection(plane.url, Secret((plane.data / "admin.token").read_text().strip()))
