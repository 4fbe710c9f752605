"""What it costs a controller with a great fleet that people look at it.

The controller, the agents (several processes of them) and Debian's Chromium are processes of their own. Five look at
the page of the fleet: a real browser, and four that speak the page's protocol and take what it is sent. Commands are
restarts on hosts of the fleet through the API, with and without the five in turns.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.async_api import Browser, Page, async_playwright

from bench.crowd import CONTAINER
from bench.measure import Row
from seawall.agent.identity import AgentIdentity
from seawall.client.client import Client
from seawall.client.context import Connection
from seawall.client.models import CommandOrder
from seawall.clock import SystemClock
from seawall.controller.auth import ADMIN_TOKEN_FILE
from seawall.controller.authority import CertificateAuthority
from seawall.engine.records import AgentRecord, JoinTokenRecord
from seawall.storage.directory import DataDirectory
from seawall.storage.sqlite import SqliteStore
from seawall.wire.secret import Secret
from tests.system.packages import find_or_install
from tests.system.plane import Plane

PROCESSES = 4
WATCHERS = 4
"""Beside the browser."""
IN_FLIGHT = 4
COMMANDS = 600
"""In a round."""
PASSWORD = "correct horse battery"  # noqa: S105 - of users who are there for a minute
MOST_INTERACTIVE_US = 2e6
MOST_MEMORY_BYTES = 1024.0**3
MOST_GROWTH = 1.2
_CONNECT_SECONDS = 900.0
_LOOKS = 5
_SETTLE_SECONDS = 3.0
_QUERY = re.compile(r"query: (\{[^}]*\})")


async def enrol(plane: Plane, hosts: int) -> list[Path]:
    """Make a fleet known to a controller that hasn't started yet; a directory with identities for each process."""
    clock = SystemClock()
    with DataDirectory.open(plane.data) as directory:
        authority = CertificateAuthority.open(directory.path / "authority", clock.wall())
        store = await SqliteStore.open(directory.database, clock)
        controller_id, _ = await store.controller_identity()
        homes = [plane.directory / f"hosts-{number}" for number in range(PROCESSES)]
        url, now = f"https://127.0.0.1:{plane.agents_port}", clock.wall()

        async def one(number: int) -> None:
            key, name = Ed25519PrivateKey.generate(), name_of(number)
            record = AgentRecord(clock.new_id(), name, key.public_key().public_bytes_raw(), now)
            await store.add_join_token(
                JoinTokenRecord(clock.new_id(), name, now, now.replace(year=now.year + 1))
            )
            await store.redeem(name, now, record)
            identity = AgentIdentity(record.agent_id, name, url, controller_id, {}, authority.ca_pem, key)
            identity.save(homes[number % PROCESSES] / name)

        for start in range(0, hosts, 256):
            await asyncio.gather(*(one(number) for number in range(start, min(start + 256, hosts))))
        await store.close()
    return homes


def name_of(number: int) -> str:
    return f"host-{number:05d}"


@asynccontextmanager
async def crowd(homes: list[Path]) -> AsyncIterator[None]:
    """The agents, until the end of the block."""
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.crowd", str(home), stdin=pipe)
        for home in homes
    ]
    try:
        yield
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in processes:
            await process.wait()


