"""The loop that performs the steps, with a link and a journal that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from seawall.core.bulkhead import BulkheadLimits, host_limits
from seawall.core.command import Attempt, Command, CommandResult, CommandState, Lane, Outcome, SafetyClass
from seawall.core.dispatch import Dispatch
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import AttemptStarted, CommandFinished, CommandParked, Event
from seawall.core.guard import Guards
from seawall.core.retry import RetryPolicy
from seawall.engine.drive import Driver, Slot
from seawall.engine.identifiers import correlation_ids
from seawall.testing.clock import FakeClock

PLAIN = RetryPolicy(max_attempts=3, initial_delay=10.0, jitter=False)
NOT_SENT = Outcome(CommandErrorCode.NETWORK_ERROR, "not sent", circumstance=Circumstance.NOT_SENT)


class ScriptedLink:
    """A link whose agents answer by script, and may be away."""

    def __init__(self, clock: FakeClock, script: Callable[[Attempt], Outcome]) -> None:
        self.clock = clock
        self.script = script
        self.present = asyncio.Event()
        self.present.set()
        self.attempts: list[Attempt] = []
        self.hold: asyncio.Event | None = None

    def is_connected(self, agent_id: str) -> bool:
        return self.present.is_set()

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        self.attempts.append(attempt)
        if self.hold is not None:
            await self.hold.wait()
        return self.script(attempt)

    async def connected(self, agent_id: str, until: float) -> None:
        waiting = asyncio.ensure_future(self.present.wait())
        timer = self.clock.call_at(until, waiting.cancel)
        await asyncio.wait([waiting])
        timer.cancel()


class ScriptedJournal:
    def __init__(self, log: list[str], *, broken: bool = False, on_record: str | None = None) -> None:
        self.log = log
        self.broken = broken
        self.on_record = on_record

    def prepared(self, command: Command) -> str | None:
        return self.on_record

    async def attempt_started(self, command: Command, attempt: Attempt) -> None:
        if self.broken:
            raise OSError("the disk is full")
        await asyncio.sleep(0)
        self.log.append(f"started {attempt.number}")

    def attempt_finished(self, command: Command, attempt: Attempt, outcome: Outcome) -> None:
        self.log.append(f"finished {attempt.number}")

    async def waiting(self, command: Command) -> None:
        self.log.append("waiting")


class Engine:
    def __init__(
        self,
        script: Callable[[Attempt], Outcome] = lambda _: Outcome(),
        limits: BulkheadLimits | None = None,
        plane: BulkheadLimits | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.guards: Guards[Slot] = Guards(limits=limits, plane=plane)
        self.link = ScriptedLink(self.clock, script)
        self.driver = Driver(
            self.link, self.guards, self.clock, correlation_ids(self.clock), [self.events.append]
        )

    def start(
        self, policy: RetryPolicy | None = PLAIN, agent_id: str = "agent-1", **fields: object
    ) -> asyncio.Task[CommandResult]:
        command = Command("c-1", "container_list", agent_id, {}, SafetyClass.SAFE_READ, **fields)  # type: ignore[arg-type]  # by name
        return asyncio.create_task(self.driver.drive(Dispatch(command, policy)))

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events]


@pytest.mark.asyncio
async def test_a_parked_command_goes_on_the_moment_its_agent_connects() -> None:
    engine = Engine()
    engine.link.present.clear()
    running = engine.start(deadline=2000.0, waits_for_agent=True)
    await engine.clock.advance(400.0)
    assert engine.kinds() == [CommandParked]
    assert len(engine.guards) == 0
    engine.link.present.set()
    await engine.clock.settle()
    result = await running
    assert (result.state, result.duration_seconds) == (CommandState.SUCCEEDED, 400.0)


@pytest.mark.asyncio
async def test_a_parked_command_whose_agent_stays_away_expires_at_its_deadline() -> None:
    engine = Engine()
    engine.link.present.clear()
    running = engine.start(deadline=1100.0, waits_for_agent=True)
    await engine.clock.advance(100.0)
    assert (await running).state is CommandState.EXPIRED
    assert engine.link.attempts == []


@pytest.mark.asyncio
async def test_a_back_off_holds_no_slot() -> None:
    engine = Engine(lambda _: NOT_SENT, BulkheadLimits(in_flight=1, queue=0))
    waiting = engine.start()
    await engine.clock.advance(5.0)
    assert len(engine.link.attempts) == 1
    engine.link.script = lambda _: Outcome()
    assert (await engine.start()).success
    await engine.clock.advance(10.0)
    assert (await waiting).success


@pytest.mark.asyncio
async def test_nothing_is_sent_before_the_journal_has_it() -> None:
    engine, log = Engine(), []
    engine.driver.journal = ScriptedJournal(log)
    engine.link.script = lambda attempt: log.append(f"sent {attempt.number}") or Outcome()
    await engine.start()
    assert log == ["started 1", "sent 1", "finished 1"]


@pytest.mark.asyncio
async def test_an_attempt_that_is_on_record_already_keeps_the_correlation_id_it_has_there() -> None:
    engine = Engine()
    engine.driver.journal = ScriptedJournal([], on_record="r-1")
    await engine.start()
    assert [attempt.correlation_id for attempt in engine.link.attempts] == ["r-1"]


@pytest.mark.asyncio
async def test_before_it_waits_it_has_the_journal_write_what_there_is() -> None:
    engine, log = Engine(lambda attempt: Outcome() if attempt.number == 2 else NOT_SENT), []
    engine.driver.journal = ScriptedJournal(log)
    running = engine.start()
    await engine.clock.advance(5.0)
    assert log == ["started 1", "finished 1", "waiting"]
    await engine.clock.advance(5.0)
    assert (await running).success
    assert log[3:] == ["started 2", "finished 2"]


@pytest.mark.asyncio
async def test_a_journal_that_fails_stops_the_sending_and_leaks_nothing() -> None:
    engine = Engine()
    engine.driver.journal = ScriptedJournal([], broken=True)
    with pytest.raises(OSError, match="disk is full"):
        await engine.start()
    assert engine.link.attempts == []
    assert len(engine.guards) == 0


@pytest.mark.asyncio
async def test_every_attempt_has_a_correlation_id_of_36_characters_of_its_own() -> None:
    engine = Engine(lambda _: NOT_SENT)
    running = engine.start()
    await engine.clock.advance(60.0)
    await running
    ids = [attempt.correlation_id for attempt in engine.link.attempts]
    assert len(set(ids)) == 3
    assert {len(one) for one in ids} == {36}


@pytest.mark.asyncio
async def test_each_attempt_starts_with_the_time_that_is_left() -> None:
    engine = Engine(lambda _: NOT_SENT)
    running = engine.start(deadline=1025.0, timeout_seconds=30.0)
    await engine.clock.advance(60.0)
    await running
    assert [attempt.timeout_seconds for attempt in engine.link.attempts] == [25.0, 15.0]


@pytest.mark.asyncio
async def test_the_wait_for_a_slot_is_taken_off_the_time_of_the_attempt() -> None:
    engine = Engine(limits=BulkheadLimits(in_flight=1, queue=1))
    engine.link.hold = asyncio.Event()
    first = engine.start()
    await engine.clock.settle()
    second = engine.start(deadline=1025.0, timeout_seconds=30.0)
    await engine.clock.advance(20.0)
    engine.link.hold.set()
    await asyncio.gather(first, second)
    assert engine.link.attempts[1].timeout_seconds == 5.0


@pytest.mark.asyncio
async def test_the_most_urgent_waits_least() -> None:
    engine = Engine(limits=BulkheadLimits(in_flight=1, queue=5))
    engine.link.hold = asyncio.Event()
    running = [engine.start()]
    await engine.clock.settle()
    for lane in (Lane.BULK, Lane.DEFAULT, Lane.CONTROL):
        running.append(engine.start(lane=lane))
        await engine.clock.settle()
    engine.link.hold.set()
    await asyncio.gather(*running)
    started = [event.command.lane for event in engine.events if type(event) is AttemptStarted]
    assert started == [Lane.DEFAULT, Lane.CONTROL, Lane.DEFAULT, Lane.BULK]


class TimedLink(ScriptedLink):
    """A link over which pulls take a minute, stops a second, and the rest is done at once."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, lambda _: Outcome())
        self.seconds = {Lane.BULK: 60.0, Lane.CONTROL: 1.0, Lane.DEFAULT: 0.0}

    async def exchange(self, command: Command, attempt: Attempt) -> Outcome:
        self.attempts.append(attempt)
        await self.clock.sleep_until(self.clock.now() + self.seconds[command.lane])
        return Outcome()


