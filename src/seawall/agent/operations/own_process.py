"""The process of the agent itself, which ends and is started anew when the controller wants it."""

from __future__ import annotations

import asyncio

from seawall.agent.docker import Docker
from seawall.agent.operations.runner import Execution, Runner, Target
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    Sought,
    Verdict,
    Verifier,
    applied,
    at_once,
    nothing_before,
)
from seawall.clock import Clock
from seawall.operations.system import SYSTEM_RESTART_AGENT


class OwnProcess:
    """One life of an agent. `leaving` is set once it is to end and to be followed by another.

    The command that wants it stays STARTED in the ledger, under the name of this life; the next one, which has another
    name, finds it there and tells that it has happened.
    """

    def __init__(self, clock: Clock, version: str) -> None:
        self.leaving = asyncio.Event()
        self._name = clock.new_id()
        self._version = version

    @property
    def runners(self) -> dict[str, Runner]:
        """What can only be done by an agent that can be started anew."""
        return {SYSTEM_RESTART_AGENT.name: self._leave}

    @property
    def verifiers(self) -> dict[str, Verifier]:
        """How the next life knows that this one has ended."""
        return {
            SYSTEM_RESTART_AGENT.name: Verifier(
                nothing_before, self._verify, at_once, find=_nothing_of_docker
            )
        }

    async def _leave(self, execution: Execution) -> object:
        if execution.journal is None:
            raise ValueError("a change was begun without its journal")
        await execution.journal.record(self._name)
        self.leaving.set()
        # This work ends as it would with the process, without an answer; nobody should wait for it meanwhile.
        raise asyncio.CancelledError

    def _verify(self, doubt: Doubt) -> Finding:
        if doubt.step is None:
            return Finding(Verdict.NOT_APPLIED, "the agent had not begun to end")
        if doubt.step == self._name:
            return Finding(Verdict.UNDECIDED, "the agent is about to end")
        response = {"restarted": True, "version": self._version}
        return applied("another process of the agent is there", response, satisfied=True, ours=True)


async def _nothing_of_docker(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    return None
