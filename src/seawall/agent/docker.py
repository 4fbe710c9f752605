"""The Docker Engine as the agent sees it: the port, and the adapter to the real one."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import aiodocker
import aiohttp
from msgspec import Struct

from seawall.agent.failure import DockerFailure as DockerFailure
from seawall.agent.failure import Request

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
LOG_LIMIT_BYTES = 2 * 1024 * 1024
"""What is kept of a log: the newest part."""

_NEWEST_API = (1, 47)
"""The newest version of the Engine's API that this code was written for; an older Engine's own is used."""
_FRAME_HEADER = struct.Struct(">BxxxL")
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
_FAREWELL_SECONDS = 5.0

_logger = logging.getLogger("seawall.agent.docker")

Answer = TypeVar("Answer")
Work = Callable[[aiodocker.Docker], Awaitable[Answer]]


class LogChunk(Struct, frozen=True):
    """A piece of a log; `stream` is "stdout" or "stderr" (of a container with a terminal always "stdout")."""

    stream: str
    data: bytes


class LogTail(Struct, frozen=True):
    """The end of a log, oldest first; `truncated` says that more was asked for than fits."""

    chunks: list[LogChunk]
    truncated: bool


class Docker(Protocol):
    """What the agent asks of a Docker Engine.

    Every method raises `DockerFailure` for whatever can be expected of an Engine, and nothing else. Every call ends
    after `timeout_seconds` at the latest; stop and restart are given the grace on top of that. A call that changes
    something goes on when its caller is cancelled: Engines have killed a container at once whose `stop` lost its
    client.
    """

    async def ping(self, *, timeout_seconds: float) -> None:
        """Return if the Engine answers."""

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """The Engine's versions, as it writes them."""

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """What the Engine says of itself and its host."""

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """The containers, with `stopped` also those that don't run."""

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """Everything about the container of this name, id, or unambiguous beginning of an id."""

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """The last `tail` entries of its log, at most LOG_LIMIT_BYTES; `terminal` says whether it has one."""

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """Start it; fine if it runs already."""

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """Ask it to end, and kill it after the grace; fine if it has ended already."""

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """Stop it and start it again."""

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """Send a signal to its main process."""

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """Give it another name."""

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """Remove it; with `force` even if it runs, with `volumes` its anonymous volumes too."""

    async def close(self) -> None:
        """Let go of the Engine. Changes that are under way are given a few seconds to end."""


class DockerAddressError(ValueError):
    """The address of the Docker Engine can't be meant. The message says why, and what can."""


