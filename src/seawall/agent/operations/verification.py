"""What a change looked like before, and what the host shows afterwards: the truth about a change that is in doubt.

An answer that never came says nothing about the effect. So each changing operation says what has to be remembered of
its object before the effect (the pre-image), and reads off the object later whether the effect has happened. Both are
pure functions of what Docker's inspect said; who looks, and when, is the worker's matter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum

from msgspec import Struct

from seawall.agent.docker import Docker
from seawall.agent.operations.runner import Runner, Target

Record = Mapping[str, object]
"""What Docker's inspect says of an object."""
PreImage = Mapping[str, object]
"""What is remembered of it, in values that JSON knows; `id` is the object's id."""


class Verdict(Enum):
    """What is known about the effect of a change."""

    APPLIED = "applied"
    """It has happened, or somebody else has brought about the very same state."""
    NOT_APPLIED = "not_applied"
    """It has not happened, and it can't happen any more."""
    PARTIAL = "partial"
    """The first of its steps has happened; the rest has to be done."""
    FAILED = "failed"
    """It was tried, did not succeed, and left the object in a state that trying again doesn't mend by itself."""
    UNDECIDED = "undecided"
    """Not yet known: look again later."""
    UNKNOWABLE = "unknowable"
    """Nothing on this host will ever tell."""


class Finding(Struct, frozen=True):
    """A verdict with its reason in words, for people, and the response that it makes of an applied change."""

    verdict: Verdict
    reason: str
    response: object = None


class Doubt(Struct, frozen=True):
    """What is known when a change has to be verified.

    `now` is the object as it is, None if it is gone. `settled` says that so much time has passed that whatever Docker
    may still have been doing is over: only then can an effect be ruled out. `step` is the last that its journal has.
    """

    arguments: Mapping[str, object]
    pre_image: PreImage
    now: Record | None
    settled: bool
    step: str | None = None
    command_id: str = ""

    def once_settled(self, verdict: Verdict, reason: str) -> Finding:
        """The verdict, if nothing can be under way any more."""
        if self.settled:
            return Finding(verdict, reason)
        return Finding(Verdict.UNDECIDED, f"{reason}, but Docker may still be at it")


class Sought(Struct, frozen=True):
    """What is known of the object of a change that is in doubt. `step` is the last that its journal has."""

    command_id: str
    arguments: Mapping[str, object]
    pre_image: PreImage
    step: str | None = None


Finder = Callable[[Docker, Sought, float], Awaitable[Target | None]]
"""Looks for the object of a change, within so many seconds; None if it isn't there. Raises `DockerFailure`."""


class Verifier(Struct, frozen=True):
    """How one operation is verified. `settle_seconds` is how long Docker may go on with it after everything broke.

    `find` looks for its object, `resume` does what a PARTIAL change still lacks. With `journaled` the operation records
    its steps itself, so that its journal says where to go on. With `in_time` it is done before the command's deadline
    only: what looks like a first step may have been somebody else's doing, and what is left destroys.
    """

    pre_image: Callable[[Record], PreImage]
    verify: Callable[[Doubt], Finding]
    settle_seconds: Callable[[Mapping[str, object], PreImage], float]
    find: Finder
    resume: Runner | None = None
    journaled: bool = False
    in_time: bool = False


SETTLE_SECONDS = 5.0
"""How long a change that takes no time may still be under way in the Docker Engine after everything broke."""


def applied(reason: str, response: Mapping[str, object], *, satisfied: bool, ours: bool) -> Finding:
    """It has happened, or what it asked for is so; `ours` says that nothing else explains it as well."""
    told = {
        **response,
        "verified": True,
        "state_satisfied": satisfied,
        "attributed": "seawall" if ours else "unknown",
    }
    return Finding(Verdict.APPLIED, reason, told)


def nothing_before(record: Record) -> PreImage:
    """The pre-image of a change that is about nothing that was there before."""
    return {}


def settles_in(seconds: float) -> Callable[[Mapping[str, object], PreImage], float]:
    """The `settle_seconds` of changes that all take so long at most."""
    return lambda arguments, pre_image: seconds


at_once = settles_in(SETTLE_SECONDS)
"""For changes that take no time."""
