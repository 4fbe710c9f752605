"""Creations in doubt, and what has to be found out: the same on the fake Docker Engine and on a real one."""

from __future__ import annotations

from dataclasses import dataclass, field

from seawall.agent.docker import Docker
from seawall.agent.operations.registry import RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution
from seawall.agent.operations.verification import Doubt, Sought, Verdict
from seawall.operations.container_spec import specification
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS
from tests.agent.doubts import SECONDS, Happening, nothing, removes, starts, stops


class Steps:
    """A journal in memory."""

    def __init__(self) -> None:
        self.step: str | None = None

    async def record(self, step: str) -> None:
        self.step = step


@dataclass(frozen=True)
class Creation:
    """How far a creation comes ("nothing", "created", "recorded", "done"), what somebody does, what is found out."""

    operation: str
    comes: str
    verdict: Verdict
    response: tuple[bool, str] | None = None
    somebody: Happening = nothing
    arguments: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join((self.operation, self.comes, self.somebody.__name__, *self.arguments))


_create, _run = "container_create", "container_run"
_ours, _undone = (True, "seawall"), (False, "seawall")

CREATIONS = [
    Creation(_create, "nothing", Verdict.NOT_APPLIED),
    Creation(_create, "created", Verdict.APPLIED, _ours),
    Creation(_create, "recorded", Verdict.APPLIED, _ours),
    Creation(_create, "done", Verdict.APPLIED, _ours),
    Creation(_create, "done", Verdict.APPLIED, _ours, somebody=starts),
    Creation(_create, "done", Verdict.APPLIED, _undone, somebody=removes),
    Creation(_create, "recorded", Verdict.APPLIED, _undone, somebody=removes),
    Creation(_create, "created", Verdict.PARTIAL, arguments={"networks": ["inner", "outer"]}),
    Creation(_create, "done", Verdict.APPLIED, _ours, arguments={"networks": ["inner", "outer"]}),
    Creation(_run, "nothing", Verdict.NOT_APPLIED),
    Creation(_run, "created", Verdict.PARTIAL),
    Creation(_run, "recorded", Verdict.PARTIAL),
    Creation(_run, "done", Verdict.APPLIED, _ours),
    Creation(_run, "done", Verdict.APPLIED, _undone, somebody=stops),
    Creation(_run, "recorded", Verdict.APPLIED, _ours, somebody=starts),
    Creation(_run, "recorded", Verdict.UNKNOWABLE, somebody=removes),
    Creation(_run, "done", Verdict.APPLIED, _undone, somebody=removes),
    Creation(_run, "done", Verdict.APPLIED, _undone, somebody=stops, arguments={"auto_remove": True}),
]


async def find_out_creations(docker: Docker, cases: list[Creation]) -> list[str]:
    """Let it all happen; what is found out wrongly. The networks "inner" and "outer" are made where they are needed."""
    if any("networks" in case.arguments for case in cases):
        for network in ("inner", "outer"):
            await docker.network_create(
                spec={"Name": network, "Internal": True, "CheckDuplicate": True}, timeout_seconds=SECONDS
            )
    wrong = []
    for number, case in enumerate(cases):
        found = await _find_out(docker, case, number)
        if found != (case.verdict, case.response):
            wrong.append(f"{case}: {found} instead of {(case.verdict, case.response)}")
    return wrong


async def _find_out(
    docker: Docker, case: Creation, number: int
) -> tuple[Verdict, tuple[object, object] | None]:
    given: dict[str, object] = {"image": "busybox:latest", "command": ["sleep", "600"], **case.arguments}
    given |= {"name": f"made-{number}"} | ({} if "networks" in case.arguments else {"network_mode": "none"})
    arguments = check_arguments(OPERATIONS[case.operation], given)
    journal, command_id, verifier = Steps(), f"creation-{number}", VERIFIERS[case.operation]
    execution = Execution(
        docker, command_id, arguments, SECONDS, lambda text, detail=None: None, None, journal
    )
    if case.comes == "done":
        await RUNNERS[case.operation](execution)
    elif case.comes != "nothing":
        body = specification(arguments, command_id).body
        created = await docker.container_create(name=f"made-{number}", spec=body, timeout_seconds=SECONDS)
        if case.comes == "recorded":
            await journal.record(f"created {created}")
    if case.somebody is not nothing:
        await case.somebody(docker, f"made-{number}")
    sought = Sought(command_id, arguments, {}, journal.step)
    target = await verifier.find(docker, sought, SECONDS)
    now = target.record if target is not None else None
    finding = verifier.verify(Doubt(arguments, {}, now, settled=True, step=journal.step))
    if not isinstance(finding.response, dict):
        return finding.verdict, None
    return finding.verdict, (finding.response["state_satisfied"], finding.response["attributed"])
