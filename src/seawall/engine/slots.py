"""Waiting for a slot of a bulkhead, and handing slots over."""

from __future__ import annotations

import asyncio

from seawall.clock import Clock
from seawall.core.bulkhead import Bulkhead
from seawall.core.command import Lane

Slot = asyncio.Future[None]
"""What an attempt waits on in a bulkhead's queue."""


async def wait_for_slot(bulkhead: Bulkhead[Slot], lane: Lane, timeout_seconds: float, clock: Clock) -> bool:
    """Wait for a slot where none was free. False if too many wait already, or none became free in time.

    Who gets one holds it until `give_slot_back`; a cancelled caller holds none.
    """
    slot: Slot = asyncio.get_running_loop().create_future()
    if not bulkhead.queue(slot, lane):
        return False
    timer = clock.call_at(clock.now() + timeout_seconds, slot.cancel)
    try:
        await slot
    except asyncio.CancelledError:
        if slot.cancelled():
            bulkhead.abandon(slot, lane)
        else:
            # The slot was handed over in the very moment in which this task was cancelled.
            give_slot_back(bulkhead, lane)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return False
    finally:
        timer.cancel()
    return True


def give_slot_back(bulkhead: Bulkhead[Slot], lane: Lane) -> None:
    """Leave a slot to those who wait."""
    if bulkhead.leave(lane):
        hand_over(bulkhead)


def hand_over(bulkhead: Bulkhead[Slot]) -> None:
    """Give the slots that are free to those who wait."""
    while (given := bulkhead.admit()) is not None:
        slot, lane = given
        if slot.done():
            # Who has given up waiting, but has not run since, still stood in the queue.
            bulkhead.leave(lane)
        else:
            slot.set_result(None)
