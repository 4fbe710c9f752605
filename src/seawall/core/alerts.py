"""One alert's life: a cause that lasts opens it, it is said once, and one recovery follows when the cause is gone.

    quiet -> pending (the cause lasts for_seconds) -> open -> (the cause is gone for calm_seconds) -> over

A cause that comes back while its alert is still open is the same alert, which so becomes a flapping one: one opening
and one recovery are said of it, however often it came and went. What can't be said when it opens, by a silence, a
cool-down or a mass failure, is said as soon as it can be; if it is over before, it is never said, nor is its recovery.
A recovery is said even in a silence, since it ends what was said.

Time is monotonic seconds, given by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from seawall.core.alert import Alert, Message, Said, Sign, Turn
from seawall.core.alert_rules import GROUP_SECONDS, AlertKind, AlertRule


class Alerts:
    """All alerts that are open, or about to be. `rules` may be exchanged at any time."""

    def __init__(self, rules: Mapping[AlertKind, AlertRule], new_id: Callable[[], str]) -> None:
        self.rules = rules
        self.group_seconds = GROUP_SECONDS
        self.open: dict[str, Alert] = {}
        """By key."""
        self._new_id = new_id
        self._pending: dict[str, tuple[Sign, str, float]] = {}
        self._quiet_until: dict[str, float] = {}
        self._over: dict[str, tuple[Alert, float]] = {}
        self._changed: dict[str, Alert] = {}

    @property
    def idle(self) -> bool:
        """Whether a turn would change nothing until a sign comes."""
        return not (self.open or self._pending or self._over or self._changed)

    def knows(self, key: str) -> bool:
        """Whether a sign that the cause is gone would matter."""
        return key in self.open or key in self._pending

    def resume(self, alert: Alert, now: float) -> None:
        """Take up an alert of an earlier run, or of one that is over, its cool-down.

        Its cause is as it was if it is looked for; else it counts as gone until a sign of it comes.
        """
        if alert.resolved_at is None:
            alert.active, alert.since = alert.active and alert.kind.looked_for, now
            self.open[alert.key] = alert
        if alert.told_at is not None:
            quiet_until = alert.told_at + self.rules[alert.kind].cool_down_seconds
            self._quiet_until[alert.key] = max(self._quiet_until.get(alert.key, quiet_until), quiet_until)

    def take(self, sign: Sign, host: str, now: float) -> None:
        """Note a sign of a cause, or of its end."""
        alert = self.open.get(sign.key)
        if alert is None:
            self._take_unopened(sign, host, now)
        elif alert.active != sign.active:
            self._turn_over(alert, sign, now)
        elif sign.active:
            alert.text = sign.text

    def acknowledge(self, alert_id: str, by: str, reason: str) -> Alert | None:
        """Somebody takes care of it, so it isn't escalated. None if no such alert is open."""
        for alert in self.open.values():
            if alert.alert_id == alert_id:
                alert.acknowledged_by, alert.acknowledgement = by, reason
                self._changed[alert_id] = alert
                return alert
        return None

    def turn(self, now: float, hushed: Callable[[Alert], bool]) -> Turn:
        """Open, say and end what is due. `hushed` says whether a silence covers an alert now."""
        self._open_what_lasts(now)
        messages = self._say(now, hushed)
        self._end_what_is_gone(now)
        changed, self._changed = self._changed, {}
        self._quiet_until = {key: until for key, until in self._quiet_until.items() if until > now}
        return Turn(changed, messages)

    def _take_unopened(self, sign: Sign, host: str, now: float) -> None:
        if not sign.active:
            self._pending.pop(sign.key, None)
        elif self.rules[sign.kind].enabled:
            since = self._pending[sign.key][2] if sign.key in self._pending else now
            self._pending[sign.key] = (sign, host, since)

    def _open_what_lasts(self, now: float) -> None:
        for key, (sign, host, since) in list(self._pending.items()):
            if now < since + self.rules[sign.kind].for_seconds:
                continue
            del self._pending[key]
            over = self._over.pop(key, None)
            if over is not None:
                # Its recovery wasn't said yet, and now it isn't true any more.
                alert = over[0]
                self._turn_over(alert, sign, now)
            else:
                watched = not sign.momentary
                new_id = self._new_id()
                alert = Alert(new_id, key, sign.kind, sign.agent_id, host, sign.text, now, watched, now)
            self.open[key] = self._changed[alert.alert_id] = alert

    def _turn_over(self, alert: Alert, sign: Sign, now: float) -> None:
        alert.active, alert.since = sign.active and not sign.momentary, now
        if sign.active:
            alert.openings, alert.text = alert.openings + 1, sign.text
        self._changed[alert.alert_id] = alert

    def _end_what_is_gone(self, now: float) -> None:
        for key, alert in list(self.open.items()):
            rule = self.rules[alert.kind]
            gone = not alert.active or not rule.enabled
            # However short it was, it had the time to be said.
            until = max(alert.since + rule.calm_seconds, alert.opened_at + self.group_seconds)
            if gone and now >= until:
                del self.open[key]
                alert.active = False
                if alert.told_at is not None:
                    # It is kept as over together with what is said of that: an earlier end of this run loses nothing.
                    self._over[key] = (alert, now)
                else:
                    alert.resolved_at = now
                    self._changed[alert.alert_id] = alert

    def _say(self, now: float, hushed: Callable[[Alert], bool]) -> list[Message]:
        messages: list[Message] = []
        mass_failure = any(alert.kind is AlertKind.MASS_FAILURE for alert in self.open.values())
        sayable = [
            alert
            for alert in self.open.values()
            if not (mass_failure and alert.kind.may_be_the_planes) and not hushed(alert)
        ]
        untold = [
            alert
            for alert in sayable
            if alert.told_at is None and now >= self._quiet_until.get(alert.key, now)
        ]
        openings = self._ripe(untold, lambda alert: alert.opened_at, now)
        # What is over is said before what opens, which may be the same again.
        over = [alert for alert, _ in self._over.values()]
        for kind, alerts in self._ripe(over, lambda alert: self._over[alert.key][1], now, openings).items():
            for alert in alerts:
                _, alert.resolved_at = self._over.pop(alert.key)
                self._changed[alert.alert_id] = alert
            messages.append(Message(Said.RECOVERED, kind, alerts))
        for kind, alerts in openings.items():
            for alert in alerts:
                alert.told_at = now
                self._quiet_until[alert.key] = now + self.rules[kind].cool_down_seconds
                self._changed[alert.alert_id] = alert
            messages.append(Message(Said.OPENED, kind, alerts))
        for kind, alerts in _by_kind(alert for alert in sayable if self._is_neglected(alert, now)).items():
            for alert in alerts:
                alert.escalated_at = now
                self._changed[alert.alert_id] = alert
            messages.append(Message(Said.ESCALATED, kind, alerts))
        return messages

    def _ripe(
        self,
        alerts: Iterable[Alert],
        moment: Callable[[Alert], float],
        now: float,
        at_once: Iterable[AlertKind] = (),
    ) -> dict[AlertKind, tuple[Alert, ...]]:
        """Those whose kind has waited for more of it long enough, counted from the first."""
        return {
            kind: waiting
            for kind, waiting in _by_kind(alerts).items()
            if kind in at_once or now >= min(map(moment, waiting)) + self.group_seconds
        }

    def _is_neglected(self, alert: Alert, now: float) -> bool:
        after = self.rules[alert.kind].escalate_after_seconds
        if after is None or alert.told_at is None or alert.escalated_at is not None:
            return False
        return alert.active and not alert.acknowledged_by and now >= alert.told_at + after


def _by_kind(alerts: Iterable[Alert]) -> dict[AlertKind, tuple[Alert, ...]]:
    found: dict[AlertKind, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.kind, []).append(alert)
    return {kind: tuple(together) for kind, together in found.items()}
