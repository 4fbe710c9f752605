"""What a controller that starts knows of its circuits."""

from __future__ import annotations

from seawall.clock import Clock
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.core.guard import Guards
from seawall.engine.drive import Slot
from seawall.engine.fleet import Fleet
from seawall.engine.records import TransitionRecord
from seawall.engine.store import CircuitStore


async def restore_circuits(store: CircuitStore, fleet: Fleet, guards: Guards[Slot], clock: Clock) -> None:
    """Hold what people hold. All others are closed: end on record those that weren't when the controller stopped."""
    held = [hold for hold in await store.holds() if fleet.find(hold.agent_id) is not None]
    for hold in held:
        breaker = guards.of(hold.agent_id).breaker(Domain(hold.domain))
        breaker.force(CircuitState(hold.state), clock.now(), hold.reason, by=hold.by)
    kept = {(hold.agent_id, hold.domain) for hold in held}
    now = clock.wall()
    ended = [
        TransitionRecord(
            *(now, left.agent_id, left.domain, left.target, CircuitState.CLOSED.value),
            "the controller was started anew",
        )
        for left in await store.unclosed_circuits()
        if (left.agent_id, left.domain) not in kept
    ]
    await store.add_transitions(ended)
