"""Waiting for a slot of a bulkhead, and handing slots over: what `engine.slots` does, with calls instead of waits."""

from __future__ import annotations

from collections.abc import Callable

from seawall.core.bulkhead import Bulkhead
from seawall.core.command import Lane
from seawall.simulator.timeline import Alarm, Timeline


class Waiter:
    """An attempt in a queue. It hears once whether it got a slot."""

    __slots__ = ("alarm", "tell")

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self.tell = tell
        self.alarm: Alarm | None = None


def take_slot(
    bulkhead: Bulkhead[Waiter],
    lane: Lane,
    timeline: Timeline,
    patience_seconds: float,
    tell: Callable[[bool], None],
) -> None:
    """Tell, now or within so many seconds, whether there is a slot. Who gets one holds it until `give_slot`."""
    if bulkhead.enter(lane):
        tell(True)
        return
    waiter = Waiter(tell)
    if not bulkhead.queue(waiter, lane):
        tell(False)
        return

    def give_up() -> None:
        if bulkhead.abandon(waiter, lane):
            tell(False)

    waiter.alarm = timeline.after(patience_seconds, give_up)


def give_slot(bulkhead: Bulkhead[Waiter], lane: Lane) -> None:
    """Leave a slot to those who wait."""
    if not bulkhead.leave(lane):
        return
    while (given := bulkhead.admit()) is not None:
        waiter, _ = given
        if waiter.alarm is not None:
            waiter.alarm.cancel()
        waiter.tell(True)
