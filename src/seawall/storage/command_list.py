"""Which commands are listed, and the statements that find them without reading all the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select

from seawall.core.command import CommandState
from seawall.storage.command_rows import AttemptRow, CommandRow
from seawall.storage.schema import (
    WITHOUT_SUCCESS,
    attempts,
    command_had_no_success,
    command_is_unsettled,
    commands,
)
from seawall.storage.statements import NO_OFFSET, Statement, columns

ALL_COMMANDS = select(*columns(commands, CommandRow))
ALL_ATTEMPTS = select(*columns(attempts, AttemptRow)).order_by(attempts.c.command_id, attempts.c.number)

# The sum keeps SQLite from reading all that the agent ever had, for the sake of the order.
IN_ORDER = commands.c.sequence + literal_column("0")


class Wanted(NamedTuple):
    """Which parameters a list of commands has; the statements for one are made once.

    `without_success` and `still_open` say that all the states are so, and an index serves.
    """

    by_agent: bool
    states: int
    without_success: bool
    still_open: bool
    by_operation: bool
    before: bool

    @classmethod
    def of(
        cls,
        agent_id: str | None = None,
        states: Sequence[CommandState] = (),
        operation: str | None = None,
        before: str | None = None,
    ) -> Wanted:
        """That of these wishes."""
        return cls(
            by_agent=agent_id is not None,
            states=len(set(states)),
            without_success=bool(states) and set(states) <= set(WITHOUT_SUCCESS),
            still_open=bool(states) and not any(state.final for state in states),
            by_operation=operation is not None,
            before=before is not None,
        )


@cache
def listing(wanted: Wanted) -> tuple[Statement, Statement]:
    """The statements for a list of commands and for their attempts."""
    chosen = _narrowed(select(commands.c.command_id), wanted)
    return (
        Statement(_narrowed(ALL_COMMANDS, wanted)),
        Statement(ALL_ATTEMPTS.where(attempts.c.command_id.in_(chosen.subquery().select()))),
    )


def _narrowed(question: Select[*tuple[object, ...]], wanted: Wanted) -> Select[*tuple[object, ...]]:
    agent_id: ColumnElement[str] = commands.c.agent_id
    order: ColumnElement[int] = commands.c.sequence
    if wanted.without_success:
        question = question.where(command_had_no_success)
        # Else SQLite would read all that the agent ever had.
        agent_id = agent_id.concat(literal_column("''"))
    if wanted.still_open:
        question, order = question.where(command_is_unsettled), IN_ORDER
    if wanted.by_agent:
        question = question.where(agent_id == bindparam("agent"))
    if wanted.by_operation:
        question = question.where(commands.c.operation == bindparam("kind"))
    if wanted.states:
        question = question.where(
            commands.c.state.in_([bindparam(f"state_{index}") for index in range(wanted.states)])
        )
    if wanted.before:
        last = select(commands.c.sequence).where(commands.c.command_id == bindparam("last"))
        question = question.where(commands.c.sequence < last.scalar_subquery())
    return question.order_by(order.desc()).limit(bindparam("most")).offset(NO_OFFSET)
