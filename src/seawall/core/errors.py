"""What can go wrong with an attempt, and the one table that says what follows from it.

Whether an error may be retried, what it tells a circuit and whether the operation may have had an effect are
never decided anywhere else: everything reads `verdict`.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class CommandErrorCode(Enum):
    """Why a command or an attempt failed. The value is what programs, metrics and logs see."""

    NETWORK_ERROR = "network_error"
    AGENT_DISCONNECTED = "agent_disconnected"
    AGENT_NOT_CONNECTED = "agent_not_connected"
    TIMEOUT = "timeout"
    PERMISSION_DENIED = "permission_denied"
    DOCKER_ERROR = "docker_error"
    AGENT_ERROR = "agent_error"
    INVALID_RESPONSE = "invalid_response"
    CIRCUIT_OPEN = "circuit_open"
    UNKNOWN_ERROR = "unknown_error"
    BULKHEAD_FULL = "bulkhead_full"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    OUTCOME_UNKNOWN = "outcome_unknown"
    UNSUPPORTED_OPERATION = "unsupported_operation"
    INVALID_ARGUMENT = "invalid_argument"
    UPLOAD_MISSING = "upload_missing"


class Circumstance(Enum):
    """What is known beside the code, where the same code calls for different verdicts."""

    NONE = "none"
    NOT_SENT = "not_sent"
    """The attempt provably never left this process."""
    SILENT = "silent"
    """It was sent, and nothing at all was heard from the agent since."""
    HEARD = "heard"
    """It was sent, and the agent's heartbeats went on arriving."""
    DOCKER_REFUSED = "docker_refused"
    """The Docker Engine answered, and its answer is about this request: nothing was done (4xx)."""
    DOCKER_ERRED = "docker_erred"
    """The Docker Engine answered a change with 500: it may have done it, or part of it, all the same."""
    DOCKER_UNREACHABLE = "docker_unreachable"
    """No connection to the Docker Engine could be made, so it provably did nothing."""
    DOCKER_FAILED = "docker_failed"
    """The Docker Engine answered 5xx, or the connection to it broke during the call."""
    SAME_DISCONNECT = "same_disconnect"
    """One of several attempts that one lost connection took with it; the circuit has counted it already."""
    REGISTRY_UNREACHABLE = "registry_unreachable"
    """The image's registry can't be reached from the host, answered 5xx (nothing has changed), or not in time."""
    DOCKER_SILENT = "docker_silent"
    """The Docker Engine did not answer the agent in time."""
    NOT_APPLIED = "not_applied"
    """The agent has verified that the operation had no effect."""


