"""What retries have done since the start, counted for those who look."""

from __future__ import annotations

from collections import Counter

from seawall.core.events import CommandFinished, Event, RetryScheduled


class RetryFigures:
    """A subscriber that counts."""

    def __init__(self) -> None:
        self.commands = 0
        self.attempts = 0
        self.retries = 0
        """Attempts that followed another."""
        self.saved = 0
        """Commands that succeeded by one."""
        self.stopped: Counter[str] = Counter()
        """What kept a retry from following."""

    def observe(self, event: Event) -> None:
        """Count an event, if it is about retries."""
        match event:
            case RetryScheduled():
                self.retries += 1
            case CommandFinished():
                result = event.result
                self.commands += 1
                self.attempts += result.total_attempts
                self.saved += result.success and result.total_attempts > 1
                if result.stopped_by is not None:
                    self.stopped[result.stopped_by.value] += 1
            case _:
                pass

    @property
    def amplification(self) -> float:
        """How many attempts a command has made on average."""
        return self.attempts / self.commands if self.commands else 0.0
