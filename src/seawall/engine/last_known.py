"""What hosts answered last: better than nothing where one can't be reached, as long as its age is said."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

import msgspec

from seawall.core.command import CommandState
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.records import CommandRecord

MOST_ANSWERS = 5_000
LARGEST_BYTES = 256 * 1024
MOST_BYTES = 64 * 1024 * 1024

# The host itself has said no: an older yes would be a lie.
_ANSWERED = frozenset(
    {
        CommandErrorCode.PERMISSION_DENIED.value,
        CommandErrorCode.AGENT_ERROR.value,
        CommandErrorCode.INVALID_ARGUMENT.value,
        CommandErrorCode.UNSUPPORTED_OPERATION.value,
        CommandErrorCode.CANCELLED.value,
    }
)


class LastKnown:
    """The latest answer to each question, the longest unused ones going first. In memory: a start begins anew."""

    def __init__(self, most_answers: int = MOST_ANSWERS) -> None:
        self._most_answers = most_answers
        self._answers: OrderedDict[bytes, tuple[bytes, datetime]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def serve(self, record: CommandRecord, circumstance: Circumstance) -> None:
        """Remember what a read brought, or give a read that failed what was known last."""
        if record.state is CommandState.SUCCEEDED:
            self.remember(record)
        else:
            record.fallback = self.fallback_for(record, circumstance)

    def remember(self, record: CommandRecord) -> None:
        """Keep the response of a read that succeeded."""
        if record.finished_at is None:
            return
        key, answer = _key(record), msgspec.json.encode(record.response)
        self._forget(key)
        if len(answer) > LARGEST_BYTES:
            return
        self._answers[key] = (answer, record.finished_at)
        self._bytes += len(answer)
        while len(self._answers) > self._most_answers or self._bytes > MOST_BYTES:
            self._forget(next(iter(self._answers)))

    def fallback_for(self, record: CommandRecord, circumstance: Circumstance) -> dict[str, object] | None:
        """What a read that failed may be answered with: the value, its age, and that it is stale. None if nothing."""
        if record.error_code in _ANSWERED or circumstance is Circumstance.DOCKER_REFUSED:
            return None
        key = _key(record)
        found = self._answers.get(key)
        if found is None or record.finished_at is None:
            return None
        self._answers.move_to_end(key)
        answer, at = found
        return {
            "kind": "stale",
            "stale": True,
            "as_of": at.isoformat(),
            "age_seconds": max(0.0, (record.finished_at - at).total_seconds()),
            "value": msgspec.json.decode(answer),
        }

    def _forget(self, key: bytes) -> None:
        found = self._answers.pop(key, None)
        if found is not None:
            self._bytes -= len(found[0])


def _key(record: CommandRecord) -> bytes:
    asked = (record.agent_id, record.operation, record.arguments)
    return msgspec.json.encode(asked, order="deterministic")
