"""From an outcome to what the wire and the ledger hold of it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from seawall.agent.failure import DockerFailure
from seawall.agent.operations.runner import RESPONSE_LIMIT_BYTES
from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode, RetryRule, verdict
from seawall.telemetry.redaction import redact_text
from seawall.wire.messages import Completed, Origin

UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError)
"""What encoding raises for what JSON doesn't know, for a number beyond 64 bits, and for nesting without end."""

_LONGEST_ERROR = 2000

pack = msgspec.msgpack.Encoder().encode
_outcome: msgspec.msgpack.Decoder[Outcome] = msgspec.msgpack.Decoder(Outcome)
_map: msgspec.msgpack.Decoder[dict[str, object]] = msgspec.msgpack.Decoder(dict[str, object])


def packed(outcome: Outcome) -> tuple[Outcome, bytes]:
    """What the ledger keeps of an outcome, and that outcome: an effect is true even if its response can't be told."""
    if outcome.error is not None:
        outcome = replace(outcome, error=redact_text(outcome.error))
    try:
        content = pack(outcome)
        if len(content) <= RESPONSE_LIMIT_BYTES:
            return outcome, content
        problem = f"it has {len(content)} bytes, the limit is {RESPONSE_LIMIT_BYTES}"
    except UNENCODABLE as error:
        problem = described(error)
    outcome = replace(outcome, response={"untold": f"the response can't be kept: {problem}"}, evidence=None)
    return outcome, pack(outcome)


def unpack_outcome(content: bytes) -> Outcome:
    """The outcome that `packed` made these bytes of."""
    return _outcome.decode(content)


def unpack_map(content: bytes | None) -> dict[str, object]:
    """Arguments or a pre-image."""
    return _map.decode(content) if content else {}


def completed(
    outcome: Outcome,
    command_id: str,
    correlation_id: str,
    epoch: int,
    *,
    sequence: int = 0,
    recorded: bool = False,
    origin: Origin | None = None,
) -> Completed:
    """The message that tells an outcome."""
    return Completed(
        command_id,
        correlation_id,
        epoch,
        outcome.code.value if outcome.code is not None else None,
        outcome.circumstance.value,
        redact_text(outcome.error)[:_LONGEST_ERROR] if outcome.error is not None else None,
        outcome.response,
        sequence,
        recorded,
        outcome.evidence,
        origin,
    )


def is_last_word(outcome: Outcome) -> bool:
    """Whether nothing can follow from it but its record: no further attempt, and no doubt that can be cleared up."""
    if outcome.code is None or outcome.code is CommandErrorCode.OUTCOME_UNKNOWN:
        return True
    ruling = verdict(outcome.code, outcome.circumstance)
    return ruling.unsafe is RetryRule.NO and not ruling.may_have_run


def not_begun(text: str) -> Outcome:
    """It is as if the attempt had never been sent."""
    return Outcome(CommandErrorCode.NETWORK_ERROR, text, circumstance=Circumstance.NOT_SENT)


def failed(failure: DockerFailure) -> Outcome:
    """What the Docker Engine did not do."""
    return Outcome(failure.code, failure.message, circumstance=failure.circumstance)


def bug(about: str, error: Exception) -> Outcome:
    """An exception that nobody expected."""
    return Outcome(CommandErrorCode.AGENT_ERROR, f"{about} met a bug of the agent: {described(error)}")


def described(error: Exception) -> str:
    """An exception in a line."""
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
