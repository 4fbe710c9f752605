"""The client: one method per thing that the API can do."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from seawall.client.alerts import Alerts
from seawall.client.analytics import AnalyticsView
from seawall.client.answers import decoded, problem_of, unreachable
from seawall.client.audit import AuditLog
from seawall.client.context import Connection, is_loopback, trust
from seawall.client.errors import ClientError, Unreachable
from seawall.client.events import BadStream, Event, EventParser
from seawall.client.models import (
    Agent,
    Circuit,
    Command,
    CommandOrder,
    Explanation,
    NewJoinToken,
    OperationSummary,
    PolicyView,
)
from seawall.client.parcels import Parcel
from seawall.client.remediation import Remediation
from seawall.client.send import part
from seawall.client.streams import Stream
from seawall.client.tokens import Tokens
from seawall.client.trace_context import callers_context
from seawall.client.uploads import Progress, Upload
from seawall.client.users import Users
from seawall.clock import Clock, SystemClock
from seawall.core.retry import RetryPolicy, back_off

Answer = TypeVar("Answer")

_RETRIES = RetryPolicy(max_attempts=3, initial_delay=0.2, max_delay=2.0)
_ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
# The controller sends a comment every 15 s; three missed mean that nobody is there.
_SILENT_STREAM_SECONDS = 50.0
_LONGEST_WAIT_SECONDS = 60.0
_MAX_CONNECTIONS = 600


class Client:
    """Speaks to one controller. Use it as an async context manager; safe for many tasks at once.

    Every method raises `ClientError` when the controller says no, and `Unreachable` when no answer comes. A request
    that can be made twice without harm is made up to three times: a command always carries an idempotency key, so a
    lost answer never makes two commands of one.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = connection
        self._url = connection.url
        self._clock = clock if clock is not None else SystemClock()
        self.tokens = Tokens(self._send)
        self.users = Users(self._send)
        headers = {"Accept": "application/json", "User-Agent": "seawall"}
        if connection.token is not None:
            headers["Authorization"] = f"Bearer {connection.token.reveal()}"
        host = urlsplit(connection.url).hostname or ""
        self._http = httpx.AsyncClient(
            base_url=connection.url,
            headers=headers,
            verify=trust(connection.ca_file),
            transport=transport,
            # A proxy of the environment is for other machines, and no proxy reaches this one's loopback.
            trust_env=not is_loopback(host),
            limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=64),
        )
        self.alerts = Alerts(self._send)
        self.remediation = Remediation(self._send)

        self.audit = AuditLog(self._send)
        self.analytics = AnalyticsView(self._send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether the controller is ready for work; no token is needed."""
        try:
            answer = await self._http.get("/readyz", timeout=_CONNECT_SECONDS)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    # Hosts

    async def agents(self, labels: Sequence[str] = ()) -> list[Agent]:
        """The hosts that have all these labels, each given as `key=value`."""
        return await self._get("/agents", list[Agent], [("label", label) for label in labels])

    async def agent(self, name: str) -> Agent:
        """One host by its name or id."""
        return await self._get(f"/agents/{part(name)}", Agent)

    async def revoke_agent(self, name: str) -> None:
        """End a host's identity for good."""
        await self._send("POST", f"/agents/{part(name)}/revoke", body={})

    async def release_agent(self, name: str) -> Agent:
        """Let a quarantined host connect again."""
        return decoded(await self._send("POST", f"/agents/{part(name)}/release", body={}), Agent)

    async def new_join_token(self) -> NewJoinToken:
        """Let one more host join within ten minutes."""
        return decoded(await self._send("POST", "/join-tokens", body={}), NewJoinToken)

    # Commands

    async def operations(self) -> list[OperationSummary]:
        """What can be asked of a host."""
        return await self._get("/operations", list[OperationSummary])

    async def submit(
        self, order: CommandOrder, *, idempotency_key: str | None = None, wait_seconds: float = 0.0
    ) -> Command:
        """Have something done; returns once it is accepted, or when it is over within `wait_seconds`.

        The same key with the same order is the same command. A command that was turned away because nothing could be
        sent raises ClientError with its record as `command`.
        """
        answer = await self._send(
            "POST",
            "/commands",
            params=[("wait", f"{wait_seconds:g}")] if wait_seconds else [],
            body=order,
            headers={"Idempotency-Key": idempotency_key or self._clock.new_id(), **callers_context()},
            repeatable=True,
            answer_seconds=_ANSWER_SECONDS + wait_seconds,
        )
        return decoded(answer, Command)

    async def commands(
        self,
        *,
        agent: str | None = None,
        state: str | None = None,
        operation: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> list[Command]:
        """The newest commands first; `before` is the command_id to go on from."""
        given = {"agent": agent, "state": state, "operation": operation, "limit": limit, "before": before}
        return await self._get(
            "/commands",
            list[Command],
            [(name, str(value)) for name, value in given.items() if value is not None],
        )

    async def command(self, command_id: str, wait_seconds: float = 0.0) -> Command:
        """One command, as soon as it is over or `wait_seconds` have passed."""
        params = [("wait", f"{wait_seconds:g}")] if wait_seconds else []
        return await self._get(
            f"/commands/{part(command_id)}", Command, params, _ANSWER_SECONDS + wait_seconds
        )

    async def wait(self, command_id: str, timeout_seconds: float = math.inf) -> Command:
        """The command once it is over, or as it is when the time is up."""
        last_moment = self._clock.now() + timeout_seconds
        while True:
            left = max(0.0, min(last_moment - self._clock.now(), _LONGEST_WAIT_SECONDS))
            command = await self.command(command_id, left)
            if command.state.final or self._clock.now() >= last_moment:
                return command

    async def cancel(self, command_id: str) -> Command:
        """Ask for a command to be stopped. Its state says what became of it: CANCELLED only if it never started."""
        return decoded(await self._send("POST", f"/commands/{part(command_id)}/cancel", body={}), Command)

    async def policy(self) -> PolicyView:
        """What holds for which operation, and where each value comes from."""
        return decoded(await self._send("GET", "/policy"), PolicyView)

    async def set_policy(self, text: str) -> PolicyView:
        """Replace the controller's policy file."""
        return decoded(await self._send("PUT", "/policy", body={"text": text}, repeatable=True), PolicyView)

    async def explain(self, command_id: str) -> Explanation:
        """What happened to a command and why, in words."""
        return decoded(await self._send("GET", f"/commands/{part(command_id)}/explain"), Explanation)

    async def verify(self, command_id: str, wait_seconds: float = 0.0) -> Command:
        """Have the host asked what became of an UNKNOWN command; returns when that is known, or after the wait."""
        answer = await self._send(
            "POST",
            f"/commands/{part(command_id)}/verify",
            params=[("wait", f"{wait_seconds:g}")],
            body={},
            repeatable=True,
            answer_seconds=_ANSWER_SECONDS + wait_seconds,
        )
        return decoded(answer, Command)

    async def resolve(self, command_id: str, state: str, reason: str) -> Command:
        """Say what became of an UNKNOWN command; `state` is SUCCEEDED or FAILED."""
        decision = {"state": state, "reason": reason}
        path = f"/commands/{part(command_id)}/resolve"
        return decoded(await self._send("POST", path, body=decision), Command)

    async def force_retry(self, command_id: str, *, idempotency_key: str | None = None) -> Command:
        """Do the same as an UNKNOWN command, which may have happened, by a new one with an effect of its own."""
        headers = {"Idempotency-Key": idempotency_key or self._clock.new_id(), **callers_context()}
        path = f"/commands/{part(command_id)}/force-retry"
        return decoded(await self._send("POST", path, body={}, headers=headers, repeatable=True), Command)

    async def command_events(self, command_id: str) -> AsyncGenerator[Event]:
        """What happens to a command: `record` first, `finished` last. Raises Unreachable if the stream breaks off."""
        async with aclosing(self._stream(f"/commands/{part(command_id)}/events")) as events:
            async for event in events:
                yield event
                if event.kind == "finished":
                    return

    async def events(self) -> AsyncGenerator[Event]:
        """Everything that happens, until the caller has seen enough or the stream breaks off (Unreachable)."""
        async with aclosing(self._stream("/events")) as events:
            async for event in events:
                yield event

    async def follow(self, command_id: str) -> AsyncGenerator[Event]:
        """As `command_events`, through broken streams: after each one a `record` tells how things stand.

        Ends after `finished`. Raises Unreachable when three streams in a row brought nothing.
        """
        failures = 0
        while True:
            try:
                async with aclosing(self.command_events(command_id)) as events:
                    async for event in events:
                        failures = 0
                        over = event.kind == "finished" or (event.kind == "record" and _is_over(event))
                        yield Event("finished", event.content) if over else event
                        if over:
                            return
            except Unreachable:
                failures += 1
                if failures >= _RETRIES.max_attempts:
                    raise
            else:
                failures += 1
                if failures >= _RETRIES.max_attempts:
                    raise Unreachable(
                        f"the controller at {self._url} ends the events of command {command_id} too early; "
                        f"ask it with 'seawall command show {command_id}'",
                        may_have_arrived=True,
                    )
            await self._pause(failures)

    def stream(self, operation: str, on: str, arguments: Mapping[str, object] | None = None) -> Stream:
        """A stream of an operation on one host; use it as an async context manager, and iterate over its bytes."""
        return Stream(self._connection, operation, on, arguments or {}, clock=self._clock)

    def upload(self, on: str, purpose: str, parcel: Parcel, progress: Progress | None = None) -> Upload:
        """An archive on its way to one host, for the operation `purpose`; `run` it."""
        return Upload(self._connection, on, purpose, parcel, progress, clock=self._clock)

    # Circuits

    async def circuits(self) -> list[Circuit]:
        """All circuits that there are."""
        return await self._get("/circuits", list[Circuit])

    async def circuit(self, agent: str, domain: str) -> Circuit:
        """One circuit with its latest transitions; `domain` is agent or docker."""
        return await self._get(f"/circuits/{part(agent)}/{part(domain)}", Circuit)

    async def change_circuit(self, agent: str, domain: str, action: str, reason: str) -> Circuit:
        """Overrule a circuit and return how it is then: `action` is open, close or reset."""
        path = f"/circuits/{part(agent)}/{part(domain)}/{part(action)}"
        await self._send("POST", path, body={"reason": reason})
        return await self.circuit(agent, domain)

    # How

    async def _get(
        self,
        path: str,
        kind: type[Answer],
        params: Sequence[tuple[str, str]] = (),
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> Answer:
        answer = await self._send("GET", path, params=params, repeatable=True, answer_seconds=answer_seconds)
        return decoded(answer, kind)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> httpx.Response:
        """One request; again after a broken connection if it is `repeatable`, or provably never left."""
        sent = dict(headers or {})
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
            sent.setdefault("Idempotency-Key", self._clock.new_id())
        failures, may_have_arrived = 0, False
        while True:
            try:
                answer = await self._http.request(
                    method,
                    f"/api/v1{path}",
                    params=list(params),
                    content=content,
                    headers=sent,
                    timeout=httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS, pool=None),
                )
            except httpx.TransportError as error:
                failures += 1
                never_left = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                may_have_arrived = may_have_arrived or not never_left
                if failures >= _RETRIES.max_attempts or not (repeatable or never_left):
                    raise unreachable(self._url, error, may_have_arrived=may_have_arrived) from error
                await self._pause(failures)
                continue
            if not answer.is_success:
                raise problem_of(answer)
            return answer

    async def _stream(self, path: str) -> AsyncGenerator[Event]:
        parser = EventParser()
        try:
            async with self._open_stream(path) as chunks:
                async for chunk in chunks:
                    for event in parser.feed(chunk):
                        yield event
        except httpx.TransportError as error:
            raise unreachable(self._url, error, may_have_arrived=False) from error
        except BadStream as error:
            raise ClientError(
                httpx.codes.OK,
                "invalid_response",
                f"{self._url}{path}: {error}; check that it is a Seawall controller, of a version near this one",
            ) from error

    @asynccontextmanager
    async def _open_stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._http.stream(
            "GET",
            f"/api/v1{path}",
            headers={"Accept": "text/event-stream"},
            timeout=httpx.Timeout(_SILENT_STREAM_SECONDS, connect=_CONNECT_SECONDS, pool=None),
        ) as answer:
            if not answer.is_success:
                await answer.aread()
                raise problem_of(answer)
            yield answer.aiter_bytes()

    async def _pause(self, failures: int) -> None:
        await self._clock.sleep_until(self._clock.now() + back_off(_RETRIES, failures, self._clock.dice))


def _is_over(event: Event) -> bool:
    try:
        return msgspec.convert(event.content, Command).state.final
    except msgspec.ValidationError:
        return False
