"""Alerts and what is said of them are kept together or not at all, in order, until they are over."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from seawall.engine.alert_records import AlertRecord, ChannelRecord, MessageRecord, SilenceRecord
from seawall.engine.store import Store
from tests.storage.backends import BACKENDS, NOW, OpenStore, later

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=BACKENDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    return BACKENDS[request.param](tmp_path)


@pytest_asyncio.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    store = await open_store()
    yield store
    await store.close()


def alert(alert_id: str = "l-1", **changes: object) -> AlertRecord:
    record = AlertRecord(
        *(alert_id, "circuit/a", "circuit", "warning", "a", "web-1", "it is open"),
        active=True,
        openings=1,
        opened_at=NOW,
    )
    return msgspec.structs.replace(record, **changes)


def message(message_id: str = "m-1", at: float = 0) -> MessageRecord:
    return MessageRecord(
        message_id, later(at), "opened", "circuit", "warning", "title", "body", ["l-1"], ["web-1"]
    )


def channel(name: str = "ops") -> ChannelRecord:
    return ChannelRecord(name, "webhook", "https://…", "sealed", "sealed too", NOW, "ada")


async def test_an_alert_reads_back_as_it_is_now_and_keeps_its_place(store: Store) -> None:
    await store.keep_alerts([alert("l-1"), alert("l-2", key="circuit/b")])
    changed = alert("l-1", text="again", openings=4, told_at=later(1), escalated_at=later(2), active=False)
    changed = msgspec.structs.replace(changed, acknowledged_by="ada", acknowledgement="I look")
    await store.keep_alerts([changed])
    assert await store.alert("l-1") == changed
    assert [each.alert_id for each in await store.alerts()] == ["l-2", "l-1"]
    assert await store.alert("l-3") is None


async def test_those_that_are_open_and_those_that_were_spoken_of_are_found(store: Store) -> None:
    await store.keep_alerts(
        [alert("l-1", resolved_at=later(9), told_at=later(5)), alert("l-2"), alert("l-3", told_at=later(6))]
    )
    assert [each.alert_id for each in await store.alerts(unresolved=True)] == ["l-3", "l-2"]
    assert [each.alert_id for each in await store.alerts(told_since=later(5))] == ["l-3", "l-1"]
    assert [each.alert_id for each in await store.alerts(limit=1)] == ["l-3"]


async def test_a_message_waits_for_each_of_its_channels_until_it_was_delivered_or_given_up(
    store: Store,
) -> None:
    await store.keep_alerts(
        [alert()], [(message("m-1"), ["ops", "phone"]), (message("m-2"), ["ops"]), (message("m-3"), [])]
    )
    waiting = await store.undelivered()
    assert [(each.message, each.channel) for each in waiting] == [
        (message("m-1"), "ops"),
        (message("m-1"), "phone"),
        (message("m-2"), "ops"),
    ]
    first, second, third = waiting
    first.attempts, first.delivered_at = 1, later(3)
    second.attempts, second.error = 2, "it said 500"
    third.given_up_at = later(4)
    for each in waiting:
        await store.note_delivery(each)
    assert await store.undelivered() == [second]
    assert await store.deliveries() == [third, second, first]


async def test_what_is_said_is_not_kept_without_its_alert_nor_the_other_way_round(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await store.keep_alerts([alert()], [(message("m-1"), ["ops"]), (message("m-1"), ["ops"])])
    assert (await store.alerts(), await store.undelivered()) == ([], [])


async def test_what_is_old_and_over_is_forgotten_and_nothing_else(store: Store) -> None:
    old, new = alert("l-1", resolved_at=NOW), alert("l-2")
    await store.keep_alerts([old, new], [(message("m-1"), ["ops"]), (message("m-2", at=20), ["ops"])])
    await store.add_silence(SilenceRecord("s-1", NOW), NOW)
    await store.forget_alerts(later(10))
    assert await store.alerts() == [new]
    assert [each.message.message_id for each in await store.undelivered()] == ["m-2"]


async def test_a_silence_is_there_until_its_end_and_can_be_ended_before(store: Store) -> None:
    first = SilenceRecord("s-1", later(100), ["circuit"], ["web-*"], "work", "ada")
    second = SilenceRecord("s-2", later(50))
    for each in (first, second):
        await store.add_silence(each, NOW)
    assert await store.silences(NOW) == [second, first]
    assert await store.silences(later(50)) == [first]
    assert await store.end_silence("s-1", later(60))
    assert not await store.end_silence("s-1", later(61))
    assert await store.silences(later(60)) == []


async def test_a_channel_has_its_name_for_itself_and_takes_along_what_waits_for_it(store: Store) -> None:
    assert await store.add_channel(channel())
    assert not await store.add_channel(channel())
    await store.add_channel(channel("phone"))
    assert await store.channels() == [channel(), channel("phone")]
    await store.keep_alerts([], [(message(), ["ops", "phone"])])
    assert await store.remove_channel("ops", NOW)
    assert not await store.remove_channel("ops", NOW)
    assert [each.channel for each in await store.undelivered()] == ["phone"]
