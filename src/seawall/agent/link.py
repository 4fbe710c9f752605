"""The way to the controller: dials, and dials again, for as long as the agent lives."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

from seawall.agent.controller_socket import Dialler
from seawall.agent.identity import AgentIdentity
from seawall.agent.session import (
    HANDSHAKE_SECONDS,
    AgentSession,
    ControllerSocket,
    End,
    HostFacts,
    belongs_to,
)
from seawall.agent.worker import Worker
from seawall.clock import Clock
from seawall.core.retry import RetryPolicy, back_off
from seawall.wire.messages import Completed, FromAgent

HEALTHY_SECONDS = 60.0
"""A session that lasted this long, or in which a stream went on, starts the back-off anew."""

_BACK_OFF = RetryPolicy(initial_delay=0.5, max_delay=60.0, backoff_multiplier=2.0, jitter=True)
_LONGEST_WISH_SECONDS = 3600.0
_CLOSE_SECONDS = 2.0

Dial = Callable[[], Awaitable[ControllerSocket | End]]
"""Opens a connection to the controller, or says why there is none. It is cancelled if that takes too long."""

_logger = logging.getLogger("seawall.agent.link")


class AgentRevoked(Exception):
    """The controller has told this host not to come back. The message says why, and what to do."""


class AgentLink:
    """Keeps one session open. Give `send` to the worker, and the worker to `run`."""

    def __init__(
        self,
        identity: AgentIdentity,
        clock: Clock,
        describe: Callable[[], Awaitable[HostFacts]],
        on_connected: Callable[[], object] | None = None,
        dial: Dial | None = None,
    ) -> None:
        """`on_connected` is called each time a session opens; `dial` is a WebSocket's unless told otherwise."""
        self._identity = identity
        self._clock = clock
        self._describe = describe
        self._on_connected = on_connected
        self.retry_at: float | None = None
        """When it dials again (monotonic); None while it dials or speaks."""
        self._session: AgentSession | None = None
        self._instance = clock.new_id()
        self._open = dial if dial is not None else Dialler(identity).dial

    @property
    def connected(self) -> bool:
        """Whether a session is open now."""
        return self._session is not None and self._session.open

    def send(self, message: FromAgent) -> None:
        """Send a message in the session that it belongs to; without that session, it is dropped and logged.

        Raises what `Worker` expects of its `send`.
        """
        session = self._session
        if session is not None and session.open and belongs_to(message, session.epoch):
            session.send(message)
        elif isinstance(message, Completed) and not message.recorded:
            _logger.warning(
                "the answer of attempt %s is dropped, because its session is over (%s)",
                message.correlation_id,
                message.code or "success",
                extra={"command_id": message.command_id, "error_code": message.code},
            )

    async def run(self, worker: Worker) -> None:
        """Connect, and connect again, until cancelled.

        Raises AgentRevoked when the controller wants no more, and LedgerFailed.
        """
        failures, turned_away = 0, False
        while True:
            end, open_seconds = await self._one_session(worker)
            # What was amiss with one hello may have been its way; a second one that is refused is no accident.
            if end.revoked and (turned_away or open_seconds is not None):
                raise AgentRevoked(
                    f"the controller at {self._identity.controller_url} has sent this host away for good: "
                    f"{end.reason}. If it should come back, join again with 'seawall agent join' and a new token"
                )
            turned_away = end.revoked
            failures = 1 if (open_seconds or 0.0) >= HEALTHY_SECONDS else failures + 1
            delay = _wish(end) + back_off(_BACK_OFF, failures, self._clock.dice)
            _logger.warning(
                "no connection to the controller at %s: %s; next try in %.1f s",
                self._identity.controller_url,
                end.reason,
                delay,
                extra={"agent": self._identity.name, "delay_seconds": round(delay, 3)},
            )
            self.retry_at = self._clock.now() + delay
            await self._clock.sleep_until(self.retry_at)
            self.retry_at = None

    async def say_goodbye(self, reason: str) -> None:
        """End the session politely; what is queued goes out first. Bounded, for a controller that doesn't listen."""
        if self._session is not None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._session.say_goodbye(reason)
            except TimeoutError:
                _logger.debug("the controller did not take the goodbye in time")

    async def _one_session(self, worker: Worker) -> tuple[End, float | None]:
        """Dial and speak until it is over: why it is, and how long the session was open, None if it never was."""
        moves = worker.streams.moves
        facts = await self._describe()
        socket = await self._dial()
        if isinstance(socket, End):
            return socket, None
        session = AgentSession(socket, self._identity, worker, self._clock, facts, self._instance)
        self._session = session
        opened_at = self._clock.now()
        session.opened.add_done_callback(self._connected)
        try:
            end = await session.run()
        finally:
            self._session = None
            session.opened.cancel()
            await socket.close()
        if worker.streams.moves > moves:
            # It was of use, and somebody waits for the next.
            return end, HEALTHY_SECONDS
        return end, self._clock.now() - opened_at if session.epoch is not None else None

    async def _dial(self) -> ControllerSocket | End:
        dialling = asyncio.ensure_future(self._open())
        timer = self._clock.call_at(self._clock.now() + HANDSHAKE_SECONDS, dialling.cancel)
        try:
            await asyncio.wait((dialling,))
        finally:
            timer.cancel()
            dialling.cancel()
        if dialling.cancelled():
            return End(f"it did not answer within {HANDSHAKE_SECONDS:g} s")
        return dialling.result()

    def _connected(self, opened: asyncio.Future[None]) -> None:
        if opened.cancelled():
            return
        _logger.info(
            "connected to the controller at %s",
            self._identity.controller_url,
            extra={"agent": self._identity.name},
        )
        if self._on_connected is not None:
            self._on_connected()


def _wish(end: End) -> float:
    """How long the controller asked to be left alone, within reason."""
    seconds = end.retry_after_seconds
    return min(seconds, _LONGEST_WISH_SECONDS) if math.isfinite(seconds) and seconds > 0 else 0.0
