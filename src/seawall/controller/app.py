"""The composition root: makes everything that a controller is made of, connects it, starts it and stops it in order."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial

import uvloop

from seawall import memory
from seawall.bus.local import LocalBus
from seawall.clock import Clock, SystemClock
from seawall.controller.absences import AbsenceRecorder
from seawall.controller.alerts.desk import AlertDesk
from seawall.controller.api.application import create_api
from seawall.controller.api.services import Readiness, Services
from seawall.controller.auth import Access
from seawall.controller.authority import CertificateAuthority
from seawall.controller.circuits import restore_circuits
from seawall.controller.door_log import DoorLog
from seawall.controller.enrolment import new_join_token, revoke_agent
from seawall.controller.garbage import collect_garbage
from seawall.controller.gateway import Gateway
from seawall.controller.listener import ApiListener, names_of, reachable
from seawall.controller.passwords import Passwords
from seawall.controller.policy_file import POLICY_FILE, PolicyFile
from seawall.controller.readings import circuit_readings, usage_of
from seawall.controller.remediation import RemediationDesk
from seawall.controller.retry_figures import RetryFigures
from seawall.controller.running import Running as Running
from seawall.controller.settings import Address, ControllerSettings
from seawall.controller.sign_ins import SignIns
from seawall.controller.start_failures import StartFailed as StartFailed
from seawall.controller.start_failures import start_failures
from seawall.controller.stop_signals import stopped_by_signals
from seawall.controller.traces import ControllerTraces
from seawall.controller.transitions import TransitionRecorder
from seawall.controller.ui.dashboard import Dashboard
from seawall.controller.users import Users
from seawall.controller.vault import KeyVault
from seawall.core.events import Event
from seawall.core.guard import Guards
from seawall.core.pace import Pace
from seawall.core.retry_gate import RetryGate
from seawall.engine.commands import Commands
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Driver, Slot
from seawall.engine.fleet import Fleet
from seawall.engine.identifiers import correlation_ids
from seawall.engine.notices import notice_of
from seawall.engine.policies import Policies
from seawall.engine.ports import Subscriber
from seawall.engine.self_check import SelfCheck
from seawall.engine.store import Store, StoreFailed
from seawall.storage.directory import DataDirectory
from seawall.storage.sqlite import SqliteStore
from seawall.telemetry.log import log_event
from seawall.telemetry.prometheus import Metrics
from seawall.telemetry.redaction import redact_text
from seawall.telemetry.setup import configure
from seawall.telemetry.usage import LoopLag

EXIT_FAILED = 1
EXIT_STORE_FAILED = 70

# Together ten seconds, whoever doesn't cooperate: then a supervisor would lose its patience.
_STOP_SECONDS = 8.0
_ABORT_SECONDS = 0.5
_CLOSE_SECONDS = 1.5

_AUTHORITY_DIRECTORY = "authority"

_logger = logging.getLogger("seawall.controller")


class Controller:
    """All parts of a controller, connected. Belongs to the event loop on which it was made."""

    def __init__(
        self,
        settings: ControllerSettings,
        clock: Clock,
        store: Store,
        identity: tuple[str, int],
        authority: CertificateAuthority,
        vault: KeyVault,
    ) -> None:
        controller_id, term = identity
        self.settings = settings
        self.clock = clock
        self.store = store
        self.authority = authority
        self.controller_id, self.term = controller_id, term
        self.bus = LocalBus()
        self.guards: Guards[Slot] = Guards()
        self.gate = RetryGate()
        self.transitions = TransitionRecorder(store, clock)
        self.door = DoorLog(store, clock)
        self.traces = ControllerTraces(clock)
        self._subscribers: list[Subscriber] = [*self.traces.subscribers]
        self.fleet = Fleet(self.guards, clock, self.emit, Pace())
        self.gateway = Gateway(
            *(store, self.fleet, self.bus, clock, authority, controller_id, term, settings.heartbeat_seconds),
            refused=self.door.refused,
        )
        self.loop_lag = LoopLag(clock)
        self.metrics = Metrics(
            lambda: len(list(self.fleet.sessions())),
            lambda: circuit_readings(self.guards, clock.now()),
            self.gateway,
            lambda: usage_of(self.services, self.gate, self.dispatcher, self.loop_lag, term, self.traces),
        )
        self.alerts = AlertDesk(store, self.fleet, clock, self.emit, vault, settings.data, authority.expiries)
        self.metrics.alerts = self.alerts
        retries = RetryFigures()
        self._subscribers += [self.alerts.observe, self.metrics.observe, retries.observe]
        self._subscribers += [self.transitions.observe, self._publish, log_event]
        self.driver = Driver(self.fleet, self.guards, clock, correlation_ids(clock), self._subscribers)
        self.dispatcher = Dispatcher(self.driver, store, self.fleet, self.bus, clock, self.gate)
        self.driver.subscribers.append(SelfCheck(self.guards, clock, self.emit).observe)
        self.policies = PolicyFile(settings.data / POLICY_FILE, clock, self._hold, store)
        self.driver.journal = self.dispatcher
        self.fleet.vault = vault
        self.commands = Commands(*(store, self.dispatcher, self.fleet, self.guards, clock, self.emit), vault)
        watch, accept = self.alerts.keeper, self.commands.accept
        remediation = RemediationDesk(store, watch, accept, clock, self.emit, settings.data)
        self.access = Access(store, clock)
        passwords = Passwords()
        self.users = Users(store, passwords, clock)
        self.services = Services(
            access=self.access,
            door=self.door,
            users=self.users,
            sign_ins=SignIns(store, self.users, passwords, clock, self.door),
            store=store,
            fleet=self.fleet,
            guards=self.guards,
            commands=self.commands,
            bus=self.bus,
            clock=clock,
            emit=self.emit,
            invite=partial(new_join_token, store, authority.fingerprint, clock),
            revoke_agent=partial(revoke_agent, store, self.fleet, clock),
            policies=self.policies,
            alerts=self.alerts,
            remediation=remediation,
            transitions=self.transitions.of_agent,
            gate=self.gate,
            retries=retries,
            render_metrics=self.metrics.render,
            readiness=Readiness(store, clock),
            streams=self.gateway.streams,
            agents_url="",
        )
        tls = None if settings.api.loopback else authority.server_context()
        self.api = create_api(self.services, metrics_open=tls is None)
        self.traces.join(self.gateway, self.api)
        self.dashboard = Dashboard(self.api, self.services, tls=tls is not None)
        self.listener = ApiListener(self.dashboard, tls)
        self._stop_dispatcher = asyncio.Event()
        self._lasting: list[asyncio.Task[None]] = []

    def emit(self, event: Event) -> None:
        """Tell every subscriber."""
        for subscriber in self._subscribers:
            subscriber(event)

    async def start(self) -> Running:
        """Take up what was left open, then let agents and callers in."""
        settings = self.settings
        admin_token_file = await self.access.ensure_admin_token(settings.data)
        await self.policies.record()
        for agent in await self.store.agents():
            self.fleet.learn(agent)
        await restore_circuits(self.store, self.fleet, self.guards, self.clock)
        recovered = asyncio.Event()
        self._last(self.dispatcher.run(recovered, self._stop_dispatcher), "dispatcher")
        self._last(self.transitions.run(), "transitions")
        self._last(self.policies.watch(), "policies")
        self._last(self.door.run(), "door log")
        self._last(self.loop_lag.run(), "loop lag")
        self._last(self.alerts.run(), "alerts")
        self._last(self.services.remediation.run(), "remediation")
        self._last(AbsenceRecorder(self.store, self.fleet, self.clock).run(), "absences")
        await self._first_of(recovered)
        self._raise_if_ended()
        self.services.readiness.recovered = True
        await self.gateway.start(settings.agents.host, settings.agents.port, self.authority.server_context())
        agents = Address(settings.agents.host, self.gateway.port)
        self.services.agents_url = f"https://{reachable(agents)}"
        api = await self.listener.start(settings.api)
        if self.listener.task is not None:
            self._lasting.append(self.listener.task)
        self.services.readiness.listening = True
        scheme = "http" if settings.api.loopback else "https"
        return Running(
            controller_id=self.controller_id,
            term=self.term,
            data=settings.data,
            api=api,
            agents=agents,
            api_url=f"{scheme}://{reachable(api)}",
            agents_url=self.services.agents_url,
            admin_token_file=admin_token_file,
            ca_file=settings.data / _AUTHORITY_DIRECTORY / "ca.pem",
            ca_fingerprint=self.authority.fingerprint,
            set_up_code=await self.users.offer_set_up(),
        )

    async def run(self, stop: asyncio.Event, failure: asyncio.Future[None]) -> None:
        """Go on until `stop`. Raises what `failure` or a part of the controller fails with."""
        await self._first_of(stop, failure)
        self._raise_if_ended()
        if failure.done():
            failure.result()

    async def stop(self) -> None:
        """Stop in order: no more requests, a goodbye to the agents, and the commands stay open in the store."""
        self.services.readiness.listening = False
        self.services.stopping.set()
        await self.listener.stop()
        await self.dashboard.close()
        await self.gateway.stop()
        self._stop_dispatcher.set()
        for task in self._lasting:
            if task.get_name() != "dispatcher":
                task.cancel()
        if self._lasting:
            await asyncio.wait(self._lasting)
        await self.transitions.flush()
        await self.door.flush()
        await self.traces.close()

    async def abort(self) -> None:
        """End what `stop` couldn't in time."""
        for task in self._lasting:
            task.cancel()
        await asyncio.wait(self._lasting, timeout=_ABORT_SECONDS)

    def _last(self, work: Coroutine[None, None, None], name: str) -> None:
        self._lasting.append(asyncio.create_task(work, name=name))

    async def _first_of(self, event: asyncio.Event, *others: asyncio.Future[None]) -> None:
        """Wait for the event, or for the end of anything that should last."""
        waiting = asyncio.create_task(_set(event))
        try:
            await asyncio.wait((waiting, *others, *self._lasting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    def _raise_if_ended(self) -> None:
        for task in self._lasting:
            if task.done():
                try:
                    task.result()
                except BaseExceptionGroup as group:
                    # One cause is enough to say: when the store fails, every command under way fails with it.
                    raise (_store_failure(group) or group) from group
                raise RuntimeError(f"the {task.get_name()} ended although nobody stopped it")

    def _hold(self, policies: Policies) -> None:
        """Let new policies hold: for commands and attempts still to come, and at once for circuits and budgets."""
        self.dispatcher.policies = policies
        self.guards.hold(policies.plane.breaker, policies.plane.bulkhead)
        if policies.plane.budget is not None:
            self.gate.hold(policies.plane.budget)

    def _publish(self, event: Event) -> None:
        notice = notice_of(event, self.clock)
        if notice is not None:
            self.bus.publish(notice)


async def run_controller(
    settings: ControllerSettings,
    clock: Clock,
    *,
    on_ready: Callable[[Running], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run a controller until `stop` is set; without one, until SIGINT or SIGTERM comes.

    `on_ready` is called once agents and callers are let in. Raises StartFailed, and StoreFailed when the store fails
    later on.
    """
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(error: StoreFailed) -> None:
        if not failure.done():
            failure.set_exception(error)
            # Noted, even if the controller stops before anybody asks.
            failure.exception()

    async with AsyncExitStack() as stack:
        if stop is None:
            stop = asyncio.Event()
            stack.enter_context(stopped_by_signals(stop))
        with start_failures():
            directory = stack.enter_context(DataDirectory.open(settings.data))
            authority = await asyncio.to_thread(
                CertificateAuthority.open,
                directory.path / _AUTHORITY_DIRECTORY,
                clock.wall(),
                names_of(settings.api, settings.agents),
            )
            store = await SqliteStore.open(directory.database, clock, on_failure=fail)
            stack.push_async_callback(_close, store)
            vault = await asyncio.to_thread(KeyVault.of, directory.path)
            identity = await store.controller_identity()
            controller = Controller(settings, clock, store, identity, authority, vault)
            stack.push_async_callback(_stop, controller)
            running = await controller.start()
        _logger.info("ready", extra={"api": running.api_url, "agents": running.agents_url})
        on_ready(running)
        await controller.run(stop, failure)
        _logger.info("stopping")


async def _collected(settings: ControllerSettings, on_ready: Callable[[Running], None]) -> None:
    clock = SystemClock()
    collecting = asyncio.create_task(collect_garbage(clock), name="garbage")
    try:
        await run_controller(settings, clock, on_ready=on_ready)
    finally:
        collecting.cancel()


def main(settings: ControllerSettings, on_ready: Callable[[Running], None] | None = None) -> int:
    """Run a controller in this process until a signal stops it; returns the exit code.

    0 after a stop, 1 if it can't start or a defect ended it, 70 if the store failed.
    """
    configure(settings.log_format, settings.log_level)

    def settle(running: Running) -> None:
        if running.set_up_code is not None:
            _say(
                f"the dashboard is at {running.api_url}/ui/ - its set-up code: {running.set_up_code.reveal()}"
            )
        memory.settle()
        if on_ready is not None:
            on_ready(running)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_collected(settings, settle))
    except StartFailed as error:
        _say(f"the controller can't start: {error}")
        return EXIT_FAILED
    except StoreFailed as error:
        _say(f"the controller ended: {error}")
        return EXIT_STORE_FAILED
    except KeyboardInterrupt:
        # Before there was anything to stop.
        return 0
    except Exception:
        _logger.exception("the controller ended by a defect; please report it")
        return EXIT_FAILED
    return 0


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _stop(controller: Controller) -> None:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await controller.stop()
    except TimeoutError:
        _logger.warning("the stop took longer than %g s, so it was cut short", _STOP_SECONDS)
        await controller.abort()


async def _close(store: Store) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await store.close()
    except TimeoutError:
        _logger.warning("the database wasn't closed within %g s; what was answered is kept", _CLOSE_SECONDS)


def _store_failure(group: BaseExceptionGroup[BaseException]) -> StoreFailed | None:
    for error in group.exceptions:
        found = _store_failure(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, StoreFailed):
            return found
    return None


def _say(text: str) -> None:
    sys.stderr.write(f"seawall: {redact_text(text)}\n")
