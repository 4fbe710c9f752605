"""The controller's store under power loss: a workload, and what is found of it afterwards."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sqlite3
from collections.abc import Awaitable
from pathlib import Path

from msgspec.structs import replace

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.engine.audit import AuditRecord
from seawall.engine.audit_chain import ChainCheck
from seawall.engine.records import AttemptRecord, CommandRecord, LedgerFacts, SessionGrant
from seawall.storage.sqlite import SqliteStore
from seawall.writer import commit
from tests.chaos.power import Commit, Content, Kind, Unsound
from tests.chaos.promises import Marks
from tests.storage.backends import NOW, agent, attempt, command, join_token, later

FILE = "seawall.db"
HOSTS = ("a-1", "a-2", "a-3")

_BURSTS = 12
_SIZES = (0, 0, 10, 100, 500, 5_000)
"""Of contents, in characters; the last one doesn't fit into a page."""

_ENDS = (CommandState.SUCCEEDED, CommandState.FAILED, CommandState.UNKNOWN, CommandState.CANCELLED)


class StoreWork:
    """A controller's writes, many at a time, with restarts in between."""

    def __init__(self, directory: Path, marks: Marks, dice: random.Random, flush: bool) -> None:
        self._path = directory / FILE
        self._marks = marks
        self._dice = dice
        self._commit = Commit(self._path, commit, flush)
        self._numbers = itertools.count(1)
        self._ledgers = dict.fromkeys(HOSTS, 0)
        """How far each host's ledger goes."""

    async def run(self, rounds: int) -> None:
        """Start the store, use it, stop it: `rounds` times."""
        for number in range(rounds):
            store = await self._marks.given("term", _term_of, self._open())
            if number == 0:
                for host in HOSTS:
                    await self._join(store, host)
            for _ in range(_BURSTS):
                await self._burst(store)
            await store.close()

    async def _open(self) -> SqliteStore:
        return await SqliteStore.open(self._path, SystemClock(), commit=self._commit)

    async def _join(self, store: SqliteStore, host: str) -> None:
        secret = f"secret of {host}"
        await store.add_join_token(join_token(secret))
        # The token is used and the agent is there, or neither.
        joining = store.redeem(secret, NOW, agent(host, f"name of {host}"))
        await self._marks.promise(f"joined:{host}", secret, joining)

    async def _burst(self, store: SqliteStore) -> None:
        """Several callers at once, so that transactions hold the work of many."""
        work: list[Awaitable[object]] = [self._life(store) for _ in range(self._dice.randint(1, 6))]
        if self._dice.random() < 0.3:
            host = self._dice.choice(HOSTS)
            ledger = LedgerFacts("ledger", last_sequence=self._ledgers[host])
            session = store.open_session(agent(host, f"name of {host}"), ledger)
            connecting = self._marks.given(f"epoch:{host}", _epoch_of, session)
            work.append(connecting)
        await asyncio.gather(*work)

    async def _life(self, store: SqliteStore) -> None:
        """One command, from its acceptance to its end, or left open."""
        number, dice = next(self._numbers), self._dice
        record = command(
            f"c-{number}",
            agent_id=dice.choice(HOSTS),
            arguments={"container": f"web-{number}", "filler": "x" * dice.choice(_SIZES)},
            idempotency_key=f"key-{number}" if dice.random() < 0.5 else None,
        )
        if dice.random() < 0.5:
            self._begin(record)  # accepted and sent in one write
        accepting = store.accept(record, sequenced=True)
        accepting = self._marks.given(f"sequence:{record.command_id}", _sequence_of, accepting)
        await self._keep(record, accepting)
        for _ in range(dice.randint(0, 2)):
            if not record.attempts or record.attempts[-1].finished_at is not None:
                begun = self._begin(record)
                await self._keep(record, store.start_attempt(record.command_id, replace(begun)))
            ended = self._end(record)
            await self._keep(record, store.finish_attempt(record.command_id, replace(ended)))
        if dice.random() < 0.2:
            return
        await self._finish(store, record)

    async def _finish(self, store: SqliteStore, record: CommandRecord) -> None:
        dice = self._dice
        if record.attempts and record.attempts[-1].finished_at is None:
            self._end(record)  # written together with the result
        record.state = dice.choice(_ENDS)
        record.settled = record.state is not CommandState.UNKNOWN
        record.response = {"text": "y" * dice.choice(_SIZES)}
        record.finished_at = later(10)
        await self._keep(record, store.finish(record))
        if not record.settled and dice.random() < 0.5:
            record.state, record.settled, record.recorded = CommandState.SUCCEEDED, True, True
            self._ledgers[record.agent_id] = max(self._ledgers[record.agent_id], record.sequence)
            await self._keep(record, store.settle(record))
        if dice.random() < 0.2:
            await store.commands(limit=5)
            late = replace(record, state=CommandState.FAILED, response="too late")
            await self._keep(record, store.finish(late))

    def _begin(self, record: CommandRecord) -> AttemptRecord:
        begun = attempt(len(record.attempts) + 1)
        record.state = CommandState.DISPATCHED
        record.attempts.append(begun)
        return begun

    def _end(self, record: CommandRecord) -> AttemptRecord:
        ended = record.attempts[-1]
        ended.finished_at, ended.error_code = later(8), "timeout"
        return ended

    async def _keep(self, record: CommandRecord, write: Awaitable[object]) -> None:
        await self._marks.promise(f"command:{record.command_id}", _content_of(record), write)


