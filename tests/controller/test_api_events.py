"""Event streams: their order, their ends, and what they do when something was lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seawall.core.errors import CommandErrorCode
from seawall.engine.notices import Notice
from seawall.operations.operation import Role
from tests.controller.api_plane import CHANGE, READ, ApiPlane, api_plane, first_fails, is_problem

Happened = tuple[str, dict[str, object]]


class Stream:
    """A stream as its reader sees it, read through ASGI so that it needn't end first."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = False
        self.gone = asyncio.Event()
        self._asked = False

    @property
    def events(self) -> list[Happened]:
        """What came, comments left out."""
        found = []
        for block in self.text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if lines:
                found.append((lines["event"], json.loads(lines["data"])))
        return found

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    async def receive(self) -> dict[str, object]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            assert (b"content-type", b"text/event-stream; charset=utf-8") in message["headers"]  # type: ignore[operator]  # ASGI's
        else:
            body = message["body"]
            assert isinstance(body, bytes)
            self.text += body.decode()
            self.ended = not message.get("more_body", False)


@asynccontextmanager
async def stream(plane: ApiPlane, path: str) -> AsyncIterator[Stream]:
    """Read a stream until the reader goes, at the end of the block."""
    opened = Stream()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {plane.tokens[Role.VIEWER]}".encode())],
        "server": ("seawall.test", 80),
        "client": ("127.0.0.1", 1),
    }
    reading = asyncio.create_task(plane.controller.api(scope, opened.receive, opened.send))
    try:
        while not opened.text:
            await plane.clock.settle()
        yield opened
    finally:
        opened.gone.set()
        await asyncio.wait_for(reading, 10)


async def until(plane: ApiPlane, stream: Stream, kind: str) -> None:
    await plane.settle()
    while kind not in stream.kinds:
        await plane.pass_time()
        await plane.settle()


@pytest.mark.asyncio
async def test_a_command_is_told_from_its_record_to_its_end_in_order(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(first_fails(CommandErrorCode.TIMEOUT))
        session.hold = asyncio.Event()
        accepted = (await plane.post("/api/v1/commands", READ)).json()
        while not session.reached:
            await plane.clock.settle()
        async with stream(plane, f"/api/v1/commands/{accepted['command_id']}/events") as follow:
            session.hold.set()
            await until(plane, follow, "finished")
            assert follow.kinds == [
                *("record", "attempt_finished", "retry", "attempt_started", "attempt_finished", "finished"),
            ]
            told = dict(follow.events)
            assert told["record"]["state"] == "DISPATCHED"
            assert told["retry"]["command_id"] == accepted["command_id"]
            assert (told["retry"]["attempt"], told["retry"]["of"]) == (2, 3)
            assert told["finished"]["state"] == "SUCCEEDED"
            assert told["finished"]["total_attempts"] == 2
            while not follow.ended:
                await plane.clock.settle()


@pytest.mark.asyncio
async def test_a_command_that_is_over_is_told_at_once(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        record = await plane.done(CHANGE)
        answer = await plane.get(f"/api/v1/commands/{record['command_id']}/events")
        blocks = answer.text.strip().split("\n\n")
        assert [block.splitlines()[0] for block in blocks] == ["event: record", "event: finished"]
        assert json.loads(blocks[1].splitlines()[1].removeprefix("data: ")) == record


@pytest.mark.asyncio
async def test_a_parked_command_says_so_and_silence_is_filled_with_heartbeats(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        accepted = (await plane.post("/api/v1/commands", CHANGE)).json()
        async with stream(plane, f"/api/v1/commands/{accepted['command_id']}/events") as follow:
            await plane.clock.advance(31)
            assert follow.text.count(": heartbeat\n\n") == 2
            plane.attach()
            await until(plane, follow, "finished")
            assert follow.kinds[0] == "record"
            assert follow.kinds[-1] == "finished"


@pytest.mark.asyncio
async def test_a_stream_that_lost_something_reads_the_record_again(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        accepted = (await plane.post("/api/v1/commands", CHANGE)).json()
        async with stream(plane, f"/api/v1/commands/{accepted['command_id']}/events") as follow:
            for number in range(1_500):
                notice = Notice(
                    "progress", accepted["agent_id"], accepted["command_id"], {"text": str(number)}
                )
                plane.services.bus.publish(notice)
            while follow.kinds.count("record") < 2:
                await plane.clock.settle()
            assert follow.kinds[-1] == "record"
            assert follow.events[-1][1]["state"] == "ACCEPTED"


@pytest.mark.asyncio
async def test_everything_is_told_to_whoever_follows_everything(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        async with stream(plane, "/api/v1/events") as follow:
            record = await plane.done(CHANGE)
            await plane.post("/api/v1/circuits/web-2/docker/open", {"reason": "test"})
            await until(plane, follow, "circuit")
            assert [kind for kind in follow.kinds if kind != "parked"] == [
                *("accepted", "attempt_started", "attempt_finished", "finished", "circuit"),
            ]
            assert follow.events[1][1]["command_id"] == record["command_id"]
            assert follow.events[-1][1]["to"] == "open"
            assert plane.services.open_streams == 1
        assert plane.services.open_streams == 0
        assert plane.services.bus._listeners == {}  # type: ignore[attr-defined]  # nothing may stay behind


@pytest.mark.asyncio
async def test_streams_end_when_the_controller_stops(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane, stream(plane, "/api/v1/events") as follow:
        plane.services.stopping.set()
        while not follow.ended:
            await plane.clock.settle()


@pytest.mark.asyncio
async def test_there_are_only_so_many_streams(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.services.open_streams = 1_000
        answer = await plane.get("/api/v1/events")
        is_problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
