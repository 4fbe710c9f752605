"""The host itself: is it there, and what is it."""

from __future__ import annotations

from seawall.core.command import SafetyClass
from seawall.operations.operation import Lane, Operation, Role, StreamKind

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
SYSTEM_VERSION = Operation(
    "system_version",
    "The versions of the host's Docker Engine and of its parts.",
    SafetyClass.SAFE_READ,
    role=Role.VIEWER,
)
SYSTEM_DF = Operation(
    "system_df",
    "What takes the host's disk space: images, containers, volumes and the build cache.",
    SafetyClass.SAFE_READ,
    lane=Lane.BULK,
    role=Role.VIEWER,
    timeout_seconds=120.0,
)

SYSTEM_RESTART_AGENT = Operation(
    "system_restart_agent",
    "End the host's agent and start it anew; containers aren't touched.",
    SafetyClass.VERIFIABLE,
    lane=Lane.CONTROL,
    timeout_seconds=60.0,
    touches_docker=False,
)

SYSTEM_EVENTS = Operation(
    "system_events",
    "What happens in the Docker Engine from now on, after a list of how its containers are.",
    SafetyClass.SAFE_READ,
    role=Role.VIEWER,
    stream=StreamKind.LIVE,
    command=False,
)

OPERATIONS = (PING, SYSTEM_INFO, SYSTEM_VERSION, SYSTEM_DF, SYSTEM_RESTART_AGENT, SYSTEM_EVENTS)
