"""The ledger on a real file: what is in it after a crash, and what is said of one that can't be used."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from seawall.agent.ledger import LEDGER_FILE, Entry, Ledger, LedgerDamaged, LedgerFailed, State
from seawall.agent.ledger_file import connect
from seawall.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / LEDGER_FILE


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def found(path: Path) -> bytes:
    return path.read_bytes()


async def ledger_at(path: Path, agent_id: str = "agent-1") -> Ledger:
    return await Ledger.open(path, agent_id, FakeClock())


async def after_a_crash(path: Path) -> Ledger:
    """A ledger on what a kill at this moment would leave behind, log included."""
    left = path.with_name(f"crash-{len(list(path.parent.iterdir()))}")
    left.mkdir()
    for file in path.parent.glob(f"{LEDGER_FILE}*"):
        shutil.copy(file, left)
    return await ledger_at(left / LEDGER_FILE)


async def start(ledger: Ledger, number: int = 1) -> Entry:
    return await ledger.start(number, f"command-{number}", "container_stop", b"\x80", b"\x81\xa2id\xa1x")


async def finish(ledger: Ledger, number: int = 1, outcome: bytes = b"\x80") -> Entry:
    return await ledger.finish(number, f"command-{number}", "container_stop", b"\x80", outcome)


def by_number(ledger: Ledger) -> dict[int, State]:
    return {number: entry.state for number in range(1, 100) if (entry := ledger.at(number)) is not None}


async def test_a_new_ledger_is_private_and_has_an_id_of_its_own(path: Path) -> None:
    ledger = await ledger_at(path)
    try:
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        standing = ledger.standing
        assert standing.ledger_id
        assert (standing.epoch, standing.term, standing.watermark, standing.last_sequence) == (0, 0, 0, 0)
    finally:
        await ledger.close()


async def test_what_returned_is_there_after_a_crash(path: Path) -> None:
    ledger = await ledger_at(path)
    await ledger.begin_session(7, 3)
    await start(ledger, 1)
    await ledger.step(await start(ledger, 2), "stopped")
    await ledger.void(await start(ledger, 3), b"why")
    await start(ledger, 4)
    await finish(ledger, 4, b"result")
    await finish(ledger, 5, b"refused")
    crashed = await after_a_crash(path)
    assert crashed.standing == ledger.standing
    assert by_number(crashed) == {
        1: State.STARTED,
        2: State.STARTED,
        3: State.VOID,
        4: State.DONE,
        5: State.DONE,
    }
    assert [entry.sequence for entry in crashed.unfinished()] == [1, 2]
    assert [entry.sequence for entry in crashed.outbox()] == [4, 5]
    assert [crashed.at(number) for number in range(1, 6)] == [ledger.at(number) for number in range(1, 6)]
    assert crashed.standing.unacknowledged == 2
    assert crashed.standing.last_sequence == 5
    await ledger.close()
    await crashed.close()


async def test_a_void_command_can_be_begun_again(path: Path) -> None:
    ledger = await ledger_at(path)
    await ledger.void(await start(ledger), b"why")
    await start(ledger)
    crashed = await after_a_crash(path)
    assert by_number(crashed) == {1: State.STARTED}
    await ledger.close()
    await crashed.close()


async def test_acknowledgements_go_along_with_the_next_write(path: Path) -> None:
    ledger = await ledger_at(path)
    for number in (1, 2, 3):
        await finish(ledger, number)
    ledger.acknowledge([1, 3], 1)
    assert by_number(ledger) == {2: State.DONE, 3: State.DONE}
    crashed = await after_a_crash(path)
    assert by_number(crashed) == {1: State.DONE, 2: State.DONE, 3: State.DONE}
    await crashed.close()
    await finish(ledger, 4)
    crashed = await after_a_crash(path)
    assert by_number(crashed) == {2: State.DONE, 3: State.DONE, 4: State.DONE}
    assert [entry.sequence for entry in crashed.outbox()] == [2, 4]
    assert crashed.watermark == 1
    await ledger.close()
    await crashed.close()


async def test_nothing_is_forgotten_above_the_watermark_or_before_it_is_acknowledged(path: Path) -> None:
    ledger = await ledger_at(path)
    for number in (1, 2):
        await finish(ledger, number)
    await start(ledger, 3)
    await ledger.void(await start(ledger, 4), b"why")
    ledger.acknowledge([2], 0)
    ledger.acknowledge([], 9)
    assert by_number(ledger) == {1: State.DONE, 3: State.STARTED}
    assert ledger.standing.last_sequence == 9
    await ledger.close()
    again = await ledger_at(path)
    assert by_number(again) == {1: State.DONE, 3: State.STARTED}
    assert again.watermark == 9, "written when it was closed"
    await again.close()


async def test_the_outcome_of_an_acknowledged_command_is_still_in_the_file(path: Path) -> None:
    ledger = await ledger_at(path)
    entry = await finish(ledger, 1, b"result")
    ledger.acknowledge([1], 0)
    assert entry.outcome is None
    assert await ledger.outcome(entry) == b"result"
    await ledger.close()


async def test_the_watermark_and_the_term_never_go_back(path: Path) -> None:
    ledger = await ledger_at(path)
    await ledger.begin_session(9, 5)
    ledger.acknowledge([], 8)
    await ledger.begin_session(3, 2)
    ledger.acknowledge([], 4)
    assert (ledger.standing.epoch, ledger.term, ledger.watermark) == (9, 5, 8)
    await ledger.close()


async def test_a_failed_flush_is_the_end_and_is_not_tried_again(path: Path) -> None:
    failures = list[LedgerFailed]()
    commits = 0

    def broken(connection: sqlite3.Connection) -> None:
        nonlocal commits
        commits += 1
        raise OSError(5, "Input/output error")

    ledger = await Ledger.open(path, "agent-1", FakeClock(), on_failure=failures.append, commit=broken)
    for _ in range(2):
        with pytest.raises(LedgerFailed, match="Input/output error"):
            await start(ledger)
    assert commits == 1
    assert len(failures) == 1
    assert ledger.at(1) is None
    await ledger.close()


async def test_the_ledger_of_another_agent_is_refused(path: Path) -> None:
    await (await ledger_at(path)).close()
    with pytest.raises(LedgerDamaged, match="belongs to agent agent-1, and this host is agent agent-2"):
        await ledger_at(path, "agent-2")


async def test_a_ledger_of_a_newer_format_is_refused(path: Path) -> None:
    await (await ledger_at(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerDamaged, match="newer version of Seawall"):
        await ledger_at(path)


@pytest.mark.parametrize(
    "content", [b"not a database, whatever it is" * 400, b"SQLite format 3\0" + b"\xff" * 9000]
)
async def test_a_file_that_is_no_ledger_is_refused_with_advice(path: Path, content: bytes) -> None:
    put(path, content)
    with pytest.raises(LedgerDamaged, match="move it away"):
        await ledger_at(path)
    assert found(path) == content, "and is left as it is"


async def test_another_programs_database_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(LedgerDamaged, match="isn't a ledger"):
        await ledger_at(path)


async def test_a_truncated_ledger_is_refused(path: Path) -> None:
    ledger = await ledger_at(path)
    for number in range(1, 200):
        await finish(ledger, number, b"x" * 500)
    await ledger.close()
    whole = found(path)
    put(path, whole[: len(whole) // 2])
    with pytest.raises(LedgerDamaged, match="damaged"):
        await ledger_at(path)


async def test_a_directory_without_the_right_to_write_is_told(tmp_path: Path) -> None:
    with pytest.raises(LedgerDamaged, match="can't be opened"):
        await ledger_at(tmp_path / "missing" / LEDGER_FILE)


async def test_two_agents_never_share_a_ledger(path: Path) -> None:
    ledger = await ledger_at(path)
    with pytest.raises(LedgerDamaged, match="in use"):
        await asyncio.to_thread(connect, path)
    await start(ledger)
    await ledger.close()


async def test_an_empty_file_as_a_crash_at_the_very_first_start_leaves_it_becomes_a_ledger(
    path: Path,
) -> None:
    put(path, b"")
    ledger = await ledger_at(path)
    assert ledger.standing.ledger_id
    await ledger.close()
