"""Commands to hosts: what is sent, what is shown, and the exit codes."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble

RESTART = ("container", "restart", "web")


def records(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_a_restart_shows_what_happens_and_ends_with_the_state(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local").attempts = 3
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 0
    assert call.out.splitlines() == [
        "container_restart web on local, command command-1",
        "attempt 1 of 3",
        "attempt 1 failed after 0.25 s: timeout",
        "attempt 2 of 3 starts in 1.50 s",
        "attempt 2 of 3",
        "attempt 2 failed after 0.25 s: timeout",
        "attempt 3 of 3 starts in 1.50 s",
        "attempt 3 of 3",
        "attempt 3 done after 0.25 s",
        "SUCCEEDED (1.75 s, 3 attempts): container_restart web on local",
    ]
    assert call.err == ""


def test_json_is_one_record_and_alone_on_stdout(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    call = seawall(*RESTART, "--on", "local", "--json")
    assert call.code == 0
    record = call.json
    assert isinstance(record, dict)
    assert {name: record[name] for name in ("command_id", "operation", "agent", "state", "error_code")} == {
        "command_id": "command-1",
        "operation": "container_restart",
        "agent": "local",
        "state": "SUCCEEDED",
        "error_code": None,
    }
    for name in (
        "agent_id",
        "error",
        "response",
        "attempts",
        "total_attempts",
        "retried",
        "duration_seconds",
    ):
        assert name in record
    assert "attempt 1" in call.err


@pytest.mark.parametrize(
    ("state", "error_code", "code"),
    [
        ("SUCCEEDED", None, 0),
        ("FAILED", "docker_error", 1),
        ("REJECTED", "agent_not_connected", 3),
        ("EXPIRED", "deadline_exceeded", 3),
        ("CANCELLED", "cancelled", 3),
        ("UNKNOWN", "timeout", 4),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_the_exit_code_is_the_states(
    seawall: Seawall,
    controller: ControllerDouble,
    state: str,
    error_code: str | None,
    code: int,
    at_once: bool,
) -> None:
    script = controller.add("local")
    script.state, script.error_code, script.at_once = state, error_code, at_once
    call = seawall(*RESTART, "--on", "local")
    assert call.code == code
    assert state in call.out.splitlines()[-1] + call.out.splitlines()[-2]
    assert error_code is None or error_code in call.out


def test_the_error_is_told_once_with_what_to_do(seawall: Seawall, controller: ControllerDouble) -> None:
    script = controller.add("local")
    script.state, script.error_code, script.error = "UNKNOWN", "timeout", "no answer within 2 s"
    call = seawall(*RESTART, "--on", "local")
    assert call.out.count("no answer within 2 s") == 1
    assert "seawall container inspect web --on local" in call.out.splitlines()[-1]


def test_the_only_host_needs_no_on(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    assert seawall(*RESTART).code == 0


def test_without_on_several_hosts_are_listed(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("a")
    controller.add("b")
    call = seawall(*RESTART)
    assert call.code == 2
    assert "a, b, or all" in call.err
    assert controller.bodies == []


@pytest.mark.parametrize("selector", ["nobody", "env=prod", "", "=x"])
def test_a_selector_that_means_no_host_is_a_usage_error(
    seawall: Seawall, controller: ControllerDouble, selector: str
) -> None:
    controller.add("local")
    call = seawall(*RESTART, "--on", selector)
    assert call.code == 2
    assert "Traceback" not in call.err
    assert controller.bodies == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--timeout", "0"),
        ("--timeout", "-1"),
        ("--timeout", "nan"),
        ("--timeout", "inf"),
        ("--timeout", "soon"),
        ("--deadline", "0"),
        ("--retries", "-1"),
        ("--retries", "20"),
        ("--retries", "1.5"),
        ("--parallel", "0"),
        ("--idempotency-key", ""),
        ("--idempotency-key", "k" * 201),
        ("--grace", "-1"),
        ("--nonsense",),
    ],
)
def test_values_that_cannot_be_meant_are_usage_errors(
    seawall: Seawall, controller: ControllerDouble, flags: tuple[str, ...]
) -> None:
    controller.add("local")
    call = seawall(*RESTART, "--on", "local", *flags)
    assert call.code == 2
    assert controller.bodies == []


def test_flags_become_what_the_api_knows(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    flags = ("--timeout", "5", "--retries", "0", "--deadline", "60", "--no-queue", "--grace", "3")
    assert seawall(*RESTART, "--on", "local", *flags, "--idempotency-key", "mine").code == 0
    assert controller.bodies == [
        {
            "operation": "container_restart",
            "agent": "id-local",
            "arguments": {"container": "web", "grace_seconds": 3},
            "timeout_seconds": 5.0,
            "max_attempts": 1,
            "deadline_seconds": 60.0,
            "queue": False,
        }
    ]
    assert list(controller.by_key) == ["mine"]


def test_a_lost_answer_makes_no_second_command(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").lose_answers = 2
    assert seawall(*RESTART, "--on", "local").code == 0
    assert len(controller.bodies) == 3
    assert len(controller.commands) == 1


def test_no_wait_prints_the_accepted_record_at_once(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    call = seawall(*RESTART, "--on", "local", "--no-wait")
    assert call.code == 0
    record = call.json
    assert isinstance(record, dict)
    assert record["state"] == "ACCEPTED"
    assert not any(path.endswith("/events") for _, path in controller.requests)


def test_what_was_turned_away_ends_with_its_record(seawall: Seawall, controller: ControllerDouble) -> None:
    script = controller.add("local")
    script.refuse, script.refused_record, script.error_code, script.error = (
        503,
        True,
        "circuit_open",
        "it is open",
    )
    call = seawall(*RESTART, "--on", "local", "--json")
    assert call.code == 3
    record = call.json
    assert isinstance(record, dict)
    assert (record["state"], record["error_code"]) == ("REJECTED", "circuit_open")


@pytest.mark.parametrize(
    ("status", "code"), [(422, 2), (404, 2), (400, 2), (403, 3), (409, 3), (500, 4), (503, 4)]
)
def test_a_refused_request_has_no_record_but_a_reason(
    seawall: Seawall, controller: ControllerDouble, status: int, code: int
) -> None:
    script = controller.add("local")
    script.refuse, script.error_code, script.error = status, "some_code", "some reason"
    call = seawall(*RESTART, "--on", "local", "--json")
    assert call.code == code
    assert "some reason" in call.err
    record = call.json
    assert isinstance(record, dict)
    assert (record["command_id"], record["state"], record["error_code"]) == (None, None, "some_code")
    assert ("--idempotency-key" in call.err) == (code == 4)


def test_a_broken_stream_is_taken_up_again_and_nothing_is_said_twice(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    script = controller.add("local")
    script.break_streams, script.attempts = 2, 2
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 0
    lines = call.out.splitlines()
    assert len(lines) == len(set(lines))


def test_a_command_whose_end_is_never_seen_is_unknown(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").stream_status = 500
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 4
    assert "seawall command show command-1" in call.out


def test_where_too_many_listen_it_asks_instead(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").stream_status = 503
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 0
    assert "SUCCEEDED" in call.out


def test_on_many_hosts_each_line_names_its_host_and_a_summary_ends_it(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    for name in ("a", "b", "c"):
        controller.add(name)
    controller.scripts["b"].state, controller.scripts["b"].error_code = "FAILED", "docker_error"
    call = seawall(*RESTART, "--on", "all")
    assert call.code == 1
    assert "b: attempt 1 failed after 0.25 s: docker_error" in call.out
    assert call.out.splitlines()[-1] == "3 hosts: 2 SUCCEEDED, 1 FAILED"


def test_json_of_many_hosts_is_a_list_in_their_order(seawall: Seawall, controller: ControllerDouble) -> None:
    for name in ("c", "a", "b"):
        controller.add(name)
    call = seawall(*RESTART, "--on", "all", "--json")
    assert [record["agent"] for record in records(call.json)] == ["a", "b", "c"]


@pytest.mark.parametrize("on", [("--on", "all"), ("--on", "env=prod"), ("--on", "label=env=prod")])
def test_json_is_a_list_whenever_many_could_be_meant(
    seawall: Seawall, controller: ControllerDouble, on: tuple[str, ...]
) -> None:
    controller.add("local", env="prod")
    assert len(records(seawall(*RESTART, *on, "--json").json)) == 1


def test_a_host_without_a_record_is_still_in_the_list(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("a")
    controller.add("b").refuse = 403
    call = seawall(*RESTART, "--on", "all", "--json")
    assert call.code == 3
    assert [record["state"] for record in records(call.json)] == ["SUCCEEDED", None]


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("SUCCEEDED", "REJECTED"), 3),
        (("REJECTED", "FAILED"), 1),
        (("FAILED", "UNKNOWN"), 4),
        (("SUCCEEDED", "SUCCEEDED"), 0),
    ],
)
def test_of_many_hosts_the_worst_exit_code_counts(
    seawall: Seawall, controller: ControllerDouble, states: tuple[str, str], code: int
) -> None:
    for name, state in zip(("a", "b"), states, strict=True):
        controller.add(name).state = state
    assert seawall(*RESTART, "--on", "a", "--on", "b").code == code


def test_each_of_many_hosts_has_a_key_of_its_own_that_stays(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    for name in ("a", "b"):
        controller.add(name)
    for _ in range(2):
        assert seawall(*RESTART, "--on", "all", "--idempotency-key", "k").code == 0
    assert sorted(controller.by_key) == ["k:id-a", "k:id-b"]
    assert len(controller.commands) == 2


def test_no_more_hosts_at_once_than_allowed(seawall: Seawall, controller: ControllerDouble) -> None:
    for number in range(12):
        controller.add(f"h{number:02}")
    assert seawall(*RESTART, "--on", "all", "--parallel", "3").code == 0
    assert len(controller.commands) == 12
    assert controller.most_under_way <= 3


def test_simulated_hosts_are_called_so(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("sim-1", simulated=True)
    assert "sim-1 (simulated)" in seawall(*RESTART).out
    assert "sim-1 (simulated)" in seawall("agent", "list").out
    assert "sim-1 (simulated)" in seawall("circuit", "list").out
    assert "sim-1 (simulated)" in seawall("command", "list").out
    assert "sim-1 (simulated)" in seawall("command", "show", "command-1").out


def test_a_list_is_a_table_and_says_nothing_of_attempts(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    container = {
        "id": "0123456789abcdef",
        "name": "web",
        "image": "nginx",
        "state": "running",
        "status": "Up",
    }
    controller.add("local").response = [container]
    call = seawall("container", "list", "--on", "local")
    assert call.out.split() == [
        "NAME",
        "IMAGE",
        "STATE",
        "STATUS",
        "ID",
        "web",
        "nginx",
        "running",
        "Up",
        "0123456789ab",
    ]
    assert call.err == ""


def test_a_read_that_is_tried_again_says_so_beside_its_result(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    script = controller.add("local")
    script.attempts, script.response = 3, []
    call = seawall("container", "list", "--on", "local")
    assert "attempt 3" in call.err
    assert "attempt" not in call.out


def test_a_log_is_printed_as_it_is_stream_by_stream(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").response = {
        "lines": [
            {"stream": "stdout", "text": "hello [bold]"},
            {"stream": "stderr", "text": "oh", "time": "2030-01-01T00:00:00Z"},
        ],
        "truncated": False,
    }
    call = seawall("container", "logs", "web", "--on", "local", "--tail", "2", "--timestamps")
    assert call.out == "hello [bold]\n"
    assert call.err == "2030-01-01T00:00:00Z oh\n"
    assert controller.bodies[0]["arguments"] == {"container": "web", "tail": 2, "timestamps": True}


def test_an_error_of_a_host_cannot_steer_the_terminal(seawall: Seawall, controller: ControllerDouble) -> None:
    script = controller.add("local")
    script.state, script.error_code, script.error = (
        "FAILED",
        "agent_error",
        "\x1b[2J\x1b]0;evil\x07 [red]x[/red]",
    )
    call = seawall(*RESTART, "--on", "local")
    assert "\x1b" not in call.both
    assert "\x07" not in call.both
    assert "[red]x[/red]" in call.out


@pytest.mark.parametrize(
    ("words", "operation", "arguments"),
    [
        (("list", "--running"), "container_list", {"all": False}),
        (("inspect", "web"), "container_inspect", {"container": "web", "show_env": False}),
        (("start", "web"), "container_start", {"container": "web"}),
        (("stop", "web", "--grace", "0"), "container_stop", {"container": "web", "grace_seconds": 0}),
        (("kill", "web", "--signal", "SIGHUP"), "container_kill", {"container": "web", "signal": "SIGHUP"}),
        (("rename", "web", "www"), "container_rename", {"container": "web", "name": "www"}),
        (
            ("remove", "web", "--force"),
            "container_remove",
            {"container": "web", "force": True, "volumes": False},
        ),
        (
            ("update", "web", "--image", "nginx"),
            "container_update",
            {"container": "web", "image": "nginx", "pull": "always", "health_timeout_seconds": 120.0},
        ),
    ],
)
def test_every_verb_asks_for_its_operation(
    seawall: Seawall, controller: ControllerDouble, words: tuple[str, ...], operation: str, arguments: object
) -> None:
    controller.add("local")
    assert seawall("container", *words, "--on", "local").code == 0
    (body,) = controller.bodies
    assert (body["operation"], body["arguments"]) == (operation, arguments)


@pytest.mark.usefixtures("_ctrl_c_works")
def test_ctrl_c_asks_for_the_end_and_says_what_became_of_it(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local").interrupt = True
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 130
    assert "command command-1: asking for its end" in call.out
    assert "CANCELLED" in call.out
    assert controller.commands["command-1"]["state"] == "CANCELLED"
    assert "Traceback" not in call.err


@pytest.mark.usefixtures("_ctrl_c_works")
def test_ctrl_c_says_that_a_command_goes_on_which_cannot_be_cancelled(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    script = controller.add("local")
    script.interrupt, script.goes_on = True, True
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 130
    assert "command command-1 goes on" in call.out
    assert "it runs already" in call.out
    assert "seawall command cancel command-1" in call.out


@pytest.mark.usefixtures("_ctrl_c_works")
def test_a_second_ctrl_c_leaves_at_once_and_says_that_the_command_goes_on_and_how_to_look(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    script = controller.add("local")
    script.interrupt, script.interrupt_again = True, True
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 130
    *_, asked, goes_on = call.out.splitlines()
    assert "command command-1: asking for its end; Ctrl-C again leaves at once" in asked
    assert "command command-1 goes on (its cancellation was asked for)" in goes_on
    assert "'seawall command show command-1'" in goes_on
    assert "'seawall command cancel command-1'" in goes_on
    assert call.err == "seawall: interrupted\n"


@pytest.mark.usefixtures("_ctrl_c_works")
def test_ctrl_c_before_the_answer_says_that_the_command_may_have_been_accepted(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local").interrupt_order = True
    call = seawall(*RESTART, "--on", "local")
    assert call.code == 130
    assert call.out == "it may have been accepted: 'seawall command list --on local' shows it then\n"
