"""How much longer than the quickest frame of its session a frame was under way."""

from __future__ import annotations


class FrameAge:
    """One session's. The two clocks need not agree: only what changes between them counts."""

    __slots__ = ("_least",)

    def __init__(self) -> None:
        self._least: float | None = None

    def of(self, sent_at: float, now: float) -> float:
        """The seconds that a frame lost on its way, at least; `sent_at` 0.0 says nothing."""
        if sent_at == 0.0:
            return 0.0
        apart = now - sent_at
        if self._least is None or apart < self._least:
            self._least = apart
        return apart - self._least
