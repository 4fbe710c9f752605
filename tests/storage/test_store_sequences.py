"""What every store promises about the order and the memory of agents: sequences, ledgers, what is unsettled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from seawall.core.command import CommandState
from seawall.engine.records import CommandRecord, LedgerFacts, SessionGrant
from seawall.engine.store import IdempotencyConflict, Store
from tests.storage.backends import BACKENDS, LEDGER, NOW, agent, attempt, command, join_token, later

pytestmark = pytest.mark.asyncio

ANOTHER = "another ledger"


@pytest_asyncio.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store that knows two agents, each with a ledger that it has shown."""
    store = await BACKENDS[request.param](tmp_path)()
    for agent_id in ("a-1", "a-2"):
        await store.add_join_token(join_token(agent_id))
        await store.redeem(agent_id, NOW, agent(agent_id, f"host of {agent_id}"))
    yield store
    await store.close()


async def accepted(
    store: Store, command_id: str, state: CommandState = CommandState.ACCEPTED, agent_id: str = "a-1"
) -> CommandRecord:
    """A change that has got as far as this, and isn't settled."""
    attempts = [] if state is CommandState.ACCEPTED else [attempt(1)]
    before = CommandState.DISPATCHED if state.final else state
    record = command(command_id, state=before, agent_id=agent_id, attempts=attempts)
    await store.accept(record, sequenced=True)
    if state.final:
        assert await store.finish(msgspec.structs.replace(record, state=state, finished_at=later(5)))
    return record


async def known(store: Store, command_id: str) -> CommandRecord:
    record = await store.command(command_id)
    assert record is not None
    return record


async def hello(store: Store, ledger: LedgerFacts = LEDGER, agent_id: str = "a-1") -> SessionGrant:
    return await store.open_session(agent(agent_id, last_seen_at=later(60)), ledger)


# Sequences


async def test_sequences_of_an_agent_have_no_gap_and_no_repeat_however_many_ask_at_once(store: Store) -> None:
    asked = [command(f"{agent_id}/{n}", agent_id=agent_id) for n in range(200) for agent_id in ("a-1", "a-2")]
    kept = await asyncio.gather(*(store.accept(record, sequenced=True) for record in asked))
    for agent_id in ("a-1", "a-2"):
        given = [record.sequence for record in kept if record.agent_id == agent_id]
        assert given == list(range(1, 201)), "in the order in which they were asked for"
    for record in kept:
        assert (await known(store, record.command_id)).sequence == record.sequence


async def test_a_command_that_is_not_sequenced_has_none_and_uses_none_up(store: Store) -> None:
    assert (await store.accept(command("read"))).sequence == 0
    assert (await accepted(store, "c-1")).sequence == 1


async def test_a_command_that_is_not_kept_uses_no_sequence_up(store: Store) -> None:
    first = await store.accept(command("c-1", idempotency_key="key", fingerprint="one"), sequenced=True)
    again = command("c-2", idempotency_key="key", fingerprint="one")
    assert (await store.accept(again, sequenced=True)).sequence == first.sequence == 1
    other = command("c-3", idempotency_key="key", fingerprint="two")
    with pytest.raises(IdempotencyConflict):
        await store.accept(other, sequenced=True)
    with pytest.raises(Exception, match="command_id"):
        await store.accept(command("c-1"), sequenced=True)
    assert (again.sequence, other.sequence) == (0, 0)
    assert (await accepted(store, "c-4")).sequence == 2


async def test_a_command_of_an_agent_that_nobody_knows_gets_no_sequence_and_is_not_kept(store: Store) -> None:
    with pytest.raises(LookupError, match="a-9"):
        await store.accept(command("c-1", agent_id="a-9"), sequenced=True)
    assert await store.command("c-1") is None


async def test_an_attempt_that_a_command_brings_is_kept_with_it(store: Store) -> None:
    record = await accepted(store, "c-1", CommandState.DISPATCHED)
    assert await known(store, "c-1") == record
    assert record.attempts == [attempt(1)]


# Finishing and settling


async def test_only_an_unknown_command_can_be_settled_and_its_key_stays(store: Store) -> None:
    record = command("c-1", idempotency_key="key", state=CommandState.DISPATCHED)
    await store.accept(record, sequenced=True)
    settled = msgspec.structs.replace(
        record,
        state=CommandState.SUCCEEDED,
        settled=True,
        recorded=True,
        response={"verified": True},
        finished_at=later(9),
        resolved_by="ann",
        resolution="I looked",
    )
    assert not await store.settle(settled), "it is open"
    unknown = msgspec.structs.replace(
        record, state=CommandState.UNKNOWN, evidence={"n": 1}, error="who knows"
    )
    assert await store.finish(unknown)
    assert await known(store, "c-1") == unknown
    shown = msgspec.structs.replace(unknown, evidence={"n": 2})
    assert await store.settle(shown)
    assert await known(store, "c-1") == shown
    assert await store.settle(settled)
    assert await known(store, "c-1") == settled
    failed = msgspec.structs.replace(settled, state=CommandState.FAILED, resolved_by="bob")
    assert not await store.settle(failed), "no last word is taken back"
    assert await known(store, "c-1") == settled


