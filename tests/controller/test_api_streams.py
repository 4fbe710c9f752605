"""The API's streams: who may open one, what a bad reader is told, and that it comes through as the host sent it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from seawall.client.errors import ClientError
from seawall.client.streams import Stream, StreamFailed
from seawall.testing.containers import FakeContainer
from seawall.wire.secret import Secret
from tests.chaos.plane import HOST, FaultyPlane, faulty_plane

pytestmark = pytest.mark.asyncio

LINE = b"\x01\0\0\0\0\0\0\x06hello\n"


@pytest_asyncio.fixture(loop_scope="function")
async def plane(tmp_path: Path) -> AsyncIterator[FaultyPlane]:
    async with faulty_plane(tmp_path, 1) as plane:
        plane.docker.add(FakeContainer("web", log=[("stdout", "hello")]))
        yield plane


def dial(plane: FaultyPlane, token: str | None = None, query: str = "", **headers: str) -> connect:
    secret = plane.connection.token
    assert secret is not None
    return connect(
        plane.connection.url.replace("http", "ws", 1) + f"/api/v1/streams{query}",
        additional_headers={"Authorization": f"Bearer {token or secret.reveal()}", **headers},
        proxy=None,
    )


async def refusal(plane: FaultyPlane, *given: str, **headers: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with dial(plane, *given, **headers):
            pass
    response = caught.value.response
    assert response.body is not None
    return response.status_code, json.loads(response.body)["error_code"]


def order(**given: object) -> str:
    asked = {"type": "open", "stream_id": str(uuid4()), "operation": "container_logs", "agent": HOST}
    return json.dumps({**asked, "arguments": {"container": "web"}, **given})


async def heard(socket: ClientConnection) -> dict[str, object]:
    """The next text that isn't about input."""
    async with asyncio.timeout(20):
        while True:
            message = await socket.recv()
            if isinstance(message, str) and '"input_credit"' not in message:
                found: dict[str, object] = json.loads(message)
                return found


async def end_of(plane: FaultyPlane, *said: str | bytes) -> dict[str, object]:
    """How a stream ends whose reader says this."""
    async with dial(plane) as socket:
        for each in said:
            await socket.send(each)
        while (found := await heard(socket))["type"] != "end":
            pass
    return found


async def token_of(plane: FaultyPlane, role: str) -> str:
    secret = plane.connection.token
    assert secret is not None
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret.reveal()}"}) as http:
        answer = await http.post(f"{plane.connection.url}/api/v1/tokens", json={"name": role, "role": role})
    found: str = answer.json()["token"]
    return found


async def test_a_stream_comes_through_as_the_host_sent_it(plane: FaultyPlane) -> None:
    async with dial(plane) as socket:
        await socket.send(order())
        assert await socket.recv() == '{"type":"opened","window":1048576}'
        while not isinstance(data := await socket.recv(), bytes):
            pass
        assert data == bytes(8) + LINE
        end = await heard(socket)
        assert end == {"type": "end", "offset": 14, "code": None, "error": None, "response": None}
        await socket.send('{"type":"close"}')


async def test_a_reader_that_resumes_has_the_rest(plane: FaultyPlane) -> None:
    stream_id = str(uuid4())
    async with dial(plane) as socket:
        await socket.send(order(stream_id=stream_id))
        await heard(socket)
    async with dial(plane) as socket:
        await socket.send(order(type="resume", stream_id=stream_id, offset=8))
        while not isinstance(data := await socket.recv(), bytes):
            pass
        assert data == (8).to_bytes(8, "big") + b"hello\n"


async def test_a_stream_needs_a_token_and_never_takes_one_from_the_url(plane: FaultyPlane) -> None:
    assert await refusal(plane, "swt_nonsense") == (401, "unauthenticated")
    assert await refusal(plane, "", "?token=swt_x") == (400, "invalid_request")


async def test_a_page_from_elsewhere_is_refused(plane: FaultyPlane) -> None:
    assert await refusal(plane, Origin="https://evil.example") == (403, "forbidden")


async def test_a_viewer_may_read_a_log(plane: FaultyPlane) -> None:
    connection = msgspec.structs.replace(plane.connection, token=Secret(await token_of(plane, "viewer")))
    async with Stream(connection, "container_logs", HOST, {"container": "web"}) as stream:
        assert [data async for data in stream] == [LINE]


async def test_another_token_can_not_take_a_stream_over(plane: FaultyPlane) -> None:
    stream_id, other = str(uuid4()), await token_of(plane, "operator")
    follow = {"container": "web", "follow": True}
    async with dial(plane) as socket, dial(plane, other) as thief:
        await socket.send(order(stream_id=stream_id, arguments=follow))
        await heard(socket)
        await thief.send(order(type="resume", stream_id=stream_id, arguments=follow))
        assert (await heard(thief))["code"] == "conflict"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hello", "invalid_request"),
        (b"\0\0", "invalid_request"),
        ('{"type":"credit","up_to":1}', "invalid_request"),
        (order(stream_id="../x"), "invalid_request"),
        (order(offset=-1), "invalid_request"),
        (order(operation="juggle"), "unsupported_operation"),
        (order(operation="container_start"), "unsupported_operation"),
        (order(agent="nobody"), "unknown_host"),
        (order(arguments={"container": "--rm"}), "invalid_argument"),
        (order(arguments={"container": "web", "tail": 10**9}), "invalid_argument"),
    ],
)
async def test_a_bad_opening_gets_a_clear_end(plane: FaultyPlane, said: str | bytes, code: str) -> None:
    end = await end_of(plane, said)
    assert end["code"] == code
    assert end["error"]


@pytest.mark.parametrize("said", ["nonsense", b"\0", '{"type":"credit","up_to":99}', '{"type":"credit"}'])
async def test_a_reader_that_breaks_the_protocol_is_told_so(plane: FaultyPlane, said: str | bytes) -> None:
    follow = {"container": "web", "follow": True}
    assert (await end_of(plane, order(arguments=follow), said))["code"] == "invalid_request"


async def test_what_only_a_stream_can_take_is_no_argument_of_a_command(plane: FaultyPlane) -> None:
    secret = plane.connection.token
    assert secret is not None
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret.reveal()}"}) as http:
        answer = await http.post(
            f"{plane.connection.url}/api/v1/commands",
            json={
                "operation": "container_logs",
                "agent": HOST,
                "arguments": {"container": "web", "follow": True},
            },
        )
    assert answer.status_code == 422


async def test_the_clients_errors_say_what_is_wrong(plane: FaultyPlane) -> None:
    async with Stream(plane.connection, "container_logs", "nobody", {"container": "web"}) as stream:
        with pytest.raises(StreamFailed, match="seawall agent list"):
            async for _ in stream:
                pass
    stranger = msgspec.structs.replace(plane.connection, token=None)
    with pytest.raises(ClientError, match="needs a token"):
        async with Stream(stranger, "container_logs", HOST, {"container": "web"}):
            pass
