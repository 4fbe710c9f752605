"""Which coroutine performs which operation."""

from __future__ import annotations

from seawall.agent.operations import containers, system
from seawall.agent.operations.runner import Runner

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
