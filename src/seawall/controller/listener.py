"""The API's listener: uvicorn, run inside the controller's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

from seawall.controller.settings import Address

_BACKLOG = 1_024
_LAST_ANSWERS_SECONDS = 2
_MESSAGE_BYTES = 256 * 1024


class ApiListenFailed(Exception):
    """The API's listener can't be opened. The message says which address, why, and what to do."""


class ApiListener:
    """Serves an app on one address. `start` it once, `stop` it once."""

    def __init__(self, app: ASGIApp, ssl_context: ssl.SSLContext | None) -> None:
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
            ssl_context_factory=None if ssl_context is None else lambda _, __: ssl_context,
        )
        self._server = _Server(config)

    async def start(self, address: Address) -> Address:
        """Listen; returns the address with the port that it is. Raises ApiListenFailed."""
        try:
            family = await _family(address)
            self._socket = socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError as error:
            raise ApiListenFailed(_listen_failure(address, error)) from error
        self._socket.setblocking(False)
        port: int = self._socket.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="api")
        await self._server.up.wait()
        return Address(address.host, port)

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What serves, once started; it ends by `stop` only."""
        return self._task

    async def stop(self) -> None:
        """Take no more requests and let those under way have their answers, for a few seconds at most."""
        if self._task is not None:
            self._server.should_exit = True
            await asyncio.wait((self._task,))
        if self._socket is not None:
            self._socket.close()


class _Server(uvicorn.Server):
    """uvicorn's, but the controller handles the signals, and it says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        try:
            await super().startup(sockets)
        finally:
            self.up.set()


def reachable(address: Address) -> Address:
    """An address to dial: one that stands for all of this machine's is called by the machine's name."""
    return Address(socket.gethostname(), address.port) if address.wildcard else address


def names_of(*addresses: Address) -> list[str]:
    """By which names others may dial these, beside those that every certificate has."""
    return [reachable(address).host for address in addresses if not address.loopback]


async def _family(address: Address) -> socket.AddressFamily:
    found = await asyncio.get_running_loop().getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    families = [family for family, *_ in found]
    # What has both is told by its older address, as it always was.
    return socket.AF_INET if socket.AF_INET in families else socket.AddressFamily(families[0])


def _listen_failure(address: Address, error: OSError) -> str:
    where = f"the address {address} of the API"
    match error.errno:
        case errno.EADDRINUSE:
            why = "is in use by another program (another controller?); stop that"
        case errno.EACCES:
            why = "may not be used by this user; choose a port above 1023"
        case errno.EADDRNOTAVAIL:
            why = "isn't one of this machine's; look at `ip address`"
        case _:
            why = f"can't be listened on ({error.strerror or error})"
    return f"{where} {why}, or choose another one with --api"
