"""Looks for garbage by the clock, where Python would go by counts."""

from __future__ import annotations

import gc
from typing import Final

from seawall.clock import Clock

LOOK_SECONDS: Final = 0.25
"""How often it looks among what is new."""

SHARE: Final = 1_000
"""Of the time one part in so many is spent on looks at everything."""

LEAST_SECONDS: Final = 60.0
"""Between two of them."""


async def collect_garbage(clock: Clock) -> None:
    """Look, until cancelled.

    Python goes by how many more containers there are than before. A heartbeat replaces as many as it makes, so that
    those of ten thousand hosts piled up uncounted, and then a single look held everybody up for 100 ms, or, at
    everything, for more than a second, whenever it came.
    """
    gc.disable()
    try:
        everything_at = clock.now() + LEAST_SECONDS
        while True:
            await clock.sleep_until(clock.now() + LOOK_SECONDS)
            began = clock.now()
            if began < everything_at:
                gc.collect(1)
                continue
            gc.collect()
            ended = clock.now()
            everything_at = ended + max(LEAST_SECONDS, (ended - began) * SHARE)
    finally:
        gc.enable()
