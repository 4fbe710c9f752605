"""Disks that are full or fail: no wrong answer, no silent loss, and an end with the code that says why."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import pytest_asyncio

from seawall.controller.app import EXIT_STORE_FAILED
from seawall.files import free_bytes
from seawall.storage.sqlite import RESERVE_BYTES
from tests.chaos.figures import record
from tests.chaos.lone import AGENT, CONTROLLER, Lone
from tests.chaos.strike import strikes

SECONDS = float(os.environ.get("SEAWALL_DISK_FAULT_SECONDS", "15"))
SEED = int(os.environ.get("SEAWALL_SEED", random.Random().randrange(1 << 30)))

MEBIBYTE = 1024 * 1024
DISK_BYTES = RESERVE_BYTES + 32 * MEBIBYTE
WAITING = 20
LEAST = 2
"""Ends by each fault, also where they take longer."""

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300 + 4 * SECONDS, func_only=True)]


@contextmanager
def small_disk(where: Path) -> Iterator[Path]:
    """A file system of its own; the test is skipped where none may be mounted."""
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(where)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], timeout=10, check=True)  # noqa: S607


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves so many bytes of a disk."""
    file = disk / "filler"
    with file.open("wb") as filler:
        for more in reversed(range(10)):
            try:
                os.posix_fallocate(filler.fileno(), 0, free_bytes(disk) - leave)
                break
            except OSError as error:
                # Who uses the disk may have written something between the look and the filling.
                if error.errno != errno.ENOSPC or not more:
                    raise
    return file


@pytest.fixture
def sockets() -> Iterator[Path]:
    with TemporaryDirectory(prefix="seawall-") as directory:
        yield Path(directory)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest_asyncio.fixture
async def small_plane(tmp_path: Path, sockets: Path, disk: Path) -> AsyncIterator[Lone]:
    async with Lone(tmp_path, sockets, disk / "data") as lone:
        yield lone


@pytest_asyncio.fixture
async def plane(tmp_path: Path, sockets: Path) -> AsyncIterator[Lone]:
    async with Lone(tmp_path, sockets) as lone:
        yield lone


async def accepted(plane: Lone, containers: list[str]) -> list[str]:
    """The ids of commands that were accepted."""
    answers = [await plane.restart(container) for container in containers]
    assert all(answer is not None and answer.is_success for answer in answers), answers
    return [answer.json()["command_id"] for answer in answers if answer is not None]


async def test_below_the_reserve_nothing_is_accepted_and_what_was_accepted_comes_to_its_end(
    small_plane: Lone, disk: Path
) -> None:
    plane = small_plane
    await plane.stop(AGENT)
    container = plane.hold()
    (command_id,) = await accepted(plane, [container])
    filler = fill(disk, RESERVE_BYTES - MEBIBYTE)

    async def refused() -> httpx.Response | None:
        answer = await plane.restart(plane.hold())
        return answer if answer is not None and answer.is_error else None

    answer = await plane.until("nothing more is accepted", refused)
    assert (answer.status_code, answer.json()["error_code"]) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "store_full",
    )
    assert float(answer.headers["Retry-After"]) > 0
    await plane.start(AGENT)
    assert (await plane.over(command_id))["state"] == "SUCCEEDED"
    assert plane.executions(container) == 1
    filler.unlink()

    async def accepts() -> bool:
        answer = await plane.restart(plane.hold())
        return answer is not None and answer.is_success

    await plane.until("there is room again", accepts)
    record("disk below the reserve: accepted commands concluded", 1, unit="commands")


async def test_a_disk_without_any_room_ends_the_controller_and_nothing_that_it_promised(
    small_plane: Lone, disk: Path
) -> None:
    plane = small_plane
    await plane.stop(AGENT)
    containers = [plane.hold() for _ in range(WAITING)]
    command_ids = await accepted(plane, containers)
    filler = fill(disk, 0)
    await plane.start(AGENT)
    assert await plane.ended(CONTROLLER) == EXIT_STORE_FAILED, plane.log(CONTROLLER)[-3000:]
    filler.unlink()
    await plane.start(CONTROLLER)
    await plane.start(AGENT)
    found = [await plane.over(command_id) for command_id in command_ids]
    executions = [plane.executions(container) for container in containers]
    lost = sum(
        (one["state"], times) != ("SUCCEEDED", 1) for one, times in zip(found, executions, strict=True)
    )
    record("full disk: promises kept after the end", WAITING, lost, "commands")
    assert not lost, (SEED, [(one["state"], one["error"]) for one in found], executions)


@pytest.mark.parametrize(
    ("kind", "fault", "most"),
    [("flush", "error=EIO", 3), ("write", "error=EIO", 12), ("write", "error=ENOSPC", 12)],
)
async def test_an_error_of_the_disk_ends_the_controller_and_nothing_that_it_promised(
    kind: str, fault: str, most: int, plane: Lone
) -> None:
    database = plane.data / "seawall.db"
    files = [database, Path(f"{database}-wal")]
    tried = [
        one
        async for one in strikes(plane, CONTROLLER, fault, {kind: most}, SEED, SECONDS, files, least=LEAST)
    ]
    ends = [strike.exit_code for strike in tried if strike.exit_code is not None]
    lies = [strike for strike in tried if strike.lie is not None]
    record(f"{fault} of the controller's disk", len(ends), len(lies), "faults")
    assert not lies, f"seed {SEED}:\n" + "\n".join(map(str, lies))
    assert set(ends) == {EXIT_STORE_FAILED}, plane.log(CONTROLLER)[-3000:]


@pytest.mark.parametrize(("kind", "fault", "most"), [("flush", "error=EIO", 2), ("write", "error=ENOSPC", 8)])
async def test_an_error_of_the_disk_ends_the_agent_and_nothing_that_it_has_done(
    kind: str, fault: str, most: int, plane: Lone
) -> None:
    ledger = plane.agent_directory / "ledger.db"
    files = [ledger, Path(f"{ledger}-wal")]
    tried = [
        one async for one in strikes(plane, AGENT, fault, {kind: most}, SEED, SECONDS, files, least=LEAST)
    ]
    ends = [strike.exit_code for strike in tried if strike.exit_code is not None]
    lies = [strike for strike in tried if strike.lie is not None]
    record(f"{fault} of the agent's disk", len(ends), len(lies), "faults")
    assert not lies, f"seed {SEED}:\n" + "\n".join(map(str, lies))
    assert set(ends) == {EXIT_STORE_FAILED}, plane.log(AGENT)[-3000:]