def docker_address(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The address of this host's Docker Engine: the given one, else DOCKER_HOST, else the usual socket.

    Raises DockerAddressError for anything but an absolute socket path or TCP on loopback.
    """
    address = given or environment.get("DOCKER_HOST") or DEFAULT_ADDRESS
    allowed = "give unix:///path/to/docker.sock or tcp://127.0.0.1:PORT"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise DockerAddressError(
            f"the Docker address {address!r} isn't a URL ({error}); {allowed}"
        ) from error
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return address
    if parts.scheme == "tcp" and port and parts.path in ("", "/"):
        if _is_loopback(parts.hostname or ""):
            return address.rstrip("/")
        raise DockerAddressError(
            f"the Docker address {address!r} isn't on this host, and nothing protects the way there; {allowed}"
        )
    raise DockerAddressError(f"the Docker address {address!r} is of no kind that the agent uses; {allowed}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class AioDocker:
    """`Docker` over the Engine's HTTP API. Make it and use it on one event loop.

    Every call has a connection of its own, so that a failure to connect is proof that nothing was done, and a daemon
    that was restarted leaves no dead connection behind. Raises DockerAddressError.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = docker_address(address)
        self._client: aiodocker.Docker | None = None
        self._changes: set[asyncio.Task[None]] = set()

    async def ping(self, *, timeout_seconds: float) -> None:
        """See `Docker.ping`."""

        async def work(client: aiodocker.Docker) -> None:
            async with client._query("_ping", versioned_api=False) as response:
                await response.read()

        # An Engine that answers is there, whatever version it speaks.
        await self._call(self._request("answer a ping"), work, timeout_seconds, negotiated=False)

    async def version(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.version`."""
        return await self._call(
            self._request("tell its version"), lambda client: _object(client.version()), timeout_seconds
        )

    async def info(self, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.info`."""
        return await self._call(
            self._request("describe itself"),
            lambda client: _object(client._query_json("info")),
            timeout_seconds,
        )

    async def container_list(self, *, stopped: bool, timeout_seconds: float) -> list[dict[str, object]]:
        """See `Docker.container_list`."""

        async def work(client: aiodocker.Docker) -> list[dict[str, object]]:
            answer = await client._query_json("containers/json", params={"all": stopped})
            if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
                raise TypeError("a list of containers is no list of objects")
            return answer

        return await self._call(self._request("list the containers"), work, timeout_seconds)

    async def container_inspect(self, container: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Docker.container_inspect`."""
        return await self._call(
            self._request(f"inspect container {container}", container=container),
            lambda client: _object(client.containers.container(container).show()),
            timeout_seconds,
        )

    async def container_logs(
        self, container: str, *, tail: int, timestamps: bool, terminal: bool, timeout_seconds: float
    ) -> LogTail:
        """See `Docker.container_logs`."""

        async def work(client: aiodocker.Docker) -> LogTail:
            # aiodocker's own `log` doesn't tell the two streams apart.
            async with client._query(
                f"containers/{container}/logs",
                params={"stdout": True, "stderr": True, "tail": tail, "timestamps": timestamps},
            ) as response:
                try:
                    return await _read_log(response.content, terminal)
                finally:
                    response.close()

        request = self._request(f"read the log of container {container}", container=container)
        return await self._call(request, work, timeout_seconds)

    async def container_start(self, container: str, *, timeout_seconds: float) -> None:
        """See `Docker.container_start`."""
        await self._change(
            "start", container, lambda client: client.containers.container(container).start(), timeout_seconds
        )

    async def container_stop(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Docker.container_stop`."""
        await self._change(
            "stop",
            container,
            lambda client: client.containers.container(container).stop(t=grace_seconds),
            max(grace_seconds, 0) + timeout_seconds,
        )

    async def container_restart(self, container: str, *, grace_seconds: int, timeout_seconds: float) -> None:
        """See `Docker.container_restart`."""
        await self._change(
            "restart",
            container,
            lambda client: client.containers.container(container).restart(t=grace_seconds),
            max(grace_seconds, 0) + timeout_seconds,
        )

    async def container_kill(self, container: str, *, signal: str, timeout_seconds: float) -> None:
        """See `Docker.container_kill`."""
        await self._change(
            f"send {signal} to",
            container,
            lambda client: client.containers.container(container).kill(signal=signal),
            timeout_seconds,
        )

    async def container_rename(self, container: str, *, name: str, timeout_seconds: float) -> None:
        """See `Docker.container_rename`."""
        await self._change(
            "rename",
            container,
            lambda client: client.containers.container(container).rename(name),
            timeout_seconds,
        )

    async def container_remove(
        self, container: str, *, force: bool, volumes: bool, timeout_seconds: float
    ) -> None:
        """See `Docker.container_remove`."""
        await self._change(
            "remove",
            container,
            lambda client: client.containers.container(container).delete(force=force, v=volumes),
            timeout_seconds,
        )

    async def close(self) -> None:
        """See `Docker.close`."""
        if self._changes:
            await asyncio.wait(self._changes, timeout=_FAREWELL_SECONDS)
        for change in self._changes:
            change.cancel()
        if self._client is not None:
            await self._client.close()
            await self._client.connector.close()
            self._client = None

    def _request(self, purpose: str, *, changes: bool = False, container: str | None = None) -> Request:
        return Request(self.address, purpose, changes, container)

    async def _change(self, verb: str, container: str, work: Work[None], timeout_seconds: float) -> None:
        request = self._request(f"{verb} container {container}", changes=True, container=container)
        change = asyncio.create_task(self._call(request, work, timeout_seconds), name=request.purpose)
        self._changes.add(change)
        change.add_done_callback(self._forget)
        await asyncio.shield(change)

    def _forget(self, change: asyncio.Task[None]) -> None:
        self._changes.discard(change)
        # Its caller may be gone; a failure that nobody asks for isn't a bug of ours.
        error = None if change.cancelled() else change.exception()
        if error is not None:
            _logger.debug("%s: %s", change.get_name(), error)

    async def _call(
        self, request: Request, work: Work[Answer], timeout_seconds: float, *, negotiated: bool = True
    ) -> Answer:
        client = self._open()
        try:
            async with asyncio.timeout(timeout_seconds):
                if negotiated and client.api_version == "auto":
                    client.api_version = _api_version(
                        await client._query_json("version", versioned_api=False)
                    )
                return await work(client)
        except TimeoutError:
            raise request.silent(timeout_seconds) from None
        except (
            aiodocker.DockerError,
            aiohttp.ClientError,
            OSError,
            EOFError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            failure = request.failed(error)
            if failure.status is None:
                # The next one to answer may be another version of the daemon.
                client.api_version = "auto"
            raise failure from error

    def _open(self) -> aiodocker.Docker:
        if self._client is None:
            parts = urlsplit(self.address)
            connector: aiohttp.BaseConnector
            if parts.scheme == "unix":
                connector = aiohttp.UnixConnector(parts.path, limit=0, force_close=True)
                url = "unix://localhost"
            else:
                connector = aiohttp.TCPConnector(limit=0, force_close=True)
                url = self.address
            self._client = aiodocker.Docker(
                url, connector=connector, timeout=aiohttp.ClientTimeout(total=None)
            )
        return self._client


async def _object(answer: Awaitable[object]) -> dict[str, object]:
    content = await answer
    if not isinstance(content, dict):
        raise TypeError("the answer is no object")
    return content


def _api_version(versions: Mapping[str, object]) -> str:
    newest, oldest = _version(versions["ApiVersion"]), _version(versions.get("MinAPIVersion", "1.24"))
    major, minor = max(min(newest, _NEWEST_API), oldest)
    return f"v{major}.{minor}"


def _version(text: object) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    return int(major), int(minor)


async def _read_log(content: aiohttp.StreamReader, terminal: bool) -> LogTail:
    """Read a log to its end and keep what is newest."""
    chunks: deque[LogChunk] = deque()
    size, truncated = 0, False
    while (chunk := await (_read_raw(content) if terminal else _read_frame(content))) is not None:
        chunks.append(chunk)
        size += len(chunk.data)
        while size > LOG_LIMIT_BYTES and len(chunks) > 1:
            size -= len(chunks.popleft().data)
            truncated = True
    return LogTail(list(chunks), truncated)


async def _read_raw(content: aiohttp.StreamReader) -> LogChunk | None:
    data = await content.readany()
    return LogChunk("stdout", data) if data else None


async def _read_frame(content: aiohttp.StreamReader) -> LogChunk | None:
    try:
        header = await content.readexactly(_FRAME_HEADER.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    kind, length = _FRAME_HEADER.unpack(header)
    if kind not in _STREAMS or length > LOG_LIMIT_BYTES:
        raise ValueError("the log isn't made of frames")
    return LogChunk(_STREAMS[kind], await content.readexactly(length))
