"""A supervisor, or a person at a terminal, asks for a stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop`, and do nothing else, while this lasts."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)
    for each in handled:
        loop.add_signal_handler(each, stop.set)
    try:
        yield
    finally:
        for each in handled:
            loop.remove_signal_handler(each)
