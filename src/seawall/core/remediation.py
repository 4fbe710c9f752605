"""What is done about an alert of the controller's own accord, when, and when it isn't.

    waits -> refused, for a reason that may go -> tried -> waits -> tried again ... -> given up, an alert itself

A remedy is tried a few times for one alert, and no sooner than its cool-down on the host allows. All remedies of a host
together have a budget. None is tried while somebody has stopped them, much fails at once, a silence covers the alert or
somebody takes care of it. In rehearsal the same is decided, of tries that were only rehearsed too, and nothing done.

Time is monotonic seconds, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec import Struct, field

from seawall.core.alert import Alert
from seawall.core.alert_rules import AlertKind, matches
from seawall.core.command import CommandState

REMEDIABLE = (
    AlertKind.CIRCUIT,
    AlertKind.ERROR_RATE,
    AlertKind.COMMAND_FAILED,
    AlertKind.UNKNOWN_OUTCOME,
    AlertKind.DISK_LOW,
    AlertKind.CLOCK_OFFSET,
)
"""Alerts of a host that can be reached: of the others no host could do anything."""


class Remedy(Struct, frozen=True):
    """What to try for which alerts. Durations are seconds.

    It is for alerts of a kind, about one of `about` (a circuit's domain, or the operation that failed) on one of the
    `hosts`; empty ones mean all. It is tried once the alert has been open for `after_seconds`, at most `tries` times
    for one alert, and no sooner than `cool_down_seconds` after it was tried on the same host. It has helped if the
    alert is over within `helped_within_seconds`.
    """

    name: str
    kind: AlertKind
    operation: str
    arguments: dict[str, object] = field(default_factory=dict)
    about: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    acts: bool = False
    after_seconds: float = 60.0
    cool_down_seconds: float = 300.0
    tries: int = 3
    helped_within_seconds: float = 900.0
    timeout_seconds: float | None = None

    def is_for(self, alert: Alert) -> bool:
        """Whether it is to be tried for such an alert."""
        if alert.kind is not self.kind or not alert.agent_id:
            return False
        if self.about and about(alert) not in self.about:
            return False
        return not self.hosts or any(matches(pattern, alert.host) for pattern in self.hosts)


class Budget(Struct, frozen=True):
    """How many tries one host is worth within so many seconds, whatever the remedy."""

    tries: int = 3
    seconds: float = 600.0


class Try(Struct):
    """A remedy was tried on a host, or only rehearsed. It is `over` once its command has ended."""

    remedy: str
    alert_id: str
    agent_id: str
    at: float
    acted: bool
    over: bool = False


class World(Struct, frozen=True):
    """What keeps remedies from being tried, whichever they are. `stopped` says who stopped them; "" is nobody.

    A host that isn't `reachable` is waited for.
    """

    reachable: bool = True
    stopped: str = ""
    mass_failure: bool = False
    silenced: bool = False


class Verdict(Enum):
    """What follows for an alert and a remedy."""

    WAIT = "wait"
    REFUSED = "refused"
    DRY_RUN = "dry_run"
    ACTED = "acted"
    GAVE_UP = "gave_up"


class Refusal(Enum):
    """Why a remedy isn't tried that would be due."""

    STOPPED = "stopped"
    MASS_FAILURE = "mass_failure"
    SILENCED = "silenced"
    ACKNOWLEDGED = "acknowledged"
    COOL_DOWN = "cool_down"
    BUDGET = "budget"


class Ruling(Struct, frozen=True):
    """A decision, with its reason in words."""

    verdict: Verdict
    reason: str = ""
    refusal: Refusal | None = None


class Judgement(Struct, frozen=True):
    """Whether a try has helped, and why that is thought."""

    helped: bool
    reason: str


_WAIT = Ruling(Verdict.WAIT)


def about(alert: Alert) -> str:
    """What of its host an alert is about: a circuit's domain, an operation; "" where that is all there is to say."""
    return "/".join(alert.key.split("/")[2:])


def rule_on(
    remedy: Remedy, alert: Alert, tries: Iterable[Try], world: World, budget: Budget, now: float
) -> Ruling:
    """What follows. `tries` are those on the alert's host, the earliest first; of others nothing is taken in."""
    counted = [each for each in tries if each.agent_id == alert.agent_id and (each.acted or not remedy.acts)]
    of_remedy = [each for each in counted if each.remedy == remedy.name]
    own = [each for each in of_remedy if each.alert_id == alert.alert_id]
    early = now < alert.opened_at + remedy.after_seconds
    if early or not world.reachable or not _is_due(alert, own, remedy, now):
        return _WAIT
    refused = _refused(alert, world)
    if refused is not None:
        return refused
    if len(own) >= remedy.tries:
        times = "once" if len(own) == 1 else f"{len(own)} times"
        return Ruling(
            Verdict.GAVE_UP, f"{remedy.operation} was tried {times}, and it isn't over: {alert.text}"
        )
    if of_remedy and now < of_remedy[-1].at + remedy.cool_down_seconds:
        ago = now - of_remedy[-1].at
        return _because(Refusal.COOL_DOWN, f"it was tried on this host {ago:.0f} s ago, for another alert")
    spent = sum(now < each.at + budget.seconds for each in counted)
    if spent >= budget.tries:
        return _because(
            Refusal.BUDGET, f"{spent} tries on this host within {budget.seconds:g} s are its budget"
        )
    reason = f"{alert.kind.value} for {now - alert.opened_at:.0f} s: {alert.text}"
    return Ruling(Verdict.ACTED if remedy.acts else Verdict.DRY_RUN, reason)


def judge(
    tried: Try, state: CommandState | None, over_at: float | None, helped_within_seconds: float, now: float
) -> Judgement | None:
    """Whether a try has helped; None while that can't be said.

    `state` is how its command ended, None while it hasn't; `over_at` is when the alert was over, None while it isn't.
    """
    if state is None:
        return None
    if over_at is None:
        if now < tried.at + helped_within_seconds:
            return None
        return Judgement(False, f"the alert is still open after {helped_within_seconds:g} s")
    after = max(0.0, over_at - tried.at)
    if after > helped_within_seconds:
        return Judgement(False, f"the alert was over after {after:.0f} s only")
    if state is not CommandState.SUCCEEDED:
        return Judgement(False, f"the alert was over after {after:.0f} s, but the command is {state.value}")
    return Judgement(True, f"the alert was over after {after:.0f} s")


def circles(remedies: Sequence[Remedy]) -> tuple[str, ...]:
    """The operations of remedies that would answer each other's failures for ever; empty if there are none."""
    follows: dict[str, set[str]] = {}
    for remedy in remedies:
        if remedy.kind is AlertKind.COMMAND_FAILED:
            for operation in remedy.about:
                follows.setdefault(operation, set()).add(remedy.operation)
    for start in follows:
        paths: list[tuple[str, ...]] = [(start,)]
        seen: set[str] = set()
        while paths:
            path = paths.pop()
            for following in follows.get(path[-1], ()):
                if following == start:
                    return (*path, start)
                if following not in seen:
                    seen.add(following)
                    paths.append((*path, following))
    return ()


def _is_due(alert: Alert, own: Sequence[Try], remedy: Remedy, now: float) -> bool:
    """Whether its cause is there, and the last try has had its time."""
    last = own[-1] if own else None
    if last is not None and (not last.over or now < last.at + remedy.cool_down_seconds):
        return False
    if alert.kind is AlertKind.COMMAND_FAILED:
        # A failure is over as soon as it was there: another one since the last try shows that this didn't help.
        return last is None or alert.since > last.at
    return alert.active


def _refused(alert: Alert, world: World) -> Ruling | None:
    if world.stopped:
        return _because(Refusal.STOPPED, f"remediation is stopped: {world.stopped}")
    if world.mass_failure:
        return _because(Refusal.MASS_FAILURE, "much fails at once, so the cause is likelier here than there")
    if world.silenced:
        return _because(Refusal.SILENCED, "a silence covers the alert")
    if alert.acknowledged_by:
        return _because(Refusal.ACKNOWLEDGED, f"{alert.acknowledged_by} takes care of it")
    return None


def _because(refusal: Refusal, reason: str) -> Ruling:
    return Ruling(Verdict.REFUSED, reason, refusal)