def host() -> tuple[Engine, TimedLink]:
    engine = Engine(limits=host_limits())
    engine.driver._link = engine.link = link = TimedLink(engine.clock)
    return engine, link


@pytest.mark.asyncio
@pytest.mark.parametrize("lists", [0, 20])
async def test_twenty_pulls_do_not_delay_a_stop(lists: int) -> None:
    engine, link = host()
    pulls = [engine.start(lane=Lane.BULK, timeout_seconds=900.0) for _ in range(20)]
    if lists:
        # The other lane is full as well: the stop has a slot of its own.
        link.seconds[Lane.DEFAULT] = 30.0
    others = [engine.start(timeout_seconds=900.0) for _ in range(lists)]
    await engine.clock.settle()
    stop = engine.start(lane=Lane.CONTROL)
    await engine.clock.advance(1.05)
    assert (await stop).duration_seconds == 1.0
    await engine.clock.advance(3600.0)
    results = await asyncio.gather(*pulls, *others)
    codes = [result.error_code for result in results[:20]]
    assert codes == [None] * 18 + [CommandErrorCode.BULKHEAD_FULL] * 2, "two run, sixteen wait"
    assert len(engine.guards) == 0


@pytest.mark.asyncio
async def test_who_is_turned_away_is_told_when_to_come_back() -> None:
    engine, _ = host()
    pulls = [engine.start(lane=Lane.BULK, timeout_seconds=900.0) for _ in range(18)]
    await engine.clock.advance(0.0)
    refused = await engine.start(lane=Lane.BULK)
    assert refused.error_code is CommandErrorCode.BULKHEAD_FULL
    assert refused.retry_after_seconds == 9.0, "nine rounds of two, of which nothing is known yet"
    await engine.clock.advance(61.0)
    pulls += [engine.start(lane=Lane.BULK, timeout_seconds=900.0) for _ in range(2)]
    await engine.clock.settle()
    assert (await engine.start(lane=Lane.BULK)).retry_after_seconds == 60.0, (
        "nine rounds of a minute: the bound"
    )
    await engine.clock.advance(3600.0)
    await asyncio.gather(*pulls)


