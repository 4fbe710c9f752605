"""Results that the controller has not acknowledged: sent in order, so many at once, and again until they are."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from seawall.agent.answers import completed, unpack_map, unpack_outcome
from seawall.agent.ledger import Entry, Ledger, State
from seawall.clock import Clock, Timer
from seawall.core.command import Outcome
from seawall.wire.messages import FromAgent, Origin

WINDOW = 32
"""So many results are sent unasked before one of them is acknowledged ..."""
WINDOW_BYTES = 1024 * 1024
"""... and about so much of them."""
PATIENCE_SECONDS = 15.0
"""After so long without an acknowledgement a result is sent again, then after twice as long, and so on."""
LONGEST_PATIENCE_SECONDS = 300.0

_logger = logging.getLogger("seawall.agent.outbox")


class _Sent(Struct):
    """A result that is under way in this session."""

    size: int
    due: float
    patience_seconds: float


class Outbox:
    """Of one agent. The ledger holds what is in it, so that nothing is lost with a session or with the process."""

    def __init__(self, ledger: Ledger, clock: Clock, send: Callable[[FromAgent], None]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._send = send
        self._epoch: int | None = None
        self._waiting: deque[int] = deque()
        self._sent: dict[int, _Sent] = {}
        self._bytes = 0
        self._timer: Timer | None = None

    def begin_session(self, epoch: int) -> None:
        """A session is open: everything that isn't acknowledged goes out again."""
        self._epoch = epoch
        self._sent.clear()
        self._bytes = 0
        self._waiting = deque(entry.sequence for entry in self._ledger.outbox())
        self._fill()

    def close(self) -> None:
        """Send nothing again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def answer(self, entry: Entry, outcome: Outcome, correlation_ids: Iterable[str]) -> None:
        """Tell a result to the attempts that wait for it in this session; to none of them, unasked."""
        if self._epoch is None:
            return
        asking = list(correlation_ids)
        if asking and not entry.acknowledged:
            self._note(entry)
        for correlation_id in asking:
            self._send(
                completed(
                    outcome,
                    entry.command_id,
                    correlation_id,
                    self._epoch,
                    sequence=entry.sequence,
                    recorded=True,
                )
            )
        if not asking and not entry.acknowledged:
            self._waiting.append(entry.sequence)
            self._fill()

    def acknowledged(self, sequences: Iterable[int]) -> None:
        """The controller holds these results for good."""
        for sequence in sequences:
            sent = self._sent.pop(sequence, None)
            if sent is not None:
                self._bytes -= sent.size
        if self._waiting:
            self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._sent) < WINDOW and self._bytes < WINDOW_BYTES:
            sequence = self._waiting.popleft()
            if sequence not in self._sent:
                self._tell(sequence)

    def _tell(self, sequence: int) -> None:
        """Send a result unasked, if it still has to be."""
        entry = self._ledger.at(sequence)
        if entry is None or entry.state is not State.DONE or entry.acknowledged or entry.outcome is None:
            return
        if self._epoch is None:
            return
        self._note(entry)
        self._send(
            completed(
                unpack_outcome(entry.outcome),
                entry.command_id,
                "",
                self._epoch,
                sequence=sequence,
                recorded=True,
                origin=Origin(
                    entry.operation, unpack_map(entry.arguments), entry.started_at, entry.finished_at
                ),
            )
        )

    def _note(self, entry: Entry) -> None:
        sent = self._sent.get(entry.sequence)
        patience = (
            PATIENCE_SECONDS if sent is None else min(2 * sent.patience_seconds, LONGEST_PATIENCE_SECONDS)
        )
        size = len(entry.outcome or b"") + len(entry.arguments)
        self._bytes += size if sent is None else 0
        self._sent[entry.sequence] = _Sent(size, self._clock.now() + patience, patience)
        if self._timer is None:
            # One timer for all: the next look at them may come late, never early.
            self._timer = self._clock.call_at(self._clock.now() + PATIENCE_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.now()
        late = sorted(sequence for sequence, sent in self._sent.items() if sent.due <= now)
        if late:
            _logger.info("%d results are sent again: the controller has not acknowledged them", len(late))
        for sequence in late:
            self._tell(sequence)
        if self._sent and self._timer is None:
            due = min(sent.due for sent in self._sent.values())
            self._timer = self._clock.call_at(due, self._look)
