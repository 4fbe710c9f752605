"""Copies of a ledger, and whether it can be noticed that one of them has taken its place: judged from the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from seawall.core.command import CommandState
from tests.simulation.history import (
    AcceptedDurable,
    Event,
    Fault,
    FaultKind,
    FrameTaken,
    Place,
    StateCommitted,
)

_LAST_SEQUENCE = "SELECT max(watermark, coalesce((SELECT max(sequence) FROM entries), 0)) FROM ledger"


@dataclass(frozen=True)
class LedgerCopy:
    """A ledger as it was. `order` is the number of the last event before it was copied."""

    agent: str
    image: bytes
    order: int

    @property
    def last_sequence(self) -> int:
        """The newest command that it knows of."""
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(self.image)
            return int(connection.execute(_LAST_SEQUENCE).fetchone()[0])

    def is_missed(self, history: Sequence[Event]) -> bool:
        """Whether the controller durably knows of something that the ledger knew and this copy doesn't.

        That is a later session, or the beginning or the result of a later command. What it knew before the ledger was
        lost for the last time is of no use: it knows that this is gone.
        """
        lost = max(
            (event.order for event in history if isinstance(event, Fault) and self._is_loss(event)), default=0
        )
        welcomes = [
            event.order
            for event in history
            if event.order > max(self.order, lost)
            and isinstance(event, FrameTaken)
            and self._is_welcome(event)
        ]
        if len(welcomes) > 1:
            # The hello before the second told the epoch of the first.
            return True
        if lost < self.order:
            since = self.order
        elif welcomes:
            since = welcomes[0]
        else:
            return False
        last_sequence = self.last_sequence
        later = {
            event.command_id
            for event in history
            if isinstance(event, AcceptedDurable)
            and event.agent == self.agent
            and event.sequence > last_sequence
        }
        return any(
            event.order > since
            and isinstance(event, StateCommitted)
            and event.command_id in later
            and (event.state is CommandState.RUNNING or event.by == Place.AGENT.value)
            for event in history
        )

    def _is_loss(self, event: Fault) -> bool:
        return event.kind is FaultKind.LEDGER_LOST and event.agent == self.agent and not event.ended

    def _is_welcome(self, event: FrameTaken) -> bool:
        return event.taker is Place.AGENT and event.kind == "welcome" and event.agent == self.agent
