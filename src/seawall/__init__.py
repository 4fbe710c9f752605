"""Seawall: commands to fleets of Docker hosts that end in the truth.

This is the embedded engine's API. An `AgentCommandExecutor` sends commands over a program's own connections, retries
what is transient, fences off sick agents, and says of every failure what kind it was.
"""

from seawall.core.breaker import CircuitState
from seawall.core.command import CommandResult, CommandStatus
from seawall.core.errors import CommandErrorCode
from seawall.core.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from seawall.engine.circuits import CIRCUIT_BREAKER_CONFIG, CircuitBreaker
from seawall.engine.executor import AgentCommandExecutor, default_subscribers
from seawall.telemetry.log import log_event

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
    "__version__",
]

default_subscribers.append(log_event)
del default_subscribers, log_event
