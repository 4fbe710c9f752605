"""How calls to the real Docker Engine go: one connection each, a time for each, and every failure classified."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import aiodocker
import aiohttp
from aiodocker.types import JSONValue

from seawall.agent.docker.address import docker_address
from seawall.agent.failure import Request

_NEWEST_API = (1, 47)
"""The newest version of the Engine's API that this code was written for; an older Engine's own is used."""
_FAREWELL_SECONDS = 5.0
_PIECE_BYTES = 256 * 1024

TAR = {"Content-Type": "application/x-tar"}
"""How an archive is announced, whether it is packed with gzip or not."""

_logger = logging.getLogger("seawall.agent.docker")

Answer = TypeVar("Answer")
Work = Callable[[aiodocker.Docker], Awaitable[Answer]]
Parameters = Mapping[str, JSONValue]

_FAILURES = (
    aiodocker.DockerError,
    aiohttp.ClientError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)


class AioEngine:
    """The transport that the nouns beside this module share. Make it and use it on one event loop.

    Every call has a connection of its own, so that a failure to connect is proof that nothing was done, and a daemon
    that was restarted leaves no dead connection behind. Raises DockerAddressError.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = docker_address(address)
        self._client: aiodocker.Docker | None = None
        self._changes: set[asyncio.Task[object]] = set()

    async def close(self) -> None:
        """Let go of the Engine. Changes that are under way are given a few seconds to end."""
        if self._changes:
            await asyncio.wait(self._changes, timeout=_FAREWELL_SECONDS)
        for change in self._changes:
            change.cancel()
        if self._client is not None:
            await self._client.close()
            await self._client.connector.close()
            self._client = None

    def request(
        self,
        purpose: str,
        noun: str | None = None,
        name: str | None = None,
        *,
        changes: bool = False,
        registry: str | None = None,
    ) -> Request:
        """What the Engine is asked, in words: for its failure."""
        return Request(self.address, purpose, changes, noun, name, registry)

    async def query(
        self,
        request: Request,
        path: str,
        read: Callable[[object], Answer],
        *,
        params: Parameters | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """What `read`, such as `an_object`, makes of the answer to a GET. Raises DockerFailure."""

        async def work(client: aiodocker.Docker) -> Answer:
            return read(await client._query_json(path, params=_given(params)))

        return await self.call(request, work, timeout_seconds)

    async def change(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        params: Parameters | None = None,
        body: Mapping[str, object] | None = None,
        archive: Path | None = None,
        timeout_seconds: float,
    ) -> object:
        """Change something; it goes on if the caller is cancelled. The JSON of the answer, or None if it has none.

        `body` is sent as JSON, an `archive` as it is. Raises DockerFailure.
        """

        async def work(client: aiodocker.Docker) -> object:
            async with client._query(
                path,
                method,
                params=_given(params),
                data=json.dumps(body) if body is not None else _content(archive),
                headers=TAR if archive is not None else None,
            ) as response:
                content = await response.read()
                is_json = response.content_type == "application/json"
            return json.loads(content) if content and is_json else None

        return await self.shielded(request, work, timeout_seconds)

    async def shielded(self, request: Request, work: Work[Answer], timeout_seconds: float) -> Answer:
        """A call that goes on when its caller is cancelled. Raises DockerFailure."""
        return await self.outlive(request.purpose, self.call(request, work, timeout_seconds))

    async def outlive(self, purpose: str, work: Coroutine[object, object, Answer]) -> Answer:
        """Work that goes on when its caller is cancelled."""
        change = asyncio.create_task(work, name=purpose)
        self._changes.add(change)
        change.add_done_callback(self._forget)
        return await asyncio.shield(change)

    @asynccontextmanager
    async def stream(
        self,
        request: Request,
        path: str,
        method: str = "GET",
        *,
        params: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
        archive: Path | None = None,
    ) -> AsyncIterator[AsyncGenerator[bytes]]:
        """An answer that comes in pieces, for as long as it comes; `timeout_seconds` is for its beginning only.

        An `archive` is sent along. Raises DockerFailure, and so does the generator.
        """

        async def work(client: aiodocker.Docker) -> aiohttp.ClientResponse:
            return await client._do_query(
                path,
                method,
                params=_given(params),
                headers=headers,
                data=_content(archive),
            )

        response = await self.call(request, work, timeout_seconds)

        async def pieces() -> AsyncGenerator[bytes]:
            try:
                async for piece in response.content.iter_any():
                    with _unread(response):
                        yield piece
            except _FAILURES as error:
                raise request.failed(error) from error

        content = pieces()
        try:
            yield content
        finally:
            await content.aclose()
            response.close()

    async def call(
        self, request: Request, work: Work[Answer], timeout_seconds: float, *, negotiated: bool = True
    ) -> Answer:
        """Anything that can be asked of a client. Raises DockerFailure."""
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
        except _FAILURES as error:
            failure = request.failed(error)
            if failure.status is None:
                # The next one to answer may be another version of the daemon.
                client.api_version = "auto"
            raise failure from error

    def _forget(self, change: asyncio.Task[Answer]) -> None:
        self._changes.discard(change)
        # Its caller may be gone; a failure that nobody asks for isn't a bug of ours.
        error = None if change.cancelled() else change.exception()
        if error is not None:
            _logger.debug("%s: %s", change.get_name(), error)

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


@contextmanager
def _unread(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Leave with the Engine what comes meanwhile, to be read in one go.

    It sends a log line by line; a reader that is woken for each of them works twice as long.
    """
    transport = response.connection.transport if response.connection is not None else None
    if transport is None or not transport.is_reading():
        yield  # at its end, or too much was read already
        return
    transport.pause_reading()
    try:
        yield
    finally:
        if not transport.is_closing():
            transport.resume_reading()


async def _pieces_of(archive: Path) -> AsyncGenerator[bytes]:
    with await asyncio.to_thread(archive.open, "rb") as file:
        while data := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield data


def _content(archive: Path | None) -> AsyncGenerator[bytes] | None:
    return _pieces_of(archive) if archive is not None else None


def an_object(answer: object) -> dict[str, object]:
    """An answer that is an object. Raises TypeError."""
    if not isinstance(answer, dict):
        raise TypeError("the answer is no object")
    return answer


def a_list(answer: object) -> list[dict[str, object]]:
    """An answer that is a list of objects. Raises TypeError."""
    if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
        raise TypeError("the answer is no list of objects")
    return answer


def an_id(answer: object) -> str:
    """The id that an answer tells. Raises LookupError and TypeError."""
    told = an_object(answer)["Id"]
    if not isinstance(told, str):
        raise TypeError("the answer tells no id")
    return told


def understood(request: Request, answer: object, read: Callable[[object], Answer]) -> Answer:
    """What `read`, such as `an_id`, makes of a change's answer. Raises DockerFailure.

    An answer of another shape tells nothing: whether the change was done stays open.
    """
    try:
        return read(answer)
    except (LookupError, TypeError, ValueError) as error:
        raise request.failed(error) from error


def _given(params: Parameters | None) -> dict[str, JSONValue]:
    """The parameters that have a value; Docker takes filters and lists as JSON."""
    return {
        name: json.dumps(value) if isinstance(value, Mapping | list) else value
        for name, value in (params or {}).items()
        if value is not None
    }


def _api_version(versions: Mapping[str, object]) -> str:
    newest, oldest = _version(versions["ApiVersion"]), _version(versions.get("MinAPIVersion", "1.24"))
    major, minor = max(min(newest, _NEWEST_API), oldest)
    return f"v{major}.{minor}"


def _version(text: object) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    return int(major), int(minor)
