"""What many commands say together is what one counts by hand, in bounded room."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import msgspec
import pytest

from seawall.engine.analytics import Analytics, ErrorPattern, Tally, Window
from seawall.engine.analytics_csv import CsvTable, csv_of
from seawall.engine.analytics_shown import (
    HeatBy,
    blocks,
    heat_rows,
    line,
    notes,
    part_length,
    part_name,
    shade,
    share,
    stacks,
)
from seawall.engine.downtime import Down
from seawall.engine.durations import Durations
from seawall.engine.history import PastCommand, PastFailure
from seawall.engine.records import AgentRecord

DAY = 86_400.0
END = datetime(2030, 5, 17, 8, 30, tzinfo=UTC).timestamp()


def past(
    host: str, hours_ago: float, state: str = "SUCCEEDED", *codes: tuple[str, str], seconds: float = 0.2
) -> PastCommand:
    at = END - hours_ago * 3600
    failures = tuple(PastFailure(at, code, circumstance) for code, circumstance in codes)
    return PastCommand(1, f"id-{host}", host, "container_list", state, at, seconds, failures)


def agent(host: str, hours_ago: float = 1_000) -> AgentRecord:
    return AgentRecord(f"id-{host}", host, b"", datetime.fromtimestamp(END - hours_ago * 3600, UTC))


def figures(
    *commands: PastCommand,
    agents: tuple[AgentRecord, ...] = (),
    downs: dict[str, list[Down]] | None = None,
    most_patterns: int = 100,
) -> Analytics:
    tally = Tally(Window(END - DAY, END), most_patterns)
    tally.take(commands)
    return tally.figures(agents, downs or {}, complete=True)


TIMEOUT = ("timeout", "silent")


def test_a_percentile_is_that_of_the_sorted_durations_within_two_and_a_half_percent() -> None:
    dice = random.Random(1)
    for count in (1, 2, 7, 1_000):
        seconds = sorted(dice.lognormvariate(-2, 2) for _ in range(count))
        durations = Durations()
        for each in seconds:
            durations.add(each)
        for percent in (50, 95, 99, 100):
            exact = seconds[-(-count * percent // 100) - 1]
            assert durations.percentile(percent) == pytest.approx(exact, rel=0.025)
    assert Durations().percentile(50) is None


def test_the_parts_of_a_time_begin_at_even_times_and_hold_every_moment_of_it_once() -> None:
    for seconds in (60, 3_600, 86_400, 7 * 86_400, 30 * 86_400, 366 * 86_400):
        window = Window(END - seconds, END)
        assert len(window.starts) <= 31
        assert window.edges[0] == window.begin
        assert window.edges == sorted(window.edges)
        assert all(start % window.width == 0 for start in window.starts[1:])
        assert window.part(window.begin) == 0
        assert window.part(window.end - 0.001) in (len(window.starts) - 1, len(window.starts) - 2)
        for number, start in enumerate(window.starts):
            assert window.part(start) == number
    assert Window(END - DAY, END).width == 3_600


def test_a_command_counts_for_its_host_and_every_failed_attempt_for_its_pattern() -> None:
    found = figures(
        past("web", 1, "SUCCEEDED", TIMEOUT, seconds=3.0),
        past("web", 1, "FAILED", TIMEOUT, TIMEOUT),
        past("web", 2, "UNKNOWN", ("outcome_unknown", "none")),
        past("web", 2, "FAILED", ("docker_error", "docker_refused")),
        past("db", 3, "REJECTED", ("circuit_open", "none")),
        past("db", 30),
        agents=(agent("idle"),),
    )
    assert (found.commands, found.failures) == (5, 6)
    by_host = {host.host: (host.commands, host.succeeded, host.failed) for host in found.hosts}
    # A refusal by the Engine is about the request, and what was turned away never reached the host.
    assert by_host == {"web": (4, 1, 2), "db": (1, 0, 0), "idle": (0, 0, 0)}
    assert found.hosts[0].host == "web"
    first = found.patterns[0]
    assert (first.code, first.host, first.operation, first.total) == ("timeout", "web", "container_list", 3)
    assert first.counts[Window(END - DAY, END).part(END - 3600)] == sum(first.counts) == 3
    assert [spread.commands for spread in found.durations if spread.commands] == [1]


def test_availability_mean_times_and_reliability_come_from_when_a_host_was_down() -> None:
    downs = {"id-web": [Down(END - 7_200, END - 3_600, True), Down(END - 1_800, END, False)]}
    found = figures(past("web", 1), past("web", 1, "FAILED", TIMEOUT), agents=(agent("new", 2),), downs=downs)
    web, new = found.hosts
    assert web.availability == pytest.approx(1 - 5_400 / DAY)
    assert web.reliability == pytest.approx(web.availability / 2)
    assert (web.outages, web.down_seconds, web.mttr_seconds) == (2, 5_400, 3_600)
    assert web.mtbf_seconds == pytest.approx((DAY - 5_400) / 2)
    assert (new.availability, new.mtbf_seconds, new.mttr_seconds) == (1.0, None, None)
    assert new.availabilities[:-4] == (None,) * (len(found.parts) - 4)
    assert new.availabilities[-1] == 1.0


def test_patterns_that_are_too_many_are_counted_and_said_to_be() -> None:
    found = figures(*(past(host, 1, "FAILED", TIMEOUT) for host in "abcd"), most_patterns=2)
    assert (len(found.patterns), found.unlisted_failures, found.failures) == (2, 2, 4)
    assert "2 failures belong to patterns that aren't listed." in notes(found)
    shorter = found.first(1)
    assert (len(shorter.patterns), shorter.unlisted_failures, len(shorter.hosts)) == (1, 3, 1)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Analytics) == found


def test_pages_go_on_until_one_has_nothing_of_the_time() -> None:
    tally = Tally(Window(END - DAY, END))
    later = past("web", -1)
    assert tally.take([later, later])
    assert tally.take([past("web", 23), past("web", 25)])
    assert not tally.take([past("web", 25)])
    assert tally.commands == 1


def test_a_heat_map_adds_up_what_its_rows_have_in_common() -> None:
    found = figures(
        past("web", 1, "FAILED", TIMEOUT),
        past("db", 1, "FAILED", TIMEOUT),
        past("db", 2, "FAILED", ("docker_error", "docker_failed")),
    )
    assert [(row.about, row.total) for row in heat_rows(found, HeatBy.CODE)] == [
        (("timeout",), 2),
        (("docker_error",), 1),
    ]
    assert [(row.about, row.total) for row in heat_rows(found, HeatBy.HOST)] == [(("db",), 2), (("web",), 1)]
    assert heat_rows(found, HeatBy.OPERATION)[0].about == ("container_list",)
    assert len(heat_rows(found, HeatBy.PATTERN)) == 3
    assert [shade(count, 1_000) for count in (0, 1, 1_000)] == [0, 1, 4]


def test_figures_are_said_without_flattering_them() -> None:
    assert share(0.99999) == "99.99 %"
    assert share(1.0) == "100.00 %"
    moment = datetime(2030, 5, 17, 8, 30, tzinfo=UTC)
    assert [part_name(moment, each) for each in (60, 3_600, DAY)] == ["08:30", "05-17 08 h", "05-17"]
    assert [part_length(each) for each in (60, 900, 3_600, 21_600, DAY)] == [
        *("a minute", "15 minutes", "an hour", "6 hours", "a day")
    ]
    assert line([0.0, None, 1.0, 0.5], 40, 10, 0.0, 1.0) == "M1.0 10.0h8.0M25.0 0.0L35.0 5.0"
    assert blocks([1.0, 0.999, 0.0, None]) == "█▇▁·"
    assert stacks([[1, 0], [1, 1]], 20, 10) == [
        *("M1.2 5.0h7.6v5.0h-7.6z", "M1.2 0.0h7.6v5.0h-7.6zM11.2 5.0h7.6v5.0h-7.6z")
    ]


def test_a_spreadsheet_gets_text_that_it_does_not_calculate() -> None:
    moment = datetime(2030, 5, 17, 8, 30, tzinfo=UTC)
    pattern = ErrorPattern("=cmd()", "id", '@host,"x"', "-ping", 3, (3, 0))
    found = msgspec.structs.replace(figures(), parts=[moment, moment], patterns=[pattern])
    assert csv_of(found, CsvTable.ERRORS).splitlines() == [
        "from,code,host,agent_id,operation,failures",
        '2030-05-17T08:30:00Z,\'=cmd(),"\'@host,""x""",id,\'-ping,3',
    ]
    text = csv_of(figures(past("web", 1)), CsvTable.HOSTS).splitlines()
    assert text[1].startswith("web,id-web,1,1,0,1,1,0,0,,,0.")
