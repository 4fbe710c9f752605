"""An older copy of a ledger is missed where the controller had heard more than it holds, and only there."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from seawall.agent import ledger_tables
from seawall.agent.ledger_tables import Entry, State
from seawall.core.command import CommandState
from tests.simulation.copies import LedgerCopy
from tests.simulation.history import FaultKind, FrameTaken, Place, StateCommitted
from tests.simulation.tale import Tale


def copy_of(tale: Tale, last_sequence: int = 1) -> LedgerCopy:
    """A copy taken now, of a ledger that knows commands up to here."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        ledger_tables.prepare(connection, "a ledger", "a1", "ledger-1")
        if last_sequence:
            ledger_tables.write(
                connection, Entry(last_sequence, f"c{last_sequence}", "container_stop", b"", State.STARTED)
            )
        return LedgerCopy("a1", connection.serialize(), tale.order)


def welcome(tale: Tale, epoch: int, agent: str = "a1") -> Tale:
    return tale.tell(
        FrameTaken,
        kind="welcome",
        taker=Place.AGENT,
        agent=agent,
        sender="controller",
        epoch=epoch,
        current_epoch=epoch,
    )


def lost(tale: Tale) -> Tale:
    return tale.fault(FaultKind.LEDGER_LOST, Place.AGENT)


@pytest.mark.parametrize("state", [CommandState.RUNNING, CommandState.SUCCEEDED])
def test_a_later_command_of_which_the_agent_told_is_missed(state: CommandState) -> None:
    tale = welcome(Tale(), 1).accepted("c1").accepted("c2", sequence=2)
    copy = copy_of(tale)
    assert not copy.is_missed(tale.events)
    assert copy.is_missed(tale.tell(StateCommitted, command_id="c2", state=state, by="agent").events)


def test_a_later_command_of_which_the_controller_knows_only_that_it_was_sent_is_not_missed() -> None:
    tale = welcome(Tale(), 1).accepted("c1").accepted("c2", sequence=2)
    copy = copy_of(tale)
    tale.committed(CommandState.DISPATCHED, "c2").effect("c2").done("c2").committed(
        CommandState.UNKNOWN, "c2"
    )
    assert not copy.is_missed(tale.events)


def test_what_the_copy_holds_itself_and_what_another_agent_told_are_not_missed() -> None:
    tale = welcome(Tale(), 1).accepted("c1").accepted("c2", sequence=2, agent="a2")
    copy = copy_of(tale)
    tale.committed(CommandState.RUNNING, "c1").committed(CommandState.RUNNING, "c2")
    welcome(welcome(tale, 2, "a2"), 3, "a2")
    assert not copy.is_missed(tale.events)


def test_a_later_session_is_missed_once_the_hello_after_it_told_of_it() -> None:
    tale = welcome(Tale(), 1)
    copy = copy_of(tale)
    assert not copy.is_missed(welcome(tale, 2).events)
    assert copy.is_missed(welcome(tale, 3).events)


def test_what_was_heard_before_a_loss_that_the_controller_knows_of_is_not_missed_again() -> None:
    tale = welcome(Tale(), 1).accepted("c1").accepted("c2", sequence=2).accepted("c3", sequence=3)
    copy = copy_of(tale)
    lost(welcome(welcome(tale, 2), 3).committed(CommandState.RUNNING, "c2"))
    assert not copy.is_missed(tale.events)
    assert not copy.is_missed(tale.committed(CommandState.RUNNING, "c3").events), "it came late"
    assert not copy.is_missed(welcome(tale, 4).events)
    assert copy.is_missed(tale.committed(CommandState.RUNNING, "c3").events)
