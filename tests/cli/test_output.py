"""What a command prints on its host: followed live, and printed afterwards."""

from __future__ import annotations

import json

import msgspec

from seawall.cli.progress import Progress
from seawall.client.events import Event
from seawall.wire.output import Line
from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble, Script

LINES = [
    Line(1, 0.0, "0 of 2 layers", {"layers": {"a": {"current": 1}}}),
    Line(2, 0.5, "1 of 2 layers", {"layers": {"b": {"current": 1}}}),
    Line(5, 0.9, "2 of 2 layers", {"layers": {"a": {"current": 2}}}, dropped=2),
]
PRINTED = b"".join(msgspec.json.encode(line) + b"\n" for line in LINES)
DETAILS = [
    {"layers": {"a": {"current": 1}}},
    {"layers": {"a": {"current": 1}, "b": {"current": 1}}},
    {"layers": {"a": {"current": 2}, "b": {"current": 1}}},
]
HINT = {"text": "a hint", "detail": {"layers": {}}}


def host(controller: ControllerDouble, output: bytes | None) -> Script:
    script = controller.add("local")
    script.output, script.progress = output, [HINT]
    return script


def test_a_live_view_has_each_line_once_from_the_host_and_no_notice_beside_it(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    host(controller, PRINTED)
    call = seawall("image", "pull", "app:1", "--json-lines")
    told = [json.loads(line) for line in call.out.splitlines()]
    kinds = [each["event"] for each in told]
    assert sorted(kinds[1:-2]) == ["attempt_started", "progress", "progress", "progress"]
    assert kinds[-2:] == ["attempt_finished", "ended"]
    lines = [each for each in told if each["event"] == "progress"]
    assert [(each["number"], each["text"], each["detail"], each["dropped"]) for each in lines] == [
        (line.number, line.text, detail, line.dropped) for line, detail in zip(LINES, DETAILS, strict=True)
    ]


def test_a_host_that_keeps_no_output_is_told_of_by_notices_and_that_is_said(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    host(controller, None)
    lines = seawall("image", "pull", "app:1").out.splitlines()
    (gaps,) = [line for line in lines if "may have gaps" in line]
    assert "update it" in gaps
    assert "a hint" in lines


def test_an_operation_that_prints_nothing_opens_no_stream(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    host(controller, PRINTED)
    assert "a hint" in seawall("container", "restart", "web").out
    assert controller.streams == []


def test_the_output_of_a_command_is_printed_line_by_line(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    host(controller, PRINTED)
    seawall("container", "restart", "web")
    for more in ((), ("--follow",)):
        call = seawall("command", "output", "command-1", *more)
        assert (call.code, call.out.splitlines()) == (
            0,
            [
                "0 of 2 layers",
                "1 of 2 layers",
                "(2 lines are missing: the host had no room for them)",
                "2 of 2 layers",
            ],
        )
    # One that is over isn't waited for.
    asked = [order["arguments"] for order in controller.streams]
    assert asked == [{"command_id": "command-1", "follow": False}] * 2
    call = seawall("command", "output", "command-1", "--json")
    assert [json.loads(line)["detail"] for line in call.out.splitlines()] == DETAILS


def test_an_output_that_cannot_be_had_is_a_sentence_and_an_exit_code(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    host(controller, None)
    seawall("container", "restart", "web")
    call = seawall("command", "output", "command-1")
    assert (call.code, call.out) == (2, "")
    assert "update it" in call.err
    assert seawall("command", "output", "nothing").code != 0
    controller.scripts["local"].output = b"this is no JSON\n"
    call = seawall("command", "output", "command-1")
    assert call.code == 1
    assert "version near this one" in call.err


def test_layers_on_their_way_are_a_line_a_second_and_the_last_is_always_said() -> None:
    progress, said = Progress(), list[str]()
    for tenth in range(25):
        content = {"text": f"{tenth} of 25", "detail": {"layers": {}}, "seconds": tenth / 10}
        said += progress.lines(Event("progress", content))
    said += progress.lines(Event("retry", {"attempt": 2, "of": 3, "delay_seconds": 1.0}))
    assert said == ["0 of 25", "10 of 25", "20 of 25", "24 of 25", "attempt 2 of 3 starts in 1.00 s"]


def test_what_a_program_has_said_is_printed_in_place_of_what_it_comes_to(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    line = Line(1, 0.0, "1 of 2 run: two", {"said": ["one", "two\x1b[2J"], "services": {}})
    host(controller, msgspec.json.encode(line) + b"\n")
    seawall("container", "restart", "web")
    assert seawall("command", "output", "command-1").out.splitlines() == ["one", "two [2J"]
