"""What can go wrong with a request to the controller."""

from __future__ import annotations

from seawall.client.models import Command


class ClientError(Exception):
    """The controller answered, and it wasn't what was asked for. The message is its explanation.

    `status` is the HTTP status and `error_code` the problem's code. `retry_after_seconds` says when to ask again, if
    the controller said so. `command` is the record of a command that was turned away, if there is one.
    """

    def __init__(
        self,
        status: int,
        error_code: str,
        detail: str,
        retry_after_seconds: float | None = None,
        command: Command | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.error_code = error_code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.command = command


class Unreachable(Exception):
    """No answer came. The message says from where, why, and what to do.

    `may_have_arrived` is False when the request provably never left, so that it is safe to make it again.
    """

    def __init__(self, message: str, *, may_have_arrived: bool) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class StreamFailed(Exception):
    """A stream ended, and not well. The message is the explanation, `code` the reason for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ContextError(Exception):
    """It isn't known which controller is meant, or how to speak to it. The message says what to do."""
