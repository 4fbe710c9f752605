"""What a pong tells of a host."""

from __future__ import annotations

from datetime import datetime, timedelta

from seawall.engine.fleet import Signs
from seawall.engine.records import moment_from
from seawall.wire.messages import Pong


def note_signs(signs: Signs, pong: Pong, now: datetime, latency_seconds: float) -> bool:
    """Take over what it says; `now` is the time of day here, and the ping took so long.

    Whether the registries that the host used lately were asked anew, and all of them answered.
    """
    vitals = pong.vitals
    signs.docker = signs.docker if pong.docker is None else pong.docker
    if vitals is None:
        return False
    reached = signs.take(vitals)
    there = moment_from(vitals.now)
    if there is not None:
        # It was read there about half way between ping and pong.
        here = now - timedelta(seconds=latency_seconds / 2)
        signs.clock_offset_seconds = (there - here).total_seconds()
    return reached
