from __future__ import annotations

import asyncio

import pytest

from seawall.bus.local import LocalBus
from seawall.engine.notices import Notice


@pytest.mark.asyncio
async def test_a_listener_to_one_command_hears_only_that_command() -> None:
    bus = LocalBus()
    with bus.listen("c1") as notices:
        bus.publish(Notice("retry", "a", "c2"))
        bus.publish(Notice("retry", "a", "c1"))
        assert (await anext(notices)).command_id == "c1"


@pytest.mark.asyncio
async def test_a_listener_to_everything_hears_commands_and_circuits_in_order() -> None:
    bus = LocalBus()
    with bus.listen() as notices:
        bus.publish(Notice("retry", "a", "c1"))
        bus.publish(Notice("circuit", "a"))
        assert [(await anext(notices)).kind, (await anext(notices)).kind] == ["retry", "circuit"]


@pytest.mark.asyncio
async def test_a_slow_listener_is_told_how_much_it_lost_and_hurts_nobody() -> None:
    bus = LocalBus()
    with bus.listen("c1") as slow, bus.listen("c2") as other:
        for number in range(1_500):
            bus.publish(Notice("progress", "a", "c1", {"number": number}))
        bus.publish(Notice("progress", "a", "c2"))
        heard = [await anext(slow) for _ in range(1_001)]
        assert heard[-1] == Notice("lost", "", None, {"notices": 500})
        assert (await anext(other)).command_id == "c2"


@pytest.mark.asyncio
async def test_a_waiting_listener_is_woken_by_a_notice() -> None:
    bus = LocalBus()
    with bus.listen("c1") as notices:
        waiting = asyncio.ensure_future(anext(notices))
        await asyncio.sleep(0)
        bus.publish(Notice("finished", "a", "c1"))
        assert (await waiting).kind == "finished"


@pytest.mark.asyncio
async def test_a_listener_that_left_costs_nothing() -> None:
    bus = LocalBus()
    with bus.listen("c1"):
        pass
    assert bus._listeners == {}
