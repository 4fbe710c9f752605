"""A controller's API over a real store, with scripted agents and a clock that the test turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx

from seawall.controller.app import Controller
from seawall.controller.authority import CertificateAuthority
from seawall.controller.circuits import restore_circuits
from seawall.controller.credentials import hash_secret
from seawall.controller.enrolment import new_join_token
from seawall.controller.settings import ControllerSettings
from seawall.controller.vault import KeyVault
from seawall.core.command import Attempt, Command, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.fleet import Signs
from seawall.engine.records import AgentRecord
from seawall.files import free_bytes
from seawall.operations.operation import Role
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock

Script = Callable[[Command, Attempt], Outcome]
Done = TypeVar("Done")

# A command waits for the store so often, at most, before it waits for its agent or the clock.
_STORE_ROUNDS = 4

HOST = "00000000-0000-7000-8000-000000000001"
OTHER = "00000000-0000-7000-8000-000000000002"
READ = {"operation": "container_list", "agent": "web-1"}
CHANGE = {"operation": "container_restart", "agent": "web-1", "arguments": {"container": "web"}}
PING = {"operation": "ping", "agent": "web-1"}


class ScriptedSession:
    """An agent's session that answers as told, and remembers what reached it. `hold` keeps its answers back."""

    def __init__(self, script: Script, agent_id: str = HOST) -> None:
        self.agent_id = agent_id
        self.epoch = 1
        self.instance = "instance-1"
        self.heard_at = 1000.0
        self.latency_seconds: float | None = 0.002
        self.missed_pings = 0
        self.signs = Signs()
        self.script = script
        self.reached: list[tuple[str, int]] = []
        self.closed: list[str] = []
        self.acknowledged: list[tuple[int, int]] = []
        self.hold: asyncio.Event | None = None

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        self.reached.append((command.command_id, attempt.number))
        if self.hold is not None:
            await self.hold.wait()
        return self.script(command, attempt)

    async def cancel(self, command_id: str, correlation_id: str) -> None:
        self.script = failing(CommandErrorCode.CANCELLED, Circumstance.HEARD)
        if self.hold is not None:
            self.hold.set()

    def acknowledge(self, sequence: int, up_to: int) -> None:
        self.acknowledged.append((sequence, up_to))

    async def lives(self) -> bool:
        return True

    async def close(self, reason: str, retry_after_seconds: float | None) -> None:
        self.closed.append(reason)


def ok(_: Command, __: Attempt) -> Outcome:
    return Outcome(response={"done": True})


def failing(code: CommandErrorCode, circumstance: Circumstance = Circumstance.NONE) -> Script:
    return lambda _, __: Outcome(code, f"scripted {code.value}", circumstance=circumstance)


def first_fails(code: CommandErrorCode) -> Script:
    return lambda _, attempt: Outcome(code, "scripted") if attempt.number == 1 else Outcome(response=1)


docker_down = failing(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_FAILED)


