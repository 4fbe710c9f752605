"""How many retries a host, or the whole plane, can bear: retries are paid for out of what succeeds.

A retry policy bounds the attempts of one command; it doesn't bound what a thousand commands do together. Three
attempts each triple the load of a host that is slow because of its load, and keep it down for good. So retries take
tokens from a bucket that fills with time and with successes (the idea of Finagle's retry budget and of the AWS SDKs'
adaptive mode; here with a price by what went wrong). In any interval

    cost of the retries <= capacity + per_success * successes + per_second * seconds.
"""

from __future__ import annotations

from msgspec import Struct

from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode


class BudgetSettings(Struct, frozen=True):
    """`capacity` tokens at most; `per_success` and `per_second` are added, up to that."""

    capacity: float = 10.0
    per_success: float = 0.2
    per_second: float = 0.1


NOT_SENT_COST, CONNECTION_COST, TIMEOUT_COST = 0.5, 1.0, 2.0


class RetryBudget(Struct, eq=False):
    """A bucket of tokens; a new one is full. Time is monotonic seconds, given by the caller."""

    settings: BudgetSettings
    tokens: float
    at: float

    def spend(self, cost: float, now: float) -> bool:
        """Pay for a retry; False, and nothing is paid, if there isn't enough."""
        self._fill(now)
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def refund(self, cost: float) -> None:
        """Give back what another budget's refusal has made vain."""
        self.tokens = min(self.settings.capacity, self.tokens + cost)

    def earn(self) -> None:
        """A command succeeded."""
        self.tokens = min(self.settings.capacity, self.tokens + self.settings.per_success)

    def full(self, now: float) -> bool:
        """Whether dropping it loses nothing."""
        self._fill(now)
        return self.tokens >= self.settings.capacity

    def _fill(self, now: float) -> None:
        if now > self.at:
            settings = self.settings
            self.tokens = min(settings.capacity, self.tokens + (now - self.at) * settings.per_second)
            self.at = now


def new_budget(settings: BudgetSettings, now: float) -> RetryBudget:
    """A full bucket."""
    return RetryBudget(settings, settings.capacity, now)


def retry_cost(outcome: Outcome) -> float:
    """What a retry after this outcome costs: a host that lets time run out is nearer its end than one not reached."""
    if outcome.circumstance is Circumstance.NOT_SENT:
        return NOT_SENT_COST
    return TIMEOUT_COST if outcome.code is CommandErrorCode.TIMEOUT else CONNECTION_COST
