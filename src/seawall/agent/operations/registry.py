"""Which coroutine performs which operation, and what verifies a change whose end is in doubt."""

from __future__ import annotations

from seawall.agent.operations import containers, system, verifiers
from seawall.agent.operations.runner import Runner
from seawall.agent.operations.verification import Verifier

RUNNERS: dict[str, Runner] = {
    "ping": system.ping,
    "system_info": system.system_info,
    "container_list": containers.container_list,
    "container_inspect": containers.container_inspect,
    "container_logs": containers.container_logs,
    "container_start": containers.container_start,
    "container_stop": containers.container_stop,
    "container_restart": containers.container_restart,
    "container_kill": containers.container_kill,
    "container_rename": containers.container_rename,
    "container_remove": containers.container_remove,
}

VERIFIERS: dict[str, Verifier] = {
    "container_start": verifiers.START,
    "container_stop": verifiers.STOP,
    "container_restart": verifiers.RESTART,
    "container_kill": verifiers.KILL,
    "container_rename": verifiers.RENAME,
    "container_remove": verifiers.REMOVE,
}
"""A change that has none is OPAQUE: once it may have begun, nothing on the host tells what became of it."""
