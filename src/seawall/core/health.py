"""How a host is, as one number with its reasons: what is wrong first, and by how much.

Every complaint takes points off a hundred. The sum is for sorting ten thousand hosts; the reasons are for people.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct, field

from seawall.core.circuit import CircuitState


class HealthState(Enum):
    """HEALTHY from 80 points, DEGRADED from 40, SICK below; OFFLINE without a session."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    SICK = "sick"
    OFFLINE = "offline"


class Vitals(Struct, frozen=True, gc=False):
    """What is known of a host now. Durations are seconds; None is what isn't known.

    `docker` says whether its Docker Engine answered the latest ping; `clock_offset_seconds` how far its clock is ahead
    of the controller's; `longest_running_seconds` how long the oldest command under way has shown no progress.
    """

    connected: bool
    missed_pings: int = 0
    latency_seconds: float | None = None
    docker: bool | None = None
    free_share: float | None = None
    free_bytes: int | None = None
    clock_offset_seconds: float | None = None
    longest_running_seconds: float = 0.0
    agent_circuit: CircuitState = CircuitState.CLOSED
    docker_circuit: CircuitState = CircuitState.CLOSED
    unknown_commands: int = 0
    registry_circuit: CircuitState = CircuitState.CLOSED
    unreached_registries: tuple[str, ...] = ()


class Health(Struct, frozen=True, gc=False):
    """`score` from 0 to 100, and what took the points away, the worst first."""

    state: HealthState
    score: int
    reasons: list[str] = field(default_factory=list)


SLOW_SECONDS = 1.0
LITTLE_SPACE_SHARE, LITTLE_SPACE_BYTES = 0.10, 2 * 1024**3
NO_SPACE_SHARE = 0.02
WRONG_CLOCK_SECONDS = 5.0
HUNG_SECONDS = 300.0

_FINE = Health(HealthState.HEALTHY, 100)
_WORDS = {CircuitState.OPEN: "open", CircuitState.HALF_OPEN: "being probed"}
_HEALTHY_FROM, _DEGRADED_FROM = 80, 40


def judge(vitals: Vitals) -> Health:
    """The health of a host."""
    if not vitals.connected:
        return Health(HealthState.OFFLINE, 0, ["its agent isn't connected"])
    found = _complaints(vitals)
    if not found:
        return _FINE
    complaints = sorted(found, key=lambda complaint: -complaint[0])
    score = max(0, 100 - sum(points for points, _ in complaints))
    if score >= _HEALTHY_FROM:
        state = HealthState.HEALTHY
    else:
        state = HealthState.DEGRADED if score >= _DEGRADED_FROM else HealthState.SICK
    return Health(state, score, [text for _, text in complaints])


def _complaints(vitals: Vitals) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    if vitals.docker is False:
        found.append((60, "its Docker Engine doesn't answer"))
    for name, state in (("agent", vitals.agent_circuit), ("Docker", vitals.docker_circuit)):
        if state is CircuitState.OPEN:
            found.append((50, f"the circuit of its {name} is open"))
        elif state is CircuitState.HALF_OPEN:
            found.append((20, f"the circuit of its {name} is being probed"))
    if vitals.unreached_registries:
        found.append((15, f"it can't reach {', '.join(vitals.unreached_registries)} for images"))
    if vitals.registry_circuit is not CircuitState.CLOSED:
        found.append((10, f"the circuit of its registries is {_WORDS[vitals.registry_circuit]}"))
    if vitals.missed_pings:
        found.append(
            (20 * vitals.missed_pings, f"it has left the last {vitals.missed_pings} pings unanswered")
        )
    if vitals.latency_seconds is not None and vitals.latency_seconds > SLOW_SECONDS:
        found.append((15, f"its latest ping took {vitals.latency_seconds:.1f} s"))
    found += _space(vitals)
    offset = vitals.clock_offset_seconds
    if offset is not None and abs(offset) > WRONG_CLOCK_SECONDS:
        found.append((10, f"its clock is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}"))
    if vitals.longest_running_seconds > HUNG_SECONDS:
        found.append((25, f"a command has run for {vitals.longest_running_seconds:.0f} s without progress"))
    if vitals.unknown_commands:
        found.append(
            (min(20, 5 * vitals.unknown_commands), f"{vitals.unknown_commands} outcomes are UNKNOWN")
        )
    return found


def _space(vitals: Vitals) -> list[tuple[int, str]]:
    share, free = vitals.free_share, vitals.free_bytes
    if share is None:
        return []
    if share < NO_SPACE_SHARE:
        return [(40, f"its disk is full: {share:.1%} are free")]
    if share < LITTLE_SPACE_SHARE and (free is None or free < LITTLE_SPACE_BYTES):
        return [(20, f"its disk is almost full: {share:.0%} are free")]
    return []
