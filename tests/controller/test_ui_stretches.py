"""How long a circuit was in which state, and what a page follows while its user is signed in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from seawall.controller.ui.stretches import stretches
from seawall.controller.ui.watches import Watches
from seawall.engine.records import TransitionRecord

BEGIN = datetime(2030, 5, 17, 8, tzinfo=UTC)
END = BEGIN + timedelta(seconds=100)


def change(at: float, origin: str, target: str) -> TransitionRecord:
    return TransitionRecord(BEGIN + timedelta(seconds=at), "a", "docker", origin, target, "5 of 5 failed")


def shown(*changes: TransitionRecord, state: str = "closed") -> list[tuple[str, float, float]]:
    """From changes in their order."""
    return [(each.state, each.begin, each.end) for each in stretches(changes[::-1], state, BEGIN, END)]


def test_states_follow_one_another_without_gaps_from_the_first_moment_to_the_last() -> None:
    assert shown() == [("closed", 0, 1)]
    assert shown(
        change(20, "closed", "open"), change(50, "open", "half_open"), change(60, "half_open", "closed")
    ) == [("closed", 0, 0.2), ("open", 0.2, 0.5), ("half_open", 0.5, 0.6), ("closed", 0.6, 1)]


def test_what_began_before_the_time_is_cut_and_what_ended_before_it_is_left_out() -> None:
    earlier = change(-50, "closed", "open"), change(-20, "open", "half_open")
    assert shown(*earlier, change(30, "half_open", "closed")) == [("half_open", 0, 0.3), ("closed", 0.3, 1)]
    assert shown(*earlier, state="half_open") == [("half_open", 0, 1)]


def test_a_state_that_changed_without_a_record_is_not_explained_by_the_last_one() -> None:
    (before, now) = stretches([change(20, "closed", "open")], "closed", BEGIN, END)
    assert (before.state, now.state) == ("closed", "closed")
    assert "failed" not in now.said
    (_, opened) = stretches([change(20, "closed", "open")], "open", BEGIN, END)
    assert opened.said == "open from 2030-05-17 08:00:20 UTC for 1 min: 5 of 5 failed"


@pytest.mark.asyncio
async def test_what_is_followed_rests_while_nobody_is_signed_in_and_what_has_ended_stays_ended() -> None:
    begun: list[str] = []
    never, told = asyncio.Event(), asyncio.Event()

    async def follow() -> None:
        begun.append("log")
        try:
            await never.wait()
        finally:
            told.set()

    async def short() -> None:
        begun.append("short")

    watches = Watches()
    log = watches.add(follow)
    watches.add(short)
    await asyncio.sleep(0)
    watches.hold(signed_in=True)
    await asyncio.sleep(0)
    assert begun == ["log", "short"]
    watches.hold(signed_in=False)
    await asyncio.wait_for(told.wait(), 5)
    assert log.resting
    watches.hold(signed_in=True)
    await asyncio.sleep(0)
    assert begun == ["log", "short", "log"]
    told.clear()
    watches.drop(log)
    await asyncio.wait_for(told.wait(), 5)
    watches.hold(signed_in=True)
    await asyncio.sleep(0)
    assert begun == ["log", "short", "log"]
