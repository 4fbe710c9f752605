"""What is worth an alert: signs of causes, found in events and in how hosts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from seawall.core.alert import Sign
from seawall.core.alert_rules import AlertKind, AlertRule
from seawall.core.circuit import CircuitState
from seawall.core.command import CommandState
from seawall.core.errors import by_fault_of_its_host
from seawall.core.events import CircuitChanged, CommandFinished, CommandSettled, Event, MassFailureChanged
from seawall.core.window import OutcomeWindow

RATE_WINDOW_SECONDS = 300.0
FEWEST_OUTCOMES = 10
"""Of fewer commands no share is worth a word."""

PLANE = "plane"
"""The subject of what is about the controller itself."""


class HostLook(Struct, frozen=True):
    """What a look at a host found. None is what isn't known."""

    agent_id: str
    connected: bool
    free_share: float | None = None
    clock_offset_seconds: float | None = None


class AlertWatch:
    """Remembers as much of what happened as its signs need."""

    def __init__(self) -> None:
        self._outcomes: dict[str, OutcomeWindow] = {}
        self._unknown: dict[str, set[str]] = {}

    def observe(self, event: Event) -> Sign | None:
        """What an event is a sign of."""
        match event:
            case CommandFinished():
                return self._finished(event)
            case CommandSettled():
                return self._settled(event.agent_id, event.command_id)
            case CircuitChanged():
                return _circuit(event)
            case MassFailureChanged():
                text = f"{event.failing} of {event.agents} agents fail at once: is it the controller or its network?"
                return Sign(AlertKind.MASS_FAILURE, PLANE, "", event.began, text)
            case _:
                return None

    def unknown(self, agent_id: str, command_id: str, operation: str) -> Sign:
        """A command's outcome isn't known."""
        known = self._unknown.setdefault(agent_id, set())
        known.add(command_id)
        text = f"{len(known)} outcomes aren't known, the latest is that of {operation} ({command_id})"
        return Sign(AlertKind.UNKNOWN_OUTCOME, agent_id, agent_id, active=True, text=text)

    def look(self, host: HostLook, rules: Mapping[AlertKind, AlertRule], now: float) -> Iterator[Sign]:
        """What a look at a host is a sign of; of what isn't known there is none."""
        agent_id = host.agent_id
        yield Sign(
            AlertKind.AGENT_OFFLINE, agent_id, agent_id, not host.connected, "its agent isn't connected"
        )
        if host.free_share is not None:
            low = host.free_share < rules[AlertKind.DISK_LOW].threshold
            yield Sign(
                AlertKind.DISK_LOW, agent_id, agent_id, low, f"{host.free_share:.1%} of its disk is free"
            )
        offset = host.clock_offset_seconds
        if offset is not None:
            wrong = abs(offset) > rules[AlertKind.CLOCK_OFFSET].threshold
            text = f"its clock is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}"
            yield Sign(AlertKind.CLOCK_OFFSET, agent_id, agent_id, wrong, text)
        window = self._outcomes.get(agent_id)
        if window is not None:
            yield self._rate(agent_id, window, rules[AlertKind.ERROR_RATE].threshold, now)

    def forget(self, agent_id: str) -> None:
        """An agent doesn't belong to the fleet any more."""
        self._outcomes.pop(agent_id, None)
        self._unknown.pop(agent_id, None)

    def _finished(self, event: CommandFinished) -> Sign | None:
        command, result = event.command, event.result
        agent_id = command.agent_id
        failed = _by_fault_of_its_host(event)
        if failed or result.success:
            window = self._outcomes.get(agent_id)
            if window is None:
                window = self._outcomes[agent_id] = OutcomeWindow()
            (window.add_failure if failed else window.add_success)(event.at, RATE_WINDOW_SECONDS)
        if result.state is CommandState.UNKNOWN:
            return self.unknown(agent_id, command.command_id, command.operation)
        if not failed or result.error_code is None:
            return None
        attempts = "1 attempt" if result.total_attempts == 1 else f"{result.total_attempts} attempts"
        text = (
            f"{command.operation} failed after {attempts}: {result.error_code.value} ({command.command_id})"
        )
        subject = f"{agent_id}/{command.operation}"
        return Sign(AlertKind.COMMAND_FAILED, subject, agent_id, active=True, text=text, momentary=True)

    def _settled(self, agent_id: str, command_id: str) -> Sign | None:
        known = self._unknown.get(agent_id)
        if known is None:
            return None
        known.discard(command_id)
        if known:
            return None
        del self._unknown[agent_id]
        return Sign(AlertKind.UNKNOWN_OUTCOME, agent_id, agent_id, active=False)

    def _rate(self, agent_id: str, window: OutcomeWindow, threshold: float, now: float) -> Sign:
        window.turn(now, RATE_WINDOW_SECONDS)
        outcomes = window.failures + window.successes
        if not outcomes:
            del self._outcomes[agent_id]
        share = window.failures / outcomes if outcomes else 0.0
        text = f"{window.failures} of its last {outcomes} commands failed"
        high = outcomes >= FEWEST_OUTCOMES and share >= threshold
        return Sign(AlertKind.ERROR_RATE, agent_id, agent_id, high, text)


def certificate_sign(name: str, days_left: float, rules: Mapping[AlertKind, AlertRule]) -> Sign:
    """What the time that a certificate of the controller has left is a sign of."""
    soon = days_left < rules[AlertKind.CERTIFICATE_EXPIRY].threshold
    left = f"ends in {days_left:.0f} days" if days_left > 0 else "has ended"
    return Sign(
        AlertKind.CERTIFICATE_EXPIRY, name, "", soon, f"the {name} certificate of the controller {left}"
    )


def _circuit(event: CircuitChanged) -> Sign | None:
    subject = f"{event.agent_id}/{event.domain.value}"
    if event.target is CircuitState.CLOSED:
        return Sign(AlertKind.CIRCUIT, subject, event.agent_id, active=False)
    if event.target is CircuitState.OPEN and not event.by:
        # Who fences a host off by hand knows it.
        text = f"the circuit of its {event.domain.value} is open: {event.reason}"
        return Sign(AlertKind.CIRCUIT, subject, event.agent_id, active=True, text=text)
    return None


def _by_fault_of_its_host(event: CommandFinished) -> bool:
    """Whether it failed for another reason than that nobody may or can do what was asked for."""
    result = event.result
    if result.state is CommandState.UNKNOWN:
        return True
    if result.state is not CommandState.FAILED or result.error_code is None:
        return False
    return by_fault_of_its_host(result.error_code, result.circumstance)
