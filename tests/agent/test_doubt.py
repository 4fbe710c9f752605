"""Changes in doubt: the truth about them, whoever died where."""

from __future__ import annotations

import asyncio

import pytest

from seawall.agent.failure import DockerFailure
from seawall.agent.ledger import State
from seawall.agent.operations.container_verifiers import container_by_id
from seawall.agent.operations.registry import RUNNERS
from seawall.agent.operations.runner import Execution
from seawall.agent.operations.verification import Doubt, Finding, Verdict, Verifier
from seawall.agent.verification import QUIET_SECONDS
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.testing.docker import Fault, Latency
from tests.agent.controller_double import until
from tests.agent.worker_bench import held, last, opened, sick, slow, state_of, summary

pytestmark = pytest.mark.asyncio


def opaque(operation: str) -> dict[str, Verifier]:
    """An operation of which nothing on the host tells what became of it."""
    return {
        operation: Verifier(
            lambda record: {},
            lambda doubt: Finding(Verdict.UNKNOWABLE, "it leaves no trace"),
            lambda arguments, pre_image: 5.0,
            container_by_id,
        )
    }


# Doubt


async def test_incident_3_an_effect_whose_answer_was_lost_is_a_success_that_says_so() -> None:
    bench = await opened(runners=sick("container_restart", Fault.BROKEN_AFTER))
    attempt = bench.give("container_restart", container="web")
    await bench.clock.advance(QUIET_SECONDS - 0.1)
    assert bench.answers() == {}, "what is seen may be another's doing, with our own call still to come"
    await bench.clock.advance(0.2)
    answer = await bench.answer(attempt)
    assert (summary(answer), answer.recorded) == ((None, "none"), True)
    assert isinstance(answer.response, dict)
    assert answer.response["verified"] is True
    assert len(bench.docker.effects) == 1


async def test_a_change_that_docker_answered_with_500_and_did_all_the_same_is_a_success_at_once() -> None:
    failure = DockerFailure(
        CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_ERRED, "transport is closing", 500
    )

    async def restarted(execution: Execution) -> object:
        await RUNNERS["container_restart"](execution)
        raise failure

    bench = await opened(runners={"container_restart": restarted})
    answer = await bench.answer(bench.give("container_restart", container="web"))
    assert (summary(answer), answer.recorded) == ((None, "none"), True)
    assert len(bench.docker.effects) == 1


async def test_a_change_that_docker_answered_with_500_and_did_not_do_has_failed_at_once() -> None:
    bench = await opened(runners=sick("container_restart", Fault.SERVER_ERROR))
    answer = await bench.answer(bench.give("container_restart", container="web"))
    assert (summary(answer), answer.recorded) == (("docker_error", "docker_refused"), True)
    assert bench.docker.effects == []


async def test_what_was_not_applied_is_void_and_the_next_attempt_begins_it() -> None:
    bench = await opened(runners=sick("container_restart", Fault.BROKEN_BEFORE))
    attempt = bench.give("container_restart", 60.0, container="web", grace_seconds=1)
    await bench.clock.advance(5)
    assert bench.answers() == {}, "Docker may still be at it"
    await bench.clock.advance(5)
    answer = await bench.answer(attempt)
    assert (summary(answer), answer.recorded) == (("docker_error", "not_applied"), False)
    assert state_of(bench) is State.VOID
    again = await bench.answer(bench.again(1, "container_restart", container="web"))
    assert again.code is None
    assert len(bench.docker.effects) == 1


async def test_a_question_about_a_void_command_ends_it_with_the_reason() -> None:
    bench = await opened(runners=sick("container_restart", Fault.BROKEN_BEFORE))
    bench.give("container_restart", 60.0, container="web", grace_seconds=1)
    await bench.clock.advance(10)
    asked = await bench.answer(bench.again(1, "container_restart", 0.0, container="web"))
    assert (summary(asked), asked.recorded) == (("docker_error", "not_applied"), True)
    late = await bench.answer(bench.again(1, "container_restart", attempt=3, container="web"))
    assert late.code == "docker_error"
    assert bench.docker.effects == []


