"""What a fake Docker Engine has really done, and for which command."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import NamedTuple

import msgspec

from seawall.agent.operations.runner import Execution, Runner
from seawall.agent.operations.verification import Verifier
from seawall.clock import Clock
from seawall.testing.faults import Latency

executing: ContextVar[str] = ContextVar("executing", default="")
"""The command on whose behalf an Engine is asked. The agent doesn't set it: `traced` does."""


class Effect(NamedTuple):
    """One step of a change that was carried out.

    `step` is the verb: a restart has the two steps "stop" and "start", any other operation one. `changed=False` is a
    step that found everything as it should be. `at` is the clock's monotonic time.
    """

    operation: str
    step: str
    container_id: str
    command_id: str
    at: float
    changed: bool = True


class Work(NamedTuple):
    """What a daemon is doing for one call; `history` is where it writes what it has done."""

    history: list[Effect]
    clock: Clock
    operation: str
    command_id: str
    latency: Latency

    def done(self, step: str, container_id: str, *, changed: bool = True) -> None:
        """One more step is done."""
        self.history.append(
            Effect(self.operation, step, container_id, self.command_id, self.clock.now(), changed)
        )


def traced(runner: Runner) -> Runner:
    """The runner, with its command's id in `executing`."""

    async def run(execution: Execution) -> object:
        token = executing.set(execution.command_id)
        try:
            return await runner(execution)
        finally:
            executing.reset(token)

    return run


def traced_runners(runners: Mapping[str, Runner]) -> dict[str, Runner]:
    """All of them traced, for a worker in a test."""
    return {name: traced(runner) for name, runner in runners.items()}


def traced_verifiers(verifiers: Mapping[str, Verifier]) -> dict[str, Verifier]:
    """All of them, with what they resume traced."""
    return {
        name: msgspec.structs.replace(verifier, resume=traced(verifier.resume))
        if verifier.resume is not None
        else verifier
        for name, verifier in verifiers.items()
    }
