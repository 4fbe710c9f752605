"""A simulated controller: carries commands as `engine.drive` does, in the same order, with calls instead of waits.

    circuit asked > connected? > bulkhead slot > circuit permit > attempt timeout > send

What is decided is decided by the real core: `Dispatch`, `Guards`, `RetryGate`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct, field

from seawall.core.bulkhead import PLANE_LIMITS, Bulkhead
from seawall.core.command import Command, Domain, Outcome, SafetyClass
from seawall.core.dispatch import Dispatch, Finish, Park, Send, Step
from seawall.core.errors import CircuitVerdict, Circumstance, CommandErrorCode, verdict
from seawall.core.guard import Guard, Guards, Pass, Refused
from seawall.core.pace import Pace
from seawall.core.retry import Dice, back_off
from seawall.core.retry_gate import RetryGate
from seawall.core.suspicion import Change, Suspicion
from seawall.simulator.contenders import Contender
from seawall.simulator.host import NOT_SENT, Delivery
from seawall.simulator.link import Link
from seawall.simulator.slots import Waiter, give_slot, take_slot
from seawall.simulator.tally import Life, Tally
from seawall.simulator.timeline import Alarm, Timeline

_LEASE_MARGIN_SECONDS = 5.0
_FOREVER = float("inf")
_NOT_CONNECTED = Outcome(CommandErrorCode.AGENT_NOT_CONNECTED, circumstance=Circumstance.NOT_SENT)
_FULL = Outcome(CommandErrorCode.BULKHEAD_FULL)


class Order(Struct, frozen=True):
    """What a caller asks for."""

    timeout_seconds: float
    deadline_seconds: float | None = None
    changes: bool = False


class Flight(Struct, eq=False):
    """A command under way: its dispatch, and its attempt if one is out."""

    link: Link
    dispatch: Dispatch
    life: Life
    token: int = 0
    permits: Pass | None = None
    guard: Guard[Waiter] | None = None
    slots: list[Bulkhead[Waiter]] = field(default_factory=list)
    heard_before: int = 0
    alarm: Alarm | None = None
    parked_until: float = 0.0
    forgotten: bool = False
    """Whether the controller that carried it is no more."""


class Plane:
    """The controller. `submit` commands; links tell it what happens to their sessions."""

    def __init__(self, contender: Contender, timeline: Timeline, dice: Dice, tally: Tally) -> None:
        self.up = True
        self.wall_offset = 0.0
        """How far the time of day has jumped."""
        self._contender = contender
        self._policy = contender.policy
        self._timeline = timeline
        self._dice = dice
        self._tally = tally
        self._sequences: dict[str, int] = {}
        self._accepted = 0
        self._tokens = 0
        self._out: dict[str, dict[int, Flight]] = {}
        self._parked: dict[str, list[Flight]] = {}
        self._open: dict[str, Flight] = {}
        self._begin()
        self._look()

    def _begin(self) -> None:
        policy = self._policy
        plane = PLANE_LIMITS if self._contender.careful else None
        self.guards: Guards[Waiter] = Guards(policy.breaker, policy.bulkhead, plane)
        self.gate = RetryGate(policy.budget) if policy.budget is not None else None
        self._pace = Pace()
        self._suspicion = Suspicion() if self._contender.careful else None

    def submit(self, link: Link, order: Order) -> None:
        """A caller asks for a command on this host."""
        life = Life(link.host.name, self._timeline.now)
        self._tally.lives.append(life)
        if not self.up:
            life.ended_at, life.lost = self._timeline.now, True
            return
        self._pace.asked(self._timeline.now)
        command = self._accept(link, order)
        careful = self._contender.careful
        flight = Flight(link, Dispatch(command, self._policy.retry, not careful, gate=self.gate), life)
        self._open[command.command_id] = flight
        self._step(flight, flight.dispatch.start(self._now()))

    def stop(self) -> None:
        """The controller dies. What it kept in memory is gone, its circuits and budgets too."""
        self.up = False
        for flight in self._open.values():
            flight.forgotten = True
            if flight.alarm is not None:
                flight.alarm.cancel()
        self._out.clear()
        self._parked.clear()
        self._begin()

    def start(self) -> None:
        """It is back: what was accepted is on record and goes on, if the plane is a careful one."""
        self.up = True
        flights, self._open = list(self._open.values()), {}
        for old in flights:
            old.life.attempts = old.dispatch.attempts
            if not self._contender.careful:
                old.life.ended_at, old.life.lost = self._timeline.now, True
                continue
            sent = old.token != 0
            command = old.dispatch.command
            changes = command.safety is not SafetyClass.SAFE_READ
            dispatch = Dispatch(
                command,
                self._policy.retry,
                attempts=old.dispatch.attempts,
                in_doubt=old.dispatch.in_doubt or (sent and changes),
                gate=self.gate,
            )
            flight = Flight(old.link, dispatch, old.life)
            self._open[command.command_id] = flight
            self._step(flight, dispatch.start(self._now()))

    # What links tell

    def connected(self, link: Link) -> None:
        """A session opened: circuits may probe, and who waited for the host goes on."""
        self.heard(link)
        for flight in self._parked.pop(link.host.name, ()):
            if flight.alarm is not None:
                flight.alarm.cancel()
            turn = min(self._pace.turn(self._timeline.now), flight.parked_until)
            flight.alarm = self._timeline.at(turn, partial(self._wake, flight))

    def lost(self, link: Link) -> None:
        """A session ended: what was under way in it ends, and its circuit counts one failure."""
        circumstance = Circumstance.NONE
        for flight in list(self._out.get(link.host.name, {}).values()):
            self._over(flight, Outcome(CommandErrorCode.AGENT_DISCONNECTED, circumstance=circumstance))
            circumstance = Circumstance.SAME_DISCONNECT

    def heard(self, link: Link) -> None:
        """A sign of life: open circuits of the host may probe."""
        guard = self.guards.get(link.host.name)
        if guard is not None:
            changes = guard.heard(Domain.AGENT, self._now(), "the agent was heard")
            self._tally.circuits.extend(changes)

    def answered(self, delivery: Delivery, outcome: Outcome) -> None:
        """An answer; one that belongs to no attempt under way changes nothing."""
        flight = self._out.get(delivery.command.agent_id, {}).get(delivery.token)
        if flight is None:
            self._tally.unmatched += 1
            return
        self._over(flight, outcome)

    # One command

    def _accept(self, link: Link, order: Order) -> Command:
        self._accepted += 1
        name = link.host.name
        sequence = 0
        if order.changes and self._contender.careful:
            sequence = self._sequences[name] = self._sequences.get(name, 0) + 1
        seconds = order.deadline_seconds
        if seconds is None:
            seconds = (
                self._longest_run_seconds(order.timeout_seconds) if self._contender.careful else _FOREVER
            )
        return Command(
            f"{self._accepted}",
            "container_restart" if order.changes else "container_list",
            name,
            {},
            SafetyClass.VERIFIABLE if order.changes else SafetyClass.SAFE_READ,
            touches_docker=True,
            timeout_seconds=order.timeout_seconds,
            deadline=self._now() + seconds,
            waits_for_agent=self._contender.careful,
            sequence=sequence,
        )

    def _longest_run_seconds(self, timeout_seconds: float) -> float:
        policy = self._policy.retry
        delays = sum(back_off(policy, failed, lambda: 1.0) for failed in range(1, policy.max_attempts))
        return policy.max_attempts * timeout_seconds + delays

    def _now(self) -> float:
        return self._timeline.now if self._contender.careful else self._timeline.now + self.wall_offset

    def _moment(self, until: float) -> float:
        """The time on the timeline of one by the plane's own clock."""
        return until - self.wall_offset if not self._contender.careful else until

    def _after(self, until: float, flight: Flight) -> None:
        flight.alarm = self._timeline.at(self._moment(until), partial(self._wake, flight))

    def _wake(self, flight: Flight) -> None:
        self._step(flight, flight.dispatch.on_wake(self._now()))

    def _step(self, flight: Flight, step: Step) -> None:
        flight.alarm = None
        if isinstance(step, Send):
            self._attempt(flight, step)
        elif isinstance(step, Finish):
            life = flight.life
            life.ended_at, life.result = self._timeline.now, step.result
            self._open.pop(flight.dispatch.command.command_id, None)
        elif isinstance(step, Park):
            name = flight.link.host.name
            self._parked.setdefault(name, []).append(flight)
            flight.parked_until = self._moment(step.until)
            flight.alarm = self._timeline.at(flight.parked_until, partial(self._unpark, flight))
        else:
            self._after(step.until, flight)

    def _unpark(self, flight: Flight) -> None:
        self._parked[flight.link.host.name].remove(flight)
        self._wake(flight)

    def _outcome(self, flight: Flight, outcome: Outcome) -> None:
        self._step(flight, flight.dispatch.on_outcome(outcome, self._now(), self._dice))

    # One attempt

    def _attempt(self, flight: Flight, step: Send) -> None:
        command, now = flight.dispatch.command, self._now()
        guard = self.guards.of(command.agent_id)
        refusal = self._refusal(flight, guard, now)
        if refusal is not None:
            self.guards.tidy(guard, now)
            self._outcome(flight, refusal)
            return
        flight.guard = guard
        self._take(flight, guard.bulkhead, step.timeout_seconds, partial(self._host_slot, flight, step))

    def _refusal(self, flight: Flight, guard: Guard[Waiter], now: float) -> Outcome | None:
        if not (guard.quiet or guard.closed):
            self._tally.circuits.extend(guard.wake(now))
            refused = guard.refusal(flight.dispatch.command, now)
            if refused is not None:
                return _circuit_open(refused)
        return None if flight.link.open else _NOT_CONNECTED

    def _take(
        self, flight: Flight, bulkhead: Bulkhead[Waiter], seconds: float, then: Callable[[], None]
    ) -> None:
        def told(got: bool) -> None:
            if flight.forgotten:
                return
            if got:
                flight.slots.append(bulkhead)
                then()
            else:
                self._give_up(flight, _FULL)

        take_slot(bulkhead, flight.dispatch.command.lane, self._timeline, seconds, told)

    def _host_slot(self, flight: Flight, step: Send) -> None:
        plane, exchange = self.guards.plane, partial(self._exchange, flight, step)
        if plane is None:
            exchange()
            return
        left = flight.dispatch.command.deadline - self._now()
        self._take(flight, plane, min(step.timeout_seconds, left), exchange)

    def _exchange(self, flight: Flight, step: Send) -> None:
        guard, command, now = flight.guard, flight.dispatch.command, self._now()
        timeout_seconds = min(step.timeout_seconds, command.deadline - now)
        if guard is None or timeout_seconds <= 0:
            self._give_up(flight, _FULL)
            return
        permits = guard.acquire(command, now, timeout_seconds + _LEASE_MARGIN_SECONDS)
        if isinstance(permits, Refused):
            self._give_up(flight, _circuit_open(permits))
            return
        self._send(flight, permits, timeout_seconds)

    def _send(self, flight: Flight, permits: Pass, timeout_seconds: float) -> None:
        link, command, now = flight.link, flight.dispatch.command, self._timeline.now
        self._tokens += 1
        flight.token, flight.permits = self._tokens, permits
        flight.heard_before = link.frames_heard
        self._tally.sent_at.append(now)
        for domain in _probes(permits):
            self._tally.probe_started(command.agent_id, domain)
        self._out.setdefault(command.agent_id, {})[flight.token] = flight
        flight.alarm = self._timeline.after(timeout_seconds, partial(self._time_over, flight))
        flaky = link.host.trouble.flaky
        if not link.open or (flaky and link.host.dice() < flaky):
            self._over(flight, NOT_SENT)
        else:
            link.send(Delivery(command, flight.token, link.epoch))

    def _time_over(self, flight: Flight) -> None:
        heard = flight.link.frames_heard != flight.heard_before
        circumstance = Circumstance.HEARD if heard else Circumstance.SILENT
        self._over(flight, Outcome(CommandErrorCode.TIMEOUT, circumstance=circumstance))

    def _over(self, flight: Flight, outcome: Outcome) -> None:
        command, now, guard, permits = flight.dispatch.command, self._now(), flight.guard, flight.permits
        if guard is None or permits is None:
            raise AssertionError("an attempt ended that never began")
        if flight.alarm is not None:
            flight.alarm.cancel()
        del self._out[command.agent_id][flight.token]
        for domain in _probes(permits):
            self._tally.probe_ended(command.agent_id, domain)
        self._tally.circuits.extend(guard.record(permits, outcome, now, self._dice))
        self._suspect(command.agent_id, outcome)
        flight.life.attempts += 1
        flight.permits, flight.token = None, 0
        self._give_up(flight, outcome)

    def _give_up(self, flight: Flight, outcome: Outcome) -> None:
        """Give all slots back, and go on with what came of the attempt."""
        lane, slots = flight.dispatch.command.lane, flight.slots
        flight.slots = []
        for bulkhead in reversed(slots):
            give_slot(bulkhead, lane)
        if flight.guard is not None:
            self.guards.tidy(flight.guard, self._now())
            flight.guard = None
        self._outcome(flight, outcome)

    # Suspect yourself

    def _suspect(self, agent_id: str, outcome: Outcome) -> None:
        failed = verdict(outcome.code, outcome.circumstance).agent is CircuitVerdict.FAILURE
        if self._suspicion is not None:
            self._react(self._suspicion.observe(agent_id, self._timeline.now, failed=failed))

    def _look(self) -> None:
        if self._suspicion is not None:
            self._react(self._suspicion.look(self._timeline.now))
        self._timeline.after(1.0, self._look)

    def _react(self, change: Change | None) -> None:
        if change is Change.BEGAN:
            self.guards.freeze("many agents fail at once")
        elif change is Change.ENDED:
            self.guards.thaw()


def _probes(permits: Pass) -> list[str]:
    """The domains whose circuits this attempt probes."""
    permit_of = (
        (Domain.AGENT, permits.agent),
        (Domain.DOCKER, permits.docker),
        (Domain.REGISTRY, permits.registry),
    )
    return [domain.value for domain, permit in permit_of if permit is not None and permit.probe]


def _circuit_open(refused: Refused) -> Outcome:
    return Outcome(CommandErrorCode.CIRCUIT_OPEN, retry_after_seconds=refused.retry_after_seconds)
