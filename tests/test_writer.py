"""The writing thread on its own: what the store gives no occasion to see."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from seawall.engine.store import StoreFailed
from seawall.storage.readers import Readers
from seawall.writer import MAX_BATCH, MAX_WAITING, Writer, commit

pytestmark = pytest.mark.asyncio


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY)")
    return connection


def nothing(_: sqlite3.Connection) -> None:
    pass


async def test_a_failed_checkpoint_ends_the_writing_but_not_what_was_committed(tmp_path: Path) -> None:
    failed = asyncio.Event()

    def broken(_: sqlite3.Connection) -> None:
        raise OSError(5, "Input/output error")

    writer = Writer(
        connect(tmp_path / "db"), "db", commit, broken, lambda _: failed.set(), failure=StoreFailed
    )
    await writer.run(lambda connection: connection.execute("INSERT INTO numbers VALUES (1)"))
    await failed.wait()
    assert writer.failed
    with pytest.raises(StoreFailed, match="Input/output error"):
        await writer.run(nothing)
    await writer.close()


async def test_jobs_are_done_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    writer = Writer(connect(tmp_path / "db"), "db", commit, nothing, failure=StoreFailed)
    done: list[int] = []
    await asyncio.gather(*(writer.run(lambda _, n=n: done.append(n)) for n in range(1_000)))
    assert done == list(range(1_000))
    await writer.close()


async def test_a_batch_has_a_greatest_size(tmp_path: Path) -> None:
    commits = 0
    gate = threading.Event()

    def held_up(connection: sqlite3.Connection) -> None:
        nonlocal commits
        commits += 1
        assert gate.wait(20)
        commit(connection)

    writer = Writer(connect(tmp_path / "db"), "db", held_up, nothing, failure=StoreFailed)
    began = threading.Event()
    first = asyncio.create_task(writer.run(lambda _: began.set()))
    await asyncio.to_thread(began.wait, 20)
    others = [asyncio.create_task(writer.run(nothing)) for _ in range(2 * MAX_BATCH)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *others)
    assert commits == 3
    await writer.close()


async def test_only_so_many_wait_in_the_queue_and_the_others_get_their_turn(tmp_path: Path) -> None:
    gate, began = threading.Event(), threading.Event()
    started = 0

    def count(_: sqlite3.Connection) -> None:
        nonlocal started
        started += 1
        began.set()
        assert gate.wait(20)

    writer = Writer(connect(tmp_path / "db"), "db", commit, nothing, failure=StoreFailed)
    asked = [asyncio.create_task(writer.run(count)) for _ in range(MAX_WAITING + 500)]
    await asyncio.to_thread(began.wait, 20)
    assert writer._jobs.qsize() <= MAX_WAITING
    closing = asyncio.create_task(writer.close())
    for task in asked[-100:]:
        task.cancel()
    gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[:-100] == [None] * (MAX_WAITING + 400)
    assert started == MAX_WAITING + 400
    await closing


async def test_a_close_that_is_cancelled_can_be_asked_for_again(tmp_path: Path) -> None:
    gate = threading.Event()
    writer = Writer(connect(tmp_path / "db"), "db", commit, nothing, failure=StoreFailed)
    asked = asyncio.create_task(writer.run(lambda _: gate.wait(20)))
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    gate.set()
    assert await asked
    await writer.close()


async def test_a_read_of_a_damaged_file_says_what_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "db"
    connect(path).close()
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    path.write_bytes(b"not what it was" * 1_000)
    readers = Readers([reader], "db")
    with pytest.raises(StoreFailed, match=r"db can't be read: .*look at the disk"):
        await readers.run(lambda connection: connection.execute("SELECT * FROM numbers").fetchall())
    await readers.close()
