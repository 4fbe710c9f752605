"""The past is read page by page, each failure once, and nothing from before the time that is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.core.command import CommandState
from seawall.engine.history import Absence, PastFailure
from seawall.engine.records import AttemptRecord, TransitionRecord
from seawall.engine.store import Store
from tests.storage.backends import BACKENDS, NOW, command, later

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await BACKENDS[request.param](tmp_path)()
    yield store
    await store.close()


def attempt(number: int, code: str | None, at: float) -> AttemptRecord:
    return AttemptRecord(number, f"x-{number}", later(at), later(at + 1), code, "silent" if code else "none")


async def test_commands_come_the_newest_first_in_pages_with_each_failure_once(store: Store) -> None:
    saved = {"state": CommandState.SUCCEEDED, "total_attempts": 2, "duration_seconds": 2.5}
    failed = {"state": CommandState.FAILED, "error_code": "timeout", "total_attempts": 1}
    refused = {"state": CommandState.REJECTED, "error_code": "circuit_open", "finished_at": later(9)}
    for number, (agent_id, fields, attempts) in enumerate(
        (
            ("a-1", saved, [attempt(1, "timeout", 3), attempt(2, None, 5)]),
            ("a-2", failed, [attempt(1, "timeout", 4)]),
            ("a-1", refused, []),
        )
    ):
        await store.accept(command(f"c-{number}", agent_id=agent_id, **fields, attempts=attempts))
    newest, middle, oldest = await store.past_commands()
    now = NOW.timestamp()
    assert newest.failures == (PastFailure(now + 9, "circuit_open", "none"),)
    assert list(middle.failures) == [PastFailure(now + 5, "timeout", "silent")]
    assert list(oldest.failures) == [PastFailure(now + 4, "timeout", "silent")]
    assert (oldest.agent_id, oldest.agent, oldest.operation) == ("a-1", "local", "container_restart")
    assert (oldest.state, oldest.accepted_at, oldest.duration_seconds) == ("SUCCEEDED", now, 2.5)
    assert await store.past_commands(limit=1) == [newest]
    assert await store.past_commands(before=newest.place, limit=1) == [middle]
    assert await store.past_commands(agent_id="a-1") == [newest, oldest]
    assert await store.past_commands(agent_id="a-1", before=newest.place) == [oldest]
    assert await store.past_commands(before=oldest.place) == []


async def test_transitions_of_a_time_come_the_newest_first(store: Store) -> None:
    changes = [
        TransitionRecord(later(at), agent_id, "docker", "closed", "open", "why")
        for at, agent_id in ((0, "a-1"), (10, "a-2"), (20, "a-1"))
    ]
    await store.add_transitions(changes)
    assert await store.past_transitions(later(10)) == [changes[2], changes[1]]
    assert await store.past_transitions(later(0), agent_id="a-1", limit=5) == [changes[2], changes[0]]
    assert await store.past_transitions(later(0), limit=1) == [changes[2]]


async def test_of_absences_those_that_ended_before_are_left_out_and_the_newest_come_first(
    store: Store,
) -> None:
    await store.add_absences([Absence("a-1", NOW, None), Absence("a-2", NOW, None)])
    await store.end_absences(["a-1"], later(5))
    await store.add_absences([Absence("a-1", later(40), None)])
    await store.end_absences(["a-1", "never kept"], later(50))
    first, second = Absence("a-1", later(40), later(50)), Absence("a-2", NOW, None)
    assert await store.absences(later(10)) == [first, second]
    assert await store.absences(later(10), agent_id="a-2") == [second]
    assert await store.absences(later(5), limit=1) == [first]
    assert await store.absences(later(5)) == [first, second, Absence("a-1", NOW, later(5))]


async def test_a_circuit_is_unclosed_if_its_latest_transition_left_it_so(store: Store) -> None:
    def change(agent_id: str, domain: str, origin: str, target: str) -> TransitionRecord:
        return TransitionRecord(NOW, agent_id, domain, origin, target, "why")

    open_still = change("a-1", "docker", "half_open", "open")
    await store.add_transitions(
        [
            change("a-1", "docker", "closed", "open"),
            change("a-1", "agent", "closed", "open"),
            change("a-2", "docker", "closed", "open"),
            change("a-1", "agent", "half_open", "closed"),
            open_still,
            change("a-2", "docker", "half_open", "closed"),
        ]
    )
    assert await store.unclosed_circuits() == [open_still]
