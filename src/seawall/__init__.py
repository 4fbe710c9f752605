"""Seawall: commands to fleets of Docker hosts that end in the truth.

`Seawall` and `SyncSeawall` are the client: the operations of a controller's fleet, on one host or on many. They are
loaded when they are first asked for, and need `seawall[client]`.

The rest is the embedded engine's API. An `AgentCommandExecutor` sends commands over a program's own connections,
retries what is transient, fences off sick agents, and says of every failure what kind it was.
"""

import typing

from seawall.core.breaker import CircuitState
from seawall.core.command import CommandResult, CommandStatus
from seawall.core.errors import CommandErrorCode
from seawall.core.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from seawall.engine.circuits import CIRCUIT_BREAKER_CONFIG, CircuitBreaker
from seawall.engine.executor import AgentCommandExecutor, default_subscribers
from seawall.telemetry.log import log_event

if typing.TYPE_CHECKING:
    from seawall.client.fleet import Seawall
    from seawall.client.sync_fleet import SyncSeawall

__version__ = "0.1.0"

__all__ = [
    "CIRCUIT_BREAKER_CONFIG",
    "DEFAULT_RETRY_POLICY",
    "AgentCommandExecutor",
    "CircuitBreaker",
    "CircuitState",
    "CommandErrorCode",
    "CommandResult",
    "CommandStatus",
    "RetryPolicy",
    "Seawall",
    "SyncSeawall",
    "__version__",
]

default_subscribers.append(log_event)
del default_subscribers, log_event


def __getattr__(name: str) -> object:
    # A program that embeds the engine has no HTTP client, and shouldn't wait for one.
    if name == "Seawall":
        from seawall.client.fleet import Seawall

        return Seawall
    if name == "SyncSeawall":
        from seawall.client.sync_fleet import SyncSeawall

        return SyncSeawall
    raise AttributeError(f"module 'seawall' has no attribute {name!r}")
