"""Who is compared: the presets, and what is found in the field."""

from __future__ import annotations

from msgspec import Struct

from seawall.core.breaker import BreakerSettings
from seawall.core.bulkhead import BulkheadLimits
from seawall.core.policy import PRESETS, Policy
from seawall.core.retry import RetryPolicy

_NEVER = 1_000_000_000


class Contender(Struct, frozen=True):
    """A policy and the plane around it.

    A `careful` plane is Seawall's: a retry delivers the same command again, commands are on record and wait for their
    host. One that isn't retries whatever its policy lists under a new id, keeps commands in memory, fails where no host
    is connected, and counts its deadlines by the time of day.
    """

    name: str
    policy: Policy
    careful: bool = True


NAIVE = Contender(
    "naive",
    Policy(
        retry=RetryPolicy(),
        breaker=BreakerSettings(failure_threshold=_NEVER),
        bulkhead=BulkheadLimits(in_flight=_NEVER, queue=_NEVER),
        budget=None,
    ),
    careful=False,
)

CONTENDERS = {
    each.name: each for each in (*(Contender(name, policy) for name, policy in PRESETS.items()), NAIVE)
}
"""By the names that people type."""
