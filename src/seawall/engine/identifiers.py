"""Correlation ids, cheap enough for the hot path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from seawall.clock import Clock

# Two hexadecimal digits at the end are looked up, not formatted: that is most of what an id would cost.
_TAILS = [f"{number:02x}" for number in range(256)]


def correlation_ids(clock: Clock) -> Callable[[], str]:
    """A source of ids of 36 characters: the head of one UUID and a counter.

    Unique, but guessable: never a credential. There are 2**48, which a million a second use up in nine years.
    """
    return _ids(clock.new_id()[:24]).__next__


def _ids(prefix: str) -> Iterator[str]:
    for number in count():
        head = f"{prefix}{number:010x}"
        for tail in _TAILS:
            yield head + tail
