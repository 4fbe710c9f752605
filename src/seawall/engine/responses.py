"""What an agent's reply in the embedded API's dict form means."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.core.command import Outcome
from seawall.core.errors import CommandErrorCode

_ERROR_TYPES = {
    code.value: code
    for code in (
        CommandErrorCode.PERMISSION_DENIED,
        CommandErrorCode.DOCKER_ERROR,
        CommandErrorCode.INVALID_RESPONSE,
    )
}

_ABSENT = object()
"""Not None, which a reply may hold; and true, because a reply that doesn't mention `success` may be one."""


def read_response(reply: Mapping[str, object]) -> Outcome:
    """The outcome that a reply stands for.

    A failure is a reply with an `error`, or with `success` present and false; `error_type` names its code. A reply
    that has neither `success` nor `payload` is an INVALID_RESPONSE. Of a success, `payload` or else `data` is the
    response, or the whole reply if it has neither.
    """
    error = reply.get("error")
    success = reply.get("success", _ABSENT)
    payload = reply.get("payload", _ABSENT)
    if success is _ABSENT and payload is _ABSENT:
        text = str(error) if error else "Invalid response: it has neither 'success' nor 'payload'"
        return Outcome(CommandErrorCode.INVALID_RESPONSE, text, reply)
    if error or not success:
        code = _ERROR_TYPES.get(str(reply.get("error_type")), CommandErrorCode.AGENT_ERROR)
        return Outcome(
            code, str(error) if error else "The agent reported a failure and gave no reason", reply
        )
    if payload is not _ABSENT:
        return Outcome(response=payload)
    return Outcome(response=reply.get("data", reply))
