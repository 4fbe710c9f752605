"""The signals that stop a controller."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heard(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` when one comes."""
    loop = asyncio.get_running_loop()
    for each in _STOPPING:
        loop.add_signal_handler(each, stop.set)
    try:
        yield
    finally:
        for each in _STOPPING:
            loop.remove_signal_handler(each)
