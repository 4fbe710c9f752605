"""The sender of alerts, when its store and its receivers are slow."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.clock import SystemClock
from seawall.controller.alerts.sender import AlertSender
from seawall.engine.alert_records import DeliveryRecord, MessageRecord
from seawall.storage.sqlite import SqliteStore

pytestmark = pytest.mark.asyncio

MESSAGE = MessageRecord(
    "m-1", datetime(2030, 1, 1, tzinfo=UTC), "opened", "circuit", "warning", "title", "body", [], ["web-1"]
)


class Receiver:
    """A way out that lets a message through when it is told to."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def deliver(self, channel: str, message: MessageRecord) -> None:
        self.asked.set()
        await self.open.wait()
        self.got.append(message.message_id)


class SlowOutbox:
    """A store of which an answer to what is undelivered takes its time on the way to the sender."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.slow = False
        self.read, self.noted, self.arrives = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def undelivered(self) -> list[DeliveryRecord]:
        found = await self._store.undelivered()
        if self.slow:
            self.slow = False
            self.read.set()
            await self.arrives.wait()
        return found

    async def note_delivery(self, delivery: DeliveryRecord) -> None:
        await self._store.note_delivery(delivery)
        self.noted.set()


async def test_what_got_through_while_the_outbox_was_being_read_is_not_sent_again(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "seawall.db", SystemClock())
    await store.keep_alerts([], [(MESSAGE, ["ops"])])
    outbox, receiver = SlowOutbox(store), Receiver()
    sender = AlertSender(outbox, SystemClock(), receiver.deliver)  # type: ignore[arg-type]  # the part it uses
    task = asyncio.create_task(sender.run())
    async with asyncio.timeout(20):
        await receiver.asked.wait()
        outbox.slow = True
        sender.stir()
        await outbox.read.wait()
        receiver.open.set()
        await outbox.noted.wait()
        outbox.arrives.set()
        while sender.waiting:
            await asyncio.to_thread(lambda: None)
    task.cancel()
    await asyncio.wait((task,))
    await store.close()
    assert receiver.got == ["m-1"]
