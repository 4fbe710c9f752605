"""The agent's ledger: the durable record of every changing command, which outlives the process.

    (nothing) --start--> STARTED --finish--> DONE --acknowledge--> gone, once the watermark has passed it
                            | ^
                       void v | start
                            VOID ----finish--> DONE

What is not durable has not happened: STARTED before the effect, DONE before anybody is told.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from seawall.agent import ledger_tables as tables
from seawall.agent.ledger_file import LEDGER_FILE as LEDGER_FILE
from seawall.agent.ledger_file import RESERVE_BYTES, connect
from seawall.agent.ledger_file import LedgerDamaged as LedgerDamaged
from seawall.agent.ledger_file import LedgerFailed as LedgerFailed
from seawall.agent.ledger_tables import Contents
from seawall.agent.ledger_tables import Entry as Entry
from seawall.agent.ledger_tables import State as State
from seawall.clock import Clock
from seawall.files import Room, free_bytes
from seawall.writer import Writer, checkpoint, commit

Result = TypeVar("Result")


class Run(Protocol):
    """Has a job done in a transaction, in the order of the calls; it is durable when this returns.

    Raises LedgerFailed when nothing can be written any more.
    """

    async def __call__(self, work: Callable[[sqlite3.Connection], Result], /) -> Result:
        """See the class."""


class Standing(Struct, frozen=True):
    """How far a ledger goes, as a hello tells it, and how much is in it."""

    ledger_id: str
    epoch: int
    term: int
    watermark: int
    last_sequence: int
    unacknowledged: int
    entries: int


class LedgerJournal:
    """`operations.runner.Journal` of a command that has begun."""

    def __init__(self, ledger: Ledger, command_id: str) -> None:
        self._ledger = ledger
        self._command_id = command_id

    @property
    def step(self) -> str | None:
        """See `Journal.step`."""
        entry = self._ledger.entry(self._command_id)
        return entry.step if entry is not None else None

    async def record(self, step: str) -> None:
        """See `Journal.record`. Raises LedgerFailed."""
        entry = self._ledger.entry(self._command_id)
        if entry is None:
            raise ValueError(f"command {self._command_id} has no row in the ledger")
        await self._ledger.step(entry, step)


class Ledger:
    """The rows of all commands that are not over yet, in memory as in the file. One event loop owns it.

    Every method that is awaited is durable when it returns; acknowledgements go along with the next of those, for a
    crash in between costs no more than a result that is sent once more.
    """

    def __init__(
        self,
        run: Run,
        contents: Contents,
        clock: Clock,
        close: Callable[[], Awaitable[object]] | None = None,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        """`run` writes where `contents` was read, `close` lets go of it, `free_bytes` says how much room is there."""
        self._run = run
        self._clock = clock
        self._close = close
        self._room = None if free_bytes is None else Room(free_bytes, RESERVE_BYTES, clock.now)
        self._ledger_id = contents.ledger_id
        self._epoch, self._term = contents.epoch, contents.term
        self._watermark = contents.watermark
        self._last_sequence = max([contents.watermark, *(entry.sequence for entry in contents.entries)])
        self._entries = {entry.sequence: entry for entry in contents.entries}
        self._by_command = {entry.command_id: entry for entry in contents.entries}
        self._kept: list[int] = []
        self._forgotten: list[int] = []
        self._moved = False

    @classmethod
    async def open(
        cls,
        path: Path,
        agent_id: str,
        clock: Clock,
        *,
        on_failure: Callable[[LedgerFailed], object] | None = None,
        commit: Callable[[sqlite3.Connection], object] = commit,
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> Ledger:
        """Open the ledger in this file, or begin one. Raises LedgerDamaged.

        `on_failure` is called once if a write fails such that nothing is written any more: the process has to end
        then. `commit` ends a transaction, `free_bytes` says how much room the disk of a directory has.
        """
        new_id = clock.new_id()

        def read() -> tuple[sqlite3.Connection, Contents]:
            connection = connect(path)
            try:
                return connection, tables.prepare(connection, str(path), agent_id, new_id)
            except BaseException:
                connection.close()
                raise

        connection, contents = await asyncio.to_thread(read)
        writer = Writer(
            connection,
            f"the ledger {path}",
            commit,
            partial(checkpoint, Path(f"{path}-wal")),
            on_failure,
            failure=LedgerFailed,
        )
        return cls(writer.run, contents, clock, writer.close, partial(free_bytes, path.parent))

    @property
    def standing(self) -> Standing:
        """How far it goes."""
        return Standing(
            self._ledger_id,
            self._epoch,
            self._term,
            self._watermark,
            self._last_sequence,
            sum(map(_is_untold, self._entries.values())),
            len(self._entries),
        )

    @property
    def has_room(self) -> bool:
        """Whether something may begin: its end will have to be recorded too."""
        return self._room is None or self._room.left

    @property
    def term(self) -> int:
        """The newest term of a controller that this agent has served."""
        return self._term

    @property
    def watermark(self) -> int:
        """Every command up to here is over at the controller."""
        return self._watermark

    def entry(self, command_id: str) -> Entry | None:
        """What is known of a command; None if it never began here, or is forgotten."""
        return self._by_command.get(command_id)

    def journal(self, command_id: str) -> LedgerJournal:
        """The steps of a command that has begun."""
        return LedgerJournal(self, command_id)

    def at(self, sequence: int) -> Entry | None:
        """The command that has this sequence."""
        return self._entries.get(sequence)

    def unfinished(self) -> list[Entry]:
        """Commands whose effect may have begun and whose end isn't known."""
        return [entry for entry in self._entries.values() if entry.state is State.STARTED]

    def outbox(self) -> Iterable[Entry]:
        """Commands that are over and of which the controller hasn't said that it knows, in order."""
        return (entry for _, entry in sorted(self._entries.items()) if _is_untold(entry))

    async def outcome(self, entry: Entry) -> bytes | None:
        """The recorded outcome of an entry, from the file if it isn't at hand any more."""
        if entry.outcome is not None:
            return entry.outcome
        return await self._run(lambda connection: tables.outcome_of(connection, entry.sequence))

    # What makes it durable

    async def begin_session(self, epoch: int, term: int) -> None:
        """A controller of this term has opened the session of this epoch."""
        epoch, term = max(epoch, self._epoch), max(term, self._term)
        await self._write(lambda connection: tables.begin_session(connection, epoch, term))
        self._epoch, self._term = epoch, term

    async def start(
        self, sequence: int, command_id: str, operation: str, arguments: bytes, pre_image: bytes
    ) -> Entry:
        """The effect is about to begin."""
        return await self._put(
            Entry(
                sequence,
                command_id,
                operation,
                arguments,
                State.STARTED,
                started_at=self._now(),
                pre_image=pre_image,
            )
        )

    async def step(self, entry: Entry, step: str) -> Entry:
        """One step of several is known to be done."""
        return await self._put(replace(entry, step=step))

    async def void(self, entry: Entry, outcome: bytes) -> Entry:
        """The effect provably has not happened, for this reason; the command may be begun again."""
        return await self._put(replace(entry, state=State.VOID, outcome=outcome))

    async def finish(
        self, sequence: int, command_id: str, operation: str, arguments: bytes, outcome: bytes
    ) -> Entry:
        """It is over, also if it never began."""
        known = self._by_command.get(command_id)
        if known is None:
            known = Entry(sequence, command_id, operation, arguments, State.DONE)
        return await self._put(
            replace(known, state=State.DONE, finished_at=self._now(), outcome=outcome, acknowledged=False)
        )

    def acknowledge(self, sequences: Iterable[int], up_to: int) -> None:
        """The controller holds these results, and every command up to `up_to` is over there."""
        for sequence in sequences:
            entry = self._entries.get(sequence)
            if entry is not None and _is_untold(entry):
                entry.acknowledged, entry.outcome = True, None
                self._kept.append(sequence)
        if up_to > self._watermark:
            self._watermark, self._moved = up_to, True
            self._last_sequence = max(self._last_sequence, up_to)
        for entry in [entry for entry in self._entries.values() if self._is_over(entry)]:
            del self._entries[entry.sequence], self._by_command[entry.command_id]
            self._forgotten.append(entry.sequence)

    async def close(self) -> None:
        """Write what is left to write, and let go of the file."""
        try:
            if self._kept or self._forgotten or self._moved:
                await self._write(lambda connection: None)
        except LedgerFailed:
            pass  # whoever waited for a write has heard of it
        finally:
            if self._close is not None:
                await self._close()

    def _is_over(self, entry: Entry) -> bool:
        """Whether nobody will ask for it any more: what comes late is below the watermark, and refused."""
        if entry.sequence > self._watermark:
            return False
        return entry.acknowledged or entry.state is State.VOID

    async def _put(self, entry: Entry) -> Entry:
        await self._write(lambda connection: tables.write(connection, entry))
        self._entries[entry.sequence] = self._by_command[entry.command_id] = entry
        if entry.sequence in self._forgotten:
            self._forgotten.remove(entry.sequence)  # begun again in the moment in which it was forgotten
        self._last_sequence = max(self._last_sequence, entry.sequence)
        return entry

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        if not self._kept and not self._forgotten and not self._moved:
            await self._run(work)
            return
        kept, forgotten, watermark = self._kept, self._forgotten, self._watermark
        self._kept, self._forgotten, self._moved = [], [], False

        def with_acknowledgements(connection: sqlite3.Connection) -> None:
            tables.acknowledge(connection, kept, forgotten, watermark)
            work(connection)

        await self._run(with_acknowledgements)

    def _now(self) -> str:
        return self._clock.wall().isoformat().replace("+00:00", "Z")


def _is_untold(entry: Entry) -> bool:
    """Whether it is over, and the controller hasn't said that it holds the result."""
    return entry.state is State.DONE and not entry.acknowledged