class ApiPlane:
    """See the module's text."""

    def __init__(self, controller: Controller, clock: FakeClock, tokens: dict[Role, str]) -> None:
        self.controller = controller
        self.clock = clock
        self.services = controller.services
        self.tokens = tokens
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(controller.api), base_url="http://seawall.test"
        )

    def attach(self, script: Script = ok, agent_id: str = HOST) -> ScriptedSession:
        """Connect a scripted agent."""
        session = ScriptedSession(script, agent_id)
        self.controller.fleet.attach(session)
        return session

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        role: Role | None = Role.ADMIN,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """One request, as whoever has this role; None sends no token."""
        sent = dict(headers or {})
        if role is not None:
            sent["Authorization"] = f"Bearer {self.tokens[role]}"
        if body is not None:
            content = json.dumps(body).encode()
        return await self.client.request(method, path, content=content, headers=sent)

    async def get(self, path: str, role: Role | None = Role.VIEWER) -> httpx.Response:
        return await self.request("GET", path, role=role)

    async def post(self, path: str, body: object = None, **more: object) -> httpx.Response:
        return await self.request("POST", path, body, **more)  # type: ignore[arg-type]  # passed on as they are

    async def unknown(self, **more: object) -> dict[str, object]:
        """The record of a change whose outcome nobody knows: its agent, which is attached, doesn't answer it."""
        session = self.controller.fleet.session(HOST)
        assert isinstance(session, ScriptedSession)
        script, session.script = session.script, failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD)
        record = await self.done(CHANGE, **more)
        session.script = script
        assert (record["state"], record["settled"]) == ("UNKNOWN", False)
        return record

    async def settle(self) -> None:
        """Let everything go on that waits for other tasks or the store, but not for the clock."""
        for _ in range(_STORE_ROUNDS):
            await self.clock.settle()
            # The store keeps the order: what was asked of it before this is answered.
            await self.services.store.check()
        await self.clock.settle()

    async def pass_time(self) -> None:
        """Let time pass until something falls due. The store's own slowness must not look like time to the plane."""
        await self.settle()
        due = self.clock.timers
        if due:
            await self.clock.advance(max(0.0, due[0] - self.clock.now()))

    async def while_time_passes(self, work: Coroutine[None, None, Done]) -> Done:
        """Do something that waits for the clock, and turn the clock until it is done."""
        task = asyncio.ensure_future(work)
        await self.settle()
        while not task.done():
            await self.pass_time()
            await self.settle()
        return task.result()

    async def done(self, body: object, **more: object) -> dict[str, object]:
        """The record of a command that was waited for."""
        answer = await self.while_time_passes(self.post("/api/v1/commands?wait=60", body, **more))
        found: dict[str, object] = answer.json()
        return found


@asynccontextmanager
async def api_plane(
    directory: Path, clock: FakeClock | None = None, free_bytes: Callable[[Path], int] = free_bytes
) -> AsyncIterator[ApiPlane]:
    """A controller that does everything but listen, with the hosts web-1 and web-2."""
    clock = clock if clock is not None else FakeClock()
    store = await SqliteStore.open(directory / "seawall.db", clock, free_bytes=free_bytes)
    authority = CertificateAuthority.open(directory / "authority", clock.wall())
    identity, vault = await store.controller_identity(), KeyVault.of(directory)
    controller = Controller(ControllerSettings(data=directory), clock, store, identity, authority, vault)
    controller.services.agents_url = "https://controller.test:7701"
    for agent in await store.agents():
        controller.fleet.learn(agent)
    await restore_circuits(store, controller.fleet, controller.guards, clock)
    for agent_id, name, labels in ((HOST, "web-1", {"env": "prod"}), (OTHER, "web-2", {"env": "test"})):
        if controller.fleet.find(agent_id) is None:
            await join(controller, AgentRecord(agent_id, name, bytes(32), clock.wall(), labels=labels))
    tokens = {role: (await controller.access.create(role.value, role))[0].reveal() for role in Role}
    ready, stop = asyncio.Event(), asyncio.Event()
    dispatching = asyncio.create_task(controller.dispatcher.run(ready, stop))
    await ready.wait()
    plane = ApiPlane(controller, clock, tokens)
    try:
        yield plane
    finally:
        await plane.client.aclose()
        stop.set()
        await dispatching
        await store.close()


async def join(controller: Controller, agent: AgentRecord) -> None:
    """As a host joins, without the network."""
    clock = controller.clock
    token, _ = await new_join_token(controller.store, controller.authority.fingerprint, clock, "test")
    await controller.store.redeem(hash_secret(token.secret.reveal()), clock.wall(), agent)
    controller.fleet.learn(agent)


def is_problem(answer: httpx.Response, status: int, error_code: str) -> dict[str, object]:
    """The problem that an answer is, after a look at its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert {"type", "title", "status", "detail", "error_code"} <= set(problem)
    assert problem["status"] == status
    assert problem["error_code"] == error_code
    assert "Traceback" not in answer.text
    return problem
