"""What a person is told while a command runs: events in, lines out. Pure."""

from __future__ import annotations

import msgspec

from seawall.cli.wording import attempt_line, duration, finished_attempt, safe
from seawall.client.events import Event
from seawall.client.models import Command


class Progress:
    """One command's events as lines, each thing said once however often a broken stream repeats it.

    `quiet` leaves out what goes as it should: for reads, whose answer is what matters.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._started = 0
        self._finished = 0
        self._of = ""
        self._output = 0
        self.last_error = ""
        """The error that was told last."""

    def lines(self, event: Event) -> list[str]:
        """What to say about an event; often nothing."""
        content = event.content
        match event.kind:
            case "record" | "finished":
                return self._record(content)
            case "attempt_started":
                return self._start(_number(content, "number"))
            case "attempt_finished":
                number = _number(content, "number")
                if number <= self._finished:
                    return []
                took = duration(_seconds(content, "duration_seconds"))
                # Whoever listens from the middle of an attempt has missed its start.
                return [
                    *self._start(number),
                    *self._finish(number, took, content.get("error_code"), content.get("error")),
                ]
            case "retry":
                delay = duration(_seconds(content, "delay_seconds"))
                return [f"attempt {content.get('attempt')} of {content.get('of')} starts in {delay}"]
            case "parked":
                until = content.get("until")
                end = f", until {until}" if until else ""
                return [f"the host isn't connected: waiting for it{end}"]
            case "progress":
                return self._progress(content)
            case _:
                return []

    def _progress(self, content: dict[str, object]) -> list[str]:
        """The text; of output the lines that haven't been told yet, as far as they are known."""
        text, detail = content.get("text"), content.get("detail")
        output = detail.get("output") if isinstance(detail, dict) else None
        if not isinstance(detail, dict) or not isinstance(output, list):
            return [safe(text)] if isinstance(text, str) else []
        new, self._output = _number(detail, "lines") - self._output, _number(detail, "lines")
        missed = [f"({new - len(output)} lines are left out)"] if new > len(output) else []
        return [*missed, *(safe(str(line)) for line in output[-new:] if new > 0)]

    def _record(self, content: dict[str, object]) -> list[str]:
        try:
            command = msgspec.convert(content, Command)
        except msgspec.ValidationError:
            return []
        if command.max_attempts is not None and command.max_attempts > 1:
            self._of = f" of {command.max_attempts}"
        lines: list[str] = []
        for attempt in command.attempts:
            lines += self._start(attempt.number)
            if attempt.finished_at is not None and attempt.number > self._finished:
                self._finished = attempt.number
                self.last_error = attempt.error or ""
                if attempt.error_code is not None or not self._quiet:
                    lines.append(attempt_line(attempt))
        return lines

    def _start(self, number: int) -> list[str]:
        if number <= self._started:
            return []
        self._started = number
        return [] if self._quiet and number == 1 else [f"attempt {number}{self._of}"]

    def _finish(self, number: int, took: str, error_code: object, error: object) -> list[str]:
        self._finished = number
        self.last_error = str(error or "")
        if error_code is None and self._quiet:
            return []
        return [finished_attempt(number, took, error_code, error)]


def _number(content: dict[str, object], name: str) -> int:
    value = content.get(name)
    return value if isinstance(value, int) else 0


def _seconds(content: dict[str, object], name: str) -> float:
    value = content.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
