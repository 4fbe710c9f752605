"""How answers are shown: lists as tables, flat objects as names and values, deep ones as JSON, events as lines."""

from __future__ import annotations

import json

import pytest

from seawall.cli.tables import size, written
from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble


def test_a_list_has_the_columns_that_a_person_wants(seawall: Seawall, controller: ControllerDouble) -> None:
    image = {"id": f"sha256:{'a' * 64}", "tags": ["app:1", "app:2"], "digests": [], "size_bytes": 1_500_000}
    controller.add("local").response = [image]
    lines = seawall("image", "list").out.splitlines()
    assert lines[0].split() == ["TAGS", "ID", "SIZE", "CREATED"]
    assert lines[1].split() == ["app:1,", "app:2", "a" * 12, "1.5", "MB"]


def test_a_list_of_many_hosts_is_one_table(seawall: Seawall, controller: ControllerDouble) -> None:
    for name in ("a", "b"):
        controller.add(name).response = [{"name": "data", "driver": "local", "mountpoint": "/x"}]
    lines = seawall("volume", "list", "--on", "all").out.splitlines()
    assert [line.split()[0] for line in lines] == ["HOST", "a", "b"]


def test_an_empty_list_says_so(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").response = []
    assert seawall("network", "list").err == "no networks\n"


def test_a_flat_object_is_names_and_values_and_a_deep_one_is_json(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    script = controller.add("local")
    script.response = {"exit_code": 3, "paused": False, "memory_bytes": 2000}
    assert seawall("system", "version").out == "exit code: 3\npaused: no\nmemory: 2.0 kB\n"
    script.response = {"parts": [{"name": "Engine"}]}
    assert json.loads(seawall("system", "version").out) == script.response


def test_what_a_command_in_a_container_wrote_is_printed_as_it_is(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local").response = {
        "exit_code": 7,
        "stdout": "yes\n",
        "stderr": "no\n",
        "truncated": False,
    }
    call = seawall("container", "exec", "web", "true")
    assert (call.code, call.out) == (7, "yes\n")
    assert call.err.splitlines() == ["no", "it ended with exit code 7"]


@pytest.mark.parametrize(("ended_with", "code"), [(0, 0), (1, 1), (7, 7), (255, 255), (None, 1)])
def test_a_command_in_a_container_passes_its_exit_code_on(
    seawall: Seawall, controller: ControllerDouble, ended_with: int | None, code: int
) -> None:
    controller.add("local").response = {"exit_code": ended_with, "stdout": "", "stderr": ""}
    assert seawall("container", "exec", "web", "true").code == code
    assert seawall("container", "exec", "web", "true", "--json").code == code
    assert seawall("container", "exec", "web", "true", "--no-wait").code == 0


def test_of_many_hosts_a_program_that_failed_is_a_failure_whatever_its_code(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    for name, ended_with in (("a", 0), ("b", 4)):
        controller.add(name).response = {"exit_code": ended_with, "stdout": "", "stderr": ""}
    assert seawall("container", "exec", "web", "true", "--on", "all").code == 1
    controller.scripts["a"].state = "UNKNOWN"
    assert seawall("container", "exec", "web", "true", "--on", "all").code == 4


def test_json_lines_are_what_happens_and_at_last_the_end(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    for name in ("a", "b"):
        controller.add(name).progress = [{"text": "half", "detail": {"steps": []}}]
    call = seawall("container", "restart", "web", "--on", "all", "--json-lines")
    assert (call.code, call.err) == (0, "")
    lines = [json.loads(line) for line in call.out.splitlines()]
    for host in ("a", "b"):
        own = [line for line in lines if line["host"] == host]
        kinds = [line["event"] for line in own]
        assert kinds == ["accepted", "attempt_started", "progress", "attempt_finished", "ended"]
        assert own[2]["detail"] == {"steps": []}
        assert (own[-1]["exit_code"], own[-1]["command"]["state"]) == (0, "SUCCEEDED")


def test_the_record_and_the_lines_are_not_both_to_be_had(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local")
    assert seawall("container", "restart", "web", "--json", "--json-lines").code == 2
    assert controller.bodies == []


def test_piped_progress_is_plain_lines(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").progress = [{"text": "1 of 2 layers", "detail": {"layers": {"x": {}}}}]
    assert "1 of 2 layers" in seawall("image", "pull", "app:1").out.splitlines()


def test_values_are_written_for_people() -> None:
    assert written(None) == ""
    assert written({"a": [1, True]}) == "a=1, yes"
    assert [size(0), size(999), size(1000), size(2.5e9), size(4e15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "2.5 GB",
        "4000.0 TB",
    ]
