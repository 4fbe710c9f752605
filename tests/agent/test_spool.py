"""Uploads on a host: gone on with, taken whole or not at all, and never kept long."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.agent.failure import DockerFailure
from seawall.agent.spool import KEEP_SECONDS, Spool
from seawall.core.errors import CommandErrorCode
from seawall.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio

CONTENT = bytes(range(256)) * 1000
DIGEST, SIZE = hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)
PLENTY = 10**12


@pytest.fixture
def clock() -> FakeClock:
    # The files' times are the machine's.
    return FakeClock(wall=datetime.now(UTC))


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Spool:
    return spool_in(tmp_path, clock)


def spool_in(directory: Path, clock: FakeClock, free: int = PLENTY, most: int = PLENTY) -> Spool:
    return Spool(directory / "uploads", clock, free_bytes=lambda _: free, most_bytes=most)


async def take(spool: Spool, content: bytes = CONTENT) -> None:
    """All of an archive, as the stream's end does it."""
    digest = hashlib.sha256(content).hexdigest()
    upload = await spool.begin(digest, len(content))
    if upload is not None:
        await upload.write(content[upload.position :])
        await upload.finish()
        await spool.end(upload)
        spool.expect(digest)


async def test_an_upload_goes_on_where_an_earlier_process_left_it(tmp_path: Path, clock: FakeClock) -> None:
    upload = await spool_in(tmp_path, clock).begin(DIGEST, SIZE)
    assert upload is not None
    await upload.write(CONTENT[:1000])  # the process ends here
    spool = spool_in(tmp_path, clock)
    again = await spool.begin(DIGEST, SIZE)
    assert again is not None
    assert again.position == 1000
    await again.write(CONTENT[1000:])
    await again.finish()
    assert spool.use(DIGEST, SIZE, "command").read_bytes() == CONTENT
    assert await spool.begin(DIGEST, SIZE) is None


async def test_only_the_latest_of_two_uploads_of_one_archive_goes_on(spool: Spool) -> None:
    first = await spool.begin(DIGEST, SIZE)
    assert first is not None
    await first.write(CONTENT[:500])
    second = await spool.begin(DIGEST, SIZE)
    assert second is not None
    assert second.position == 500
    with pytest.raises(DockerFailure, match="another upload"):
        await first.write(CONTENT[500:])
    await spool.end(first)
    await second.write(CONTENT[500:])
    await second.finish()
    assert spool.use(DIGEST, SIZE, "command").read_bytes() == CONTENT


async def test_what_is_not_the_archive_that_was_announced_is_removed(spool: Spool, tmp_path: Path) -> None:
    upload = await spool.begin(DIGEST, SIZE)
    assert upload is not None
    await upload.write(CONTENT[:-1] + b"!")
    with pytest.raises(DockerFailure, match="SHA-256") as caught:
        await upload.finish()
    assert caught.value.code is CommandErrorCode.INVALID_ARGUMENT
    await spool.end(upload)
    assert list((tmp_path / "uploads").iterdir()) == []
    again = await spool.begin(DIGEST, SIZE)
    assert again is not None
    assert again.position == 0


async def test_no_more_is_taken_than_was_announced(spool: Spool) -> None:
    upload = await spool.begin(DIGEST, SIZE)
    assert upload is not None
    with pytest.raises(DockerFailure, match="more came"):
        await upload.write(CONTENT + b"!")
    assert upload.position == 0


async def test_an_upload_that_would_use_up_the_disk_or_the_spool_is_refused(
    tmp_path: Path, clock: FakeClock
) -> None:
    with pytest.raises(DockerFailure, match="has no room"):
        await spool_in(tmp_path, clock, free=SIZE + 1000).begin(DIGEST, SIZE)
    small = spool_in(tmp_path, clock, most=2 * SIZE - 1)
    assert await small.begin(DIGEST, SIZE) is not None
    with pytest.raises(DockerFailure, match="would take") as caught:
        await small.begin("0" * 64, SIZE)
    assert caught.value.code is CommandErrorCode.BULKHEAD_FULL


async def test_what_nobody_has_used_for_a_day_is_removed(
    spool: Spool, clock: FakeClock, tmp_path: Path
) -> None:
    await take(spool)
    await take(spool, b"held")
    part = await spool.begin("0" * 64, 10)
    assert part is not None
    await spool.end(part)
    spool.use(hashlib.sha256(b"held").hexdigest(), 4, "command")
    old = clock.wall().timestamp() - KEEP_SECONDS
    for path in (tmp_path / "uploads").iterdir():
        os.utime(path, (old + 1, old + 1))
    spool.start()
    assert len(list((tmp_path / "uploads").iterdir())) == 3
    await clock.advance(3600)
    assert [path.read_bytes() for path in (tmp_path / "uploads").iterdir()] == [b"held"]
    spool.close()


async def test_an_archive_goes_when_the_command_that_named_it_is_over(spool: Spool) -> None:
    await take(spool)
    path = spool.use(DIGEST, SIZE, "command")
    assert spool.use(DIGEST, SIZE, "command") == path  # done again after a doubt
    spool.over(DIGEST, "command")
    assert not path.exists()
    with pytest.raises(DockerFailure) as caught:
        spool.use(DIGEST, SIZE, "command")
    assert caught.value.code is CommandErrorCode.UPLOAD_MISSING


async def test_an_archive_stays_as_long_as_another_command_needs_it_or_is_to_come(spool: Spool) -> None:
    for _ in range(3):
        await take(spool)
    path = spool.use(DIGEST, SIZE, "first")
    spool.use(DIGEST, SIZE, "second")
    spool.over(DIGEST, "first")
    spool.over(DIGEST, "second")
    assert path.exists(), "the third one was uploaded for as well"
    spool.over(DIGEST, "third, which never began")
    assert not path.exists()


async def test_what_a_command_of_an_earlier_process_names_is_kept_for_it(
    spool: Spool, tmp_path: Path, clock: FakeClock
) -> None:
    await take(spool)
    later = spool_in(tmp_path, clock)
    later.hold(DIGEST, "first")
    later.use(DIGEST, SIZE, "second")
    later.over(DIGEST, "second")
    assert later.use(DIGEST, SIZE, "first").exists()
    later.over(DIGEST, "first")
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_an_archive_of_another_size_is_not_the_one_that_is_named(spool: Spool) -> None:
    await take(spool)
    with pytest.raises(DockerFailure) as caught:
        spool.use(DIGEST, SIZE + 1, "command")
    assert caught.value.code is CommandErrorCode.UPLOAD_MISSING
