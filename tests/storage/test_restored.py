"""A restored controller takes nothing for certain that may have happened since the backup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.core.command import CommandState
from seawall.storage.restored import mark_restored
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from tests.storage.backends import NOW, agent, command, join_token

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Path]:
    """Of a controller that has accepted a change and a read, and sent neither."""
    path = tmp_path / "seawall.db"
    store = await SqliteStore.open(path, FakeClock())
    await store.add_join_token(join_token())
    await store.redeem("hash", NOW, agent())
    await store.accept(command("change"), sequenced=True)
    await store.accept(command("read", operation="ping"))
    await store.close()
    yield path


async def test_what_a_restored_controller_never_sent_may_have_been_sent_since_the_backup(
    database: Path,
) -> None:
    mark_restored(database)
    store = await SqliteStore.open(database, FakeClock())
    change, read = await store.command("change"), await store.command("read")
    await store.close()
    assert change is not None
    assert read is not None
    assert (change.state, len(change.attempts)) == (CommandState.DISPATCHED, 1)
    assert (read.state, len(read.attempts)) == (CommandState.ACCEPTED, 0)


async def test_sequences_after_a_restore_are_above_all_that_were_given_before(database: Path) -> None:
    mark_restored(database)
    clock = FakeClock()
    store = await SqliteStore.open(database, clock)
    kept = await store.accept(command("next"), sequenced=True)
    await store.close()
    assert kept.sequence == int(clock.wall().timestamp() * 1000) + 1


async def test_only_the_first_start_after_a_restore_is_a_restored_one(database: Path) -> None:
    mark_restored(database)
    for number in range(2):
        store = await SqliteStore.open(database, FakeClock())
        kept = await store.accept(command(f"next {number}"), sequenced=True)
        await store.close()
    assert kept.sequence == int(FakeClock().wall().timestamp() * 1000) + 2


async def test_a_controller_that_was_not_restored_knows_what_it_has_sent(database: Path) -> None:
    store = await SqliteStore.open(database, FakeClock())
    change = await store.command("change")
    await store.close()
    assert change is not None
    assert change.state is CommandState.ACCEPTED
