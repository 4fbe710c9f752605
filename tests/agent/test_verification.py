"""What became of a change whose answer never came: read off the container, and never guessed."""

from __future__ import annotations

import pytest

from seawall.agent.docker import Docker
from seawall.agent.operations.registry import VERIFIERS
from seawall.agent.operations.verification import Doubt, Finding, Record, Verdict
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker
from tests.agent.creation_doubts import CREATIONS, Creation, find_out_creations
from tests.agent.doubts import CASES, Case, find_out

FIRST, SECOND, THIRD = (f"2030-01-01T00:00:0{second}.5Z" for second in (1, 2, 3))


class FakeHost:
    """A fake Engine, made as the real one is."""

    def __init__(self) -> None:
        self.engine = FakeDocker(FakeClock(), [], live_restore=False)

    @property
    def docker(self) -> Docker:
        return self.engine

    def create(self, name: str, *, restart_policy: str, removes_itself: bool) -> None:
        self.engine.add(
            FakeContainer(
                name,
                running=False,
                ignores_term=True,
                restart_policy=restart_policy,
                removes_itself=removes_itself,
            )
        )

    async def bounce(self) -> None:
        self.engine.kill_daemon()
        self.engine.start_daemon()


@pytest.mark.asyncio
@pytest.mark.parametrize("case", CREATIONS, ids=str)
async def test_a_creation_in_doubt_is_found_out(case: Creation) -> None:
    assert await find_out_creations(FakeHost().docker, [case]) == []


def record(name: str = "web", status: str = "running", **changed: object) -> Record:
    """What inspect says of a container that was started FIRST, with other things in its State."""
    running = status in ("running", "paused", "restarting")
    state = {
        "Running": running,
        "Paused": status == "paused",
        "Restarting": status == "restarting",
        "Status": status,
        "StartedAt": FIRST,
        "FinishedAt": "0001-01-01T00:00:00Z" if running else SECOND,
        "ExitCode": 0,
    }
    return {"Id": "1" * 64, "Name": f"/{name}", "State": {**state, **changed}, "Config": {}, "HostConfig": {}}


def verify(
    operation: str, before: Record, now: Record | None, settled: bool = True, **arguments: object
) -> Finding:
    verifier = VERIFIERS[operation]
    defaults: dict[str, object] = {"signal": "SIGKILL", "force": False, "name": "api"}
    return verifier.verify(Doubt({**defaults, **arguments}, verifier.pre_image(before), now, settled))


@pytest.mark.asyncio
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_change_in_doubt_is_found_out(case: Case) -> None:
    assert await find_out(FakeHost(), [case]) == []


@pytest.mark.parametrize(
    ("operation", "before", "now", "arguments"),
    [
        ("container_start", record(status="exited"), record(status="exited"), {}),
        ("container_stop", record(), record(), {}),
        ("container_stop", record(), record(StartedAt=THIRD, FinishedAt=SECOND), {}),
        ("container_restart", record(), record(), {}),
        ("container_restart", record(), record(status="exited"), {}),
        ("container_restart", record(), record(status="exited", StartedAt=THIRD), {}),
        ("container_kill", record(), record(), {}),
        ("container_kill", record(), record(), {"signal": "15"}),
        ("container_kill", record(), record(StartedAt=THIRD, FinishedAt=SECOND), {}),
        ("container_rename", record(), record(), {}),
        ("container_rename", record(), record("db"), {}),
        ("container_remove", record(status="exited"), record(status="exited"), {}),
        ("container_remove", record(status="exited"), record(status="dead"), {}),
        ("container_remove", record(), record(status="exited"), {"force": True}),
    ],
)
def test_nothing_is_ruled_out_as_long_as_docker_may_be_at_it(
    operation: str, before: Record, now: Record, arguments: dict[str, object]
) -> None:
    assert verify(operation, before, now, settled=False, **arguments).verdict is Verdict.UNDECIDED
    assert verify(operation, before, now, settled=True, **arguments).verdict is not Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("operation", "before", "now"),
    [
        ("container_start", record(status="exited"), record(StartedAt=THIRD)),
        ("container_start", record(), record()),
        ("container_stop", record(), record(status="exited")),
        ("container_restart", record(), record(StartedAt=THIRD, FinishedAt=SECOND)),
        ("container_kill", record(), record(status="exited")),
        ("container_rename", record(), record("api")),
        ("container_remove", record(), None),
    ],
)
def test_what_is_seen_to_be_done_is_known_at_once(operation: str, before: Record, now: Record | None) -> None:
    finding = verify(operation, before, now, settled=False)
    assert finding.verdict is Verdict.APPLIED
    assert isinstance(finding.response, dict)
    assert finding.response["verified"] is True
    assert (finding.response["container"], finding.response["id"]) == ("web", "1" * 64)


