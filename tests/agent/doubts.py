"""Changes in doubt, and what has to be found out: the same on the fake Docker Engine and on a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.containers import resolve
from seawall.agent.operations.registry import RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution, Target
from seawall.agent.operations.verification import Doubt, Finding, Verdict
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS

SECONDS = 20.0
_AGAIN_SECONDS = 0.05


class Host(Protocol):
    """An Engine whose containers ignore SIGTERM, and which ends them when it starts again."""

    @property
    def docker(self) -> Docker:
        """The Engine as the agent sees it."""

    def create(self, name: str, *, restart_policy: str, removes_itself: bool) -> None:
        """A container that has never run."""

    async def bounce(self) -> None:
        """Kill the daemon, and start it again."""


Happening = Callable[[Docker, str], Awaitable[None]]


async def nothing(docker: Docker, container: str) -> None:
    """The call never arrived."""


async def starts(docker: Docker, container: str) -> None:
    await docker.container_start(container, timeout_seconds=SECONDS)


async def stops(docker: Docker, container: str) -> None:
    await docker.container_stop(container, grace_seconds=0, timeout_seconds=SECONDS)


async def restarts(docker: Docker, container: str) -> None:
    await docker.container_restart(container, grace_seconds=0, timeout_seconds=SECONDS)


async def starts_and_stops(docker: Docker, container: str) -> None:
    await starts(docker, container)
    await stops(docker, container)


async def renames(docker: Docker, container: str) -> None:
    await docker.container_rename(container, name=f"other-{container[:12]}", timeout_seconds=SECONDS)


async def removes(docker: Docker, container: str) -> None:
    await docker.container_remove(container, force=True, volumes=False, timeout_seconds=SECONDS)


async def pauses(docker: Docker, container: str) -> None:
    await docker.container_pause(container, timeout_seconds=SECONDS)


async def unpauses(docker: Docker, container: str) -> None:
    await docker.container_unpause(container, timeout_seconds=SECONDS)


async def kills_paused(docker: Docker, container: str) -> None:
    await docker.container_kill(container, signal="SIGKILL", timeout_seconds=SECONDS)


async def limits(docker: Docker, container: str) -> None:
    changes = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 7}}
    await docker.container_configure(container, changes=changes, timeout_seconds=SECONDS)


@dataclass(frozen=True)
class Case:
    """What is asked of which container, what happens, and what is to be found out of it.

    `somebody` is what another client does; `done` says that the change was carried out before. `response` is
    (state_satisfied, attributed).
    """

    operation: str
    running: bool
    verdict: Verdict
    response: tuple[bool, str] | None = None
    done: bool = False
    somebody: Happening = nothing
    bounced: bool = False
    arguments: dict[str, object] = field(default_factory=dict)
    restart_policy: str = "no"
    removes_itself: bool = False
    paused: bool = False

    def __str__(self) -> str:
        words = [self.operation, "running" if self.running else "idle", *map(str, self.arguments.values())]
        words += ["done"] if self.done else []
        words += [self.somebody.__name__, *(["bounced"] if self.bounced else [])]
        words += [self.restart_policy] if self.restart_policy != "no" else []
        words += ["paused"] if self.paused else []
        return "-".join(words) + ("-auto" if self.removes_itself else "")


_start, _stop, _restart, _kill = "container_start", "container_stop", "container_restart", "container_kill"
_rename, _remove = "container_rename", "container_remove"
_pause, _unpause, _limit = "container_pause", "container_unpause", "container_set_limits"
_applied, _not_applied, _partial, _unknowable = (
    Verdict.APPLIED,
    Verdict.NOT_APPLIED,
    Verdict.PARTIAL,
    Verdict.UNKNOWABLE,
)
_ours, _unknown, _undone = (True, "seawall"), (True, "unknown"), (False, "seawall")
_now: dict[str, object] = {"grace_seconds": 0}
_term: dict[str, object] = {"signal": "SIGTERM"}
_force: dict[str, object] = {"force": True}
_keep: dict[str, object] = {"restart": "on-failure:3"}
_never: dict[str, object] = {"restart": "no"}

CASES = [
    Case(_start, False, _not_applied),
    Case(_start, False, _applied, _ours, done=True),
    Case(_start, False, _applied, _undone, somebody=starts_and_stops),
    Case(_start, False, _applied, _unknown, done=True, restart_policy="always"),
    Case(_start, False, _not_applied, bounced=True),
    Case(_start, False, _unknowable, somebody=removes),
    Case(_start, True, _applied, _unknown),
    Case(_start, True, _applied, _unknown, somebody=restarts),
    Case(_start, True, _not_applied, bounced=True),
    Case(_stop, True, _not_applied, arguments=_now),
    Case(_stop, True, _applied, _unknown, done=True, arguments=_now),
    Case(_stop, True, _unknowable, somebody=restarts, arguments=_now),
    Case(_stop, True, _unknowable, done=True, somebody=starts, arguments=_now),
    Case(_stop, True, _applied, _unknown, bounced=True, arguments=_now),
    Case(_stop, True, _unknowable, bounced=True, arguments=_now, restart_policy="always"),
    Case(_stop, True, _unknowable, somebody=removes, arguments=_now),
    Case(_stop, True, _applied, _unknown, done=True, arguments=_now, removes_itself=True),
    Case(_stop, False, _applied, _unknown, arguments=_now),
    Case(_stop, False, _not_applied, somebody=starts, arguments=_now),
    Case(_restart, True, _not_applied, arguments=_now),
    Case(_restart, True, _applied, _ours, done=True, arguments=_now),
    Case(_restart, True, _partial, somebody=stops, arguments=_now),
    Case(_restart, True, _partial, bounced=True, arguments=_now),
    Case(_restart, True, _applied, _unknown, bounced=True, arguments=_now, restart_policy="always"),
    Case(_restart, True, _unknowable, somebody=removes, arguments=_now),
    Case(_restart, False, _not_applied, arguments=_now),
    Case(_restart, False, _applied, _ours, done=True, arguments=_now),
    Case(_kill, True, _not_applied),
    Case(_kill, True, _applied, _unknown, done=True),
    Case(_kill, True, _applied, _unknown, done=True, restart_policy="always"),
    Case(_kill, True, _applied, _unknown, bounced=True),
    Case(_kill, True, _unknowable, somebody=restarts),
    Case(_kill, True, _applied, _unknown, done=True, removes_itself=True),
    Case(_kill, True, _unknowable, somebody=removes),
    Case(_kill, False, _not_applied),
    Case(_kill, False, _applied, _unknown, somebody=starts_and_stops),
    Case(_kill, True, _unknowable, arguments=_term),
    Case(_kill, True, _unknowable, done=True, arguments=_term),
    Case(_kill, True, _applied, _unknown, somebody=stops, arguments=_term),
    Case(_kill, False, _not_applied, arguments=_term),
    Case(_kill, False, _unknowable, somebody=starts, arguments=_term),
    Case(_kill, True, _unknowable, somebody=stops, arguments={"signal": "SIGHUP"}),
    Case(_rename, False, _not_applied),
    Case(_rename, False, _applied, _ours, done=True),
    Case(_rename, True, _applied, _ours, done=True, bounced=True),
    Case(_rename, True, _not_applied, bounced=True),
    Case(_rename, False, _unknowable, somebody=renames),
    Case(_rename, False, _unknowable, somebody=removes),
    Case(_remove, False, _not_applied),
    Case(_remove, False, _applied, _ours, done=True),
    Case(_remove, False, _not_applied, bounced=True),
    Case(_remove, True, _not_applied, arguments=_force),
    Case(_remove, True, _applied, _ours, done=True, arguments=_force),
    Case(_remove, True, _partial, bounced=True, arguments=_force),
    Case(_remove, True, _partial, somebody=stops, arguments=_force),
    Case(_remove, True, _applied, _unknown, somebody=stops, removes_itself=True),
    Case(_pause, True, _not_applied),
    Case(_pause, True, _applied, _ours, done=True),
    Case(_pause, True, _applied, _unknown, paused=True),
    Case(_pause, True, _not_applied, done=True, somebody=unpauses),
    Case(_pause, True, _unknowable, done=True, somebody=kills_paused),
    Case(_pause, True, _unknowable, somebody=restarts),
    Case(_pause, True, _unknowable, bounced=True),
    Case(_pause, True, _unknowable, somebody=removes),
    Case(_pause, False, _not_applied),
    Case(_unpause, True, _not_applied, paused=True),
    Case(_unpause, True, _applied, _ours, done=True, paused=True),
    Case(_unpause, True, _applied, _unknown),
    Case(_unpause, True, _unknowable, paused=True, somebody=kills_paused),
    Case(_unpause, True, _unknowable, paused=True, bounced=True),
    Case(_unpause, False, _not_applied),
    Case(_limit, True, _not_applied, arguments=_keep),
    Case(_limit, True, _applied, _ours, done=True, arguments=_keep),
    Case(_limit, False, _applied, _ours, done=True, arguments=_keep),
    Case(_limit, False, _applied, _unknown, arguments=_never),
    Case(_limit, True, _unknowable, somebody=limits, arguments=_keep),
    Case(_limit, True, _not_applied, bounced=True, arguments=_keep),
    Case(_limit, False, _unknowable, somebody=removes, arguments=_keep),
]


async def find_out(host: Host, cases: list[Case]) -> list[str]:
    """Let it all happen, the daemon dying once for all of them; what is found out wrongly."""
    executions = [await _begin(host, case, f"container-{number}") for number, case in enumerate(cases)]
    images = [_pre_image(case, execution) for case, execution in zip(cases, executions, strict=True)]
    for case, execution in zip(cases, executions, strict=True):
        if case.done:
            await RUNNERS[case.operation](execution)
        await case.somebody(host.docker, _target(execution).object_id)
    if any(case.bounced for case in cases):
        await host.bounce()
    wrong: list[str] = []
    for case, execution, image in zip(cases, executions, images, strict=True):
        finding = await _verify(case, execution, image)
        found, expected = _summary(finding), (case.verdict, case.response)
        if found != expected:
            wrong.append(f"{case}: {found} instead of {expected} ({finding.reason})")
    return wrong


async def _begin(host: Host, case: Case, name: str) -> Execution:
    host.create(name, restart_policy=case.restart_policy, removes_itself=case.removes_itself)
    if case.running:
        await starts(host.docker, name)
    if case.paused:
        await pauses(host.docker, name)
    given = {"container": name, **case.arguments}
    if case.operation == _rename:
        given["name"] = f"{name}-new"
    arguments = check_arguments(OPERATIONS[case.operation], given)
    target = await resolve(host.docker, name, SECONDS)
    return Execution(host.docker, "command", arguments, SECONDS, lambda text: None, target)


def _pre_image(case: Case, execution: Execution) -> dict[str, object]:
    """As it comes back from the ledger."""
    image = VERIFIERS[case.operation].pre_image(_target(execution).record)
    return msgspec.json.decode(msgspec.json.encode(image), type=dict[str, object])


async def _verify(case: Case, execution: Execution, image: dict[str, object]) -> Finding:
    """Ask again while it is undecided, as the agent does: Docker may still be removing the container."""
    last_moment = time.monotonic() + SECONDS
    while (finding := await _look(case, execution, image)).verdict is Verdict.UNDECIDED:
        if time.monotonic() > last_moment:
            break
        await asyncio.sleep(_AGAIN_SECONDS)
    return finding


async def _look(case: Case, execution: Execution, image: dict[str, object]) -> Finding:
    container_id = _target(execution).object_id
    try:
        now = await execution.docker.container_inspect(container_id, timeout_seconds=SECONDS)
    except DockerFailure as failure:
        if failure.status != 404:
            raise
        now = None
    return VERIFIERS[case.operation].verify(Doubt(execution.arguments, image, now, settled=True))


def _summary(finding: Finding) -> tuple[Verdict, tuple[object, object] | None]:
    response = finding.response
    if not isinstance(response, dict):
        return finding.verdict, None
    return finding.verdict, (response["state_satisfied"], response["attributed"])


def _target(execution: Execution) -> Target:
    assert execution.target is not None
    return execution.target
