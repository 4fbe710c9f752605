"""The connection between a simulated host and the controller: sessions, heartbeats, and the way back after a loss."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from seawall.core.command import Outcome
from seawall.core.retry import RetryPolicy, back_off
from seawall.simulator.host import Delivery, Host
from seawall.simulator.timeline import Alarm, Timeline

# As the real ends have them; a test compares.
BACK_OFF = RetryPolicy(initial_delay=0.5, max_delay=60.0, backoff_multiplier=2.0, jitter=True)
HANDSHAKE_SECONDS = 15.0
HEALTHY_SECONDS = 60.0
HEARTBEAT_SECONDS = 10.0
MISSED_HEARTBEATS = 3


class Controller(Protocol):
    """What a link tells the controller."""

    up: bool

    def connected(self, link: Link) -> None:
        """A session opened."""

    def lost(self, link: Link) -> None:
        """A session ended."""

    def heard(self, link: Link) -> None:
        """The agent answered a ping."""

    def answered(self, delivery: Delivery, outcome: Outcome) -> None:
        """An answer arrived, perhaps late or once more."""


class Link:
    """One host's way to the controller. `epoch` numbers its sessions; `open` is what the controller believes."""

    def __init__(
        self, host: Host, controller: Controller, timeline: Timeline, *, watched: bool = True
    ) -> None:
        """Without being `watched` it has no heartbeats, so that nobody notices a host that went without a word."""
        self.host = host
        self.open = True
        self.epoch = 1
        self.cut = False
        """Whether the network between them carries nothing."""
        self.deaf_epoch = 0
        """The session in which nothing reaches the host any more (a half-open connection)."""
        self.mute_epoch = 0
        """The session in which nothing comes back from it."""
        self.frames_heard = 0
        self._controller = controller
        self._timeline = timeline
        self._unanswered = 0
        self._failures = 0
        self._opened_at = 0.0
        self._dialling: Alarm | None = None
        host.answer = self._answer
        host.on_crash = self.reset_by_peer
        self._watched = watched
        self._schedule_beat()

    def send(self, delivery: Delivery) -> None:
        """Send an attempt. It may get lost, and nobody is told."""
        if not self.cut and self.deaf_epoch != delivery.epoch:
            self._timeline.after(self.host.model.latency_seconds, partial(self.host.receive, delivery))

    def drop(self) -> None:
        """The session ends, and both ends know."""
        self._end()
        self._dial_soon()

    def reset_by_peer(self, seconds: float = 1.0) -> None:
        """The agent crashes and is started again after so many seconds."""
        self.host.die()
        self.host.trouble.dead = True
        self._end()
        self._timeline.after(seconds, self.revive)

    def revive(self) -> None:
        """The agent starts again, and dials."""
        self.host.trouble.dead = False
        self._failures = 0
        self._dial_soon()

    def thaw(self) -> None:
        """The host goes on where it was frozen; if its session is over it notices now."""
        self.host.thaw()
        if not self.open:
            self._dial_soon()

    # What comes from the host

    def _answer(self, delivery: Delivery, outcome: Outcome) -> None:
        host, trouble = self.host, self.host.trouble
        delay = host.model.latency_seconds
        if trouble.late and host.dice() < trouble.late:
            delay += trouble.late_seconds
        self._timeline.after(delay, partial(self._arrive, delivery, outcome))
        if trouble.duplicate and host.dice() < trouble.duplicate:
            self._timeline.after(2 * delay, partial(self._arrive, delivery, outcome))

    def _arrive(self, delivery: Delivery, outcome: Outcome) -> None:
        # An answer counts only in the session in which its attempt was sent.
        if self.open and not self.cut and delivery.epoch == self.epoch != self.mute_epoch:
            self.frames_heard += 1
            self._controller.answered(delivery, outcome)

    # Heartbeats

    def _schedule_beat(self) -> None:
        if not self._watched:
            return
        wait = HEARTBEAT_SECONDS * (0.9 + 0.2 * self.host.dice())
        self._timeline.after(wait, partial(self._beat, self.epoch))

    def _beat(self, epoch: int) -> None:
        if not self.open or epoch != self.epoch:
            return
        if self._unanswered >= MISSED_HEARTBEATS:
            # The agent misses them, too, and dials again.
            self.drop()
            return
        self._unanswered += 1
        self._timeline.after(2 * self.host.model.latency_seconds, partial(self._pong, epoch))
        self._schedule_beat()

    def _pong(self, epoch: int) -> None:
        trouble = self.host.trouble
        lost = trouble.dead or trouble.frozen or self.cut or epoch in (self.deaf_epoch, self.mute_epoch)
        if self.open and epoch == self.epoch and not lost:
            self._unanswered = 0
            self.frames_heard += 1
            self._controller.heard(self)

    # The way back

    def _end(self) -> None:
        if self.open:
            self.open = False
            healthy = self._timeline.now - self._opened_at >= HEALTHY_SECONDS
            self._failures = 0 if healthy else self._failures
            self._controller.lost(self)

    def _dial_soon(self, taken_seconds: float = 0.0) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
        self._failures += 1
        delay = taken_seconds + back_off(BACK_OFF, self._failures, self.host.dice)
        self._dialling = self._timeline.after(delay, self._dial)

    def _dial(self) -> None:
        self._dialling = None
        trouble = self.host.trouble
        if trouble.dead or trouble.frozen:
            return
        if self.cut:
            self._dial_soon(HANDSHAKE_SECONDS)
            return
        if not self._controller.up:
            self._dial_soon()
            return
        if self.open:
            self._end()
        self.open = True
        self.epoch += 1
        self._unanswered = 0
        self._opened_at = self._timeline.now
        self._schedule_beat()
        self._controller.connected(self)