async def test_of_many_who_settle_at_once_one_does(store: Store) -> None:
    record = await accepted(store, "c-1", CommandState.UNKNOWN)
    words = [
        msgspec.structs.replace(record, state=state, settled=True, resolved_by=str(n))
        for n, state in enumerate([CommandState.SUCCEEDED, CommandState.FAILED] * 10)
    ]
    answers = await asyncio.gather(*(store.settle(word) for word in words))
    assert answers.count(True) == 1
    assert (await known(store, "c-1")).resolved_by == words[answers.index(True)].resolved_by


async def test_a_command_that_only_its_agent_knew_is_adopted_once_with_its_own_sequence(store: Store) -> None:
    told = command("c-1", state=CommandState.SUCCEEDED, sequence=41, settled=True, recorded=True)
    assert await store.adopt(told)
    assert not await store.adopt(msgspec.structs.replace(told, state=CommandState.FAILED))
    assert await known(store, "c-1") == told


async def test_what_is_unsettled_comes_by_agent_in_the_order_of_its_acceptance(store: Store) -> None:
    await accepted(store, "z", CommandState.UNKNOWN)
    await accepted(store, "other", CommandState.DISPATCHED, "a-2")
    await store.accept(command("y"), sequenced=True)
    over = await accepted(store, "x")
    await store.finish(
        msgspec.structs.replace(over, state=CommandState.FAILED, settled=True, finished_at=later(1))
    )
    unsettled = await store.unsettled()
    assert [(each.command_id, each.agent_id, each.sequence, each.state, each.sent) for each in unsettled] == [
        ("z", "a-1", 1, CommandState.UNKNOWN, True),
        ("y", "a-1", 2, CommandState.ACCEPTED, False),
        ("other", "a-2", 1, CommandState.DISPATCHED, True),
    ]
    assert {each.deadline_at for each in unsettled} == {later(90)}


async def test_only_what_is_dispatched_becomes_running(store: Store) -> None:
    for state in (CommandState.ACCEPTED, CommandState.DISPATCHED, CommandState.UNKNOWN):
        await accepted(store, state.value, state)
    await store.running(["ACCEPTED", "DISPATCHED", "UNKNOWN", "nobody's"])
    states = {record.command_id: record.state for record in await store.commands()}
    assert states == {
        "ACCEPTED": CommandState.ACCEPTED,
        "DISPATCHED": CommandState.RUNNING,
        "UNKNOWN": CommandState.UNKNOWN,
    }


# Sessions and ledgers


async def test_the_epoch_is_above_all_that_either_side_has_seen(store: Store) -> None:
    assert (await hello(store)).epoch == 1
    assert (await hello(store, LedgerFacts("ledger-1", epoch=70))).epoch == 71
    assert (await hello(store, LedgerFacts("ledger-1", epoch=70))).epoch == 72


async def test_everything_below_the_first_that_is_unsettled_is_over(store: Store) -> None:
    assert (await hello(store)).acknowledged_up_to == 0
    records = [await accepted(store, f"c-{n}", CommandState.DISPATCHED) for n in range(1, 5)]
    for record in (records[0], records[2]):
        await store.finish(msgspec.structs.replace(record, state=CommandState.SUCCEEDED, settled=True))
    assert (await hello(store)).acknowledged_up_to == 1
    await store.finish(msgspec.structs.replace(records[1], state=CommandState.UNKNOWN))
    assert (await hello(store)).acknowledged_up_to == 1, "an unsettled UNKNOWN isn't over"
    await store.settle(msgspec.structs.replace(records[1], state=CommandState.UNKNOWN, settled=True))
    assert (await hello(store)).acknowledged_up_to == 3
    await store.finish(msgspec.structs.replace(records[3], state=CommandState.FAILED, settled=True))
    assert (await hello(store)).acknowledged_up_to == 4


async def test_a_restored_controller_counts_on_above_what_the_agent_has_seen(store: Store) -> None:
    grant = await hello(store, LedgerFacts("ledger-1", epoch=9, watermark=20, last_sequence=30))
    assert (grant.epoch, grant.amnesia, grant.lost) == (10, "", {})
    assert (await accepted(store, "c-1")).sequence == 31
    await hello(store, LedgerFacts("ledger-1", epoch=10, watermark=50, last_sequence=40))
    assert (await accepted(store, "c-2")).sequence == 51


