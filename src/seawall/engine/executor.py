"""The engine for programs that embed it: commands over the program's own connections, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from threading import get_ident
from typing import Protocol, TypedDict
from weakref import WeakValueDictionary

from msgspec import Struct

from seawall.clock import Clock, SystemClock
from seawall.core.breaker import BreakerSettings
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.command import Attempt, Command, CommandResult, Outcome
from seawall.core.dispatch import Dispatch
from seawall.core.errors import RETRYABLE_CODES, Circumstance, CommandErrorCode
from seawall.core.guard import Guards
from seawall.core.retry import RetryPolicy
from seawall.engine.circuits import CircuitBreaker
from seawall.engine.deadlines import Deadlines
from seawall.engine.drive import Driver, Slot
from seawall.engine.identifiers import correlation_ids
from seawall.engine.ports import Subscriber
from seawall.engine.responses import read_response

default_subscribers: list[Subscriber] = []
"""What an executor tells that was given no subscribers of its own. The package puts its log here."""

EMBEDDED_LIMITS = BulkheadLimits(in_flight=256, queue=1024)
"""Wider than a controller's: a program that embeds the engine knows its agents, and was never limited before."""


_WALL_SECONDS = 0.001
"""How long one reading of the time of day serves: reading it costs as much as the future that is awaited."""


class ConnectionManager(Protocol):
    """The program's connections. Called once per attempt, `send_command` with positional arguments."""

    def is_connected(self, agent_id: str) -> bool:
        """Whether the agent can be sent to now."""

    async def send_command(self, agent_id: str, command: dict[str, object]) -> bool:
        """Send; False if nothing was sent."""


class PendingCommand(TypedDict):
    """An attempt that awaits its reply; `started_at` is aware, UTC, exact to the millisecond."""

    future: asyncio.Future[Mapping[str, object]]
    agent_id: str
    started_at: datetime


class _Expired(Exception):
    """The attempt's time is over."""


class _SameDisconnect(ConnectionError):
    """The connection took more than one attempt with it, and this isn't the first."""


class AgentCommandExecutor:
    """Executes commands on agents: one reply per attempt, matched by `correlation_id`.

    Every agent has a circuit breaker and a bulkhead. Without a `retry_policy` a command is tried once; with one, the
    codes that it lists are retried after its delays. Expected failures are results, never exceptions. Constructing
    one needs no running event loop; one loop at a time may use it.
    """

    def __init__(
        self,
        connection_manager: ConnectionManager,
        *,
        clock: Clock | None = None,
        breaker: BreakerSettings | None = None,
        bulkhead: BulkheadLimits = EMBEDDED_LIMITS,
        subscribers: Sequence[Subscriber] | None = None,
    ) -> None:
        self.connection_manager = connection_manager
        self._clock = clock if clock is not None else SystemClock()
        self._new_id = correlation_ids(self._clock)
        self._guards: Guards[Slot] = Guards(breaker, bulkhead, plane=None)
        self._pending_commands: MutableMapping[str, PendingCommand] = {}
        self._circuit_views: WeakValueDictionary[str, CircuitBreaker] = WeakValueDictionary()
        told = default_subscribers if subscribers is None else subscribers
        self._driver = Driver(_ManagerLink(self), self._guards, self._clock, self._new_id, told)

    async def execute_command(
        self,
        agent_id: str,
        command: Mapping[str, object],
        timeout: float = 30.0,  # noqa: ASYNC109 - the name is part of the fixed public API
        retry_policy: RetryPolicy | None = None,
    ) -> CommandResult:
        """Execute a command and wait for its result.

        `timeout` bounds each attempt, in seconds, its sending included. All attempts carry one `command_id` and each
        its own `correlation_id`, beside the command's own keys. Raises ValueError for a timeout that isn't positive.
        """
        if not timeout > 0:
            raise ValueError(f"timeout must be a positive number of seconds, not {timeout}")
        given_id = command.get("command_id")
        intent = Command(
            given_id if isinstance(given_id, str) and given_id else self._new_id(),
            str(command.get("type", "")),
            agent_id,
            command,  # type: ignore[arg-type]  # read only, and copied when it is sent
            timeout_seconds=timeout,
        )
        return await self._driver.drive(Dispatch(intent, retry_policy, explicit=True))

    def handle_agent_response(self, response: Mapping[str, object]) -> None:
        """Take an agent's reply; one that has no known `correlation_id` is ignored."""
        correlation_id = response.get("correlation_id")
        pending = self._pending_commands.get(correlation_id) if isinstance(correlation_id, str) else None
        if pending is not None:
            future = pending["future"]
            if not future.done():
                future.set_result(response)

    def handle_agent_disconnect(self, agent_id: str) -> int:
        """Fail at once what awaits a reply of this agent, as AGENT_DISCONNECTED; says how many.

        However many there are, its circuit counts one failure.
        """
        error: type[ConnectionError] = ConnectionError
        failed = 0
        for pending in list(self._pending_commands.values()):
            if pending["agent_id"] == agent_id and not pending["future"].done():
                pending["future"].set_exception(error(f"the connection to agent {agent_id} was lost"))
                error = _SameDisconnect
                failed += 1
        return failed

    def get_circuit_breaker(self, agent_id: str) -> CircuitBreaker:
        """The agent's circuit, to read and to write. Asking for an unknown agent's creates nothing."""
        view = self._circuit_views.get(agent_id)
        if view is None:
            view = CircuitBreaker.of_agent(agent_id, self._guards, self._clock)
            self._circuit_views[agent_id] = view
        return view

    def is_error_retryable(self, error_code: CommandErrorCode) -> bool:
        """Whether this code stands for a passing fault."""
        return error_code in RETRYABLE_CODES

    def get_pending_command_count(self) -> int:
        """How many attempts await their reply."""
        return len(self._pending_commands)

    async def cleanup_expired_pending_commands(self, max_age_seconds: float = 300) -> int:
        """Cancel the futures of attempts older than this and forget them; says how many."""
        oldest = self._clock.wall() - timedelta(seconds=max_age_seconds)
        expired = [key for key, pending in self._pending_commands.items() if pending["started_at"] < oldest]
        for correlation_id in expired:
            self._pending_commands.pop(correlation_id)["future"].cancel()
        return len(expired)


