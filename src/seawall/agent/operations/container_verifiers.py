"""How each change of a container is read off the container afterwards.

What Docker remembers of a container are the times of its latest start and its latest end. So "no such change since"
can be proved, and "such a change since" can be; whose it was can't. `attributed` in a response is "seawall" where
nothing that happens by itself (a restart policy, a daemon that stops what it finds, a program that ends) explains the
change as well, and "unknown" everywhere else. Nothing of this looks at the host's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker
from seawall.agent.operations.containers import container_remove, container_start, resolve
from seawall.agent.operations.runner import (
    Arguments,
    Target,
    argument,
    if_there,
    section,
)
from seawall.agent.operations.snapshot import Snapshot, snapshot_of
from seawall.agent.operations.verification import (
    SETTLE_SECONDS,
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    applied,
    at_once,
)
from seawall.operations.container_spec import limits_of

_KILL, _TERMINATE = ("SIGKILL", "KILL", "9"), ("SIGTERM", "TERM", "15")


class _Change(Struct, frozen=True):
    """A doubt about a container that is still there."""

    doubt: Doubt
    before: Snapshot
    now: Snapshot

    @property
    def arguments(self) -> Arguments:
        """What was asked for."""
        return self.doubt.arguments

    @property
    def started(self) -> bool:
        """Whether it has been started since, by whomever."""
        return self.now.started_at != self.before.started_at

    @property
    def ended(self) -> bool:
        """Whether it has ended since, for whatever reason."""
        return self.now.finished_at != self.before.finished_at

    def applied(self, reason: str, *, satisfied: bool, ours: bool, **more: object) -> Finding:
        """It has happened, or what it asked for is so."""
        return _applied(self.before, reason, state=self.now.state, satisfied=satisfied, ours=ours, **more)


def _start(change: _Change) -> Finding:
    before, now = change.before, change.now
    if change.started:
        ours = not before.running and not now.starts_itself
        return change.applied("it has been started since", satisfied=now.up, ours=ours)
    if before.up and now.up:
        return change.applied("it ran already", satisfied=True, ours=False)
    return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has not been started since")


def _stop(change: _Change) -> Finding:
    if not change.now.running:
        reason = "it has ended since" if change.before.running else "it did not run"
        return change.applied(reason, satisfied=True, ours=False)
    if not change.ended:
        return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has not ended since")
    return change.doubt.once_settled(
        Verdict.UNKNOWABLE, "it has ended since and runs again: nothing tells why it ended"
    )


def _restart(change: _Change) -> Finding:
    before, now = change.before, change.now
    if change.started:
        ours = not now.starts_itself
        if change.doubt.settled or (now.up and ours):
            return change.applied("it has been started since", satisfied=now.up, ours=ours)
        return Finding(
            Verdict.UNDECIDED, "it has been started since, but this may have been its restart policy"
        )
    if now.restarting:
        return Finding(Verdict.UNDECIDED, "it has ended, and its restart policy is about to start it")
    if before.running and not now.running:
        return change.doubt.once_settled(
            Verdict.PARTIAL, "it has ended since, and has not been started again"
        )
    return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has not been started since")


def _kill(change: _Change) -> Finding:
    if not change.now.running:
        if change.before.running or change.ended:
            return change.applied("it has ended since", satisfied=True, ours=False)
        return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has not run since")
    if change.ended:
        return change.doubt.once_settled(
            Verdict.UNKNOWABLE, "it has ended since and runs again: nothing tells why it ended"
        )
    if _signal(change.arguments) in _TERMINATE:
        return change.doubt.once_settled(
            Verdict.UNKNOWABLE, "it runs on: the signal has not arrived, or the container ignores it"
        )
    return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has not ended since")


def _rename(change: _Change) -> Finding:
    before, now, wish = change.before, change.now, argument(change.arguments, "name", str)
    if now.name == wish:
        reason = "it had that name already" if before.name == wish else "it has that name now"
        return change.applied(reason, satisfied=True, ours=before.name != wish, name=wish)
    if now.name == before.name:
        return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has the name that it had")
    return change.doubt.once_settled(
        Verdict.UNKNOWABLE,
        f"it is called {now.name} now: somebody has renamed it, and nothing tells what was before",
    )


def _remove(change: _Change) -> Finding:
    before, now = change.before, change.now
    if now.status == "removing":
        return Finding(Verdict.UNDECIDED, "Docker is removing it")
    if now.status == "dead" and before.status != "dead":
        return change.doubt.once_settled(
            Verdict.FAILED,
            "Docker has begun to remove it and could not finish: it is dead, and partly still there. Remove "
            "it once more; Docker then says what is in the way",
        )
    killed = before.running and not now.running and change.ended
    if killed and argument(change.arguments, "force", bool):
        return change.doubt.once_settled(Verdict.PARTIAL, "it has ended since, and is still there")
    return change.doubt.once_settled(Verdict.NOT_APPLIED, "it is still there")


def _pause(change: _Change) -> Finding:
    before, now = change.before, change.now
    if now.paused:
        reason = "it was paused already" if before.paused else "it is paused now"
        return change.applied(reason, satisfied=True, ours=not before.paused)
    if before.running and (change.ended or change.started):
        return change.doubt.once_settled(
            Verdict.UNKNOWABLE, "it has ended since: nothing tells whether it was paused before"
        )
    return change.doubt.once_settled(Verdict.NOT_APPLIED, "it is not paused")


def _unpause(change: _Change) -> Finding:
    before, now = change.before, change.now
    if before.paused and (change.ended or change.started):
        return change.doubt.once_settled(
            Verdict.UNKNOWABLE, "it has ended since: nothing tells whether it went on before"
        )
    if now.up:
        reason = "it goes on now" if before.paused else "it was not paused"
        return change.applied(reason, satisfied=True, ours=before.paused)
    return change.doubt.once_settled(
        Verdict.NOT_APPLIED, "it is still paused" if now.paused else "it does not run"
    )


def _verify_limits(doubt: Doubt) -> Finding:
    before = msgspec.convert(doubt.pre_image, Snapshot)
    if doubt.now is None:
        return _gone(before)
    change = _Change(doubt, before, snapshot_of(doubt.now))
    wish = limits_of(doubt.arguments)
    if "MemorySwap" in wish and doubt.arguments.get("memory_swap") is None:
        del wish["MemorySwap"]  # a host without accounting of swap leaves it out
    had, has = _limits(section(doubt.pre_image, "limits"), wish), _limits(limits_in(doubt.now), wish)
    if has == wish:
        reason = "it had these limits already" if had == wish else "it has these limits now"
        return change.applied(reason, satisfied=True, ours=had != wish)
    if has == had:
        return change.doubt.once_settled(Verdict.NOT_APPLIED, "it has the limits that it had")
    return change.doubt.once_settled(
        Verdict.UNKNOWABLE,
        "it has other limits now: somebody has changed them, and nothing tells what was before",
    )


def _limits(limits: Mapping[str, object], wish: Mapping[str, object]) -> dict[str, object]:
    """Those of the wish, where Docker has several words for none."""
    return {key: limits.get(key) or type(value)() for key, value in wish.items()}


def limits_in(record: Record) -> dict[str, object]:
    """All limits that Docker tells of a container."""
    host = section(record, "HostConfig")
    return {name: host.get(name) for name in _LIMITS}


_LIMITS = (
    "Memory",
    "MemorySwap",
    "MemoryReservation",
    "NanoCpus",
    "CpuShares",
    "CpusetCpus",
    "PidsLimit",
    "RestartPolicy",
)


def _limits_pre_image(record: Record) -> PreImage:
    return {**_pre_image(record), "limits": limits_in(record)}


def _gone(before: Snapshot) -> Finding:
    """A container of which something is wanted is no more."""
    return Finding(
        Verdict.UNKNOWABLE,
        f"container {before.name} has been removed since: nothing tells what happened before",
    )


def _gone_when_stopped(before: Snapshot) -> Finding:
    if before.removes_itself:
        return _applied(before, "it has ended since, and removed itself", satisfied=True, ours=False)
    return _gone(before)


def _removed(before: Snapshot) -> Finding:
    return _applied(before, "it is gone", satisfied=True, ours=not before.removes_itself)


def _applied(
    before: Snapshot, reason: str, *, satisfied: bool, ours: bool, state: object = None, **more: object
) -> Finding:
    response = {"container": before.name, "id": before.id, "state": state, **more}
    return applied(reason, response, satisfied=satisfied, ours=ours)


def _pre_image(record: Record) -> PreImage:
    return msgspec.structs.asdict(snapshot_of(record))


def _by(
    there: Callable[[_Change], Finding], gone: Callable[[Snapshot], Finding]
) -> Callable[[Doubt], Finding]:
    """A verifier's judgement, from those of a container that is there and of one that is gone."""

    def verify(doubt: Doubt) -> Finding:
        before = msgspec.convert(doubt.pre_image, Snapshot)
        if doubt.now is None:
            return gone(before)
        return there(_Change(doubt, before, snapshot_of(doubt.now)))

    return verify


