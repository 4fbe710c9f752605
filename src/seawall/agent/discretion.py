"""What work on this host was given in confidence is blotted out of whatever is said while it is under way."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.operations.operation import Operation
from seawall.operations.secrets import secrets_of
from seawall.telemetry.redaction import hold, texts_in


def hold_secrets(work: object, operation: Operation | None, arguments: Mapping[str, object]) -> None:
    """Blot the secrets among these arguments out for as long as `work` lives."""
    secret = secrets_of(operation)
    if secret:
        hold(work, texts_in([value for name, value in arguments.items() if name in secret]))