@pytest.mark.parametrize(
    ("ledger", "reason"),
    [
        (LedgerFacts(ANOTHER, epoch=5, last_sequence=4), "another ledger"),
        (LedgerFacts(ANOTHER), "another ledger"),
        (LedgerFacts("ledger-1", epoch=4, last_sequence=4), "gone back to epoch 4, it had reached 5"),
        (LedgerFacts("ledger-1", epoch=5, last_sequence=1), "gone back to command 1, it had told of 2"),
    ],
    ids=["another id", "a new ledger", "an older epoch", "a lower sequence"],
)
async def test_a_ledger_that_is_not_the_known_one_makes_what_it_may_have_had_unknown_for_good(
    store: Store, ledger: LedgerFacts, reason: str
) -> None:
    await hello(store)
    told = await accepted(store, "not told", CommandState.UNKNOWN)
    recorded = await accepted(store, "told", CommandState.RUNNING)
    end = msgspec.structs.replace(recorded, state=CommandState.SUCCEEDED, settled=True, recorded=True)
    await store.finish(end)
    await accepted(store, "sent", CommandState.DISPATCHED)
    await accepted(store, "kept")
    await store.accept(command("read", state=CommandState.DISPATCHED))
    await accepted(store, "of another agent", CommandState.DISPATCHED, "a-2")
    await store.prove_epoch("a-1", 5)
    grant = await hello(store, ledger)
    assert reason in grant.amnesia
    assert grant.lost == {"not told": 1, "sent": 3}
    for command_id in grant.lost:
        lost = await known(store, command_id)
        assert (lost.state, lost.settled, lost.recorded) == (CommandState.UNKNOWN, True, False)
        assert lost.error_code == "outcome_unknown"
        assert reason in str(lost.error)
    assert (await known(store, "not told")).finished_at == (told.finished_at or later(5))
    assert (await known(store, "sent")).finished_at == later(60)
    assert await known(store, "told") == end, "what was told before stays told"
    for command_id, state in (("kept", CommandState.ACCEPTED), ("read", CommandState.DISPATCHED)):
        record = await known(store, command_id)
        assert (record.state, record.settled) == (state, False)
    assert (await known(store, "of another agent")).state is CommandState.DISPATCHED
    assert grant.acknowledged_up_to == 3
    assert (await hello(store, ledger)).amnesia == "", "it is told once"
    after = await accepted(store, "after", CommandState.RUNNING)
    await store.finish(msgspec.structs.replace(after, state=CommandState.FAILED, settled=True, recorded=True))
    assert "gone back to command" in (await hello(store, ledger)).amnesia, (
        "the new ledger must not go back either"
    )


@pytest.mark.parametrize("then", ["runs", "is unknown", "is unknown with evidence", "is sent again"])
async def test_a_ledger_that_forgot_what_it_had_begun_is_not_the_known_one(store: Store, then: str) -> None:
    await hello(store)
    begun = await accepted(store, "begun", CommandState.DISPATCHED)
    if then != "is unknown with evidence":
        await store.running(["begun"])
    if then == "is sent again":
        await store.start_attempt("begun", attempt(2))
    elif then != "runs":
        evidence = {"started_at": "then"} if then == "is unknown with evidence" else None
        await store.finish(msgspec.structs.replace(begun, state=CommandState.UNKNOWN, evidence=evidence))
    grant = await hello(store, LedgerFacts("ledger-1", last_sequence=1))
    assert grant.amnesia == "", "it has it still"
    grant = await hello(store, LedgerFacts("ledger-1"))
    assert "gone back to command 0, it had told of 1" in grant.amnesia
    assert grant.lost == {"begun": 1}


async def test_a_new_ledger_that_forgot_what_was_accepted_before_it_and_begun_after_is_not_the_known_one(
    store: Store,
) -> None:
    await hello(store)
    await accepted(store, "kept")
    assert (await hello(store, LedgerFacts(ANOTHER))).amnesia
    await store.start_attempt("kept", attempt(1))
    await store.running(["kept"])
    assert "gone back to command 0" in (await hello(store, LedgerFacts(ANOTHER))).amnesia


async def test_an_agent_whose_ledger_was_restored_with_its_controller_is_the_same(store: Store) -> None:
    await hello(store)
    await store.prove_epoch("a-1", 1)
    assert (await hello(store, LedgerFacts("ledger-1", epoch=1))).amnesia == ""


async def test_an_epoch_once_proved_is_not_taken_back(store: Store) -> None:
    await hello(store)
    await store.prove_epoch("a-1", 5)
    await store.prove_epoch("a-1", 3)
    assert "it had reached 5" in (await hello(store, LedgerFacts("ledger-1", epoch=4))).amnesia


async def test_an_epoch_that_was_only_granted_is_no_proof(store: Store) -> None:
    for _ in range(3):
        assert (await hello(store)).amnesia == "", "the agent may have died before it wrote the epoch down"


async def test_a_revoked_agent_proves_and_loses_nothing(store: Store) -> None:
    await hello(store)
    await accepted(store, "sent", CommandState.DISPATCHED)
    await store.revoke_agent("a-1", NOW)
    with pytest.raises(LookupError):
        await hello(store, LedgerFacts(ANOTHER))
    assert (await known(store, "sent")).state is CommandState.DISPATCHED


async def test_an_agent_in_quarantine_is_kept_so_until_it_is_released(store: Store) -> None:
    assert await store.quarantine("a-1", later(1))
    kept = await store.agent("a-1")
    assert kept is not None
    assert kept.quarantined_at == later(1)
    assert await store.release("a-1", later(2))
    kept = await store.agent("a-1")
    assert kept is not None
    assert kept.quarantined_at is None
    assert not await store.quarantine("a-9", NOW)
    await store.revoke_agent("a-1", NOW)
    assert not await store.quarantine("a-1", NOW)
