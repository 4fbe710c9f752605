"""What was known last, for reads whose host can't be reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from seawall.core.command import CommandState
from seawall.core.errors import Circumstance
from seawall.engine.last_known import LARGEST_BYTES, LastKnown
from seawall.engine.records import CommandRecord

T0 = datetime(2030, 1, 1, tzinfo=UTC)
NONE = Circumstance.NONE


def read(
    seconds: float = 0.0, response: object = None, code: str | None = None, **arguments: object
) -> CommandRecord:
    at = T0 + timedelta(seconds=seconds)
    state = CommandState.SUCCEEDED if code is None else CommandState.FAILED
    return CommandRecord(
        "c", "container_list", "a", "web-1", dict(arguments), state, at, at, 1.0, 1,
        error_code=code, response=response, finished_at=at,
    )  # fmt: skip


def test_a_read_that_fails_is_answered_with_what_was_known_last_and_its_age() -> None:
    known, failed = LastKnown(), read(90, code="agent_not_connected")
    known.serve(read(0, ["web"]), NONE)
    known.serve(failed, NONE)
    assert failed.fallback is not None
    assert (failed.fallback["stale"], failed.fallback["age_seconds"]) == (True, 90.0)
    assert failed.fallback["value"] == ["web"]
    assert (failed.state, failed.error_code) == (CommandState.FAILED, "agent_not_connected"), "never hidden"


def test_another_question_is_not_answered_with_this_answer() -> None:
    known, failed = LastKnown(), read(1, code="timeout", all=True)
    known.serve(read(0, ["web"], all=False), NONE)
    known.serve(failed, NONE)
    assert failed.fallback is None


@pytest.mark.parametrize("code", ["permission_denied", "agent_error", "invalid_argument", "cancelled"])
def test_what_the_host_itself_refuses_is_not_answered_with_an_older_yes(code: str) -> None:
    known, failed = LastKnown(), read(1, code=code)
    known.serve(read(0, ["web"]), NONE)
    known.serve(failed, NONE)
    assert failed.fallback is None


def test_no_such_container_is_not_answered_with_an_older_yes() -> None:
    known, failed = LastKnown(), read(1, code="docker_error")
    known.serve(read(0, ["web"]), NONE)
    known.serve(failed, Circumstance.DOCKER_REFUSED)
    assert failed.fallback is None


def test_the_latest_answer_is_the_one_that_is_kept() -> None:
    known, failed = LastKnown(), read(9, code="timeout")
    known.serve(read(0, ["web"]), NONE)
    known.serve(read(5, ["web", "db"]), NONE)
    known.serve(failed, NONE)
    assert failed.fallback is not None
    assert (failed.fallback["value"], failed.fallback["age_seconds"]) == (["web", "db"], 4.0)
    assert len(known) == 1


def test_an_answer_that_is_too_large_is_not_kept_and_the_older_one_goes() -> None:
    known, failed = LastKnown(), read(9, code="timeout")
    known.serve(read(0, ["web"]), NONE)
    known.serve(read(1, "x" * (LARGEST_BYTES + 1)), NONE)
    known.serve(failed, NONE)
    assert failed.fallback is None


def test_only_so_much_is_kept_and_the_longest_unused_goes_first() -> None:
    known = LastKnown(most_answers=3)
    for tail in range(4):
        known.serve(read(tail, tail, tail=tail), NONE)
    first, last = read(9, code="timeout", tail=0), read(9, code="timeout", tail=3)
    known.serve(first, NONE)
    known.serve(last, NONE)
    assert (len(known), first.fallback) == (3, None)
    assert last.fallback is not None
