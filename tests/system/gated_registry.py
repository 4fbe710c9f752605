"""A registry in the test's own process: each layer is sent when the test says so, to a dockerd in another network."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.system.engine import Engine

REPOSITORY = "gated"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

# It listens where dockerd lives; a socket in the file system is the same in every network.
_RELAY = """
import asyncio, sys

async def carry(source, sink):
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()

async def accept(reader, writer):
    back, forth = await asyncio.open_unix_connection(sys.argv[2])
    await asyncio.gather(carry(reader, forth), carry(back, writer), return_exceptions=True)

async def main():
    server = await asyncio.start_server(accept, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


class GatedRegistry:
    """One image of so many layers. `serve` is asked before each layer is sent, `sent` counts what was."""

    def __init__(self, layers: int, serve: Callable[[int], Awaitable[None]]) -> None:
        self.sent: Counter[str] = Counter()
        self._serve = serve
        archives = [_archive(number) for number in range(layers)]
        packed = [gzip.compress(archive) for archive in archives]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [_digest(archive) for archive in archives]},
            }
        ).encode()
        self._layers = {_digest(layer): number for number, layer in enumerate(packed)}
        self._blobs = {_digest(blob): blob for blob in (config, *packed)}
        kinds = ["application/vnd.docker.container.image.v1+json"]
        kinds += ["application/vnd.docker.image.rootfs.diff.tar.gzip"] * layers
        parts = [
            {"mediaType": kind, "size": len(blob), "digest": digest}
            for kind, (digest, blob) in zip(kinds, self._blobs.items(), strict=True)
        ]
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": parts[0], "layers": parts[1:]}
        self._manifest = json.dumps(manifest).encode()
        self.digest = _digest(self._manifest)
        self.layers = list(self._layers)

    def application(self) -> web.Application:
        """What of a registry's API a pull needs."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/v2/", self._root),
                web.get(f"/v2/{REPOSITORY}/manifests/{{reference}}", self._tell),
                web.get(f"/v2/{REPOSITORY}/blobs/{{digest}}", self._send),
            ]
        )
        return app

    async def _root(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _tell(self, _: web.Request) -> web.Response:
        headers = {"Docker-Content-Digest": self.digest, "Content-Type": _MANIFEST}
        return web.Response(body=self._manifest, headers=headers)

    async def _send(self, request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        if digest in self._layers:
            await self._serve(self._layers[digest])
        self.sent[digest] += 1
        return web.Response(body=self._blobs[digest])


@asynccontextmanager
async def gated_registry(
    engine: Engine, port: int, layers: int, serve: Callable[[int], Awaitable[None]]
) -> AsyncIterator[GatedRegistry]:
    """One at this port of dockerd's network."""
    registry = GatedRegistry(layers, serve)
    socket = str(Path(engine.directory) / "registry.sock")
    runner = web.AppRunner(registry.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    engine.raise_loopback()
    relay = await asyncio.create_subprocess_exec(
        *engine.in_its_network(sys.executable, "-c", _RELAY, str(port), socket),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert relay.stdout is not None
        assert await relay.stdout.readline() == b"ready\n"
        yield registry
    finally:
        relay.kill()
        await relay.wait()
        await runner.cleanup()


def _archive(number: int) -> bytes:
    content = f"layer {number}\n".encode() * 1000
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(f"layer-{number}")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
