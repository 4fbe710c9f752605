"""Uploads to a real Docker Engine through links that break and an agent that is killed: every byte once."""

from __future__ import annotations

import asyncio
import io
import random
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from seawall.agent.docker import AioDocker
from seawall.client.client import Client
from seawall.client.context import Connection
from seawall.client.models import Command, CommandOrder
from seawall.client.parcels import Parcel, packed
from seawall.client.streams import StreamFailed
from seawall.core.command import CommandState
from seawall.operations.operation import Upload
from seawall.wire.secret import Secret
from tests.chaos.cutter import Cutter
from tests.chaos.plane import HOST, faulty_plane
from tests.system.engine import Engine
from tests.system.plane import plane_in

pytestmark = [pytest.mark.docker, pytest.mark.asyncio, pytest.mark.timeout(240, func_only=True)]

BREAKS = 6
SIZE = 12_000_000
PURPOSE = "container_copy_in"


def data_in(directory: Path, seed: int) -> tuple[Path, bytes]:
    path, content = directory / "sent" / "data", random.Random(seed).randbytes(SIZE)
    path.parent.mkdir()
    path.write_bytes(content)
    return path, content


async def copied_in(client: Client, host: str, parcel: Parcel, container: str) -> Command:
    arguments = {"container": container, "path": "/tmp", **parcel.arguments}  # noqa: S108 - the container's
    order = CommandOrder(operation=PURPOSE, agent=host, arguments=arguments)
    return await client.wait((await client.submit(order)).command_id, 60)


async def content_of(client: Client, host: str, container: str) -> bytes:
    archive = b""
    given = {"container": container, "path": "/tmp/data"}  # noqa: S108 - the container's
    async with client.stream("container_copy_out", host, given) as stream:
        async for data in stream:
            archive += data
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        opened = tar.extractfile("data")
        assert opened is not None
        return opened.read()


async def test_an_upload_arrives_whole_although_both_links_break_again_and_again(
    docker_engine: Engine, tmp_path: Path
) -> None:
    await asyncio.to_thread(docker_engine.run_container, "web")
    source, content = data_in(tmp_path, 1)
    async with faulty_plane(tmp_path, 1, AioDocker(docker_engine.host)) as plane:
        async with Cutter(urlsplit(plane.connection.url).port or 0) as cutter:
            broken = msgspec.structs.replace(plane.connection, url=f"http://127.0.0.1:{cutter.port}")

            def cut(done: int) -> None:
                if done > (cutter.cuts + 1) * SIZE / (BREAKS + 1) and cutter.cuts < BREAKS:
                    plane.proxy.cut_all()
                    cutter.cut()

            with packed(Upload.FILES, str(source)) as parcel:
                async with Client(broken) as client, asyncio.timeout(120):
                    sent = client.upload(HOST, PURPOSE, parcel, cut)
                    await sent.run()
                    # What is there isn't sent again.
                    again = client.upload(HOST, PURPOSE, parcel)
                    await again.run()
        assert cutter.cuts == BREAKS
        assert sent.response == {"archive": parcel.archive, "size": parcel.size, "received": parcel.size}
        assert again.response == {"archive": parcel.archive, "size": parcel.size, "received": 0}
        async with Client(plane.connection) as client:
            command = await copied_in(client, HOST, parcel, "web")
            assert command.state is CommandState.SUCCEEDED
            assert await content_of(client, HOST, "web") == content


async def test_an_upload_goes_on_where_an_agent_was_killed(docker_engine: Engine, tmp_path: Path) -> None:
    await asyncio.to_thread(docker_engine.run_container, "web")
    source, content = data_in(tmp_path, 2)
    with plane_in(tmp_path) as plane, packed(Upload.FILES, str(source)) as parcel:

        def start() -> None:
            plane.start_agent(docker_engine.host, allow=("--allow-exec",))

        await asyncio.to_thread(plane.start_controller)
        await asyncio.to_thread(start)
        restarts: list[asyncio.Task[None]] = []

        def kill(done: int) -> None:
            if done > SIZE / 2 and not restarts:
                plane.kill("agent")
                restarts.append(asyncio.create_task(asyncio.to_thread(start)))

        token = Secret((plane.data / "admin.token").read_text().strip())
        async with Client(Connection(plane.url, token)) as client, asyncio.timeout(120):
            sent = client.upload("local", PURPOSE, parcel, kill)
            await sent.run()
            await asyncio.gather(*restarts)
            assert isinstance(sent.response, dict)
            assert 0 < sent.response["received"] < parcel.size * 3 / 4
            command = await copied_in(client, "local", parcel, "web")
            assert command.state is CommandState.SUCCEEDED
            assert await content_of(client, "local", "web") == content
            # Its archive went with the command: another one has to send it again.
            missing = await copied_in(client, "local", parcel, "web")
            assert (missing.state, missing.error_code) == (CommandState.REJECTED, "upload_missing")
            # Who may not load images may not send any.
            with pytest.raises(StreamFailed, match="local_images"):
                await client.upload("local", "image_load", parcel).run()
