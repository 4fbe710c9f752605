"""Takes messages out of the outbox and delivers them: each channel in order, at least once, and not for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from seawall.clock import Clock
from seawall.controller.alerts.channels import UnknownChannel
from seawall.controller.alerts.delivery import DeliveryFailed
from seawall.core.retry import RetryPolicy, back_off
from seawall.engine.alert_records import AlertStore, DeliveryRecord, MessageRecord
from seawall.engine.store import StoreFailed

GIVEN_UP_AFTER = timedelta(days=3)
BACK_OFF = RetryPolicy(initial_delay=2.0, max_delay=600.0)

_logger = logging.getLogger("seawall.alerts")


class AlertSender:
    """One delivery at a time for each channel, so that none waits for another and no recovery overtakes.

    A delivery is noted after it: if the controller dies in between, the message comes again, with the same id.
    """

    def __init__(
        self, store: AlertStore, clock: Clock, deliver: Callable[[str, MessageRecord], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._deliver = deliver
        self._stirred = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self.waiting = 0
        """How many deliveries are still to come."""
        self.delivered = self.failed = self.given_up = 0
        """How many got through, attempts that didn't, and messages that no further attempt is made for."""

    def stir(self) -> None:
        """There is something new in the outbox."""
        self._stirred.set()

    async def run(self) -> None:
        """Deliver, until cancelled."""
        try:
            while True:
                self._stirred.clear()
                await self._begin_what_is_due()
                await self._pause()
        finally:
            for task in self._busy.values():
                task.cancel()
            if self._busy:
                await asyncio.wait(self._busy.values())

    async def _begin_what_is_due(self) -> None:
        # What is under way now may be over when the answer is here, which doesn't know it then.
        busy = set(self._busy)
        try:
            waiting = await self._store.undelivered()
        except StoreFailed as error:
            _logger.warning("the outbox can't be read: %s", error)
            return
        self.waiting = len(waiting)
        by_channel: dict[str, list[DeliveryRecord]] = {}
        for delivery in waiting:
            by_channel.setdefault(delivery.channel, []).append(delivery)
        self._not_before = {name: when for name, when in self._not_before.items() if name in by_channel}
        for channel, deliveries in by_channel.items():
            if channel not in busy and self._not_before.get(channel, 0.0) <= self._clock.now():
                self._busy[channel] = asyncio.create_task(self._serve(channel, deliveries))

    async def _pause(self) -> None:
        """Until something is new, or a channel's time has come."""
        due = [when for name, when in self._not_before.items() if name not in self._busy]
        timer = self._clock.call_at(min(due), self._stirred.set) if due else None
        try:
            await self._stirred.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _serve(self, channel: str, deliveries: list[DeliveryRecord]) -> None:
        try:
            for delivery in deliveries:
                if not await self._attempt(delivery):
                    delay = back_off(BACK_OFF, delivery.attempts, self._clock.dice)
                    self._not_before[channel] = self._clock.now() + delay
                    break
        except StoreFailed as error:
            _logger.warning("what became of a message to %s isn't noted: %s", channel, error)
            self._not_before[channel] = self._clock.now() + BACK_OFF.max_delay
        finally:
            del self._busy[channel]
            self._stirred.set()

    async def _attempt(self, delivery: DeliveryRecord) -> bool:
        """Whether the next one may follow."""
        delivery.attempts += 1
        over = True
        try:
            await self._deliver(delivery.channel, delivery.message)
        except UnknownChannel:
            self._give_up(delivery, f"there is no channel {delivery.channel!r}")
        except DeliveryFailed as error:
            self.failed += 1
            delivery.error = str(error)
            over = self._clock.wall() - delivery.message.at > GIVEN_UP_AFTER
            if over:
                self._give_up(delivery, delivery.error)
            else:
                _logger.warning("an alert didn't get through to %s: %s", delivery.channel, error)
        else:
            delivery.delivered_at, delivery.error = self._clock.wall(), ""
            self.delivered += 1
        await self._store.note_delivery(delivery)
        return over

    def _give_up(self, delivery: DeliveryRecord, reason: str) -> None:
        delivery.given_up_at, delivery.error = self._clock.wall(), reason
        self.given_up += 1
        _logger.error(
            "an alert was given up: %s",
            reason,
            extra={"channel": delivery.channel, "title": delivery.message.title},
        )
