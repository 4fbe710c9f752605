"""What the routes need of the controller. `app.py` makes it; tests make it with fakes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from seawall.clock import Clock
from seawall.controller.alerts.desk import AlertDesk
from seawall.controller.analyst import Analyst
from seawall.controller.auth import Access
from seawall.controller.door_log import DoorLog
from seawall.controller.policy_file import PolicyFile
from seawall.controller.remediation import RemediationDesk
from seawall.controller.retry_figures import RetryFigures
from seawall.controller.sign_ins import SignIns
from seawall.controller.streams import Streams
from seawall.controller.users import Users
from seawall.core.guard import Guards
from seawall.core.retry_gate import RetryGate
from seawall.engine.audit import Caller
from seawall.engine.commands import Commands
from seawall.engine.drive import Slot
from seawall.engine.fleet import Fleet
from seawall.engine.notices import Bus
from seawall.engine.ports import Subscriber
from seawall.engine.records import CommandRecord, TransitionRecord
from seawall.engine.store import Store, StoreFailed
from seawall.wire.join import JoinToken

_CHECK_EVERY_SECONDS = 1.0
_CHECK_SECONDS = 5.0


class Readiness:
    """Whether the controller can do its work now."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._store_answers = False
        self.recovered = False
        """Whether what an earlier start left open is under way again."""
        self.listening = False
        """Whether both listeners are up."""

    async def missing(self) -> list[str]:
        """What isn't ready; empty if everything is. The store is asked once a second at most."""
        async with self._checking:
            if self._clock.now() >= self._checked_at + _CHECK_EVERY_SECONDS:
                self._store_answers = await self._ask_store()
                self._checked_at = self._clock.now()
        parts = {
            "the database doesn't answer": self._store_answers,
            "open commands aren't taken up yet": self.recovered,
            "not all listeners are up": self.listening,
        }
        return [said for said, ready in parts.items() if not ready]

    async def _ask_store(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._store.check()
        except (StoreFailed, TimeoutError):
            return False
        return True


@dataclass(slots=True)
class Services:
    """See the module's text.

    `door` records who was let in and who wasn't; `invite` makes a join token for whoever is named; `revoke_agent` ends
    an agent's identity by its id, and says whether it had one; `transitions` reads the history of an agent's circuits;
    `agents_url` is where agents connect; `auditing` keeps the beginning of the audit log in place while it is
    verified; `stopping` is set when requests that wait should come to an end.
    """

    access: Access
    door: DoorLog
    users: Users
    sign_ins: SignIns
    store: Store
    fleet: Fleet
    guards: Guards[Slot]
    commands: Commands
    bus: Bus
    clock: Clock
    emit: Subscriber
    invite: Callable[[str, Caller], Awaitable[tuple[JoinToken, datetime]]]
    revoke_agent: Callable[[str, Caller], Awaitable[bool]]
    policies: PolicyFile
    alerts: AlertDesk
    remediation: RemediationDesk
    transitions: Callable[[str], Awaitable[list[TransitionRecord]]]
    gate: RetryGate
    retries: RetryFigures
    render_metrics: Callable[[], bytes]
    readiness: Readiness
    streams: Streams
    agents_url: str
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    open_streams: int = 0
    auditing: asyncio.Lock = field(default_factory=asyncio.Lock)
    analyst: Analyst = field(init=False)

    def __post_init__(self) -> None:
        self.analyst = Analyst(self.store, self.fleet, self.guards, self.clock)

    async def wait(self, command_id: str, timeout_seconds: float) -> CommandRecord | None:
        """As `Commands.wait`, but no longer than the controller goes on."""
        if self.stopping.is_set():
            timeout_seconds = 0.0
        waiting = asyncio.ensure_future(self.commands.wait(command_id, timeout_seconds))
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
        finally:
            waiting.cancel()
            stopping.cancel()
        return await self.store.command(command_id)


def services_of(request: HTTPConnection) -> Services:
    """The services of the app that a request came to."""
    services: Services = request.app.state.services
    return services


def source_of(request: HTTPConnection) -> str:
    """The address that a request came from; "" if there is none."""
    return request.client.host if request.client is not None else ""


async def _services(request: HTTPConnection) -> Services:
    return services_of(request)


TheServices = Annotated[Services, Depends(_services)]