def test_a_name_that_the_container_had_before_is_nobodys_doing() -> None:
    finding = verify("container_rename", record("api"), record("api"))
    assert isinstance(finding.response, dict)
    assert (finding.response["attributed"], finding.response["name"]) == ("unknown", "api")


def test_a_removal_under_way_is_waited_for_however_long_it_takes() -> None:
    finding = verify("container_remove", record(status="exited"), record(status="removing"))
    assert finding.verdict is Verdict.UNDECIDED


def test_a_removal_that_docker_could_not_finish_has_failed() -> None:
    finding = verify("container_remove", record(status="exited"), record(status="dead"))
    assert finding.verdict is Verdict.FAILED


def test_a_container_that_was_dead_before_can_be_removed_once_more() -> None:
    finding = verify("container_remove", record(status="dead"), record(status="dead"))
    assert finding.verdict is Verdict.NOT_APPLIED


def test_a_restart_waits_for_the_restart_policy_that_is_about_to_start_the_container() -> None:
    now = record(status="restarting", FinishedAt=SECOND)
    assert verify("container_restart", record(), now).verdict is Verdict.UNDECIDED


def test_a_start_that_a_restart_policy_may_have_made_is_no_restart_before_all_has_settled() -> None:
    before, now = record(), {**record(StartedAt=THIRD), "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    assert verify("container_restart", before, now, settled=False).verdict is Verdict.UNDECIDED
    assert verify("container_restart", before, now).verdict is Verdict.APPLIED


@pytest.mark.parametrize("status", ["paused", "restarting"])
def test_a_started_container_that_does_not_run_satisfies_nobody(status: str) -> None:
    finding = verify("container_start", record(status="exited"), record(status=status, StartedAt=THIRD))
    assert isinstance(finding.response, dict)
    assert (finding.verdict, finding.response["state_satisfied"]) == (Verdict.APPLIED, False)


def test_a_paused_container_has_not_been_started_by_a_start_that_docker_refuses() -> None:
    paused = record(status="paused")
    assert verify("container_start", paused, paused).verdict is Verdict.NOT_APPLIED


def test_incident_56_a_ghost_that_runs_without_having_been_started_was_not_started() -> None:
    finding = verify("container_start", record(status="exited"), record(FinishedAt=SECOND))
    assert finding.verdict is Verdict.NOT_APPLIED


def test_incident_56_what_a_reboot_has_ended_is_stopped_and_nobody_claims_it() -> None:
    finding = verify("container_stop", record(), record(status="exited", ExitCode=255))
    assert isinstance(finding.response, dict)
    assert (finding.verdict, finding.response["attributed"]) == (Verdict.APPLIED, "unknown")


def test_a_clock_that_was_set_back_hides_no_start() -> None:
    before, now = record(status="exited", StartedAt=THIRD), record(StartedAt=FIRST)
    assert verify("container_start", before, now).verdict is Verdict.APPLIED


@pytest.mark.parametrize(
    ("operation", "arguments", "stop_timeout", "seconds"),
    [
        ("container_start", {}, 60, 5.0),
        ("container_stop", {}, None, 15.0),
        ("container_stop", {}, 60, 65.0),
        ("container_stop", {"grace_seconds": 0}, 60, 5.0),
        ("container_restart", {"grace_seconds": 20}, 60, 25.0),
        ("container_kill", {}, 60, 5.0),
        ("container_rename", {}, 60, 5.0),
        ("container_remove", {}, 60, 5.0),
    ],
)
def test_a_change_has_settled_when_its_grace_and_a_little_more_is_over(
    operation: str, arguments: dict[str, object], stop_timeout: int | None, seconds: float
) -> None:
    image = VERIFIERS[operation].pre_image({**record(), "Config": {"StopTimeout": stop_timeout}})
    assert VERIFIERS[operation].settle_seconds(arguments, image) == seconds


def test_what_is_partly_done_can_be_resumed() -> None:
    partly = {case.operation for case in CASES if case.verdict is Verdict.PARTIAL}
    partly |= {case.operation for case in CREATIONS if case.verdict is Verdict.PARTIAL}
    resumed = {name for name, verifier in VERIFIERS.items() if verifier.resume is not None}
    told = {case.operation for case in (*CASES, *CREATIONS)}
    # The others are in files of their own.
    assert partly == resumed & told
