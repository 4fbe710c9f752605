"""Exit codes, and the problems that end a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seawall.client.errors import ClientError, ContextError, Unreachable
from seawall.core.command import CommandState

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3
"""Rejected, expired or cancelled: it provably never started."""
UNKNOWN = 4
"""It may have happened."""
INTERRUPTED = 130
"""Ctrl-C, as shells count it."""
_LARGEST = 255

_BY_STATE = {
    CommandState.SUCCEEDED: DONE,
    CommandState.FAILED: FAILED,
    CommandState.REJECTED: REFUSED,
    CommandState.EXPIRED: REFUSED,
    CommandState.CANCELLED: REFUSED,
    CommandState.UNKNOWN: UNKNOWN,
}
# UNKNOWN is the worst: any other code promises that no host's outcome is in doubt, so a script that repeats what
# failed can't repeat what may have happened. A failure had its try; what was refused has harmed nobody.
_WORST_FIRST = (UNKNOWN, FAILED, USAGE, REFUSED, DONE)
_MISTAKES = frozenset({400, 404, 405, 413, 422})
_SERVER_ERROR = 500
_UNAVAILABLE = 503


class CliProblem(Exception):
    """The call ends here. The message says what happened and what to do."""

    exit_code = FAILED


class UsageProblem(CliProblem):
    """What was typed can't be meant."""

    exit_code = USAGE


class Interrupted(CliProblem):
    """Ctrl-C."""

    exit_code = INTERRUPTED


def code_of_state(state: CommandState) -> int:
    """The exit code of a command; one that isn't over yet was accepted, and nothing more was asked."""
    return _BY_STATE.get(state, DONE)


def code_of_process(response: object) -> int:
    """The exit code of a program that ran in a container, as its host tells it; FAILED where nobody knows it."""
    code = response.get("exit_code") if isinstance(response, Mapping) else None
    return min(code, _LARGEST) if isinstance(code, int) else FAILED


def code_of_error(error: ClientError | Unreachable | ContextError, *, submitting: bool = False) -> int:
    """The exit code of a request that brought no record; `submitting` says that it may have made a command."""
    match error:
        case ContextError():
            return USAGE
        case Unreachable():
            return UNKNOWN if submitting and error.may_have_arrived else FAILED
        case ClientError(status=status) if status in _MISTAKES:
            return USAGE
        case ClientError(status=status) if status < _SERVER_ERROR:
            # An answer of success that can't be read came after the command was taken.
            return REFUSED if status >= 300 else UNKNOWN if submitting else FAILED
        case _:
            return UNKNOWN if submitting else FAILED


def worst(codes: Iterable[int]) -> int:
    """The one exit code of many hosts."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), DONE)