class _ManagerLink:
    """`ports.Link` over a connection manager."""

    __slots__ = ("_clock", "_deadlines", "_executor", "_loop", "_thread", "_wall", "_wall_until")

    def __init__(self, executor: AgentCommandExecutor) -> None:
        self._executor = executor
        self._clock = executor._clock
        self._deadlines = Deadlines(self._clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._wall = self._clock.wall()
        self._wall_until = 0.0

    def is_connected(self, agent_id: str) -> bool:
        return self._executor.connection_manager.is_connected(agent_id)

    async def connected(self, agent_id: str, until: float) -> None:
        raise AssertionError(f"an embedded command waits for no agent ({agent_id}, {until})")

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        clock, deadlines, pending = self._clock, self._deadlines, self._executor._pending_commands
        agent_id, correlation_id = command.agent_id, attempt.correlation_id
        loop = self._running_loop()
        future: asyncio.Future[Mapping[str, object]] = loop.create_future()
        now = clock.now()
        if now >= self._wall_until:
            self._wall, self._wall_until = clock.wall(), now + _WALL_SECONDS
        pending[correlation_id] = {"future": future, "agent_id": agent_id, "started_at": self._wall}
        sending = _Sending(future, asyncio.current_task(loop))
        deadline = deadlines.add(now + attempt.timeout_seconds, sending.expire, loop)
        message = {**command.arguments, "command_id": command.command_id, "correlation_id": correlation_id}
        try:
            if not await self._executor.connection_manager.send_command(agent_id, message):
                return Outcome(
                    CommandErrorCode.NETWORK_ERROR,
                    f"Failed to send the command to agent {agent_id}: nothing was sent",
                    circumstance=Circumstance.NOT_SENT,
                )
            sending.over = True
            return read_response(await future)
        except asyncio.CancelledError:
            task = sending.task
            if sending.expired and task is not None and task.uncancel() == 0:
                return _timed_out(agent_id, attempt)
            if task is not None and task.cancelling() == 0 and future.cancelled():
                return _timed_out(agent_id, attempt)
            raise
        except _Expired:
            return _timed_out(agent_id, attempt)
        except _SameDisconnect as error:
            return _disconnected(error, Circumstance.SAME_DISCONNECT)
        except ConnectionError as error:
            if sending.over:
                return _disconnected(error, Circumstance.NONE)
            return Outcome(
                CommandErrorCode.NETWORK_ERROR, f"Failed to send the command to agent {agent_id}: {error}"
            )
        except Exception as error:  # noqa: BLE001 - the connection manager is the program's: anything may come out
            return Outcome(
                CommandErrorCode.UNKNOWN_ERROR, f"Unexpected error from agent {agent_id}: {error!r}"
            )
        finally:
            deadlines.drop(deadline)
            pending.pop(correlation_id, None)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        # asyncio asks the kernel for the process id each time, which costs more than all else before the sending. A
        # loop that is running, and was met in this thread, is the one that runs this.
        if self._loop is None or self._thread != get_ident() or not self._loop.is_running():
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        return self._loop


class _Sending(Struct, eq=False):
    """Ends an attempt in time: by its future, or by its task while `send_command` has not returned."""

    future: asyncio.Future[Mapping[str, object]]
    task: asyncio.Task[object] | None
    over: bool = False
    expired: bool = False

    def expire(self) -> None:
        if self.over:
            if not self.future.done():
                self.future.set_exception(_Expired())
        elif self.task is not None:
            self.expired = True
            self.task.cancel()


def _timed_out(agent_id: str, attempt: Attempt) -> Outcome:
    return Outcome(
        CommandErrorCode.TIMEOUT,
        f"Command timeout: agent {agent_id} did not answer within {attempt.timeout_seconds:g} seconds",
        circumstance=Circumstance.SILENT,
    )


def _disconnected(error: ConnectionError, circumstance: Circumstance) -> Outcome:
    return Outcome(
        CommandErrorCode.AGENT_DISCONNECTED, f"Agent disconnected: {error}", circumstance=circumstance
    )
