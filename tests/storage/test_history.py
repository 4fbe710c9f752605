"""The past is read page by page, each failure once, and nothing from before the time that is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.core.command import CommandState
from seawall.engine.alert_records import AlertRecord
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


async def test_an_absence_is_an_alert_that_an_agent_was_offline_and_had_not_ended_before(
    store: Store,
) -> None:
    def alert(alert_id: str, kind: str, agent_id: str, resolved: float | None) -> AlertRecord:
        end = None if resolved is None else later(resolved)
        return AlertRecord(
            *(alert_id, f"{kind}/{agent_id}", kind, "critical", agent_id, agent_id, "text"),
            *(True, 1, NOW),
            resolved_at=end,
        )

    await store.keep_alerts(
        [
            alert("l-1", "agent_offline", "a-1", 5),
            alert("l-2", "agent_offline", "a-1", 50),
            alert("l-3", "agent_offline", "a-2", None),
            alert("l-4", "circuit", "a-2", None),
        ]
    )
    now = NOW.timestamp()
    first, second = Absence("a-2", now, None), Absence("a-1", now, now + 50)
    assert await store.absences(later(10)) == [first, second]
    assert await store.absences(later(10), agent_id="a-1") == [second]
    assert await store.absences(later(10), limit=1) == [first]