def _content_of(record: CommandRecord) -> object:
    """What a power loss must not change of a command."""
    return [
        record.state.value,
        record.agent_id,
        record.arguments,
        record.idempotency_key,
        record.response,
        [[one.number, one.finished_at is not None, one.error_code] for one in record.attempts],
    ]


def _term_of(store: SqliteStore) -> object:
    return store._identity[1]  # the port's own way would need another turn of the loop, after the answer


def _epoch_of(grant: SessionGrant) -> object:
    return grant.epoch


def _sequence_of(record: CommandRecord) -> object:
    return record.sequence


def _read(connection: sqlite3.Connection) -> Content:
    """By plain SQL, so that what is wrong in the store's own reading can't hide anything."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'controller'").fetchone():
        left = connection.execute("SELECT name FROM sqlite_master").fetchall()
        if left:
            raise Unsound(f"half of the tables: {left}")
        return {}
    _check_chain(connection)
    found: Content = {}
    for (term,) in connection.execute("SELECT term FROM controller"):
        found["term"] = term
    for agent_id, epoch in connection.execute("SELECT agent_id, epoch FROM agents"):
        found[f"joined:{agent_id}"] = f"secret of {agent_id}"
        found[f"epoch:{agent_id}"] = epoch or None
    used = "SELECT used_by, secret_hash FROM join_tokens WHERE used_by IS NOT NULL"
    tokens = {f"joined:{agent_id}": secret for agent_id, secret in connection.execute(used)}
    joined = {name: secret for name, secret in found.items() if name.startswith("joined:")}
    if tokens != joined:
        raise Unsound(f"half of a join: tokens used {tokens}, hosts that joined {joined}")
    attempts: dict[str, list[object]] = {}
    for command_id, number, finished_at, code in connection.execute(
        "SELECT command_id, number, finished_at, error_code FROM attempts ORDER BY command_id, number"
    ):
        attempts.setdefault(command_id, []).append([number, finished_at is not None, code])
    for command_id, state, agent_id, arguments, key, response, sequence in connection.execute(
        "SELECT command_id, state, agent_id, arguments, idempotency_key, response, agent_sequence FROM commands"
    ):
        decoded = None if response is None else json.loads(response)
        content = [state, agent_id, json.loads(arguments), key, decoded, attempts.get(command_id, [])]
        found[f"command:{command_id}"] = content
        found[f"sequence:{command_id}"] = sequence
    unrecorded = (
        "SELECT command_id FROM commands "
        "WHERE command_id NOT IN (SELECT subject FROM audit WHERE action = 'command_accepted') "
        "OR finished_at IS NOT NULL "
        "AND command_id NOT IN (SELECT subject FROM audit WHERE action = 'command_finished')"
    )
    if without := connection.execute(unrecorded).fetchall():
        raise Unsound(f"commands without their entries in the audit log: {without}")
    twice = "SELECT agent_id, agent_sequence FROM commands GROUP BY 1, 2 HAVING count(*) > 1"
    if again := connection.execute(twice).fetchall():
        raise Unsound(f"sequences that were given twice: {again}")
    return found


def _check_chain(connection: sqlite3.Connection) -> None:
    """From the first start on there are entries, and they are whole whenever the power fails."""
    chain = f"SELECT {', '.join(AuditRecord._fields)} FROM audit ORDER BY position"  # noqa: S608 - our own words
    entries = list(map(AuditRecord._make, connection.execute(chain)))
    started = connection.execute("SELECT 1 FROM controller").fetchone() is not None
    if started != bool(entries):
        raise Unsound(f"{len(entries)} entries in the audit log of a controller that was started: {started}")
    check = ChainCheck()
    check.take(entries)
    fault = check.verdict().fault
    if entries and fault is not None:
        raise Unsound(f"the audit log is broken: {fault.text}")


def _reopen(database: Path, expected: Content) -> None:
    asyncio.run(_through_the_store(database, expected))


async def _through_the_store(database: Path, expected: Content) -> None:
    store = await SqliteStore.open(database, SystemClock())
    try:
        _, term = await store.controller_identity()
        before = expected.get("term")
        if isinstance(before, int) and term <= before:
            raise Unsound(f"term {term} began after term {before}")
        found: Content = {"term": before}
        for host in await store.agents():
            found[f"joined:{host.agent_id}"] = f"secret of {host.agent_id}"
            found[f"epoch:{host.agent_id}"] = host.epoch or None
        for record in await store.commands(limit=100_000):
            found[f"command:{record.command_id}"] = _content_of(record)
            found[f"sequence:{record.command_id}"] = record.sequence
        if found != {"term": None, **expected}:
            raise Unsound("the store reads something else than is in its tables")
        new = await store.accept(command("afterwards"))
        if await store.command("afterwards") != new:
            raise Unsound("the store can't go on from there")
    finally:
        await store.close()


STORE = Kind("store", FILE, StoreWork, _read, _reopen)
