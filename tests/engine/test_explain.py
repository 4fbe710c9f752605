"""A command's life in words, from the records alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from seawall.core.command import CommandState, StoppedBy
from seawall.engine.explain import STOPPED, Line, explain
from seawall.engine.records import AttemptRecord, CommandRecord, DecisionRecord, TransitionRecord

T0 = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def record(**changes: object) -> CommandRecord:
    fields: dict[str, object] = {
        "state": CommandState.FAILED,
        "error_code": "timeout",
        "error": "nothing was heard",
        "finished_at": at(8),
        "duration_seconds": 8.0,
        "total_attempts": 2,
        "stopped_by": "agent_budget",
        "sequence": 7,
        "requested_by": "ann",
        "attempts": [
            AttemptRecord(1, "x.1", at(0), at(3), "timeout", "silent", "nothing was heard"),
            AttemptRecord(2, "x.2", at(5), at(8), "timeout", "silent", "nothing was heard"),
        ],
    }
    return CommandRecord(
        "c",
        "container_stop",
        "a",
        "web-1",
        {},
        accepted_at=at(0),
        deadline_at=at(60),
        timeout_seconds=3.0,
        max_attempts=3,
        **(fields | changes),
    )  # type: ignore[arg-type]  # by name


RETRY = DecisionRecord(
    at(3), "retry", {"attempt": 2, "of": 3, "delay_seconds": 2.0, "error_code": "timeout", "asked_for": False}
)
OPENED = TransitionRecord(at(7), "a", "agent", "closed", "open", "5 failures in 60 s")
EARLIER = TransitionRecord(at(-50), "a", "agent", "open", "closed", "2 probes succeeded")


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_the_timeline_tells_attempts_delays_circuits_and_the_end_in_order() -> None:
    told = explain(record(), [RETRY], [OPENED, EARLIER])
    assert [line.kind for line in told] == [
        "accepted",
        "attempt",
        "outcome",
        "retry",
        "attempt",
        "circuit",
        "outcome",
        "stopped",
        "finished",
    ]
    assert [line.at for line in told] == sorted(line.at for line in told)
    whole = "\n".join(texts(told))
    assert "accepted from ann as number 7 of its changes: 3 attempts of 3 s each, all within 60 s" in whole
    assert "attempt 2 of 3 follows in 2.00 s (back-off with jitter), because of timeout" in whole
    assert "went from closed to open: 5 failures in 60 s" in whole
    assert "retry budget is used up" in whole
    assert "it is FAILED after 8.00 s and 2 attempts (timeout)" in whole


def test_an_older_answer_in_place_of_one_is_told_with_its_age_after_the_error() -> None:
    fallback = {
        "kind": "stale",
        "stale": True,
        "as_of": at(-34).isoformat(),
        "age_seconds": 42.0,
        "value": [],
    }
    told = explain(record(fallback=fallback), [], [])
    assert [line.kind for line in told[-2:]] == ["finished", "fallback"]
    assert told[-1].at == at(8)
    assert "had answered 42 s before (at 2029-12-31T23:59:26+00:00)" in told[-1].text
    assert "stale" in told[-1].text


def test_who_overruled_a_circuit_is_told() -> None:
    held = TransitionRecord(at(7), "a", "agent", "closed", "open", "held open: disk swap", "ann")
    assert "the host's circuit (agent) went from closed to open by ann: held open: disk swap" in texts(
        explain(record(), [], [held])
    )


def test_every_reason_that_stops_the_retries_has_its_words() -> None:
    assert set(STOPPED) == {reason.value for reason in StoppedBy}


def test_an_attempt_that_was_not_sent_is_not_told_as_sent() -> None:
    attempts = [AttemptRecord(1, "x.1", at(0), at(1), "bulkhead_full", "not_sent", "too much under way")]
    told = texts(explain(record(attempts=attempts, stopped_by=None), [], []))
    assert "attempt 1 was to be sent" in told
    assert not any("attempt 1 was sent" in text for text in told)


def test_a_command_under_way_is_told_as_far_as_it_has_come() -> None:
    attempts = [AttemptRecord(1, "x.1", at(0))]
    open_one = record(state=CommandState.RUNNING, attempts=attempts, finished_at=None, stopped_by=None)
    assert [line.kind for line in explain(open_one, [], [])] == ["accepted", "attempt"]


def test_who_resolved_an_unknown_command_is_told_with_the_reason() -> None:
    settled = DecisionRecord(at(90), "settled", {"state": "SUCCEEDED", "by": "ann", "reason": "looked at it"})
    assert "ann resolved it as SUCCEEDED: looked at it" in texts(explain(record(), [settled], []))
    by_ledger = DecisionRecord(at(90), "settled", {"state": "SUCCEEDED", "by": "", "reason": ""})
    assert "the agent's ledger told that it was SUCCEEDED" in texts(explain(record(), [by_ledger], []))
