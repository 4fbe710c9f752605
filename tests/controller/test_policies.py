"""Policies of a running controller: shown, replaced, read again when their file changes, and kept where it is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.controller.auth import Role
from seawall.controller.policy_file import POLICY_FILE, PolicyFile
from seawall.core.command import Attempt, Command, CommandState, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.policies import Policies, read_policies
from seawall.testing.clock import FakeClock
from seawall.toml_document import InvalidToml
from tests.controller.api_plane import READ, api_plane, failing, is_problem, ok

pytestmark = pytest.mark.asyncio
POLICY, COMMANDS = "/api/v1/policy", "/api/v1/commands"


def file_of(path: Path, held: list[Policies]) -> PolicyFile:
    return PolicyFile(path, FakeClock(), held.append)


async def test_without_a_file_the_default_preset_holds(tmp_path: Path) -> None:
    held: list[Policies] = []
    file = file_of(tmp_path / POLICY_FILE, held)
    assert (file.current.preset, file.text, held) == ("production", "", [file.current])


async def test_a_file_with_a_mistake_keeps_the_controller_from_starting(tmp_path: Path) -> None:
    (tmp_path / POLICY_FILE).write_text("[default]\nmax_attempts = 0\n", encoding="utf-8")
    with pytest.raises(InvalidToml, match=r"policy\.toml, line 2: default\.max_attempts must be"):
        file_of(tmp_path / POLICY_FILE, [])


@pytest.mark.parametrize("content", [b"\xff", b"x" * 300_000])
async def test_what_is_no_text_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / POLICY_FILE).write_bytes(content)
    with pytest.raises(InvalidToml):
        file_of(tmp_path / POLICY_FILE, [])


async def test_what_is_replaced_is_on_disk_and_holds_at_once(tmp_path: Path) -> None:
    held: list[Policies] = []
    file = file_of(tmp_path / POLICY_FILE, held)
    await file.replace('preset = "development"\n')
    assert held[-1].preset == "development"
    assert file_of(tmp_path / POLICY_FILE, []).current.preset == "development"


async def test_a_replacement_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    file = file_of(tmp_path / POLICY_FILE, [])
    await file.replace('preset = "development"\n')
    with pytest.raises(InvalidToml):
        await file.replace("nope = 1\n")
    assert file.current.preset == "development"
    assert (tmp_path / POLICY_FILE).read_text(encoding="utf-8") == 'preset = "development"\n'


async def test_the_api_shows_what_holds_and_where_each_value_comes_from(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        shown = (await plane.get(POLICY)).json()
        assert shown["preset"] == "production"
        stop = shown["operations"]["container_stop"]
        assert stop["timeout_seconds"] == {"value": 60.0, "source": "the operation's declaration"}
        assert stop["max_attempts"]["source"] == "preset production"
        assert shown["plane"]["breaker.failure_threshold"]["value"] == 5


async def test_new_policies_hold_for_the_next_command(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.SILENT))
        text = (
            "[operation.container_list]\nmax_attempts = 1\ntimeout_seconds = 7\n[breaker]\nopen_seconds = 5\n"
        )
        assert (await plane.request("PUT", POLICY, {"text": text})).status_code == 200
        record = (await plane.while_time_passes(plane.post(f"{COMMANDS}?wait=60", READ))).json()
        assert (record["max_attempts"], record["timeout_seconds"], record["total_attempts"]) == (1, 7.0, 1)
        assert record["stopped_by"] == "attempts"
        assert plane.controller.guards.settings.open_seconds == 5


async def test_a_policy_with_a_mistake_is_422_with_its_line(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.request("PUT", POLICY, {"text": "\n[default]\njitter = 'some'\n"})
        is_problem(answer, 422, "invalid_request")
        assert "line 3" in answer.json()["detail"]


async def test_only_an_admin_changes_policies(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.request("PUT", POLICY, {"text": ""}, role=Role.OPERATOR)
        is_problem(answer, 403, "forbidden")


async def test_a_read_whose_host_is_gone_is_answered_with_what_was_known_last_and_stays_a_failure(
    tmp_path: Path,
) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach(ok)
        text = '[class.safe_read]\nfallback = "stale"\nmax_attempts = 1\n'
        await plane.request("PUT", POLICY, {"text": text})
        first = (await plane.post(f"{COMMANDS}?wait=60", READ)).json()
        assert (first["state"], first["fallback"]) == ("SUCCEEDED", None)
        session.script = failing(CommandErrorCode.TIMEOUT, Circumstance.SILENT)
        await plane.clock.advance(30.0)
        record = (await plane.while_time_passes(plane.post(f"{COMMANDS}?wait=60", READ))).json()
        assert (record["state"], record["error_code"]) == (CommandState.FAILED.value, "timeout")
        assert record["fallback"]["value"] == {"done": True}
        assert record["fallback"]["stale"] is True
        assert record["fallback"]["age_seconds"] >= 30.0


async def test_a_commands_life_is_told_as_a_timeline(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.SILENT))
        record = (await plane.while_time_passes(plane.post(f"{COMMANDS}?wait=600", READ))).json()
        told = (await plane.get(f"{COMMANDS}/{record['command_id']}/explain")).json()
        kinds = [line["kind"] for line in told["timeline"]]
        assert kinds[0] == "accepted"
        assert kinds.count("attempt") == kinds.count("outcome") == 3
        assert kinds.count("retry") == 2
        assert kinds[-2:] == ["stopped", "finished"]
        assert told["command"]["command_id"] == record["command_id"]


async def test_a_file_that_a_person_edits_holds_without_a_restart(tmp_path: Path) -> None:
    held: list[Policies] = []
    clock = FakeClock()
    file = PolicyFile(tmp_path / POLICY_FILE, clock, held.append)
    watching = asyncio.create_task(file.watch())
    try:
        (tmp_path / POLICY_FILE).write_text('preset = "high-latency"\n', encoding="utf-8")
        await until(clock, lambda: file.current.preset == "high-latency")
        (tmp_path / POLICY_FILE).write_text("preset = 3\n", encoding="utf-8")
        await until(clock, lambda: clock.now() > 1030.0)
        assert file.current.preset == "high-latency", "a file with a mistake leaves what holds"
        (tmp_path / POLICY_FILE).unlink()
        await until(clock, lambda: file.current.preset == "production")
    finally:
        watching.cancel()
        await asyncio.wait((watching,))
    assert [policies.preset for policies in held] == ["production", "high-latency", "production"]


async def until(clock: FakeClock, reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await clock.advance(1.0)
            await asyncio.to_thread(
                lambda: None
            )  # the file is looked at in a thread, which lives in real time


async def test_the_policys_mirror_goes_with_a_pull_and_what_stood_in_is_on_its_record(tmp_path: Path) -> None:
    sent: list[object] = []
    told = {
        "kind": "mirror",
        "mirror": "mirror.test",
        "error_code": "docker_error",
        "circumstance": "registry_unreachable",
        "error": "it is down",
    }

    def note(command: Command, _: Attempt) -> Outcome:
        sent.append(command.arguments.get("mirror"))
        return Outcome(response={"reference": "app:1", "fallback": told})

    async with api_plane(tmp_path) as plane:
        plane.attach(note)
        policies = read_policies("p.toml", '[operation.image_pull]\nmirror = "mirror.test"\n')
        plane.controller.dispatcher.policies = policies
        pull = {"operation": "image_pull", "agent": "web-1", "arguments": {"reference": "app:1"}}
        record = await plane.done(pull)
        assert (record["state"], record["fallback"]) == ("SUCCEEDED", told)
        explained = (await plane.get(f"/api/v1/commands/{record['command_id']}/explain")).text
        assert "mirror.test stood in" in explained
        assert "it is down" in explained
        own = {**pull, "arguments": {"reference": "app:1", "mirror": "own.test"}}
        await plane.done(own)
    assert sent == ["mirror.test", "own.test"]
