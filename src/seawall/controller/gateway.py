"""Where agents connect: the listener, who is let in, and what all sessions share."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import ssl

import msgspec
from aiohttp import web

from seawall.clock import Clock
from seawall.controller.agent_socket import SUBPROTOCOL, AgentSocket
from seawall.controller.authority import CertificateAuthority
from seawall.controller.credentials import verify_hello
from seawall.controller.enrolment import JOIN_BODY_LIMIT_BYTES, Enrolment, problem
from seawall.controller.session import GatewaySession
from seawall.controller.session_support import SessionSupport
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus, Notice
from seawall.engine.records import AgentRecord
from seawall.engine.store import FleetStore, StoreFailed
from seawall.wire.codec import BadFrame, decode_from_agent
from seawall.wire.join import MAX_VERSION_LENGTH, validate_labels
from seawall.wire.messages import PROTOCOL_MAX, PROTOCOL_MIN, Challenge, Hello, Welcome
from seawall.wire.session import ProtocolError
from seawall.wire.signature import hello_signing_bytes

HANDSHAKE_SECONDS = 10.0
MAX_PROOFS = 64
"""How many hellos are verified and written down at once."""
MAX_UNPROVEN = 1_000
"""How many connections may be in their handshake."""

_EVICTABLE_AFTER_SECONDS = 1.0
_STOP_SECONDS = 5.0
_SEEN_EVERY_SECONDS = 30.0
_REPLACED_RETRY_SECONDS = 60.0
_NOT_UNDERSTOOD_RETRY_SECONDS = 600.0
_NONCE_BYTES = 32
_MAX_OPERATIONS = 500
_MAX_TEXT = 255

# One text for all three, so that nobody can ask which identities there are.
_NOT_PROVED = (
    "this controller doesn't accept this identity: it is unknown here, or was revoked, or the signature is wrong; "
    "join again with a new token"
)

_logger = logging.getLogger("seawall.gateway")


class ListenFailed(Exception):
    """The agents' listener can't be opened. The message says which address, why, and what to do."""


class _Refused(Exception):
    """No session for this connection. The text goes to whoever is there: it tells nothing of anybody else."""

    def __init__(self, reason: str, retry_after_seconds: float | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Gateway(SessionSupport):
    """The agents' listener and all sessions. `start` it once, `stop` it once."""

    def __init__(
        self,
        store: FleetStore,
        fleet: Fleet,
        bus: Bus,
        clock: Clock,
        authority: CertificateAuthority,
        controller_id: str,
        term: int,
        heartbeat_seconds: float = 10.0,
        *,
        max_proofs: int = MAX_PROOFS,
        max_unproven: int = MAX_UNPROVEN,
    ) -> None:
        super().__init__(fleet, bus, clock, heartbeat_seconds)
        self._store = store
        self._controller_id = controller_id
        self._term = term
        self._enrolment = Enrolment(store, fleet, clock, authority.ca_pem, controller_id)
        self._proofs = asyncio.Semaphore(max_proofs)
        self._max_unproven = max_unproven
        # Connections that haven't said hello yet, with when they came, the oldest first.
        self._silent: dict[AgentSocket, float] = {}
        self._proving = 0
        self._stopping = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return self._port

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        """Listen. Without an ssl context nothing is encrypted: for tests and measurements on loopback only.

        Raises ListenFailed.
        """
        application = web.Application(client_max_size=JOIN_BODY_LIMIT_BYTES)
        self._enrolment.add_routes(application.router)
        application.router.add_get("/agent", self._agent)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, host, port, ssl_context=ssl_context, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ListenFailed(_listen_failure(host, port, error)) from error
        self._runner, self._port = runner, site.port
        living = asyncio.Event()
        self._life = asyncio.create_task(self._live(living), name="gateway")
        await living.wait()

    async def stop(self) -> None:
        """Say goodbye to every agent and stop listening; takes a few seconds at most."""
        if self._runner is None or self._life is None:
            return
        self._stopping.set()
        for site in list(self._runner.sites):
            await site.stop()
        try:
            async with asyncio.timeout(_STOP_SECONDS), asyncio.TaskGroup() as goodbyes:
                for session in self.fleet.sessions():
                    # Spread, so that they don't all come back in the same moment.
                    goodbyes.create_task(session.close("the controller stops", 1.0 + 2.0 * self.clock.dice()))
        except TimeoutError:
            _logger.warning("some agents took no goodbye; their connections are cut")
        for socket in list(self._silent):
            socket.abort()
        await self._runner.cleanup()
        await self._life

    async def _live(self, living: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            self.tasks = tasks
            notes = tasks.create_task(self._note_seen())
            living.set()
            await self._stopping.wait()
            notes.cancel()
        self.tasks = None

    async def _note_seen(self) -> None:
        noted_at = self.clock.now()
        while True:
            await self.clock.sleep_until(noted_at + _SEEN_EVERY_SECONDS)
            heard = [session.agent_id for session in self.fleet.sessions() if session.heard_at >= noted_at]
            noted_at = self.clock.now()
            if not heard:
                continue
            try:
                await self._store.seen(heard, self.clock.wall())
            except StoreFailed as error:
                _logger.warning("when agents were last heard could not be kept: %s", error)

    # One connection

    async def _agent(self, request: web.Request) -> web.StreamResponse:
        if "Origin" in request.headers:
            return problem(403, "forbidden", "agents connect here; a browser has no business here")
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if SUBPROTOCOL not in (name.strip() for name in offered.split(",")):
            return problem(400, "unsupported_protocol", f"agents speak {SUBPROTOCOL} here; update the agent")
        if self._stopping.is_set() or not self._room_for_one():
            self.handshakes_refused += 1
            wait = str(1 + int(5 * self.clock.dice()))
            return problem(503, "busy", "too many agents connect at once; come back", {"Retry-After": wait})
        socket = AgentSocket(request, self.clock, self.deadlines)
        session = await self._handshake(socket)
        if session is not None:
            await session.run()
        return socket.response

    def _room_for_one(self) -> bool:
        """Whether another may begin its handshake. One that says nothing gives way: silence starves nobody."""
        if len(self._silent) + self._proving < self._max_unproven:
            return True
        for oldest, since in self._silent.items():
            if self.clock.now() - since < _EVICTABLE_AFTER_SECONDS:
                break
            del self._silent[oldest]
            oldest.abort()
            return True
        return False

    async def _handshake(self, socket: AgentSocket) -> GatewaySession | None:
        now = self.clock.now()
        self._silent[socket] = now
        late = self.deadlines.add(now + HANDSHAKE_SECONDS, lambda: self._too_late(socket))
        try:
            await socket.open()
            nonce, hello = await self._hello(socket)
            self._silent.pop(socket, None)
            self._proving += 1
            try:
                async with self._proofs:
                    return await self._prove(socket, nonce, hello)
            finally:
                self._proving -= 1
        except _Refused as refusal:
            self.handshakes_refused += 1
            _logger.warning("a connection was refused: %s", refusal.reason)
            await socket.close(refusal.reason, refusal.retry_after_seconds)
        except ConnectionError:
            socket.abort()
        finally:
            self._silent.pop(socket, None)
            self.deadlines.drop(late)
        return None

    def _too_late(self, socket: AgentSocket) -> None:
        self.handshakes_refused += 1
        retry = HANDSHAKE_SECONDS * (1 + self.clock.dice())
        self.spawn(socket.close("the handshake took too long", retry))

    async def _hello(self, socket: AgentSocket) -> tuple[bytes, Hello]:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        socket.send(Challenge(nonce, self._controller_id, self._term, self.clock.wall().isoformat()))
        frame = await socket.receive()
        if frame is None:
            raise ConnectionResetError
        try:
            message = decode_from_agent(frame)
            socket.machine.move(message)
        except (BadFrame, ProtocolError) as error:
            self.bad_frames += isinstance(error, BadFrame)
            raise _Refused(f"a hello was expected: {error}", _NOT_UNDERSTOOD_RETRY_SECONDS) from error
        if not isinstance(message, Hello):
            raise ConnectionResetError  # It said goodbye.
        return nonce, message

    async def _prove(self, socket: AgentSocket, nonce: bytes, hello: Hello) -> GatewaySession:
        if socket.closing:
            raise ConnectionResetError
        record = self.fleet.find(hello.agent_id)
        signed = hello_signing_bytes(
            nonce=nonce, controller_id=self._controller_id, agent_id=hello.agent_id, term=self._term
        )
        # `find` also knows names, and a name is no identity.
        if record is None or record.agent_id != hello.agent_id:
            raise _Refused(_NOT_PROVED, None)
        if not verify_hello(record.public_key, hello.signature, signed):
            raise _Refused(_NOT_PROVED, None)
        _check(hello)
        updated = msgspec.structs.replace(
            record,
            version=hello.version,
            hostname=hello.hostname,
            docker_version=hello.docker_version,
            labels=hello.labels,
            operations=hello.operations,
            last_seen_at=self.clock.wall(),
        )
        try:
            updated.epoch = await self._store.open_session(updated)
        except StoreFailed as error:
            raise _Refused(
                "the controller can't open a session now", 5.0 + 5.0 * self.clock.dice()
            ) from error
        return self._open(socket, updated)

    def _open(self, socket: AgentSocket, record: AgentRecord) -> GatewaySession:
        """Attach the session. Nothing waits in here: what was checked above still holds where it is checked again."""
        if socket.closing:
            raise ConnectionResetError
        if self.fleet.find(record.agent_id) is None:
            raise _Refused(_NOT_PROVED, None)
        current = self.fleet.session(record.agent_id)
        if current is not None and current.epoch > record.epoch:
            raise _Refused("a newer session of this agent is open already", _REPLACED_RETRY_SECONDS)
        session = GatewaySession(record.agent_id, record.epoch, socket, self)
        socket.send(Welcome(record.epoch, self.heartbeat_seconds))
        self.fleet.learn(record)
        replaced = self.fleet.attach(session)
        if replaced is not None:
            retry = _REPLACED_RETRY_SECONDS * (1 + self.clock.dice())
            self.spawn(replaced.close("another session of this agent was opened", retry))
        self.sessions_opened += 1
        self.bus.publish(Notice("agent_connected", record.agent_id, None, {"epoch": record.epoch}))
        _logger.info(
            "session of agent %s opened",
            record.name,
            extra={"agent": record.agent_id, "name_of_agent": record.name, "epoch": record.epoch},
        )
        return session


def _check(hello: Hello) -> None:
    """What an agent says of itself has limits."""
    if not PROTOCOL_MIN <= hello.protocol <= PROTOCOL_MAX:
        reason = f"protocol version {hello.protocol} isn't spoken here; update the agent or the controller"
        raise _Refused(reason, _NOT_UNDERSTOOD_RETRY_SECONDS)
    try:
        validate_labels(hello.labels)
    except ValueError as error:
        raise _Refused(str(error), _NOT_UNDERSTOOD_RETRY_SECONDS) from error
    texts = [hello.hostname, hello.docker_version, *hello.operations]
    if (
        len(hello.version) > MAX_VERSION_LENGTH
        or len(hello.operations) > _MAX_OPERATIONS
        or any(len(text) > _MAX_TEXT or not text.isprintable() for text in texts)
    ):
        raise _Refused("the hello says too much of its agent", _NOT_UNDERSTOOD_RETRY_SECONDS)


def _listen_failure(host: str, port: int, error: OSError) -> str:
    where = f"the address {host}:{port}, where agents would connect,"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program (another controller?); stop that, or choose another with --agents"
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user; choose a port above 1023 with --agents"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} isn't one of this machine's; choose one that is with --agents"
    return f"{where} can't be listened on ({error.strerror or error}); choose another with --agents"
