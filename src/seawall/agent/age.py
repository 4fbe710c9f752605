"""How long a frame was under way, beyond the quickest of the last ones."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 8  # clocks drift apart: what was true at the beginning of a long session says nothing any more


class FrameAge:
    """One session's. The two clocks need not agree: only what changes between them counts.

    The first thing noted is when the hello left here and when it was heard there. Nothing is heard before it was sent,
    so that a link that stalls from the first frame on can't pass for a quick one.
    """

    __slots__ = ("_apart",)

    def __init__(self) -> None:
        self._apart: deque[float] = deque(maxlen=_REMEMBERED)

    def note(self, theirs: float, ours: float) -> None:
        """One moment on both clocks, but for the way of a frame; `theirs` 0.0 says nothing."""
        if theirs != 0.0:
            self._apart.append(ours - theirs)

    def of(self, sent_at: float, now: float) -> float:
        """The seconds that a frame lost on its way; `sent_at` 0.0 says nothing."""
        if sent_at == 0.0 or not self._apart:
            return 0.0
        return max(0.0, now - sent_at - min(self._apart))