@pytest.mark.parametrize(("remaining_seconds", "removed"), [(60.0, True), (4.0, False)])
async def test_what_a_removal_still_lacks_is_done_before_its_deadline_only(
    remaining_seconds: float, removed: bool
) -> None:
    bench = await opened(runners=sick("container_remove", Fault.BROKEN_BEFORE))
    attempt = bench.give("container_remove", remaining_seconds, container="web", force=True)
    await bench.clock.advance(1)
    bench.docker.end("web", 137)
    await bench.clock.advance(20)
    assert attempt in bench.answers()
    word = last(bench)
    assert summary(word) == ((None, "none") if removed else ("docker_error", "docker_refused"))
    assert removed or "the command's time is over" in (word.error or "")
    assert ("web" in [each.name for each in bench.docker.containers]) is not removed


@pytest.mark.parametrize(("remaining_seconds", "removed"), [(60.0, True), (4.0, False)])
async def test_what_a_prune_still_lacks_is_done_before_its_deadline_only(
    remaining_seconds: float, removed: bool
) -> None:
    bench = await opened(runners=sick("image_prune", Fault.BROKEN_BEFORE))
    image = bench.docker.add_image("old:1").image_id
    attempt = bench.give("image_prune", remaining_seconds, images=[image])
    await bench.clock.advance(20)
    assert attempt in bench.answers()
    word = last(bench)
    assert summary(word) == ((None, "none") if removed else ("docker_error", "docker_refused"))
    assert removed or "1 of 1 are still there, and the command's time is over" in (word.error or "")
    assert (image in bench.docker.images) is not removed


async def test_what_the_removal_of_an_image_still_lacks_is_not_done_after_its_deadline() -> None:
    bench = await opened(runners=sick("image_remove", Fault.BROKEN_BEFORE))
    image = bench.docker.add_image("old:1").image_id
    bench.docker.images[image].tags.append("old:2")
    bench.give("image_remove", 4.0, image=image, force=True)
    await bench.clock.advance(1)
    bench.docker.images[image].tags.remove("old:2")
    await bench.clock.advance(20)
    assert "the command's time is over" in (last(bench).error or "")
    assert image in bench.docker.images


async def test_an_opaque_change_in_doubt_is_unknown_for_good_and_shows_its_evidence() -> None:
    bench = await opened(
        runners=sick("container_restart", Fault.BROKEN_AFTER), verifiers=opaque("container_restart")
    )
    attempt = bench.give("container_restart", container="web")
    answer = await bench.answer(attempt)
    assert (summary(answer), answer.recorded) == (("outcome_unknown", "none"), True)
    assert answer.evidence == {
        "started_at": "2030-01-01T00:00:00Z",
        "pre_image": {"id": bench.id_of("web")},
        "now": {},
        "reason": "it leaves no trace",
    }
    again = await bench.answer(bench.again(1, "container_restart", container="web"))
    assert again.code == "outcome_unknown"
    assert len(bench.docker.effects) == 1


async def test_a_change_without_a_verifier_is_opaque() -> None:
    bench = await opened(runners=sick("container_restart", Fault.BROKEN_AFTER))
    bench.verifiers.clear()
    bench.start()
    await bench.open()
    answer = await bench.answer(bench.give("container_restart", container="web"))
    assert (answer.code, answer.recorded) == ("outcome_unknown", True)


async def test_while_a_change_is_in_doubt_nothing_overtakes_it() -> None:
    bench = await opened(runners=sick("container_restart", Fault.BROKEN_BEFORE))
    bench.give("container_restart", 60.0, container="web", grace_seconds=1)
    after = bench.give("container_stop", 60.0, container=bench.id_of("web"))
    await bench.clock.advance(5)
    assert bench.docker.effects == []
    await bench.clock.advance(5)
    assert (await bench.answer(after)).code is None


