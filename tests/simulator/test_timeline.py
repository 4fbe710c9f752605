"""Virtual time passes in order."""

from __future__ import annotations

from seawall.simulator.timeline import Timeline


def test_alarms_ring_in_order_and_those_of_one_moment_in_the_order_in_which_they_were_set() -> None:
    timeline, heard = Timeline(), []
    for when, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "never")):
        timeline.at(when, lambda name=name: heard.append((timeline.now, name)))
    timeline.run(5.0)
    assert heard == [(1.0, "a"), (1.0, "b"), (2.0, "c")]
    assert timeline.now == 5.0


def test_a_cancelled_alarm_stays_silent_and_a_past_one_rings_now() -> None:
    timeline, heard = Timeline(), []
    timeline.at(1.0, lambda: heard.append("cancelled")).cancel()
    timeline.at(2.0, lambda: timeline.at(0.5, lambda: heard.append(timeline.now)))
    timeline.run(3.0)
    assert heard == [2.0]
