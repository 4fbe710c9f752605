"""Where agents connect: the listener, and its way to handshakes and sessions."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl

from aiohttp import web

from seawall.clock import Clock
from seawall.controller.agent_socket import SUBPROTOCOL, AgentSocket
from seawall.controller.authority import CertificateAuthority
from seawall.controller.enrolment import JOIN_BODY_LIMIT_BYTES, Enrolment, Refused, problem
from seawall.controller.handshake import MAX_PROOFS, MAX_UNPROVEN, Handshakes
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus
from seawall.engine.store import FleetStore, StoreFailed

_STOP_SECONDS = 5.0
_SEEN_EVERY_SECONDS = 30.0

_logger = logging.getLogger("seawall.gateway")


class ListenFailed(Exception):
    """The agents' listener can't be opened. The message says which address, why, and what to do."""


class Gateway(Handshakes):
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
        refused: Refused | None = None,
    ) -> None:
        super().__init__(
            store,
            fleet,
            bus,
            clock,
            controller_id,
            term,
            heartbeat_seconds,
            max_proofs=max_proofs,
            max_unproven=max_unproven,
            refused=refused,
        )
        ca_pem = authority.ca_pem
        self._enrolment = Enrolment(store, fleet, clock, ca_pem, controller_id, self.refused)
        self._stopping = asyncio.Event()
        self._lasting: list[asyncio.Task[None]] = []
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
        self._lasting = [
            asyncio.create_task(self.live(living, self._stopping), name="gateway"),
            asyncio.create_task(self._note_seen(), name="gateway notes"),
        ]
        await living.wait()

    async def stop(self) -> None:
        """Say goodbye to every agent and stop listening; takes a few seconds at most."""
        if self._runner is None:
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
        self.cut_silent()
        await self._runner.cleanup()
        living, notes = self._lasting
        notes.cancel()
        await asyncio.wait((living, notes))

    async def _note_seen(self) -> None:
        noted_at = self.clock.now()
        while True:
            await self.clock.sleep_until(noted_at + _SEEN_EVERY_SECONDS)
            heard = [session.agent_id for session in self.fleet.sessions() if session.heard_at >= noted_at]
            noted_at = self.clock.now()
            if not heard:
                continue
            try:
                await self.store.seen(heard, self.clock.wall())
            except StoreFailed as error:
                _logger.warning("when agents were last heard could not be kept: %s", error)

    async def _agent(self, request: web.Request) -> web.StreamResponse:
        if "Origin" in request.headers:
            return problem(403, "forbidden", "agents connect here; a browser has no business here")
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if SUBPROTOCOL not in (name.strip() for name in offered.split(",")):
            return problem(400, "unsupported_protocol", f"agents speak {SUBPROTOCOL} here; update the agent")
        if self._stopping.is_set() or not self.room_for_one():
            self.handshakes_refused += 1
            wait = str(1 + int(5 * self.clock.dice()))
            return problem(503, "busy", "too many agents connect at once; come back", {"Retry-After": wait})
        socket = AgentSocket(request, self.clock, self.deadlines)
        await self.serve(socket)
        return socket.response


def _listen_failure(host: str, port: int, error: OSError) -> str:
    where = f"the address {host}:{port}, where agents would connect,"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program (another controller?); stop that, or choose another with --agents"
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user; choose a port above 1023 with --agents"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where} isn't one of this machine's; choose one that is with --agents"
    return f"{where} can't be listened on ({error.strerror or error}); choose another with --agents"