async def all_connected(plane: Plane, hosts: int) -> None:
    """Wait until the controller counts them all."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(_CONNECT_SECONDS):
        while True:
            async with http.get(f"{plane.url}/metrics", headers=bearer(plane)) as answer:
                found = re.search(r"^agents_connected\S* (\S+)$", await answer.text(), re.MULTILINE)
            if found is not None and float(found[1]) >= hosts:
                return
            await asyncio.sleep(1.0)


def bearer(plane: Plane) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(plane)}"}


def token_of(plane: Plane) -> str:
    return (plane.data / ADMIN_TOKEN_FILE).read_text().strip()


async def signed_in(plane: Plane, name: str) -> str:
    """The cookie of a new user, as its header."""
    async with aiohttp.ClientSession(headers={"Origin": plane.url}) as http:
        user = {"name": name, "role": "operator", "password": PASSWORD}
        async with http.post(f"{plane.url}/api/v1/users", json=user, headers=bearer(plane)) as answer:
            assert answer.status == 201, await answer.text()
        form = {"name": name, "password": PASSWORD}
        async with http.post(f"{plane.url}/ui/sign-in", data=form, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            return f"seawall={answer.cookies['seawall'].value}"


async def watch(plane: Plane, cookie: str, there: asyncio.Event) -> None:
    """Open the page of the fleet and take what it is sent, without a browser."""
    headers = {"Cookie": cookie, "Origin": plane.url}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(f"{plane.url}/ui/") as answer:
            found = _QUERY.search(await answer.text())
        assert found is not None
        given = msgspec.json.decode(
            found[1].replace("'", '"').replace("True", "true"), type=dict[str, object]
        )
        query = {
            **given,
            "implicit_handshake": "true",
            "EIO": "4",
            "transport": "websocket",
            "tab_id": cookie[-8:],
            "document_id": cookie[-9:],
        }
        url = f"{plane.url}/ui/_nicegui_ws/socket.io/?{urlencode(query)}"
        async with http.ws_connect(url, max_msg_size=0) as socket:
            taken = 0
            async for message in socket:
                if message.data.startswith("0"):
                    await socket.send_str("40")
                elif message.data == "2":
                    await socket.send_str("3")
                elif message.data.startswith("42"):
                    taken += 1
                    if taken == 2:
                        there.set()


@asynccontextmanager
async def watched(plane: Plane, cookies: list[str], page: Page) -> AsyncIterator[None]:
    """Five look at the fleet."""
    await page.goto(plane.url + "/ui/")
    async with asyncio.TaskGroup() as group:
        there = [asyncio.Event() for _ in cookies]
        tasks = [
            group.create_task(watch(plane, cookie, each)) for cookie, each in zip(cookies, there, strict=True)
        ]
        for each in there:
            await asyncio.wait_for(each.wait(), 30.0)
        yield
        for task in tasks:
            task.cancel()
    await page.goto("about:blank")


async def commands(client: Client, hosts: int, offset: int) -> list[float]:
    """Microseconds of restarts on hosts all over the fleet."""
    samples: list[float] = []

    async def some(lane: int) -> None:
        for number in range(COMMANDS // IN_FLIGHT):
            host = name_of((offset + (number * IN_FLIGHT + lane) * 37) % hosts)
            began = time.perf_counter()
            order = CommandOrder("container_restart", host, {"container": CONTAINER})
            record = await client.submit(order, wait_seconds=10.0)
            assert record.error is None, record.error
            samples.append((time.perf_counter() - began) * 1e6)

    await asyncio.gather(*(some(lane) for lane in range(IN_FLIGHT)))
    return samples


async def interactive(plane: Plane, page: Page, hosts: int) -> list[float]:
    """Microseconds until the page of the fleet has rows and a filter that was typed has an answer."""
    samples = []
    for number in range(_LOOKS):
        began = time.perf_counter()
        await page.goto(plane.url + "/ui/")
        await page.get_by_role("link", name=re.compile("^host-")).first.wait_for()
        name = name_of((number * 997) % hosts)
        await page.get_by_label("Filter by name, label or version").fill(name)
        await page.get_by_role("link", name=name, exact=True).wait_for()
        samples.append((time.perf_counter() - began) * 1e6)
    return sorted(samples)


async def signed_in_page(browser: Browser, cookie: str, url: str) -> Page:
    context = await browser.new_context()
    name, _, value = cookie.partition("=")
    await context.add_cookies([{"name": name, "value": value, "url": url}])
    return await context.new_page()


def memory_of(process: int) -> int:
    """The most bytes of memory that a process ever had."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def measure(hosts: int, rounds: int) -> list[Row]:
    """Rows for the page, the memory, and the p99 of commands alone and beside those who look."""
    with tempfile.TemporaryDirectory() as name:
        plane = Plane(Path(name))
        del plane.environment["SEAWALL_HEARTBEAT_SECONDS"]
        homes = await enrol(plane, hosts)
        try:
            async with AsyncExitStack() as stack:
                await asyncio.to_thread(plane.start_controller)
                await stack.enter_async_context(crowd(homes))
                await all_connected(plane, hosts)
                playwright = await stack.enter_async_context(async_playwright())
                program = find_or_install("chromium", "chromium")
                browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                stack.push_async_callback(browser.close)
                connection = Connection(plane.url, token=Secret(token_of(plane)))
                client = await stack.enter_async_context(Client(connection))
                return await figures(plane, browser, client, hosts, rounds)
        finally:
            await asyncio.to_thread(plane.stop)


async def figures(plane: Plane, browser: Browser, client: Client, hosts: int, rounds: int) -> list[Row]:
    gc.disable()  # who measures is not who is measured
    cookies = [await signed_in(plane, f"watcher-{number}") for number in range(WATCHERS + 1)]
    page = await signed_in_page(browser, cookies[0], plane.url)
    looks = await interactive(plane, page, hosts)
    await page.goto("about:blank")
    alone, beside = list[float](), list[float]()
    await commands(client, hosts, 0)
    for number in range(rounds):
        alone += await commands(client, hosts, number * 11)
        async with watched(plane, cookies[1:], page):
            await asyncio.sleep(_SETTLE_SECONDS)
            beside += await commands(client, hosts, number * 11 + 5)
        await asyncio.sleep(_SETTLE_SECONDS)
    quiet, watched_by = (sorted(samples)[int(len(samples) * 0.99)] for samples in (alone, beside))
    memory = memory_of(plane.others["controller"].pid)
    return [
        Row(
            f"page of {hosts:,} hosts, until it answers",
            looks[len(looks) // 2],
            "us",
            limit=MOST_INTERACTIVE_US,
        ),
        Row("the controller's memory at most", memory / 1024.0**2, "MB", limit=MOST_MEMORY_BYTES / 1024.0**2),
        Row(f"command p99, nobody looks ({len(alone)})", quiet, "us"),
        Row(
            f"command p99, five look ({len(beside)})",
            watched_by,
            "us",
            watched_by / quiet,
            "command p99, nobody looks",
            MOST_GROWTH,
        ),
    ]
