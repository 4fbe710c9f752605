"""The way to the controller: dials, and dials again, for as long as the agent lives."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from seawall.agent.identity import AgentIdentity
from seawall.agent.session import HANDSHAKE_SECONDS, AgentSession, End, HostFacts, belongs_to
from seawall.agent.worker import Worker
from seawall.clock import Clock
from seawall.core.retry import RetryPolicy, back_off
from seawall.wire.codec import FRAME_LIMIT_BYTES
from seawall.wire.join import CONTROLLER_SERVER_NAME
from seawall.wire.messages import Completed, FromAgent

SUBPROTOCOL = "seawall.v1"
HEALTHY_SECONDS = 60.0
"""A session that lasted this long starts the back-off anew."""

_BACK_OFF = RetryPolicy(initial_delay=0.5, max_delay=60.0, backoff_multiplier=2.0, jitter=True)
_LONGEST_WISH_SECONDS = 3600.0
_CLOSE_SECONDS = 2.0

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
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._describe = describe
        self._on_connected = on_connected
        self.retry_at: float | None = None
        """When it dials again (monotonic); None while it dials or speaks."""
        self._session: AgentSession | None = None
        self._url, self._tls = _endpoint(identity)

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
        elif isinstance(message, Completed):
            _logger.warning(
                "the answer of attempt %s is dropped, because its session is over (%s)",
                message.correlation_id,
                message.code or "success",
                extra={"command_id": message.command_id, "error_code": message.code},
            )

    async def run(self, worker: Worker) -> None:
        """Connect, and connect again, until cancelled. Raises AgentRevoked when the controller wants no more."""
        failures = 0
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(force_close=True),
        ) as http:
            while True:
                end, healthy_seconds = await self._one_session(http, worker)
                if end.revoked:
                    raise AgentRevoked(
                        f"the controller at {self._identity.controller_url} has sent this host away for good: "
                        f"{end.reason}. If it should come back, join again with 'seawall agent join' and a new token"
                    )
                failures = 1 if healthy_seconds >= HEALTHY_SECONDS else failures + 1
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

    async def _one_session(self, http: aiohttp.ClientSession, worker: Worker) -> tuple[End, float]:
        """Dial and speak until it is over: why it is, and how long the session was open."""
        facts = await self._describe()
        socket = await self._dial(http)
        if isinstance(socket, End):
            return socket, 0.0
        session = self._session = AgentSession(socket, self._identity, worker, self._clock, facts)
        opened_at = self._clock.now()
        session.opened.add_done_callback(self._connected)
        try:
            end = await session.run()
        finally:
            self._session = None
            session.opened.cancel()
            await _close(socket)
        return end, self._clock.now() - opened_at if session.epoch is not None else 0.0

    async def _dial(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse | End:
        dialling = asyncio.ensure_future(self._connect(http))
        timer = self._clock.call_at(self._clock.now() + HANDSHAKE_SECONDS, dialling.cancel)
        try:
            await asyncio.wait((dialling,))
        finally:
            timer.cancel()
            dialling.cancel()
        if dialling.cancelled():
            return End(f"it did not answer within {HANDSHAKE_SECONDS:g} s")
        return dialling.result()

    async def _connect(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse | End:
        try:
            socket = await http.ws_connect(
                self._url,
                protocols=(SUBPROTOCOL,),
                compress=0,
                max_msg_size=FRAME_LIMIT_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
                ssl=self._tls if self._tls is not None else True,
                server_hostname=CONTROLLER_SERVER_NAME if self._tls is not None else None,
            )
        except (aiohttp.ClientError, OSError) as error:
            return End(_why(error))
        if socket.protocol != SUBPROTOCOL:
            await _close(socket)
            return End("what answers there is not a Seawall controller's door for agents; check the port")
        return socket

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


def _endpoint(identity: AgentIdentity) -> tuple[str, ssl.SSLContext | None]:
    """The WebSocket's URL, and how to trust it. Without TLS only a controller on this very host is dialled."""
    parts = urlsplit(identity.controller_url)
    url = f"//{parts.netloc}{parts.path.rstrip('/')}/agent"
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1"):
        return f"ws:{url}", None
    return f"wss:{url}", identity.ssl_context()


def _wish(end: End) -> float:
    """How long the controller asked to be left alone, within reason."""
    seconds = end.retry_after_seconds
    return min(seconds, _LONGEST_WISH_SECONDS) if math.isfinite(seconds) and seconds > 0 else 0.0


def _why(error: Exception) -> str:
    """What a failed dial means. The kind of error decides, never its text."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "it could not prove that it is the controller that this host has joined"
    if isinstance(error, aiohttp.ClientSSLError):
        return "it doesn't speak TLS as a controller does"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it can't be reached ({error.os_error.strerror or error.os_error})"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it refused the connection (status {error.status})"
    return f"the connection broke ({type(error).__name__})"


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close, without waiting long for a peer that may be gone."""
    try:
        await socket.close()
    except (aiohttp.ClientError, OSError):
        _logger.debug("the socket was gone before it was closed")
