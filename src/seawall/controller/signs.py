"""What a pong tells of a host."""

from __future__ import annotations

from datetime import datetime, timedelta

from seawall.engine.fleet import Signs
from seawall.engine.records import moment_from
from seawall.wire.messages import Pong

_MOST_REGISTRIES, _LONGEST_NAME = 8, 255


def note_signs(signs: Signs, pong: Pong, now: datetime, latency_seconds: float) -> bool:
    """Take over what it says; `now` is the time of day here, and the ping took so long.

    Returns whether the registries were asked anew, and all of them answered.
    """
    vitals = pong.vitals
    signs.docker = signs.docker if pong.docker is None else pong.docker
    if vitals is None:
        return False
    signs.free_bytes, signs.total_bytes = vitals.free_bytes, vitals.total_bytes
    signs.longest_running_seconds = vitals.longest_running_seconds
    there = moment_from(vitals.now)
    if there is not None:
        # It was read there about half way between ping and pong.
        here = now - timedelta(seconds=latency_seconds / 2)
        signs.clock_offset_seconds = (there - here).total_seconds()
    if not vitals.registries:
        return False
    told = list(vitals.registries.items())[:_MOST_REGISTRIES]
    signs.unreached = [name[:_LONGEST_NAME] for name, reached in told if not reached]
    return not signs.unreached
