"""What every store promises, sentence by sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.engine.records import CommandRecord, HoldRecord
from seawall.engine.store import IdempotencyConflict, JoinTokenRefused, NameTaken, Store, StoreFailed
from tests.storage.backends import (
    BACKENDS,
    LEDGER,
    NOW,
    OpenStore,
    agent,
    attempt,
    command,
    join_token,
    later,
    token,
    transition,
)

pytestmark = pytest.mark.asyncio

RESPONSE = {"text": "zwölf\x00🐳", "deep": [{"n": -1, "f": 0.5, "big": 2**63 - 1, "none": None}], "yes": True}


@pytest.fixture(params=BACKENDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    return BACKENDS[request.param](tmp_path)


@pytest_asyncio.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Store]:
    store = await open_store()
    yield store
    await store.close()


def finished(record: CommandRecord, state: CommandState = CommandState.SUCCEEDED) -> CommandRecord:
    record.state = state
    record.finished_at = later(5)
    return record


async def let_in(store: Store, agent_id: str = "a-1", name: str = "local") -> None:
    await store.add_join_token(join_token(f"hash for {agent_id}"))
    await store.redeem(f"hash for {agent_id}", NOW, agent(agent_id, name))


# Commands


async def test_a_command_reads_back_exactly_as_it_was_accepted(store: Store) -> None:
    record = command(
        arguments=RESPONSE,
        timeout_seconds=0.1,
        queue=False,
        requested_by="admin",
        idempotency_key="key",
        fingerprint="print",
    )
    assert await store.accept(record) == record
    assert await store.command("c-1") == record


async def test_a_command_that_is_turned_away_at_once_keeps_its_reason(store: Store) -> None:
    record = command(
        state=CommandState.REJECTED,
        error_code="circuit_open",
        error="nothing was sent",
        retry_after_seconds=12.5,
        duration_seconds=0.25,
        finished_at=later(1),
    )
    await store.accept(record)
    assert await store.command("c-1") == record
    assert await store.open_commands("a-1") == []


def pull(command_id: str, **changes: object) -> CommandRecord:
    arguments = {"reference": "registry.test/app:1", "password": "sealed"}
    return command(command_id, operation="image_pull", arguments=arguments, **changes)


async def password_of(store: Store, command_id: str) -> object:
    record = await store.command(command_id)
    assert record is not None
    assert record.arguments["reference"] == "registry.test/app:1"
    return record.arguments["password"]


@pytest.mark.parametrize("state", [state for state in CommandState if state.final])
async def test_a_secret_is_kept_until_no_attempt_can_need_it_any_more(
    store: Store, state: CommandState
) -> None:
    await store.accept(pull("turned-away", state=state))
    await store.accept(pull("done"))
    await store.start_attempt("done", attempt(1))
    assert await password_of(store, "done") == "sealed"
    await store.finish(finished(pull("done", attempts=[attempt(1)]), state))
    left = "sealed" if state is CommandState.UNKNOWN else "***"
    assert await password_of(store, "turned-away") == left
    assert await password_of(store, "done") == left


async def test_a_secret_of_an_unknown_goes_when_it_is_settled(store: Store) -> None:
    await store.accept(pull("c-1"))
    await store.finish(finished(pull("c-1"), CommandState.UNKNOWN))
    assert not await store.finish(finished(pull("c-1")))
    assert await password_of(store, "c-1") == "sealed"
    assert await store.settle(finished(pull("c-1"), CommandState.UNKNOWN))
    assert await password_of(store, "c-1") == "sealed"
    assert await store.settle(finished(pull("c-1"), CommandState.FAILED))
    assert await password_of(store, "c-1") == "***"


async def test_a_known_key_with_the_same_fingerprint_returns_the_command_that_has_it_unchanged(
    store: Store,
) -> None:
    first = await store.accept(command("c-1", idempotency_key="key", fingerprint="same"))
    await store.start_attempt("c-1", attempt(1))
    again = await store.accept(
        command("c-2", idempotency_key="key", fingerprint="same", arguments={"container": "db"})
    )
    assert again.command_id == "c-1"
    assert again.arguments == first.arguments
    assert again.state is CommandState.DISPATCHED
    assert again.attempts == [attempt(1)]
    assert again == await store.command("c-1")
    assert await store.command("c-2") is None


async def test_a_known_key_with_another_fingerprint_is_a_conflict_that_names_the_command(
    store: Store,
) -> None:
    await store.accept(command("c-1", idempotency_key="key", fingerprint="one"))
    with pytest.raises(IdempotencyConflict) as conflict:
        await store.accept(command("c-2", idempotency_key="key", fingerprint="two"))
    assert conflict.value.command_id == "c-1"
    assert await store.command("c-2") is None


async def test_one_key_asked_for_by_many_at_once_makes_one_command(store: Store) -> None:
    asked = [command(f"c-{n}", idempotency_key="key", fingerprint="same") for n in range(50)]
    kept = await asyncio.gather(*(store.accept(record) for record in asked))
    assert len({record.command_id for record in kept}) == 1
    assert len(await store.commands()) == 1


async def test_commands_without_a_key_live_side_by_side(store: Store) -> None:
    await store.accept(command("c-1", fingerprint="same"))
    await store.accept(command("c-2", fingerprint="same"))
    assert {record.command_id for record in await store.commands()} == {"c-1", "c-2"}


async def test_what_is_kept_is_the_record_as_it_was_when_the_store_was_asked(store: Store) -> None:
    record = command(arguments={"container": "web"})
    asked = asyncio.create_task(store.accept(record))
    await asyncio.sleep(0)
    record.arguments["container"] = "db"
    record.operation = "container_remove"
    await asked
    kept = await store.command("c-1")
    assert kept is not None
    assert (kept.operation, kept.arguments) == ("container_restart", {"container": "web"})


async def test_a_key_finds_its_command_with_its_attempts(store: Store) -> None:
    await store.accept(command("c-1", idempotency_key="key"))
    await store.start_attempt("c-1", attempt(1))
    found = await store.command_by_key("key")
    assert found is not None
    assert found == await store.command("c-1")
    assert found.attempts == [attempt(1)]


async def test_an_unknown_key_finds_nothing(store: Store) -> None:
    await store.accept(command("c-1"))
    assert await store.command_by_key("key") is None


async def test_an_unknown_id_finds_nothing(store: Store) -> None:
    assert await store.command("c-1") is None


async def test_starting_an_attempt_adds_it_and_makes_the_command_dispatched(store: Store) -> None:
    await store.accept(command("c-1"))
    await store.start_attempt("c-1", attempt(1))
    kept = await store.command("c-1")
    assert kept == command("c-1", state=CommandState.DISPATCHED, attempts=[attempt(1)])


async def test_attempts_come_in_the_order_of_their_numbers(store: Store) -> None:
    await store.accept(command("c-1"))
    numbers = [10, 2, 1, 11]
    for number in numbers:
        await store.start_attempt("c-1", attempt(number))
    kept = await store.command("c-1")
    assert kept is not None
    assert [each.number for each in kept.attempts] == sorted(numbers)


async def test_finishing_an_attempt_fills_in_its_end_and_leaves_the_others_alone(store: Store) -> None:
    await store.accept(command("c-1"))
    await store.start_attempt("c-1", attempt(1))
    await store.start_attempt("c-1", attempt(2))
    ended = attempt(
        1, finished_at=later(9), error_code="timeout", circumstance="silent", error="no answer in 30 s"
    )
    await store.finish_attempt("c-1", ended)
    kept = await store.command("c-1")
    assert kept is not None
    assert kept.attempts == [ended, attempt(2)]
    assert kept.state is CommandState.DISPATCHED


async def test_an_attempt_can_end_after_its_command_did(store: Store) -> None:
    record = await store.accept(command("c-1"))
    await store.start_attempt("c-1", attempt(1))
    await store.finish(finished(record))
    await store.finish_attempt("c-1", attempt(1, finished_at=later(5)))
    kept = await store.command("c-1")
    assert kept is not None
    assert kept.attempts == [attempt(1, finished_at=later(5))]


async def test_no_attempt_starts_of_a_command_that_is_unknown_or_over(store: Store) -> None:
    await store.finish(finished(await store.accept(command("c-1"))))
    for command_id in ("c-1", "c-2"):
        with pytest.raises(LookupError, match=command_id):
            await store.start_attempt(command_id, attempt(1))
    assert await store.command("c-1") == finished(command("c-1"))


async def test_an_attempt_that_never_started_can_not_end(store: Store) -> None:
    await store.accept(command("c-1"))
    with pytest.raises(LookupError, match="attempt 1 of command c-1"):
        await store.finish_attempt("c-1", attempt(1, finished_at=later(1)))


@pytest.mark.parametrize("state", [state for state in CommandState if state.final])
async def test_finishing_writes_the_result_and_the_end_of_the_last_attempt(
    store: Store, state: CommandState
) -> None:
    await store.accept(command("c-1", idempotency_key="key"))
    await store.start_attempt("c-1", attempt(1))
    result = command(
        "c-1",
        state=state,
        error_code="docker_error",
        error="no such container",
        response=RESPONSE,
        total_attempts=2,
        duration_seconds=1.75,
        finished_at=later(7),
        retry_after_seconds=3.5,
        idempotency_key="key",
        settled=state is not CommandState.UNKNOWN,
        recorded=state is CommandState.SUCCEEDED,
        evidence={"before": RESPONSE} if state is CommandState.UNKNOWN else None,
        attempts=[attempt(1, error="changed"), attempt(2, error_code="docker_error", finished_at=later(6))],
    )
    await store.start_attempt("c-1", attempt(2))
    assert await store.finish(result)
    result.attempts[0] = attempt(1)
    assert await store.command("c-1") == result


async def test_finishing_changes_nothing_of_what_was_asked(store: Store) -> None:
    await store.accept(command("c-1"))
    await store.finish(finished(command("c-1", operation="container_remove", arguments={}, agent_id="a-2")))
    assert await store.command("c-1") == finished(command("c-1"))


async def test_a_command_that_is_final_stays_as_it_is(store: Store) -> None:
    await store.accept(command("c-1", idempotency_key="key"))
    await store.finish(finished(command("c-1", idempotency_key="key", response=1)))
    late = finished(command("c-1", response=2, attempts=[attempt(1, error="late")]), CommandState.FAILED)
    assert not await store.finish(late)
    assert await store.command("c-1") == finished(command("c-1", idempotency_key="key", response=1))


async def test_a_command_that_nobody_accepted_can_not_finish(store: Store) -> None:
    with pytest.raises(LookupError, match="c-1"):
        await store.finish(finished(command("c-1")))


async def test_a_key_stays_with_its_finished_command_and_is_free_once_released(store: Store) -> None:
    await store.accept(command("c-1", idempotency_key="kept"))
    await store.finish(finished(command("c-1", idempotency_key="kept")))
    await store.accept(command("c-2", idempotency_key="released"))
    await store.finish(finished(command("c-2"), CommandState.REJECTED))
    kept = await store.command_by_key("kept")
    assert kept is not None
    assert kept.command_id == "c-1"
    assert await store.command_by_key("released") is None
    again = await store.accept(command("c-3", idempotency_key="released"))
    assert again.command_id == "c-3"


async def test_commands_come_newest_first_with_their_attempts(store: Store) -> None:
    # Neither ids nor times decide: clocks jump.
    for n, command_id in enumerate(["m", "z", "a"]):
        await store.accept(command(command_id, accepted_at=later(-n)))
        await store.start_attempt(command_id, attempt(1, correlation_id=f"of {command_id}"))
    listed = await store.commands()
    assert [record.command_id for record in listed] == ["a", "z", "m"]
    assert [[each.correlation_id for each in record.attempts] for record in listed] == [
        ["of a"],
        ["of z"],
        ["of m"],
    ]


async def test_commands_can_be_narrowed_by_agent_state_and_operation(store: Store) -> None:
    await store.accept(command("c-1"))
    await store.accept(command("c-2", agent_id="a-2"))
    await store.accept(command("c-3", operation="ping"))
    await store.accept(command("c-4", state=CommandState.REJECTED))
    await store.accept(command("c-5", state=CommandState.EXPIRED))

    async def ids(**narrowing: object) -> list[str]:
        return [record.command_id for record in await store.commands(**narrowing)]  # type: ignore[arg-type]

    assert await ids(agent_id="a-2") == ["c-2"]
    assert await ids(operation="ping") == ["c-3"]
    assert await ids(states=[CommandState.REJECTED]) == ["c-4"]
    assert await ids(states=(CommandState.REJECTED, CommandState.EXPIRED)) == ["c-5", "c-4"]
    assert await ids(agent_id="a-1", operation="container_restart", states=[CommandState.ACCEPTED]) == ["c-1"]
    assert await ids(agent_id="a-3") == []


async def test_a_list_holds_what_reading_all_commands_through_would_find(store: Store) -> None:
    states = (*CommandState, *CommandState)
    for number, state in enumerate(states):
        settled = state.final and state is not CommandState.UNKNOWN
        await store.accept(
            command(f"c-{number}", state=state, settled=settled, agent_id=f"a-{number % 2 + number // 9}")
        )
    every = await store.commands()
    for first, second, agent_id, before in product(CommandState, CommandState, (None, "a-1"), (None, 7)):
        listed = await store.commands(
            states=(first, second),
            agent_id=agent_id,
            before=None if before is None else f"c-{before}",
            limit=3,
        )
        assert (
            listed
            == [
                record
                for record in every
                if record.state in (first, second)
                and agent_id in (None, record.agent_id)
                and (before is None or int(record.command_id[2:]) < before)
            ][:3]
        )


async def test_pages_of_commands_join_without_gap_or_overlap(store: Store) -> None:
    for n in range(10):
        await store.accept(command(f"c-{n}", agent_id=f"a-{n % 2}"))
        await store.start_attempt(f"c-{n}", attempt(1))
    seen: list[str] = []
    before: str | None = None
    while page := await store.commands(agent_id="a-1", limit=2, before=before):
        assert len(page) <= 2
        assert all(len(record.attempts) == 1 for record in page)
        seen += [record.command_id for record in page]
        before = seen[-1]
    assert seen == ["c-9", "c-7", "c-5", "c-3", "c-1"]


async def test_a_limit_below_one_lists_nothing(store: Store) -> None:
    await store.accept(command())
    assert await store.commands(limit=0) == []
    assert await store.commands(limit=-1) == []


async def test_open_commands_are_all_of_an_agent_that_are_not_final_the_oldest_first(store: Store) -> None:
    for n, state in enumerate(CommandState):
        await store.accept(command(f"c-{n}", state=state, settled=state.final))
    await store.accept(command("of another", agent_id="a-2"))
    await store.start_attempt("c-0", attempt(1))
    listed = await store.open_commands("a-1")
    assert [record.state for record in listed] == [
        CommandState.DISPATCHED,
        *(state for state in CommandState if not state.final and state is not CommandState.ACCEPTED),
    ]
    assert [record.command_id for record in listed] == sorted(record.command_id for record in listed)
    assert listed[0].attempts == [attempt(1)]


# Agents and join tokens


async def test_an_agent_reads_back_as_it_joined(store: Store) -> None:
    await store.add_join_token(join_token())
    record = agent(
        labels={"env": "prod"},
        simulated=True,
        version="1",
        hostname="h",
        docker_version="27",
        operations=["ping", "container_list"],
        last_seen_at=later(1),
    )
    assert await store.redeem("hash", NOW, record) == record
    assert await store.agent("a-1") == record
    assert await store.agents() == [record]


async def test_a_join_token_lets_one_agent_in_even_if_many_come_at_once(store: Store) -> None:
    await store.add_join_token(join_token())
    answers = await asyncio.gather(
        *(store.redeem("hash", NOW, agent(f"a-{n}", f"host-{n}")) for n in range(10)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, JoinTokenRefused)]
    assert len(refused) == 9
    assert all("used" in str(answer) for answer in refused)
    assert len(await store.agents()) == 1


async def test_an_unknown_join_token_is_refused(store: Store) -> None:
    with pytest.raises(JoinTokenRefused, match="unknown"):
        await store.redeem("hash", NOW, agent())
    assert await store.agents() == []


async def test_a_join_token_is_refused_from_the_moment_at_which_it_expires(store: Store) -> None:
    await store.add_join_token(join_token(expires_at=later(600)))
    with pytest.raises(JoinTokenRefused, match="expired"):
        await store.redeem("hash", later(600), agent())
    assert await store.agents() == []
    await store.redeem("hash", later(599.999_999), agent())


async def test_a_taken_name_leaves_the_join_token_unused(store: Store) -> None:
    await let_in(store, "a-1", "local")
    await store.add_join_token(join_token())
    with pytest.raises(NameTaken, match="local"):
        await store.redeem("hash", NOW, agent("a-2", "local"))
    assert await store.agent("a-2") is None
    await store.redeem("hash", NOW, agent("a-2", "other"))


async def test_agents_come_by_name_and_the_revoked_ones_only_when_asked_for(store: Store) -> None:
    for agent_id, name in [("a-1", "web"), ("a-2", "db"), ("a-3", "cache")]:
        await let_in(store, agent_id, name)
    assert await store.revoke_agent("a-2", later(1))
    assert [each.name for each in await store.agents()] == ["cache", "web"]
    assert [each.name for each in await store.agents(revoked=True)] == ["cache", "db", "web"]


async def test_one_agent_can_be_read_revoked_or_not(store: Store) -> None:
    await let_in(store)
    await store.revoke_agent("a-1", later(1))
    assert await store.agent("a-1") == agent(revoked_at=later(1))
    assert await store.agent("a-2") is None


async def test_a_revoked_name_is_free_again(store: Store) -> None:
    await let_in(store, "a-1", "local")
    await store.revoke_agent("a-1", NOW)
    await let_in(store, "a-2", "local")
    assert [each.agent_id for each in await store.agents()] == ["a-2"]


async def test_only_a_live_agent_can_be_revoked(store: Store) -> None:
    await let_in(store)
    assert await store.revoke_agent("a-1", later(1))
    assert not await store.revoke_agent("a-1", later(2))
    assert not await store.revoke_agent("a-2", later(2))
    kept = await store.agent("a-1")
    assert kept is not None
    assert kept.revoked_at == later(1)


async def test_a_session_notes_what_the_agent_said_and_gets_the_next_epoch(store: Store) -> None:
    await let_in(store)
    said = agent(
        name="ignored",
        public_key=b"ignored",
        labels={"env": "prod"},
        version="0.2",
        hostname="box",
        docker_version="28.1",
        operations=["ping"],
        epoch=70,
        last_seen_at=later(3),
    )
    assert [(await store.open_session(said, LEDGER)).epoch for _ in range(3)] == [1, 2, 3]
    assert await store.agent("a-1") == agent(
        labels={"env": "prod"},
        version="0.2",
        hostname="box",
        docker_version="28.1",
        operations=["ping"],
        epoch=3,
        last_seen_at=later(3),
    )


async def test_sessions_opened_at_once_get_epochs_of_their_own(store: Store) -> None:
    await let_in(store)
    grants = await asyncio.gather(*(store.open_session(agent(), LEDGER) for _ in range(20)))
    assert sorted(grant.epoch for grant in grants) == list(range(1, 21))


async def test_an_agent_that_is_revoked_or_unknown_gets_no_session(store: Store) -> None:
    await let_in(store)
    await store.revoke_agent("a-1", NOW)
    for agent_id in ("a-1", "a-2"):
        with pytest.raises(LookupError, match=agent_id):
            await store.open_session(agent(agent_id), LEDGER)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
async def test_any_number_of_agents_can_be_noted_as_seen(store: Store, count: int) -> None:
    await asyncio.gather(*(let_in(store, f"a-{n}", f"host-{n:03}") for n in range(count + 1)))
    await store.seen([f"a-{n}" for n in range(count)], later(60))
    seen = [each.last_seen_at for each in await store.agents()]
    assert seen == [later(60)] * count + [None]


# API tokens


async def test_a_token_is_found_by_its_hash_even_if_it_is_revoked_or_expired(store: Store) -> None:
    await store.add_token(token("t-1"))
    await store.add_token(token("t-2", expires_at=later(-1)))
    await store.revoke_token("t-1", later(2))
    assert await store.token_by_hash("hash of t-1") == token("t-1", revoked_at=later(2))
    assert await store.token_by_hash("hash of t-2") == token("t-2", expires_at=later(-1))
    assert await store.token_by_hash("hash of t-3") is None


async def test_tokens_come_by_name_without_the_revoked_ones(store: Store) -> None:
    for token_id, name in [("t-1", "web"), ("t-2", "admin"), ("t-3", "old")]:
        await store.add_token(token(token_id, name=name))
    await store.revoke_token("t-3", NOW)
    assert [each.name for each in await store.tokens()] == ["admin", "web"]


async def test_only_a_live_token_can_be_revoked(store: Store) -> None:
    await store.add_token(token("t-1"))
    assert await store.revoke_token("t-1", later(1))
    assert not await store.revoke_token("t-1", later(2))
    assert not await store.revoke_token("t-2", later(2))
    assert await store.token_by_hash("hash of t-1") == token("t-1", revoked_at=later(1))


# Circuits


async def test_transitions_come_newest_first(store: Store) -> None:
    by_hand = transition("one")
    by_hand.by = "ann"
    await store.add_transitions([by_hand, transition("two", "a-2")])
    await store.add_transitions([])
    await store.add_transitions([transition("three")])
    assert await store.transitions() == [transition("three"), transition("two", "a-2"), by_hand]
    assert await store.transitions(limit=1) == [transition("three")]
    assert await store.transitions(agent_id="a-1") == [transition("three"), by_hand]
    assert await store.transitions(agent_id="a-1", limit=0) == []


async def test_a_circuit_is_held_by_whoever_held_it_last_until_it_is_reset_or_its_host_is_revoked(
    store: Store,
) -> None:
    def hold(agent_id: str, domain: str, state: str, at: float) -> HoldRecord:
        return HoldRecord(agent_id, domain, state, "the disk is being replaced", "ann", later(at))

    await let_in(store)
    first, second, third = (
        hold("a-1", "agent", "open", 1),
        hold("a-1", "docker", "closed", 2),
        hold("a-2", "docker", "open", 3),
    )
    for each in (hold("a-1", "docker", "open", 0), first, second, third):
        await store.hold_circuit(each)
    assert await store.holds() == [first, second, third]
    await store.reset_circuit("a-1", "agent", "it is done", later(4))
    await store.reset_circuit("a-1", "registry", "nobody held it", later(4))
    assert await store.holds() == [second, third]
    await store.revoke_agent("a-1", later(5))
    assert await store.holds() == [third]


# The whole


async def test_a_controller_keeps_its_id_and_every_start_has_a_later_term(open_store: OpenStore) -> None:
    identities, began = [], int(SystemClock().wall().timestamp())
    for _ in range(3):
        store = await open_store()
        identities.append(await store.controller_identity())
        assert await store.controller_identity() == identities[-1]
        await store.close()
    assert len({controller_id for controller_id, _ in identities}) == 1
    terms = [term for _, term in identities]
    assert terms == sorted(set(terms))
    assert terms[0] >= began, (
        "a controller restored from a backup begins later than any that its agents have seen"
    )
    assert len(identities[0][0]) == 36


async def test_what_was_written_is_there_after_a_restart(open_store: OpenStore) -> None:
    store = await open_store()
    await store.accept(command("c-1", idempotency_key="key"))
    await store.start_attempt("c-1", attempt(1))
    await let_in(store)
    await store.close()
    store = await open_store()
    found = await store.command_by_key("key")
    assert found is not None
    assert [record.command_id for record in await store.open_commands("a-1")] == ["c-1"]
    assert found.attempts == [attempt(1)]
    assert await store.agents() == [agent()]
    await store.close()


async def test_a_read_sees_every_write_that_returned_before(store: Store) -> None:
    async def write_and_read(name: str) -> None:
        for n in range(10):
            await store.accept(command(f"{name}-{n}"))
            assert await store.command(f"{name}-{n}") is not None

    await asyncio.gather(*(write_and_read(f"c-{n}") for n in range(10)))


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_write_happens_in_full_or_not_at_all(store: Store, turns: int) -> None:
    record = command("c-1", attempts=[attempt(1), attempt(2)])
    asked = asyncio.create_task(store.accept(record))
    for _ in range(turns):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await store.accept(command("c-2"))
    assert await store.command("c-1") in (None, record)


async def test_a_cancelled_read_harms_nobody_else(store: Store) -> None:
    await store.accept(command("c-1"))
    reads = [asyncio.create_task(store.command("c-1")) for _ in range(30)]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert all(answer == command("c-1") for answer in answers[1::2])


async def test_a_healthy_store_passes_its_check(store: Store) -> None:
    await store.check()
    await store.check()


async def test_closing_lets_what_was_asked_for_finish(open_store: OpenStore) -> None:
    store = await open_store()
    asked = [asyncio.create_task(store.accept(command(f"c-{n}"))) for n in range(300)]
    reads = [asyncio.create_task(store.commands()) for _ in range(10)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*asked, *reads)
    store = await open_store()
    assert len(await store.commands(limit=1_000)) == 300
    await store.close()


async def test_a_closed_store_says_so_and_can_be_closed_again(open_store: OpenStore) -> None:
    store = await open_store()
    await store.close()
    await store.close()
    for question in (store.accept(command()), store.command("c-1"), store.check()):
        with pytest.raises(StoreFailed, match="closed"):
            await question
