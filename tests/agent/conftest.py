"""The double of a Docker Engine that speaks HTTP, and the real adapter to it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from seawall.agent.docker import AioDocker
from tests.agent.engine_double import EngineDouble, engine_double


@pytest_asyncio.fixture
async def double() -> AsyncIterator[EngineDouble]:
    # A socket's path has to be short, which a test's own temporary folder is not.
    with tempfile.TemporaryDirectory(prefix="seawall-") as folder:
        async with engine_double(Path(folder) / "docker.sock") as engine:
            yield engine


@pytest_asyncio.fixture
async def docker(double: EngineDouble) -> AsyncIterator[AioDocker]:
    client = AioDocker(double.address)
    yield client
    await client.close()
