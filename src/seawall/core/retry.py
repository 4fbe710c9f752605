"""When the next attempt may start: exponential back-off with jitter."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct, field

from seawall.core.errors import CommandErrorCode

Dice = Callable[[], float]
"""A source of uniform numbers in [0, 1)."""


class Jitter(Enum):
    """How a delay is spread so that many clients don't retry in step.

    PROPORTIONAL draws from [d/2, min(3d/2, max)]: centred on d, never above the cap, and without the pile-up at the
    cap that clamping after the draw would make. FULL, EQUAL and DECORRELATED are those of Marc Brooker, "Exponential
    Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    NONE = "none"
    PROPORTIONAL = "proportional"
    FULL = "full"
    EQUAL = "equal"
    DECORRELATED = "decorrelated"


def _default_codes() -> list[CommandErrorCode]:
    return [
        CommandErrorCode.NETWORK_ERROR,
        CommandErrorCode.AGENT_DISCONNECTED,
        CommandErrorCode.TIMEOUT,
        CommandErrorCode.UNKNOWN_ERROR,
    ]


class RetryPolicy(Struct, frozen=True):
    """How often and after which delays a command is tried again. All delays are in seconds.

    `jitter` is True (PROPORTIONAL), False (NONE) or a `Jitter`. Raises ValueError, naming the field, for values that
    can't be meant: fewer than one attempt, negative delays, a multiplier below 1.
    """

    max_attempts: int = 3
    initial_delay: float = 1.0
    max_delay: float = 30.0
    backoff_multiplier: float = 2.0
    jitter: bool | Jitter = True
    retryable_error_codes: list[CommandErrorCode] = field(default_factory=_default_codes)

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(
                f"max_attempts must be at least 1 (the first attempt counts), not {self.max_attempts}"
            )
        for name in ("initial_delay", "max_delay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a finite number of seconds, 0 or more, not {getattr(self, name)}"
                )
        if not 1 <= self.backoff_multiplier <= 100:
            raise ValueError(f"backoff_multiplier must be between 1 and 100, not {self.backoff_multiplier}")


DEFAULT_RETRY_POLICY = RetryPolicy(
    retryable_error_codes=[
        CommandErrorCode.NETWORK_ERROR,
        CommandErrorCode.AGENT_DISCONNECTED,
        CommandErrorCode.TIMEOUT,
    ]
)
"""Three attempts at what is transient for sure: not for UNKNOWN_ERROR."""


def back_off(policy: RetryPolicy, failed_attempts: int, dice: Dice, previous: float | None = None) -> float:
    """Seconds to wait after the given number of failed attempts (1 or more), never above `policy.max_delay`.

    `previous` is the delay drawn before this one; only DECORRELATED uses it.
    """
    cap = policy.max_delay
    # The exponent is bounded because a float overflows where the cap has long decided.
    delay = min(policy.initial_delay * policy.backoff_multiplier ** min(failed_attempts - 1, 64), cap)
    match policy.jitter:
        case False | Jitter.NONE:
            return delay
        case True | Jitter.PROPORTIONAL:
            low, high = 0.5 * delay, min(1.5 * delay, cap)
        case Jitter.FULL:
            low, high = 0.0, delay
        case Jitter.EQUAL:
            low, high = 0.5 * delay, delay
        case Jitter.DECORRELATED:
            low = min(policy.initial_delay, cap)
            high = min(3 * (previous if previous is not None else policy.initial_delay), cap)
    return low + (high - low) * dice()
