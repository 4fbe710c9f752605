"""The client against scripted answers."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import httpx
import pytest

from seawall.client.client import Client
from seawall.client.context import Connection
from seawall.client.errors import ClientError, ContextError, Unreachable
from seawall.client.events import Event
from seawall.client.models import Agent, Command, CommandOrder
from seawall.core.command import CommandState
from seawall.testing.clock import FakeClock
from seawall.wire.secret import Secret

Handler = Callable[[httpx.Request], httpx.Response]
ORDER = CommandOrder("container_restart", "local", {"container": "web"})


class SelfWindingClock(FakeClock):
    """Time passes by itself for whoever waits."""

    async def sleep_until(self, when: float) -> None:
        await self.advance(max(0.0, when - self.now()))


def record(state: str = "SUCCEEDED", **more: object) -> dict[str, object]:
    return {
        "command_id": "c1",
        "operation": "container_restart",
        "agent_id": "a1",
        "agent": "local",
        "arguments": {"container": "web"},
        "state": state,
        "accepted_at": "2030-01-01T00:00:00Z",
        "future_field": 1,
        **more,
    }


def run(handler: Handler, work: Callable[[Client], Coroutine[object, object, object]]) -> object:
    async def with_client() -> object:
        connection = Connection("http://127.0.0.1:7700", Secret("swt_secret"))
        async with Client(
            connection, clock=SelfWindingClock(), transport=httpx.MockTransport(handler)
        ) as client:
            return await work(client)

    return asyncio.run(with_client())


def stream(*chunks: bytes, broken: bool = False) -> httpx.Response:
    async def content() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if broken:
            raise httpx.ReadError("gone")

    return httpx.Response(200, content=content())


def sse(kind: str, content: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n".encode()


async def collected(events: AsyncIterator[Event]) -> list[str]:
    return [event.kind async for event in events]


def test_the_token_travels_in_the_header_and_a_key_is_always_sent() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json=record("ACCEPTED"))

    command = run(answer, lambda client: client.submit(ORDER))
    assert getattr(command, "state", None) is CommandState.ACCEPTED
    (request,) = seen
    assert request.headers["Authorization"] == "Bearer swt_secret"
    assert len(request.headers["Idempotency-Key"]) == 36
    assert "swt_secret" not in str(request.url)
    assert json.loads(request.content) == {
        "operation": "container_restart",
        "agent": "local",
        "arguments": {"container": "web"},
    }


def test_the_callers_own_key_is_sent() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(200, json=record())

    run(answer, lambda client: client.submit(ORDER, idempotency_key="mine"))
    assert keys == ["mine"]


def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < 3:
            raise httpx.ReadError("broken", request=request)
        return httpx.Response(200, json=record())

    run(answer, lambda client: client.submit(ORDER))
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_after_three_tries_it_says_that_the_command_may_have_arrived() -> None:
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        if len(tries) == 1:
            raise httpx.ReadError("broken", request=request)
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Unreachable, match="seawall up") as gone:
        run(answer, lambda client: client.submit(ORDER))
    assert len(tries) == 3
    assert gone.value.may_have_arrived


def test_a_refused_connection_provably_brought_nothing_there() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request) from ConnectionRefusedError(
            111, "Connection refused"
        )

    with pytest.raises(Unreachable, match=r"\(Connection refused\)") as gone:
        run(answer, lambda client: client.submit(ORDER))
    assert not gone.value.may_have_arrived


def test_what_would_be_done_twice_is_not_repeated_once_it_may_have_arrived() -> None:
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        raise httpx.ReadError("broken", request=request)

    with pytest.raises(Unreachable):
        run(answer, lambda client: client.tokens.add("bob", "viewer"))
    assert len(tries) == 1


def test_a_certificate_that_proves_nothing_is_explained() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
        cause.verify_message = "self-signed certificate"
        raise httpx.ConnectError("tls", request=request) from cause

    with pytest.raises(Unreachable, match="self-signed certificate"):
        run(answer, lambda client: client.agents())


def test_a_problem_becomes_an_error_with_everything_in_it() -> None:
    problem = {"title": "t", "status": 503, "detail": "the circuit is open", "error_code": "circuit_open"}
    body = {**problem, "command": record("REJECTED", error_code="circuit_open")}

    with pytest.raises(ClientError) as refused:
        run(
            lambda _: httpx.Response(503, json=body, headers={"Retry-After": "7"}),
            lambda client: client.submit(ORDER),
        )
    error = refused.value
    assert (error.status, error.error_code, error.detail) == (503, "circuit_open", "the circuit is open")
    assert error.retry_after_seconds == 7
    assert error.command is not None
    assert error.command.state is CommandState.REJECTED


def test_a_problem_is_explained_even_with_a_record_of_a_later_version() -> None:
    body = {"detail": "no", "error_code": "later", "command": {"state": "LATER"}}
    with pytest.raises(ClientError, match=r"^no$") as refused:
        run(lambda _: httpx.Response(503, json=body), lambda client: client.submit(ORDER))
    assert refused.value.command is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(301, headers={"Location": "/"}),
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, json={"not": "a list"}),
    ],
)
def test_what_is_no_seawall_controller_is_an_error_with_advice(answer: httpx.Response) -> None:
    with pytest.raises(ClientError, match="check"):
        run(lambda _: answer, lambda client: client.agents())


def test_names_cannot_leave_their_place_in_the_path() -> None:
    paths: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path.decode())
        return httpx.Response(404, json={"detail": "no"})

    for name in ("../tokens", "a/b", "..", "a?b"):
        with pytest.raises(ClientError):
            run(answer, lambda client, name=name: client.agent(name))  # type: ignore[misc]  # one name a turn
    assert paths == [
        "/api/v1/agents/..%2Ftokens",
        "/api/v1/agents/a%2Fb",
        "/api/v1/agents/%2E%2E",
        "/api/v1/agents/a%3Fb",
    ]


def test_waiting_asks_again_until_it_is_over() -> None:
    states = ["DISPATCHED", "DISPATCHED", "SUCCEEDED"]
    command = run(lambda _: httpx.Response(200, json=record(states.pop(0))), lambda client: client.wait("c1"))
    assert getattr(command, "state", None) is CommandState.SUCCEEDED
    assert not states


def test_a_command_in_doubt_is_read_with_all_that_its_agent_shows() -> None:
    doubt = {
        "sequence": 7,
        "settled": False,
        "evidence": {"reason": "nobody saw it end", "exec_id": 5},
        "safe_actions": ["verify", "resolve"],
    }
    command = run(
        lambda _: httpx.Response(200, json=record("UNKNOWN", **doubt)), lambda client: client.command("c1")
    )
    assert isinstance(command, Command)
    assert {name: getattr(command, name) for name in doubt} == doubt


def test_a_controller_of_before_has_nothing_in_doubt() -> None:
    command = run(lambda _: httpx.Response(200, json=record()), lambda client: client.command("c1"))
    assert isinstance(command, Command)
    assert (command.settled, command.evidence, command.safe_actions) == (True, None, [])


def test_what_is_done_about_a_command_in_doubt_names_it_and_says_how() -> None:
    seen: list[tuple[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((f"{request.method} {request.url.raw_path.decode()}", json.loads(request.content)))
        return httpx.Response(200, json=record())

    async def all_of_it(client: Client) -> None:
        await client.verify("c/1", 2.5)
        await client.verify("c1")
        await client.resolve("c1", "FAILED", "looked")
        await client.force_retry("c1")

    run(answer, all_of_it)
    assert seen == [
        ("POST /api/v1/commands/c%2F1/verify?wait=2.5", {}),
        ("POST /api/v1/commands/c1/verify?wait=0", {}),
        ("POST /api/v1/commands/c1/resolve", {"state": "FAILED", "reason": "looked"}),
        ("POST /api/v1/commands/c1/force-retry", {}),
    ]


def test_a_forced_retry_whose_answer_is_lost_is_asked_for_again_with_the_same_key() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("gone")
        return httpx.Response(202, json=record("ACCEPTED"))

    run(answer, lambda client: client.force_retry("c1"))
    run(answer, lambda client: client.force_retry("c1", idempotency_key="mine"))
    assert keys[0] == keys[1]
    assert keys[2] == "mine"


def test_a_resolution_that_may_have_arrived_is_not_repeated() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadError("gone")

    with pytest.raises(Unreachable) as lost:
        run(answer, lambda client: client.resolve("c1", "FAILED", "looked"))
    assert lost.value.may_have_arrived
    assert len(asked) == 1


def test_a_released_host_is_returned_as_it_is_now() -> None:
    content = {"agent_id": "a1", "name": "local", "state": "disconnected", "quarantined_at": None}
    agent = run(lambda _: httpx.Response(200, json=content), lambda client: client.release_agent("local"))
    assert isinstance(agent, Agent)
    assert (agent.state, agent.quarantined_at) == ("disconnected", None)


def test_the_events_of_a_command_end_with_finished() -> None:
    kinds = run(
        lambda _: stream(sse("record", record("DISPATCHED")), sse("finished", record()), sse("after", {})),
        lambda client: collected(client.command_events("c1")),
    )
    assert kinds == ["record", "finished"]


def test_a_stream_that_breaks_is_taken_up_again() -> None:
    answers = [
        stream(sse("record", record("DISPATCHED")), broken=True),
        httpx.ConnectError("refused"),
        stream(sse("record", record("DISPATCHED")), sse("attempt_started", {"number": 2})),
        stream(sse("record", record())),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    kinds = run(answer, lambda client: collected(client.follow("c1")))
    assert kinds == ["record", "record", "attempt_started", "finished"]


def test_three_streams_that_bring_nothing_are_enough() -> None:
    tries: list[int] = []

    def answer(_: httpx.Request) -> httpx.Response:
        tries.append(1)
        return stream(b": listening\n\n")

    with pytest.raises(Unreachable, match="command show c1"):
        run(answer, lambda client: collected(client.follow("c1")))
    assert len(tries) == 3


def test_a_stream_of_something_else_is_an_error() -> None:
    with pytest.raises(ClientError, match="can't be read"):
        run(lambda _: stream(b"data: <html>\n\n"), lambda client: collected(client.follow("c1")))


def test_nobody_there_is_not_ready() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert run(answer, lambda client: client.ready()) is False
    assert run(lambda _: httpx.Response(503), lambda client: client.ready()) is False
    assert run(lambda _: httpx.Response(200), lambda client: client.ready()) is True


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ContextError, match=name):
            Client(Connection("https://localhost", None, tmp_path / name))


def test_the_secret_of_a_new_token_is_not_in_its_repr() -> None:
    body = {"token_id": "t", "name": "bob", "role": "viewer", "token": "swt_new"}
    token = run(lambda _: httpx.Response(201, json=body), lambda client: client.tokens.add("bob", "viewer"))
    assert getattr(token, "token", None) == "swt_new"
    assert "swt_new" not in repr(token)