def _signal(arguments: Mapping[str, object]) -> str:
    return argument(arguments, "signal", str)


def _verify_kill(doubt: Doubt) -> Finding:
    signal = _signal(doubt.arguments)
    if signal not in (*_KILL, *_TERMINATE):
        return Finding(Verdict.UNKNOWABLE, f"what {signal} does to a container leaves no trace in Docker")
    return _by(_kill, _gone_when_stopped)(doubt)


def _after_the_grace(arguments: Arguments, pre_image: PreImage) -> float:
    grace = arguments.get("grace_seconds")
    if grace is None:
        grace = msgspec.convert(pre_image, Snapshot).grace_seconds
    return msgspec.convert(grace, int) + SETTLE_SECONDS


async def container_by_id(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """The container that was there before: ids are never given twice."""
    container_id = argument(sought.pre_image, "id", str)
    return await if_there(resolve(docker, container_id, timeout_seconds))


VERIFIERS = {
    "container_start": Verifier(_pre_image, _by(_start, _gone), at_once, container_by_id),
    "container_stop": Verifier(_pre_image, _by(_stop, _gone_when_stopped), _after_the_grace, container_by_id),
    "container_restart": Verifier(
        _pre_image, _by(_restart, _gone), _after_the_grace, container_by_id, resume=container_start
    ),
    "container_kill": Verifier(_pre_image, _verify_kill, at_once, container_by_id),
    "container_rename": Verifier(_pre_image, _by(_rename, _gone), at_once, container_by_id),
    "container_pause": Verifier(_pre_image, _by(_pause, _gone), at_once, container_by_id),
    "container_unpause": Verifier(_pre_image, _by(_unpause, _gone), at_once, container_by_id),
    "container_set_limits": Verifier(_limits_pre_image, _verify_limits, at_once, container_by_id),
    "container_remove": Verifier(
        *(_pre_image, _by(_remove, _removed), at_once, container_by_id),
        resume=container_remove,
        in_time=True,
    ),
}
