"""What happens as JSON, one object a line, for programs that follow along."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from seawall.cli.reporters import Ending
from seawall.client.events import Event
from seawall.client.models import Agent, Command


class JsonReporter:
    """Each event with its host and kind; the last one of a host is `ended`, with its exit code and its record."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def accepted(self, host: Agent, command: Command) -> None:
        """See `Reporter.accepted`."""
        self._put(host, "accepted", {"command": command})

    def heard(self, host: Agent, event: Event) -> None:
        """See `Reporter.heard`."""
        if event.kind != "record":
            self._put(host, event.kind, event.content)

    def ended(self, ending: Ending) -> None:
        """See `Reporter.ended`."""
        end = {"exit_code": ending.exit_code, "command": ending.command, "problem": ending.problem or None}
        self._put(ending.host, "ended", end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def _put(self, host: Agent, kind: str, content: object) -> None:
        named = msgspec.to_builtins(content)
        self._write(msgspec.json.encode({**named, "event": kind, "host": host.name}).decode())
