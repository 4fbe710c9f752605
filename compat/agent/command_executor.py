"""`agent.command_executor`, as programs know it: every name is Seawall's own, none is wrapped.

Put this directory's parent on `PYTHONPATH`, and `from agent.command_executor import AgentCommandExecutor` goes on
working. New programs import the same names from `seawall`.
"""

from seawall import (
    CIRCUIT_BREAKER_CONFIG,
    DEFAULT_RETRY_POLICY,
    AgentCommandExecutor,
    CircuitBreaker,
    CircuitState,
    CommandErrorCode,
    CommandResult,
    CommandStatus,
    RetryPolicy,
)

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
]
