"""How an UNKNOWN command is settled: by its agent's ledger, or by a person, once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from seawall.core.command import CommandState, Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CommandSettled
from seawall.engine.commands import InvalidRequest, NotUnknown, UnknownCommand
from seawall.engine.fleet import LedgerResult
from seawall.engine.reconciler import ANSWER_SECONDS
from seawall.engine.records import CommandRecord
from seawall.testing.clock import FakeClock
from seawall.wire.messages import Origin
from tests.engine.dispatch_plane import (
    CHANGE,
    HOST,
    OTHER,
    Plane,
    ScriptedSession,
    by_question,
    failing,
    ledger,
    ok,
    running,
)

pytestmark = pytest.mark.asyncio

NO_ANSWER = Outcome(CommandErrorCode.TIMEOUT, "no answer", circumstance=Circumstance.HEARD)


# Asked of the agent


async def test_an_unknown_command_is_asked_about_at_once_and_settled_by_the_ledger(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        assert record.error_code == "timeout"
        session.script = by_question(ledger(response={"verified": True}), NO_ANSWER)
        record = await plane.settled(record)
        assert (record.state, record.response, record.error_code) == (
            CommandState.SUCCEEDED,
            {"verified": True},
            None,
        )
        assert (record.recorded, record.resolved_by) == (True, "")
        assert session.acknowledged == [(1, 1)]
        settled = [event for event in plane.events if isinstance(event, CommandSettled)]
        assert [(event.command_id, event.state, event.by) for event in settled] == [
            (record.command_id, CommandState.SUCCEEDED, "")
        ]
        decisions = await plane.store.decisions(record.command_id)
        assert decisions[-1].kind == "settled"


async def test_a_question_is_asked_again_with_longer_and_longer_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        await plane.unknown(session)
        gaps: list[float] = []
        for _ in range(10):
            await plane.settle()
            asked, (due, *_others) = len(session.asked), plane.clock.timers
            gaps.append(due - plane.clock.now())
            await plane.clock.advance(gaps[-1])
            await plane.settle()
            assert len(session.asked) == asked + 1
        assert gaps == sorted(gaps)
        assert 0.5 <= gaps[0] <= 1.5
        assert 30.0 <= gaps[-1] <= 60.0


async def test_an_agent_that_comes_back_is_asked_at_once_however_long_the_back_off_was(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        for _ in range(6):
            await plane.settle()
            await plane.clock.advance(plane.clock.timers[0] - plane.clock.now())
        await plane.settle()
        assert plane.clock.timers[0] - plane.clock.now() > 10.0, "it is backing off"
        plane.fleet.detach(session)
        again = plane.attach(by_question(ledger(), NO_ANSWER))
        await plane.settle()
        assert again.asked == [record.command_id]
        assert (await plane.known(record)).settled


async def test_nobody_is_asked_while_the_agent_is_away(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        await plane.unknown(session)
        await plane.settle()
        plane.fleet.detach(session)
        asked = len(session.asked)
        await plane.clock.advance(600.0)
        assert len(session.asked) == asked
        assert plane.dispatcher.settlement.reconciler.asking == []


@pytest.mark.parametrize(
    "answer",
    [
        Outcome(response={"sure": "no"}, source=Source.AGENT),
        Outcome(CommandErrorCode.AGENT_ERROR, "not begun", source=Source.AGENT),
        Outcome(CommandErrorCode.OUTCOME_UNKNOWN, "too early", source=Source.AGENT),
        Outcome(CommandErrorCode.AGENT_DISCONNECTED, "gone"),
        Outcome(response=1),
    ],
    ids=["a success", "a failure", "an unknown", "the link", "a success of the link"],
)
async def test_incident_7_nothing_but_the_word_of_the_ledger_settles_an_unknown_command(
    tmp_path: Path, answer: Outcome
) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        session.script = by_question(answer, NO_ANSWER)
        for _ in range(10):
            await plane.clock.advance(3.0)
            await plane.settle()
        assert len(session.asked) > 1
        assert await plane.known(record) == record


async def test_an_unknown_from_the_ledger_itself_is_settled_and_shows_its_evidence(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        unknowable = ledger(CommandErrorCode.OUTCOME_UNKNOWN, evidence={"before": "up", "now": "down"})
        session.script = by_question(unknowable, NO_ANSWER)
        record = await plane.settled(record)
        assert (record.state, record.evidence) == (CommandState.UNKNOWN, {"before": "up", "now": "down"})
        assert record.safe_actions == ["verify", "resolve", "force-retry"]
        asked = len(session.asked)
        await plane.clock.advance(300.0)
        assert len(session.asked) == asked, "it has said all it knows"


async def test_many_unknown_commands_are_asked_about_some_at_a_time_until_all_are_settled(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD))
        asked = [
            await plane.commands.accept(
                msgspec.structs.replace(CHANGE, arguments={"container": f"c{n}"}, max_attempts=1)
            )
            for n in range(30)
        ]
        for record in asked:
            assert (await plane.finished(record)).state is CommandState.UNKNOWN
        plane.fleet.detach(session)
        again = plane.held(by_question(ledger(), NO_ANSWER))
        await plane.settle()
        assert len(again.asked) == 8
        assert again.hold is not None
        again.hold.set()
        for record in asked:
            assert (await plane.settled(record)).state is CommandState.SUCCEEDED
        assert sorted(again.asked) == sorted(record.command_id for record in asked)
        assert again.acknowledged[-1][1] == 30
        assert len(plane.dispatcher.settlement.reconciler) == 0


# A result that comes late


async def test_a_late_result_is_acknowledged_only_when_it_is_durable(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        before = plane.transactions()
        with plane.bus.listen() as said:
            plane.tells(record, ledger(response="late"))
            kept = await plane.settled(record)
            await plane.settle()
            assert (await anext(said)).kind == "settled"
        assert session.durable[0] > before
        assert (kept.state, kept.response, kept.settled) == (CommandState.SUCCEEDED, "late", True)
        known = len(session.acknowledged)
        plane.tells(record, ledger(response="again"))
        await plane.settle()
        assert set(session.acknowledged[known:]) == {(1, 1)}, "it is acknowledged each time it comes"
        assert (await plane.known(record)).response == "late"


async def test_incident_53_the_result_of_another_agents_command_is_ignored_and_not_acknowledged(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session, evil = plane.attach(), plane.attach(agent_id=OTHER)
        record = await plane.unknown(session)
        plane.tells(record, ledger(response="forged"), OTHER)
        await plane.settle()
        assert evil.acknowledged == session.acknowledged == []
        assert plane.dispatcher.settlement.foreign_results == 1
        assert await plane.known(record) == record


async def test_incident_53_another_agent_can_not_end_a_command_that_is_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session, evil = plane.held(), plane.attach(agent_id=OTHER)
        accepted = await plane.commands.accept(CHANGE)
        await plane.reached(session, 1)
        plane.tells(accepted, ledger(response="forged"), OTHER)
        await plane.settle()
        assert not (await plane.known(accepted)).state.final
        assert session.hold is not None
        session.hold.set()
        assert (await plane.finished(accepted)).response == {"done": True}
        await plane.settle()
        assert evil.acknowledged == []
        assert plane.dispatcher.settlement.foreign_results == 1


async def test_a_result_does_not_change_what_became_unknown_for_good_with_the_agents_ledger(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        await plane.loses_ledger()
        lost = await plane.known(record)
        assert (lost.state, lost.settled) == (CommandState.UNKNOWN, True)
        plane.tells(record, ledger(response="from a copy of the old ledger"))
        await plane.settle()
        assert await plane.known(record) == lost
        assert session.acknowledged == [(1, 1)]


# A controller that was restored from a backup


def told(response: object = 1, started_at: str | None = "2029-12-31T23:00:00Z") -> LedgerResult:
    origin = Origin("container_restart", {"container": "web"}, started_at, "2029-12-31T23:00:02Z")
    return LedgerResult("c-before-the-backup", 41, ledger(response=response), origin)


async def test_what_only_the_agent_knows_is_imported_shown_and_never_run(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        with plane.bus.listen() as said:
            plane.dispatcher.agent_told(HOST, told())
            assert (await anext(said)).kind == "imported"
        await plane.settle()
        record = await plane.store.command("c-before-the-backup")
        assert record is not None
        assert (record.operation, record.arguments, record.agent) == (
            "container_restart",
            {"container": "web"},
            "web-1",
        )
        assert (record.state, record.response, record.sequence) == (CommandState.SUCCEEDED, 1, 41)
        assert (record.settled, record.recorded) == (True, True)
        assert "imported" in record.requested_by
        assert [sequence for sequence, _ in session.acknowledged] == [41]
        assert session.reached == session.asked == []
        plane.dispatcher.agent_told(HOST, told("again"))
        await plane.settle()
        assert await plane.store.command("c-before-the-backup") == record
        assert len(session.acknowledged) == 2


@pytest.mark.parametrize("started_at", [None, "yesterday", ""])
async def test_a_time_of_an_agent_that_can_not_be_read_does_no_harm(
    tmp_path: Path, started_at: str | None
) -> None:
    async with running(tmp_path) as plane:
        plane.attach()
        plane.dispatcher.agent_told(HOST, told(started_at=started_at))
        await plane.settle()
        assert await plane.store.command("c-before-the-backup") is not None


# A person's word


async def resolved(plane: Plane, record: CommandRecord, state: CommandState) -> CommandRecord:
    return await plane.commands.resolve(record.command_id, state, "ann", " I looked at the host ")


async def test_a_person_may_say_what_an_unknown_command_was_and_no_later_result_changes_it(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        resolution = await resolved(plane, record, CommandState.FAILED)
        kept = await plane.known(record)
        assert (kept.state, kept.settled, kept.resolved_by) == (CommandState.FAILED, True, "ann")
        assert (kept.resolution, resolution.state) == ("I looked at the host", CommandState.FAILED)
        asked = len(session.asked)
        plane.tells(record, ledger(response="it was done after all"))
        await plane.clock.advance(120.0)
        await plane.settle()
        assert await plane.known(record) == kept
        assert session.acknowledged == [(1, 1)], "the agent may forget it all the same"
        assert len(session.asked) == asked
        settled = [event for event in plane.events if isinstance(event, CommandSettled)]
        assert [(event.state, event.by) for event in settled] == [(CommandState.FAILED, "ann")]


async def test_only_an_unknown_command_can_be_resolved_and_only_as_done_or_failed(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        over = await plane.finished(await plane.commands.accept(CHANGE))
        with pytest.raises(NotUnknown, match="SUCCEEDED"):
            await resolved(plane, over, CommandState.FAILED)
        with pytest.raises(UnknownCommand):
            await plane.commands.resolve("nobody's", CommandState.FAILED, "ann", "because")
        record = await plane.unknown(session)
        for state in set(CommandState) - {CommandState.SUCCEEDED, CommandState.FAILED}:
            with pytest.raises(InvalidRequest):
                await resolved(plane, record, state)
        for reason in ("", "  ", "x" * 1_001):
            with pytest.raises(InvalidRequest, match="reason"):
                await plane.commands.resolve(record.command_id, CommandState.FAILED, "ann", reason)
        await resolved(plane, record, CommandState.SUCCEEDED)
        with pytest.raises(NotUnknown):
            await resolved(plane, record, CommandState.FAILED)


async def test_of_a_person_and_a_ledger_at_once_one_settles_it_and_both_hear_which(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        plane.tells(record, ledger(response=1))
        try:
            shown = await resolved(plane, record, CommandState.FAILED)
        except NotUnknown:
            shown = await plane.known(record)
        await plane.settle()
        kept = await plane.known(record)
        assert kept.state is shown.state
        assert len([event for event in plane.events if isinstance(event, CommandSettled)]) == 1


async def test_verifying_asks_now_and_comes_back_with_what_is_known_then(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        await plane.settle()
        session.script = by_question(ledger(response="asked"), NO_ANSWER)
        verified = await plane.commands.verify(record.command_id, ANSWER_SECONDS)
        assert (verified.state, verified.response) == (CommandState.SUCCEEDED, "asked")
        with pytest.raises(NotUnknown):
            await plane.commands.verify(record.command_id, 1.0)
        with pytest.raises(UnknownCommand):
            await plane.commands.verify("nobody's", 1.0)


async def test_verifying_a_command_of_an_absent_host_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        await plane.settle()
        plane.fleet.detach(session)
        assert await plane.commands.verify(record.command_id, 1.0) == record


async def test_forcing_a_retry_is_a_new_command_and_the_old_one_stays_unknown(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach()
        record = await plane.unknown(session)
        session.script = by_question(NO_ANSWER, Outcome(response="anew"))
        forced = await plane.commands.force_retry(record.command_id, "ann", "key")
        again = await plane.commands.force_retry(record.command_id, "ann", "key")
        assert forced.command_id == again.command_id != record.command_id
        done = await plane.finished(forced)
        assert (done.state, done.requested_by, done.arguments) == (
            CommandState.SUCCEEDED,
            "ann",
            record.arguments,
        )
        assert (await plane.known(record)).state is CommandState.UNKNOWN
        with pytest.raises(NotUnknown):
            await plane.commands.force_retry(done.command_id, "ann", None)


# After a restart


async def test_unknown_commands_of_an_earlier_start_are_asked_about_when_their_agent_comes(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as before:
        record = await before.unknown(before.attach())
    async with running(tmp_path, clock) as after:
        await after.settle()
        session = ScriptedSession(by_question(ledger(), NO_ANSWER))
        after.fleet.attach(session)
        assert (await after.settled(record)).state is CommandState.SUCCEEDED
        await after.settle()
        assert session.asked == [record.command_id]
        assert session.reached == []
        assert session.acknowledged == [(1, 1)]


async def test_a_read_is_never_unknown_and_never_asked_about(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD))
        record = await plane.finished(
            await plane.commands.accept(
                msgspec.structs.replace(CHANGE, operation="container_list", arguments={})
            )
        )
        assert (record.state, record.settled, record.sequence) == (CommandState.FAILED, True, 0)
        session.script = ok
        await plane.clock.advance(60.0)
        assert session.asked == []
