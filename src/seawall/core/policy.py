"""A policy: everything that decides how commands are carried, in one piece. Three presets to start from.

A preset fits a kind of fleet. `production` is for hosts in data centres, `development` for a few hosts at which
somebody waits for the answer, `high-latency` for hosts behind slow or lossy links.
"""

from __future__ import annotations

from msgspec import Struct, field

from seawall.core.breaker import BreakerSettings
from seawall.core.bulkhead import BulkheadLimits, host_limits
from seawall.core.retry import RetryPolicy
from seawall.core.retry_gate import GateSettings


class Policy(Struct, frozen=True):
    """`budget=None` lets a retry policy spend what it likes."""

    retry: RetryPolicy = RetryPolicy()
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    bulkhead: BulkheadLimits = host_limits()
    budget: GateSettings | None = GateSettings()


DEVELOPMENT = Policy(
    retry=RetryPolicy(max_attempts=2, initial_delay=0.5, max_delay=5.0),
    breaker=BreakerSettings(
        failure_rate=0.6, allow_for_chance=True, open_seconds=10.0, max_open_seconds=15.0
    ),
)
PRODUCTION = Policy(
    retry=RetryPolicy(max_attempts=3, initial_delay=1.0, max_delay=30.0),
    breaker=BreakerSettings(
        failure_rate=0.6, allow_for_chance=True, open_seconds=30.0, max_open_seconds=60.0
    ),
)
HIGH_LATENCY = Policy(
    retry=RetryPolicy(max_attempts=4, initial_delay=3.0, max_delay=90.0),
    breaker=BreakerSettings(
        failure_rate=0.6,
        allow_for_chance=True,
        failure_window_seconds=120.0,
        open_seconds=60.0,
        max_open_seconds=120.0,
    ),
)

PRESETS = {"development": DEVELOPMENT, "production": PRODUCTION, "high-latency": HIGH_LATENCY}
"""By the names that people type."""