async def test_a_docker_that_stays_away_keeps_the_doubt_for_an_hour_at_most() -> None:
    bench = await opened(runners=sick("container_restart", Fault.BROKEN_AFTER))
    attempt = bench.give("container_restart", 10.0, container="web")
    await until(lambda: "container_restart" in bench.docker.calls)
    bench.docker.fault(Fault.UNREACHABLE)
    await bench.clock.advance(10)
    interim = await bench.answer(attempt)
    assert (summary(interim), interim.recorded) == (("docker_error", "docker_failed"), False)
    assert interim.evidence is not None
    await bench.clock.advance(3580)
    assert state_of(bench) is State.STARTED
    await bench.clock.advance(20)
    assert (last(bench).code, last(bench).correlation_id) == ("outcome_unknown", "")
    looks = bench.docker.calls.count("container_inspect")
    assert looks < 300, "with a back-off"


async def test_a_bug_of_a_runner_is_a_doubt_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(execution: Execution) -> object:
        await RUNNERS["container_restart"](execution)
        raise ZeroDivisionError("no parts")

    bench = await opened(runners={"container_restart": broken})
    attempt = bench.give("container_restart", container="web")
    await bench.clock.advance(QUIET_SECONDS)
    answer = await bench.answer(attempt)
    assert (answer.code, answer.recorded) == (None, True)
    assert "no parts" in caplog.text


async def test_a_bug_of_a_verifier_makes_the_outcome_unknown(caplog: pytest.LogCaptureFixture) -> None:
    def broken(doubt: Doubt) -> Finding:
        raise ZeroDivisionError("no parts")

    bench = await opened(
        runners=sick("container_restart", Fault.BROKEN_AFTER),
        verifiers={
            "container_restart": Verifier(
                lambda record: {}, broken, lambda arguments, image: 0.0, container_by_id
            )
        },
    )
    answer = await bench.answer(bench.give("container_restart", container="web"))
    assert (answer.code, answer.recorded) == ("outcome_unknown", True)
    assert "can't be verified" in caplog.text


async def test_a_response_that_can_not_be_kept_is_a_success_all_the_same() -> None:
    async def strange(execution: Execution) -> object:
        return {"number": 1 << 80}

    bench = await opened(runners={"container_restart": strange})
    answer = await bench.answer(bench.give("container_restart", container="web"))
    assert (answer.code, answer.recorded) == (None, True)
    assert isinstance(answer.response, dict)
    assert "can't be kept" in str(answer.response["untold"])


# Who dies where


async def test_killed_before_the_row_is_there_the_next_delivery_begins_it_once() -> None:
    bench = await opened()
    bench.docker.fault(Fault.HANGS_BEFORE)
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    await bench.restart()
    bench.docker.heal()
    assert state_of(bench) is None
    answer = await bench.answer(bench.again(1, "container_restart", epoch=2, container="web"))
    assert answer.code is None
    assert len(bench.docker.effects) == 1


async def test_killed_between_the_row_and_the_call_it_is_verified_and_begun_once() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(runners={"container_restart": held(release, begun)})
    bench.give("container_restart", container="web", grace_seconds=1)
    await bench.clock.settle()
    assert state_of(bench) is State.STARTED
    bench.runners["container_restart"] = RUNNERS["container_restart"]
    await bench.restart()
    assert state_of(bench) is State.STARTED, "only after a while is it sure that Docker isn't at it"
    joined = bench.again(1, "container_restart", 60.0, epoch=2, container="web")
    await bench.clock.advance(10)
    answer = await bench.answer(joined)
    assert (summary(answer), answer.recorded) == (("agent_error", "not_applied"), False)
    assert (
        await bench.answer(bench.again(1, "container_restart", epoch=2, attempt=3, container="web"))
    ).code is None
    assert len(bench.docker.effects) == 1


async def test_killed_between_the_row_and_the_call_an_opaque_change_is_unknown() -> None:
    release, begun = asyncio.Event(), list[str]()
    bench = await opened(
        runners={"container_restart": held(release, begun)}, verifiers=opaque("container_restart")
    )
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    await bench.restart()
    await bench.clock.settle()
    answer = last(bench)
    assert (answer.code, answer.epoch) == ("outcome_unknown", 2)
    assert answer.origin is not None
    assert answer.origin.operation == "container_restart"