@pytest.mark.asyncio
async def test_the_plane_bounds_what_is_sent_to_all_agents_together() -> None:
    engine = Engine(plane=BulkheadLimits(in_flight=2, queue=1, reserved=1))
    engine.link.hold = asyncio.Event()
    running = [engine.start(agent_id=f"agent-{number}") for number in range(4)]
    await engine.clock.settle()
    assert len(engine.link.attempts) == 2
    urgent = engine.start(agent_id="agent-9", lane=Lane.CONTROL)
    await engine.clock.settle()
    assert len(engine.link.attempts) == 3
    engine.link.hold.set()
    results = await asyncio.gather(*running, urgent)
    assert [result.error_code for result in results] == [None] * 3 + [CommandErrorCode.BULKHEAD_FULL, None]
    assert str(results[3].error).startswith("All agents together have 2 commands under way and 1 waiting")
    assert results[3].retry_after_seconds == 1.0
    plane = engine.guards.plane
    assert plane is not None
    assert (plane.in_flight, plane.waiting, len(engine.guards)) == (0, 0, 0)


@pytest.mark.asyncio
async def test_who_waits_for_the_plane_waits_no_longer_than_an_attempt_may_take() -> None:
    engine = Engine(plane=BulkheadLimits(in_flight=1, queue=4))
    engine.link.hold = asyncio.Event()
    first = engine.start()
    await engine.clock.settle()
    second = engine.start(timeout_seconds=5.0)
    await engine.clock.advance(5.0)
    assert (await second).error_code is CommandErrorCode.BULKHEAD_FULL
    engine.link.hold.set()
    assert (await first).success


@pytest.mark.asyncio
async def test_timeouts_make_the_limit_of_a_host_smaller_and_successes_greater() -> None:
    engine = Engine(lambda _: Outcome(CommandErrorCode.TIMEOUT, circumstance=Circumstance.HEARD))
    await engine.start(None)
    guard = engine.guards.of("agent-1")
    assert guard.bulkhead.limit == 5
    engine.link.script = lambda _: Outcome()
    engine.link.hold = asyncio.Event()
    running = [engine.start() for _ in range(15)]
    await engine.clock.settle()
    assert len(engine.link.attempts) == 1 + 5
    engine.link.hold.set()
    assert all(result.success for result in await asyncio.gather(*running))
    assert guard.bulkhead.limit > 5


@pytest.mark.asyncio
async def test_a_cancelled_attempt_is_told_as_such() -> None:
    engine = Engine()
    engine.link.hold = asyncio.Event()
    running = engine.start()
    await engine.clock.settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    finished = engine.events[-1]
    assert finished.outcome.code is CommandErrorCode.CANCELLED
    assert CommandFinished not in engine.kinds()
    assert len(engine.guards) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(14))
async def test_a_cancellation_at_any_turn_leaves_no_guard_behind(turns: int) -> None:
    engine = Engine(lambda _: NOT_SENT, BulkheadLimits(in_flight=1, queue=2))
    engine.driver.journal = ScriptedJournal([])
    running = [engine.start() for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await engine.clock.settle()
    assert all(guard.bulkhead.in_flight == guard.bulkhead.waiting == 0 for guard in engine.guards)
    assert engine.clock.timers == []


@pytest.mark.asyncio
async def test_who_gives_up_waiting_makes_room_in_the_queue_at_once() -> None:
    engine = Engine(limits=BulkheadLimits(in_flight=1, queue=1))
    engine.link.hold = asyncio.Event()
    first = engine.start()
    await engine.clock.settle()
    impatient = engine.start(timeout_seconds=5.0)
    await engine.clock.advance(5.0)
    assert (await impatient).error_code is CommandErrorCode.BULKHEAD_FULL
    patient = engine.start()
    await engine.clock.settle()
    engine.link.hold.set()
    assert (await first).success
    assert (await patient).success
