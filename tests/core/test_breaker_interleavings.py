"""Every interleaving of three concurrent calls, an operator, the host and time, up to a depth: not a sample, all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from seawall.core.breaker import Breaker, BreakerSettings, CircuitState, Permit, Rejection, Transition
from seawall.core.errors import CircuitVerdict
from seawall.core.window import OutcomeWindow

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
CALLS = 3
DEPTH = 20
LEASE_SECONDS = 35.0
# Small thresholds bring all states within reach; a window without end and one open time keep them few.
SETTINGS = BreakerSettings(
    failure_threshold=2,
    success_threshold=2,
    failure_window_seconds=1e9,
    open_seconds=30.0,
    max_open_seconds=30.0,
)
BY_ITSELF = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}


def middle() -> float:
    return 0.5


class Numbers:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    def __call__(self) -> int:
        self.value += 1
        return self.value


@dataclass
class World:
    """The breaker, the permits that three calls hold (None: no call), and those that were lost."""

    breaker: Breaker = field(default_factory=lambda: Breaker(SETTINGS, Numbers()))
    now: float = 1000.0
    held: list[Permit | None] = field(default_factory=lambda: [None] * CALLS)
    lost: list[Permit] = field(default_factory=list)

    def copy(self) -> World:
        copied = Breaker.__new__(Breaker)
        for name in Breaker.__slots__:
            setattr(copied, name, getattr(self.breaker, name))
        copied._next_generation = Numbers(self.breaker._next_generation.value)  # type: ignore[attr-defined]  # ours
        copied.window = OutcomeWindow()
        copied.window.failures = self.breaker.window.failures
        copied.window.successes = self.breaker.window.successes
        copied.window.ends_at = self.breaker.window.ends_at
        return World(copied, self.now, list(self.held), list(self.lost))

    def shown(self) -> tuple[object, ...]:
        breaker = self.breaker
        window = breaker.window
        return (
            breaker.state,
            breaker.forced,
            breaker.generation,
            breaker.probe_successes,
            breaker.admits_at,
            window.failures,
            window.successes,
        )

    def key(self) -> tuple[object, ...]:
        """What the future depends on: calls are alike, and of a stale permit only its staleness counts."""
        breaker = self.breaker

        def seen(permit: Permit | None) -> str:
            if permit is None:
                return "-"
            if permit.generation < breaker.generation:
                return "stale"
            return "probe" if permit.probe else "live"

        state, forced, _, probe_successes, admits_at, failures, successes = self.shown()
        left = round(breaker.admits_at - self.now, 3) if admits_at else None
        calls = tuple(sorted(seen(permit) for permit in self.held))
        losses = sum(seen(permit) == "probe" for permit in self.lost)
        return state, forced, probe_successes, left, failures, successes, calls, losses

    def live_probes(self) -> list[Permit]:
        permits = [permit for permit in (*self.held, *self.lost) if permit is not None]
        return [each for each in permits if each.probe and each.generation == self.breaker.generation]


def apply(world: World, action: tuple[str, int, object]) -> None:
    """Do it, and check what has to hold for this very step."""
    kind, call, argument = action
    breaker, before = world.breaker, world.breaker.state
    generation = breaker.generation
    transition: Transition | None = None
    match kind, argument:
        case "acquire", _:
            ask(world, call)
        case "record", CircuitVerdict() as verdict:
            transition = answer(world, call, verdict)
        case "lose", _:
            permit = world.held[call]
            world.lost += [permit] if permit is not None else []
            world.held[call] = None
        case "pass", float() as seconds:
            world.now += seconds
        case "wake", _:
            due = before is OPEN and not breaker.forced and world.now >= breaker.admits_at
            transition = breaker.wake(world.now)
            assert (transition is not None) == due
        case "heard", _:
            probes = before is OPEN and not breaker.forced
            transition = breaker.heard(world.now, "the agent is back")
            assert (transition is not None) == probes
        case "operator", order:
            obey(world, order)
            return
    if transition is None:
        assert breaker.state is before, "it changed without saying so"
        return
    assert (transition.origin, transition.target) == (before, breaker.state)
    assert (transition.origin, transition.target) in BY_ITSELF
    assert breaker.generation > generation, "a change of state didn't start a new generation"


def ask(world: World, call: int) -> None:
    breaker, before, state = world.breaker, world.shown(), world.breaker.state
    expected = breaker.rejection(world.now)
    given = breaker.acquire(world.now, LEASE_SECONDS)
    assert (given if isinstance(given, Rejection) else None) == expected
    if isinstance(given, Permit):
        assert state is not OPEN, "an open circuit let a call through"
        assert given.probe == (state is HALF_OPEN)
        assert given.generation == breaker.generation
        world.held[call] = given
    else:
        assert state is not CLOSED, "a closed circuit rejected a call"
        assert given.retry_after_seconds >= 0
        assert world.shown() == before, "a rejection changed something"


def answer(world: World, call: int, verdict: CircuitVerdict) -> Transition | None:
    breaker, before, permit = world.breaker, world.shown(), world.held[call]
    assert permit is not None
    stale, silent = (
        permit.generation < breaker.generation,
        verdict is CircuitVerdict.NEUTRAL or breaker.forced,
    )
    transition = breaker.record(permit, verdict, world.now, middle)
    world.held[call] = None
    assert not stale or world.shown() == before, "a stale outcome changed something"
    assert not (stale or silent) or transition is None
    return transition


def obey(world: World, order: object) -> None:
    generation = world.breaker.generation
    if isinstance(order, CircuitState):
        world.breaker.force(order, world.now, "an order")
        assert (world.breaker.state, world.breaker.forced) == (order, True)
    else:
        world.breaker.reset(world.now, "an order")
        assert (world.breaker.state, world.breaker.forced) == (CLOSED, False)
    assert world.breaker.generation > generation, "an order didn't start a new generation"


def actions(world: World) -> Iterator[tuple[str, int, object]]:
    idle_seen: set[object] = set()
    for call, permit in enumerate(world.held):
        if permit in idle_seen:
            continue  # calls with equal permits are alike
        idle_seen.add(permit)
        if permit is None:
            yield "acquire", call, None
            continue
        for verdict in CircuitVerdict:
            yield "record", call, verdict
        if permit.probe:
            yield "lose", call, None
    left = world.breaker.admits_at - world.now
    if left > 0.5:
        yield "pass", 0, left - 0.5
    if left > 0:
        yield "pass", 0, left
    yield "wake", 0, None
    yield "heard", 0, None
    for order in (OPEN, CLOSED, None):
        yield "operator", 0, order


def check(world: World) -> None:
    """What has to hold in every state that can be reached."""
    breaker = world.breaker
    assert len(world.live_probes()) <= 1, "two live probes"
    if breaker.state is HALF_OPEN and not world.live_probes():
        assert breaker.rejection(world.now) is None, "the place of a probe has leaked"
    if breaker.state is HALF_OPEN:
        assert breaker.admits_at <= world.now + LEASE_SECONDS
        assert breaker.probe_successes < SETTINGS.success_threshold
    if not breaker.forced:
        check_recovery(world.copy())


def check_recovery(world: World) -> None:
    """Whatever was lost: with time and a host that answers, the circuit closes."""
    breaker = world.breaker
    world.now = max(world.now, breaker.admits_at)
    breaker.wake(world.now)
    for _ in range(SETTINGS.success_threshold):
        permit = breaker.acquire(world.now, LEASE_SECONDS)
        assert isinstance(permit, Permit), "stuck: it lets nobody through"
        breaker.record(permit, CircuitVerdict.SUCCESS, world.now, middle)
    assert breaker.state is CLOSED


def explore(depth: int) -> dict[tuple[object, ...], World]:
    """All states within so many steps, breadth first; each is left by every action."""
    start = World()
    seen = {start.key(): start}
    frontier = [start]
    for _ in range(depth):
        following: list[World] = []
        for world in frontier:
            for action in actions(world):
                after = world.copy()
                apply(after, action)
                if after.key() not in seen:
                    check(after)
                    seen[after.key()] = after
                    following.append(after)
        frontier = following
    return seen


def test_no_interleaving_of_three_calls_breaks_the_circuit() -> None:
    seen = explore(DEPTH)
    assert len(seen) > 500
    reached = {(key[0], key[1]) for key in seen}
    assert reached == {
        (CLOSED, False),
        (OPEN, False),
        (HALF_OPEN, False),
        (CLOSED, True),
        (OPEN, True),
    }
    assert any("stale" in key[6] and "probe" in key[6] for key in seen), "never a late answer beside a probe"  # type: ignore[operator]  # names
    assert any(key[7] for key in seen), "never a lost probe"
