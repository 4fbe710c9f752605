"""Statements of SQLAlchemy Core, compiled once for each dialect and then run by the driver itself.

What is asked a thousand times a second costs the driver's time only. The values are those of the columns' plain types.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from sqlalchemy import Column, ColumnElement, Integer, Select, Table, bindparam, literal_column
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from seawall.engine.audit import Entry

Row = tuple[object, ...]
Result = TypeVar("Result")

NO_OFFSET: ColumnElement[int] = literal_column("0", Integer)
"""Belongs to each limit: SQLAlchemy would bind a value of its own for SQLite."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Statement:
    """One question to the database. Of an insert or update, `columns` are those whose values the parameters give."""

    __slots__ = ("_columns", "_core", "_texts")

    def __init__(self, core: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._core = core
        self._columns = columns
        self._texts: dict[tuple[str, str], str] = {}

    def text(self, dialect: Dialect) -> str:
        """The statement in the words and with the kind of parameters of this dialect."""
        kind = (dialect.name, dialect.paramstyle)
        text = self._texts.get(kind)
        if text is None:
            compiled = self._core.compile(dialect=dialect, column_keys=self._columns)
            if not isinstance(compiled, SQLCompiler):
                raise AssertionError(f"only queries and changes of rows are statements, not {compiled}")
            fixed = [name for name, parameter in compiled.binds.items() if not parameter.required]
            if fixed:
                raise AssertionError(f"values belong into the parameters, not into the statement: {fixed}")
            text = self._texts[kind] = str(compiled)
        return text


class Answer(Protocol):
    """What a statement brought back."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchone(self) -> Row | None:
        """The next row."""

    def fetchall(self) -> list[Row]:
        """All further rows."""


class Connection(Protocol):
    """A transaction under way. Whoever began it ends it."""

    def execute(self, statement: Statement, parameters: Mapping[str, object]) -> Answer:
        """Run a statement. Parameters that it doesn't have are passed over."""

    def execute_all(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Run an insert once for each row, which has the values of the statement's columns in their order."""

    def note(self, *entries: Entry) -> None:
        """Put entries into the audit log, if this job succeeds: together with what else it writes, or not at all."""


class Database(ABC):
    """What the statements of a noun need; each engine has one."""

    @abstractmethod
    async def write(self, job: Callable[[Connection], Result]) -> Result:
        """Run a job alone and in full, or not at all; it is durable when this returns. Raises what the job raises."""

    @abstractmethod
    def has_room(self) -> bool:
        """Whether more may be accepted, with enough room left to write down how it ends."""

    @abstractmethod
    async def read(self, job: Callable[[Connection], Result]) -> Result:
        """Run a job that changes nothing, on one unchanging view of everything that was written before."""


def columns(table: Table, row: type[NamedTuple]) -> list[Column[object]]:
    """The columns of a table in the order of the fields of `row`, which then takes what a select of them brings."""
    return [table.c[name] for name in row._fields]


def newest(
    question: Select[*tuple[object, ...]], table: Table, *, by_agent: bool = False
) -> Select[*tuple[object, ...]]:
    """At most `most` rows of a table with a sequence, the newest first; `by_agent`: those of `agent` only."""
    if by_agent:
        question = question.where(table.c.agent_id == bindparam("agent"))
    return question.order_by(table.c.sequence.desc()).limit(bindparam("most")).offset(NO_OFFSET)


def to_microseconds(moment: datetime) -> int:
    """A moment as the tables keep it."""
    return (moment - _EPOCH) // _MICROSECOND


def to_optional_microseconds(moment: datetime | None) -> int | None:
    """A moment, if there is one, as the tables keep it."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """A moment out of a table."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_optional_moment(microseconds: int | None) -> datetime | None:
    """A moment out of a table, if there is one."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def to_json(value: object) -> str:
    """A value as the tables keep it."""
    return msgspec.json.encode(value).decode()


def to_optional_json(value: object) -> str | None:
    """A value, if there is one, as the tables keep it."""
    return None if value is None else msgspec.json.encode(value).decode()
