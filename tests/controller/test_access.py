"""API tokens behind the API: the first one, the look-up, and revocation at every moment."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from seawall.controller.auth import Access, AdminTokenError, LastAdminToken
from seawall.engine.audit import CONTROLLER, Caller
from seawall.engine.records import TokenRecord
from seawall.operations.operation import Role
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock


@asynccontextmanager
async def open_store(directory: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(directory / "seawall.db", FakeClock())
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.asyncio
async def test_the_first_start_writes_an_admin_token_for_its_owner_only(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        access = Access(store, FakeClock())
        path = await access.ensure_admin_token(tmp_path)
        assert path == tmp_path / "admin.token"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        principal = await access.principal(path.read_text().strip())
        assert principal is not None
        assert (principal.name, principal.role) == ("admin", Role.ADMIN)
        assert [name for name in os.listdir(tmp_path) if "token" in name] == ["admin.token"]


@pytest.mark.asyncio
async def test_later_starts_keep_the_token_and_close_its_file_again(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        path = await Access(store, FakeClock()).ensure_admin_token(tmp_path)
        token = path.read_text()
        path.chmod(0o644)
        await Access(store, FakeClock()).ensure_admin_token(tmp_path)
        assert path.read_text() == token
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(await store.tokens()) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("loss", ["lost", "emptied", "of another database", "of a viewer", "revoked"])
async def test_a_file_without_a_live_admin_token_is_replaced_and_the_log_says_so(
    tmp_path: Path, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(tmp_path) as store:
        access = Access(store, FakeClock())
        path = await access.ensure_admin_token(tmp_path)
        first = path.read_text()
        if loss == "lost":
            path.unlink()
        elif loss == "emptied":
            path.write_text("")
        elif loss == "of another database":
            path.write_text("swt_" + "a" * 43)
        elif loss == "of a viewer":
            path.write_text((await access.create("eve", Role.VIEWER))[0].reveal())
        else:
            await access.create("other", Role.ADMIN)
            principal = await access.principal(first.strip())
            assert principal is not None
            await access.revoke(principal.token_id)
        with caplog.at_level(logging.WARNING, "seawall"):
            await access.ensure_admin_token(tmp_path)
        assert path.read_text() != first
        principal = await access.principal(path.read_text().strip())
        assert principal is not None
        assert principal.role is Role.ADMIN
        assert str(path) in caplog.text
        assert path.read_text().strip() not in caplog.text


@pytest.mark.asyncio
async def test_a_token_file_that_cannot_be_used_is_said_to_be(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        (tmp_path / "admin.token").mkdir()
        with pytest.raises(AdminTokenError, match=r"admin\.token"):
            await Access(store, FakeClock()).ensure_admin_token(tmp_path)


class SlowStore:
    """A store of tokens whose look-ups a test can hold back."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.asked = 0
        self.read = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def add_token(self, record: TokenRecord, caller: Caller = CONTROLLER) -> None:
        await self._store.add_token(record, caller)

    async def token_by_hash(self, secret_hash: str) -> TokenRecord | None:
        self.asked += 1
        record = await self._store.token_by_hash(secret_hash)
        self.read.set()
        await self.gate.wait()
        return record

    async def tokens(self) -> list[TokenRecord]:
        return await self._store.tokens()

    async def revoke_token(self, token_id: str, now: datetime, caller: Caller = CONTROLLER) -> bool:
        return await self._store.revoke_token(token_id, now, caller)


@pytest.mark.asyncio
async def test_a_token_is_believed_for_two_seconds_without_asking_again(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        clock, slow = FakeClock(), SlowStore(store)
        access = Access(slow, clock)  # type: ignore[arg-type]  # the fake takes any time
        secret, _ = await access.create("ci", Role.VIEWER)
        for _ in range(5):
            assert await access.principal(secret.reveal()) is not None
        assert slow.asked == 1
        await clock.advance(2)
        assert await access.principal(secret.reveal()) is not None
        assert slow.asked == 2


@pytest.mark.asyncio
async def test_revocation_counts_at_once_even_for_a_look_up_under_way(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        slow = SlowStore(store)
        access = Access(slow, FakeClock())  # type: ignore[arg-type]  # as above
        secret, record = await access.create("ci", Role.VIEWER)
        assert await access.principal(secret.reveal()) is not None
        assert await access.revoke(record.token_id)
        assert await access.principal(secret.reveal()) is None

        secret, record = await access.create("ci", Role.VIEWER)
        slow.gate.clear()
        slow.read.clear()
        looking = asyncio.create_task(access.principal(secret.reveal()))
        await slow.read.wait()
        assert await access.revoke(record.token_id)
        slow.gate.set()
        await looking
        assert await access.principal(secret.reveal()) is None


@pytest.mark.asyncio
async def test_what_cannot_be_a_token_is_refused_without_asking_the_store(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        slow = SlowStore(store)
        access = Access(slow, FakeClock())  # type: ignore[arg-type]  # as above
        for text in ("", "swt_", "swj_" + "a" * 43, "swt_" + "a" * 44, "swt_" + "a" * 42 + "\n", "\ud800"):
            assert await access.principal(text) is None
        assert slow.asked == 0


@pytest.mark.asyncio
async def test_two_revocations_at_once_cannot_take_the_last_two_admin_tokens(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        access = Access(store, FakeClock())
        records = [(await access.create(name, Role.ADMIN))[1] for name in ("a", "b")]
        ended = await asyncio.gather(
            *(access.revoke(record.token_id) for record in records), return_exceptions=True
        )
        assert ended[0] is True
        assert isinstance(ended[1], LastAdminToken)
        assert len(await access.tokens()) == 1