async def test_killed_during_the_call_that_had_its_effect_it_is_a_verified_success() -> None:
    bench = await opened()
    bench.docker.latency = slow("container_restart", 100.0)
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    assert len(bench.docker.effects) == 1
    await bench.restart()
    await bench.clock.advance(QUIET_SECONDS)
    answer = last(bench)
    assert (answer.code, answer.epoch, answer.correlation_id) == (None, 2, "")
    assert isinstance(answer.response, dict)
    assert answer.response["verified"] is True
    assert answer.origin is not None
    assert answer.origin.arguments["container"] == "web"
    assert answer.origin.started_at == "2030-01-01T00:00:00Z"
    assert len(bench.docker.effects) == 1


async def test_killed_after_the_effect_and_before_the_record_it_is_a_verified_success() -> None:
    async def stop_and_hold(execution: Execution) -> object:
        response = await RUNNERS["container_stop"](execution)
        bench.disk.open.clear()
        return response

    bench = await opened(runners={"container_stop": stop_and_hold})
    bench.give("container_stop", container="web")
    await bench.clock.settle()
    assert bench.docker.effects
    assert bench.completions() == []
    await bench.crash()
    bench.disk.open.set()
    bench.start()
    await bench.open(2)
    await bench.clock.advance(QUIET_SECONDS)
    assert (last(bench).code, last(bench).epoch) == (None, 2)
    assert len(bench.docker.effects) == 1


async def test_killed_after_the_record_and_before_it_was_told_the_result_is_told() -> None:
    bench = await opened()
    bench.acknowledges = False
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    first = last(bench)
    bench.sent.clear()
    await bench.restart()
    await bench.clock.settle()
    again = last(bench)
    assert (again.response, again.epoch, again.code) == (first.response, 2, None)
    assert len(bench.docker.effects) == 1


async def test_killed_again_during_the_verification_it_is_verified_again() -> None:
    bench = await opened()
    bench.docker.latency = slow("container_restart", 100.0)
    bench.give("container_restart", container="web")
    await bench.clock.settle()
    bench.docker.fault(Fault.UNREACHABLE)
    await bench.restart(2)
    await bench.clock.advance(3)
    await bench.restart(3)
    bench.docker.heal()
    await bench.clock.advance(QUIET_SECONDS + 1)
    assert (last(bench).code, last(bench).epoch) == (None, 3)
    assert len(bench.docker.effects) == 1


async def test_a_restart_that_ended_between_its_two_steps_goes_on_with_the_second() -> None:
    bench = await opened()
    bench.docker.latency = lambda called: (
        Latency(0.0, 20.0, 0.0) if called == "container_restart" else Latency()
    )
    bench.give("container_restart", 90.0, container="web", grace_seconds=1)
    await bench.clock.advance(21)
    assert not bench.docker.container("web").running
    bench.docker.kill_daemon()
    await bench.restart()
    bench.docker.start_daemon()
    await bench.clock.advance(30)
    assert bench.docker.container("web").running
    answer = last(bench)
    assert answer.code is None
    steps = [(effect.operation, effect.step) for effect in bench.docker.history if effect.changed]
    assert steps == [("container_restart", "stop"), ("container_start", "start")]


async def test_incident_12_what_ran_when_the_agent_was_told_to_stop_is_verified_by_the_next_one() -> None:
    bench = await opened()
    bench.docker.latency = slow("container_restart", 100.0)
    running = bench.give("container_restart", 200.0, container="web")
    await bench.clock.settle()
    closing = asyncio.create_task(bench.worker.close(5.0))
    await bench.clock.advance(5)
    await closing
    answer = bench.answers()[running]
    assert (summary(answer), answer.recorded) == (("agent_disconnected", "none"), False)
    bench.start()
    await bench.open(2)
    await bench.clock.advance(QUIET_SECONDS)
    assert last(bench).code is None
