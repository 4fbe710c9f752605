"""Watches what happens, decides by the rules what is worth an alert, and keeps that before anybody is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from seawall.clock import Clock, at_leisure, moment_of, wall_of
from seawall.core.alert import Alert, Message, Said, Sign
from seawall.core.alert_rules import AlertKind, Silence
from seawall.core.alert_text import body_of, title_of
from seawall.core.alert_watch import AlertWatch, HostLook, certificate_sign
from seawall.core.alerts import Alerts
from seawall.core.command import CommandState
from seawall.core.events import AlertSaid, Event, MassFailureChanged
from seawall.engine.alert_records import AlertRecord, MessageRecord, SilenceRecord
from seawall.engine.alert_settings import AlertSettings
from seawall.engine.audit import CONTROLLER, Action, Caller, Detail, Entry
from seawall.engine.fleet import Fleet
from seawall.engine.ports import Subscriber
from seawall.engine.store import Store, StoreFailed

LOOK_EVERY_SECONDS = 10.0
KEPT_DAYS = 30
_TURN_EVERY_SECONDS = 1.0
_FORGET_EVERY_SECONDS = 3_600.0
_MOST_UNKNOWN, _MOST_RESUMED = 1_000, 10_000
_DAY_SECONDS = 86_400.0

_logger = logging.getLogger("seawall.alerts")


class Care(Detail, frozen=True, gc=False):
    """Which alert somebody takes care of, and what is said of that."""

    kind: str
    host: str
    reason: str = ""


class AlertKeeper:
    """A subscriber of events, with a task that decides and writes. `channels` says which there are, by name."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        clock: Clock,
        emit: Subscriber,
        certificates: Mapping[str, datetime],
        channels: Callable[[], Sequence[str]],
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._emit = emit
        self._certificates = certificates
        self._channels = channels
        self.settings = AlertSettings()
        self._alerts = Alerts(self.settings.rules, clock.new_id)
        self._watch = AlertWatch()
        self._silences: dict[str, tuple[SilenceRecord, Silence]] = {}
        self._stirred = asyncio.Event()
        self._turning = asyncio.Lock()
        self._much_fails = False
        self._look_at = self._forget_at = clock.now()
        self._kept: set[str] = set()
        self.ready = asyncio.Event()
        """Set once what an earlier run has left is known."""
        self._unwritten: dict[str, AlertRecord] = {}
        self._unsaid: list[tuple[MessageRecord, list[str]]] = []

    def hold(self, settings: AlertSettings) -> None:
        """Let new settings hold, for open alerts too."""
        self.settings = settings
        self._alerts.rules, self._alerts.group_seconds = settings.rules, settings.group_seconds
        self._stirred.set()

    def open_alerts(self) -> Mapping[AlertKind, int]:
        """How many alerts of each kind are open."""
        found = dict.fromkeys(AlertKind, 0)
        for alert in self._alerts.open.values():
            found[alert.kind] += 1
        return found

    def standing(self) -> list[Alert]:
        """The alerts that are open and kept, so that they are the same ones after a restart."""
        return [alert for alert in self._alerts.open.values() if alert.alert_id in self._kept]

    def reaches(self, agent_id: str) -> bool:
        """Whether a host is connected."""
        return self._fleet.session(agent_id) is not None

    @property
    def mass_failure(self) -> bool:
        """Whether much fails at once, or did just now."""
        return self._much_fails or any(
            alert.kind is AlertKind.MASS_FAILURE for alert in self._alerts.open.values()
        )

    def observe(self, event: Event) -> None:
        """See `ports.Subscriber`."""
        if isinstance(event, MassFailureChanged):
            self._much_fails = event.began
        sign = self._watch.observe(event)
        if sign is not None:
            self.take(sign)

    async def run(self) -> None:
        """Decide and write, until cancelled."""
        await self._resume()
        self.ready.set()
        while True:
            await self.turn()
            now = self._clock.now()
            when = self._look_at if self._alerts.idle else min(self._look_at, now + _TURN_EVERY_SECONDS)
            timer = self._clock.call_at(when, self._stirred.set)
            try:
                await self._stirred.wait()
            finally:
                timer.cancel()

    async def turn(self) -> None:
        """Look at the hosts if it is time, decide what is due, and write it down."""
        async with self._turning:
            self._stirred.clear()
            now = self._clock.now()
            if now >= self._look_at:
                self._look_at = now + LOOK_EVERY_SECONDS
                await self._look()
            self._decide()
            await self._write()
            if now >= self._forget_at:
                self._forget_at = now + _FORGET_EVERY_SECONDS
                await self._forget()

    async def acknowledge(self, alert_id: str, by: str, reason: str, caller: Caller = CONTROLLER) -> bool:
        """Note that somebody takes care of an open alert; False if it isn't open. Raises StoreFailed."""
        alert = self._alerts.acknowledge(alert_id, by, reason)
        if alert is None:
            return False
        detail = Care(alert.kind.value, alert.host, reason)
        entry = Entry(self._clock.wall(), caller, Action.ALERT_ACKNOWLEDGED, alert_id, detail)
        await self._store.keep_alerts([self._record(alert)], entries=[entry])
        return True

    # Silences

    def silences(self) -> list[SilenceRecord]:
        """Those that somebody asked for and that aren't over."""
        now = self._clock.now()
        return [record for record, silence in self._silences.values() if now < (silence.until or 0.0)]

    async def silence(self, record: SilenceRecord, caller: Caller = CONTROLLER) -> None:
        """Keep quiet for a while. Raises StoreFailed."""
        await self._store.add_silence(record, self._clock.wall(), caller)
        self._add(record)

    async def end_silence(self, silence_id: str, caller: Caller = CONTROLLER) -> bool:
        """Let it be heard again; False if there is no such silence. Raises StoreFailed."""
        ended = await self._store.end_silence(silence_id, self._clock.wall(), caller)
        known = self._silences.pop(silence_id, None)
        self._stirred.set()
        return ended or known is not None

    def _add(self, record: SilenceRecord) -> None:
        kinds = frozenset(kind for kind in AlertKind if kind.value in record.kinds)
        silence = Silence(
            record.silence_id, kinds, tuple(record.hosts), until=moment_of(self._clock, record.until)
        )
        self._silences[record.silence_id] = (record, silence)

    def hushed(self, alert: Alert) -> bool:
        """Whether a silence covers an alert now."""
        now, wall = self._clock.now(), self._clock.wall()
        asked_for = [silence for _, silence in self._silences.values()]
        every = (*self.settings.silences, *asked_for)
        return any(silence.covers(alert.kind, alert.host, now, wall) for silence in every)

    # Signs

    def take(self, sign: Sign) -> None:
        """Note that a cause is there, or is gone."""
        if not sign.active and not self._alerts.knows(sign.key):
            return
        agent = self._fleet.find(sign.agent_id) if sign.agent_id else None
        self._alerts.take(sign, agent.name if agent is not None else "", self._clock.now())
        self._stirred.set()

    async def _look(self) -> None:
        """At every host, and at the certificates."""
        now, wall, rules = self._clock.now(), self._clock.wall(), self.settings.rules
        async for agents in at_leisure(self._clock, self._fleet.agents()):
            for agent in agents:
                for sign in self._watch.look(self._host(agent.agent_id), rules, now):
                    self.take(sign)
        for name, end in self._certificates.items():
            self.take(certificate_sign(name, (end - wall).total_seconds() / _DAY_SECONDS, rules))
        for alert in list(self._alerts.open.values()):
            if alert.agent_id and self._fleet.find(alert.agent_id) is None:
                # What is said of a host that was put out is over.
                self._watch.forget(alert.agent_id)
                self.take(_end_of(alert))
        self._silences = {
            name: (record, silence)
            for name, (record, silence) in self._silences.items()
            if now < (silence.until or 0.0)
        }

    def _host(self, agent_id: str) -> HostLook:
        session = self._fleet.session(agent_id)
        if session is None:
            return HostLook(agent_id, connected=False)
        signs = session.signs
        share = signs.free_bytes / signs.total_bytes if signs.total_bytes > 0 else None
        return HostLook(agent_id, True, share, signs.clock_offset_seconds)

    # Decisions

    def _decide(self) -> None:
        turn = self._alerts.turn(self._clock.now(), self.hushed)
        self._unwritten |= {alert_id: self._record(alert) for alert_id, alert in turn.changed.items()}
        self._unsaid += [(self._message(message), self._where_to(message)) for message in turn.messages]

    async def _write(self) -> None:
        alerts, messages = list(self._unwritten.values()), list(self._unsaid)
        if not alerts and not messages:
            return
        try:
            await self._store.keep_alerts(alerts, messages)
        except StoreFailed as error:
            # Nothing of it is said before it is kept; the next turn tries again.
            _logger.warning("%d alerts are not kept yet: %s", len(alerts), error)
            return
        self._kept |= self._unwritten.keys()
        self._kept &= {alert.alert_id for alert in self._alerts.open.values()}
        self._unwritten.clear()
        self._unsaid.clear()
        for message, channels in messages:
            self._emit(
                AlertSaid(
                    self._clock.now(),
                    Said(message.said),
                    AlertKind(message.kind),
                    message.title,
                    message.body,
                    len(channels),
                )
            )

    def _message(self, message: Message) -> MessageRecord:
        return MessageRecord(
            message_id=self._clock.new_id(),
            at=self._clock.wall(),
            said=message.said.value,
            kind=message.kind.value,
            severity=self.settings.rules[message.kind].severity.value,
            title=title_of(message),
            body=body_of(message),
            alerts=[alert.alert_id for alert in message.alerts],
            hosts=sorted({alert.host for alert in message.alerts if alert.host}),
        )

    def _where_to(self, message: Message) -> list[str]:
        rule = self.settings.rules[message.kind]
        chosen = rule.channels if rule.channels is not None else self.settings.channels
        channels = list(chosen if chosen is not None else self._channels())
        if message.said is not Said.OPENED and any(alert.escalated_at for alert in message.alerts):
            channels += rule.escalate_to
        return list(dict.fromkeys(channels))

    def _record(self, alert: Alert) -> AlertRecord:
        def wall(moment: float | None) -> datetime | None:
            return None if moment is None else wall_of(self._clock, moment)

        return AlertRecord(
            alert_id=alert.alert_id,
            key=alert.key,
            kind=alert.kind.value,
            severity=self.settings.rules[alert.kind].severity.value,
            agent_id=alert.agent_id,
            host=alert.host,
            text=alert.text,
            active=alert.active,
            openings=alert.openings,
            opened_at=wall_of(self._clock, alert.opened_at),
            told_at=wall(alert.told_at),
            escalated_at=wall(alert.escalated_at),
            resolved_at=wall(alert.resolved_at),
            acknowledged_by=alert.acknowledged_by,
            acknowledgement=alert.acknowledgement,
        )

    # What an earlier run has left

    async def _resume(self) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        longest = max(rule.cool_down_seconds for rule in self.settings.rules.values())
        told = await self._store.alerts(told_since=wall - timedelta(seconds=longest), limit=_MOST_RESUMED)
        unresolved = await self._store.alerts(unresolved=True, limit=_MOST_RESUMED)
        for record in {each.alert_id: each for each in (*told, *unresolved)}.values():
            if record.kind in AlertKind._value2member_map_:
                self._alerts.resume(self._alert(record), now)
                self._kept.add(record.alert_id)
        for silence in await self._store.silences(wall):
            self._add(silence)
        for command in await self._store.commands(states=(CommandState.UNKNOWN,), limit=_MOST_UNKNOWN):
            self.take(self._watch.unknown(command.agent_id, command.command_id, command.operation))

    def _alert(self, record: AlertRecord) -> Alert:
        def moment(wall: datetime | None) -> float | None:
            # The clock may have been set back since: nothing has happened in the future.
            return None if wall is None else min(moment_of(self._clock, wall), self._clock.now())

        return Alert(
            alert_id=record.alert_id,
            key=record.key,
            kind=AlertKind(record.kind),
            agent_id=record.agent_id,
            host=record.host,
            text=record.text,
            opened_at=moment(record.opened_at) or 0.0,
            active=record.active,
            since=self._clock.now(),
            openings=record.openings,
            told_at=moment(record.told_at),
            escalated_at=moment(record.escalated_at),
            resolved_at=moment(record.resolved_at),
            acknowledged_by=record.acknowledged_by,
            acknowledgement=record.acknowledgement,
        )

    async def _forget(self) -> None:
        try:
            await self._store.forget_alerts(self._clock.wall() - timedelta(days=KEPT_DAYS))
        except StoreFailed as error:
            _logger.warning("old alerts are still there: %s", error)


def _end_of(alert: Alert) -> Sign:
    subject = alert.key.partition("/")[2]
    return Sign(alert.kind, subject, alert.agent_id, active=False)
