"""The host itself: is it there, and what is it."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.operation import Lane, Operation, Role

PING = Operation(
    "ping",
    "Cross the agent's worker and come back; Docker is not asked.",
    SafetyClass.SAFE_READ,
    lane=Lane.CONTROL,
    role=Role.VIEWER,
    timeout_seconds=10.0,
    touches_docker=False,
)
SYSTEM_INFO = Operation(
    "system_info",
    "What the host and its Docker Engine are.",
    SafetyClass.SAFE_READ,
    role=Role.VIEWER,
)

OPERATIONS = (PING, SYSTEM_INFO)