class CircuitVerdict(Enum):
    """What an outcome tells a circuit. NEUTRAL gives the permit back and counts nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


class RetryRule(Enum):
    """Whether another attempt of the same command may follow."""

    YES = "yes"
    ONCE = "once"
    WHEN_CONNECTED = "when_connected"
    NO = "no"


class Verdict(Struct, frozen=True):
    """One row of the table.

    `agent`, `docker` and `registry` are what the circuits of these failure domains learn; `safe` and `unsafe` are the
    retry rules for operations that may and may not be repeated; `may_have_run` says that the effect can't be ruled out.
    """

    agent: CircuitVerdict
    docker: CircuitVerdict
    safe: RetryRule
    unsafe: RetryRule
    may_have_run: bool = False
    registry: CircuitVerdict = CircuitVerdict.NEUTRAL


SUCCESS = Verdict(
    CircuitVerdict.SUCCESS,
    CircuitVerdict.SUCCESS,
    RetryRule.NO,
    RetryRule.NO,
    registry=CircuitVerdict.SUCCESS,
)

_code = CommandErrorCode
_when = Circumstance
_good, _bad, _neutral = CircuitVerdict.SUCCESS, CircuitVerdict.FAILURE, CircuitVerdict.NEUTRAL
_yes, _once, _connected, _no = RetryRule.YES, RetryRule.ONCE, RetryRule.WHEN_CONNECTED, RetryRule.NO

# A row for (code, NONE) answers for every circumstance of that code without a row of its own.
_TABLE: dict[tuple[CommandErrorCode, Circumstance], Verdict] = {
    (_code.NETWORK_ERROR, _when.NOT_SENT): Verdict(_bad, _neutral, _yes, _yes),
    (_code.NETWORK_ERROR, _when.NONE): Verdict(_bad, _neutral, _yes, _no, may_have_run=True),
    (_code.AGENT_NOT_CONNECTED, _when.NONE): Verdict(_neutral, _neutral, _connected, _connected),
    (_code.AGENT_DISCONNECTED, _when.NONE): Verdict(_bad, _neutral, _connected, _no, may_have_run=True),
    (_code.AGENT_DISCONNECTED, _when.SAME_DISCONNECT): Verdict(
        _neutral, _neutral, _connected, _no, may_have_run=True
    ),
    (_code.TIMEOUT, _when.NONE): Verdict(_bad, _neutral, _yes, _no, may_have_run=True),
    (_code.TIMEOUT, _when.NOT_SENT): Verdict(_bad, _neutral, _yes, _yes),
    (_code.TIMEOUT, _when.HEARD): Verdict(_neutral, _neutral, _yes, _no, may_have_run=True),
    (_code.TIMEOUT, _when.DOCKER_SILENT): Verdict(_good, _bad, _yes, _no, may_have_run=True),
    (_code.TIMEOUT, _when.REGISTRY_UNREACHABLE): Verdict(
        _good, _neutral, _yes, _no, may_have_run=True, registry=_bad
    ),
    (_code.PERMISSION_DENIED, _when.NONE): Verdict(_good, _neutral, _no, _no),
    (_code.AGENT_ERROR, _when.NONE): Verdict(_good, _neutral, _no, _no),
    (_code.AGENT_ERROR, _when.NOT_APPLIED): Verdict(_good, _neutral, _yes, _yes),
    (_code.DOCKER_ERROR, _when.NONE): Verdict(_good, _good, _no, _no),
    (_code.DOCKER_ERROR, _when.DOCKER_ERRED): Verdict(_good, _good, _no, _no, may_have_run=True),
    (_code.DOCKER_ERROR, _when.DOCKER_UNREACHABLE): Verdict(_good, _bad, _yes, _yes),
    (_code.DOCKER_ERROR, _when.DOCKER_FAILED): Verdict(_good, _bad, _yes, _no, may_have_run=True),
    (_code.DOCKER_ERROR, _when.REGISTRY_UNREACHABLE): Verdict(_good, _good, _yes, _yes, registry=_bad),
    (_code.DOCKER_ERROR, _when.NOT_APPLIED): Verdict(_good, _bad, _yes, _yes),
    (_code.INVALID_RESPONSE, _when.NONE): Verdict(_bad, _neutral, _no, _no, may_have_run=True),
    (_code.UNKNOWN_ERROR, _when.NONE): Verdict(_bad, _neutral, _once, _no, may_have_run=True),
    (_code.CIRCUIT_OPEN, _when.NONE): Verdict(_neutral, _neutral, _no, _no),
    (_code.BULKHEAD_FULL, _when.NONE): Verdict(_neutral, _neutral, _no, _no),
    (_code.DEADLINE_EXCEEDED, _when.NONE): Verdict(_neutral, _neutral, _no, _no),
    (_code.CANCELLED, _when.NONE): Verdict(_neutral, _neutral, _no, _no),
    (_code.CANCELLED, _when.HEARD): Verdict(_neutral, _neutral, _no, _no, may_have_run=True),
    (_code.OUTCOME_UNKNOWN, _when.NONE): Verdict(_neutral, _neutral, _no, _no, may_have_run=True),
    (_code.UNSUPPORTED_OPERATION, _when.NONE): Verdict(_good, _neutral, _no, _no),
    (_code.INVALID_ARGUMENT, _when.NONE): Verdict(_good, _neutral, _no, _no),
    (_code.UPLOAD_MISSING, _when.NONE): Verdict(_good, _neutral, _no, _no),
}

# Spelled out once, so that the hot path is a single look-up.
_VERDICTS = {
    (code, when): _TABLE.get((code, when), _TABLE[code, Circumstance.NONE])
    for code in CommandErrorCode
    for when in Circumstance
}

RETRYABLE_CODES = frozenset(code for (code, _), row in _TABLE.items() if row.safe is not RetryRule.NO) - {
    CommandErrorCode.AGENT_ERROR,
    CommandErrorCode.DOCKER_ERROR,
}
"""Codes that stand for a passing fault whatever its circumstance. Most causes of the two that are left out last."""

ENDS_THE_LOOP = frozenset(
    {
        CommandErrorCode.CIRCUIT_OPEN,
        CommandErrorCode.BULKHEAD_FULL,
        CommandErrorCode.DEADLINE_EXCEEDED,
        CommandErrorCode.CANCELLED,
    }
)
"""Met in mid-loop these stop the retries, whatever a policy lists."""


def verdict(code: CommandErrorCode | None, circumstance: Circumstance = Circumstance.NONE) -> Verdict:
    """The row for an outcome; `code=None` is a success."""
    return SUCCESS if code is None else _VERDICTS[code, circumstance]


def by_fault_of_its_host(code: CommandErrorCode, circumstance: Circumstance) -> bool:
    """Whether a failure has another reason than that nobody may or can do what was asked for."""
    ruling = verdict(code, circumstance)
    failure = CircuitVerdict.FAILURE in (ruling.agent, ruling.docker, ruling.registry)
    return failure or code in RETRYABLE_CODES
