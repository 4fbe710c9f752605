"""What goes wrong in a scenario, each kind a small class that knows when it begins and how it ends.

Times are virtual seconds, durations too. `hosts` is how many of the fleet it hits, the first ones; 0 means all. What
hits more than one hits all of them in the same moment: correlated failures are the ones that bring a plane down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from seawall.core.command import Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.simulator.link import Link
from seawall.simulator.timeline import Timeline

Moment = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Restartable(Protocol):
    """What faults do to the controller."""

    wall_offset: float

    def stop(self) -> None:
        """It dies."""

    def start(self) -> None:
        """It is back."""


class Stage(Struct, frozen=True):
    """Where faults act."""

    timeline: Timeline
    links: Sequence[Link]
    plane: Restartable


class _Window(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that lasts from `begin` to `end`, and is then over."""

    begin: Moment
    end: Moment
    hosts: Count = 0

    def __post_init__(self) -> None:
        if self.end <= self.begin:
            raise ValueError(f"the end ({self.end:g}) must come after the begin ({self.begin:g})")

    @property
    def over_at(self) -> float:
        """When nothing of it is left but its consequences."""
        return self.end

    def play(self, stage: Stage) -> None:
        """Put it on the timeline."""
        for link in _hit(stage, self.hosts):
            stage.timeline.at(self.begin, partial(self.start, link))
            stage.timeline.at(self.end, partial(self.stop, link))

    def start(self, link: Link) -> None:
        """It begins on this host."""
        raise NotImplementedError

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        raise NotImplementedError


class Slow(_Window, frozen=True, tag="slow"):
    """Everything takes `factor` times as long."""

    factor: Annotated[float, Meta(gt=0)]

    def start(self, link: Link) -> None:
        """It begins on this host."""
        link.host.trouble.slowness = self.factor

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.host.trouble.slowness = 1.0


class Dead(_Window, frozen=True, tag="dead"):
    """The host is gone without a word, and what it was doing with it. In the end it starts again and reconnects."""

    def start(self, link: Link) -> None:
        """It begins on this host."""
        link.host.die()
        link.host.trouble.dead = True

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.revive()


class Frozen(_Window, frozen=True, tag="frozen"):
    """The host stands still (SIGSTOP, a hung disk) and then goes on where it was; its answers come late."""

    def start(self, link: Link) -> None:
        """It begins on this host."""
        link.host.trouble.frozen = True

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.thaw()


class Flaky(_Window, frozen=True, tag="flaky"):
    """This share of the attempts can't be sent."""

    share: Share

    def start(self, link: Link) -> None:
        """It begins on this host."""
        link.host.trouble.flaky = self.share

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.host.trouble.flaky = 0.0


_REFUSALS = {
    "no_such_container": Outcome(
        CommandErrorCode.DOCKER_ERROR, circumstance=Circumstance.DOCKER_REFUSED, source=Source.AGENT
    ),
    "permission_denied": Outcome(CommandErrorCode.PERMISSION_DENIED, source=Source.AGENT),
}


class Refusing(_Window, frozen=True, tag="refusing"):
    """This share of the commands is answered at once, by a refusal: the host is well, the command isn't."""

    share: Share = 1.0
    answer: Literal["no_such_container", "permission_denied"] = "no_such_container"

    def start(self, link: Link) -> None:
        """It begins on this host."""
        link.host.trouble.refusing, link.host.trouble.refusal = self.share, _REFUSALS[self.answer]

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.host.trouble.refusing = 0.0


class Answers(_Window, frozen=True, tag="answers"):
    """Answers come `late_seconds` late with probability `late`, and twice with probability `duplicate`."""

    late: Share = 0.0
    late_seconds: Moment = 0.0
    duplicate: Share = 0.0

    def start(self, link: Link) -> None:
        """It begins on this host."""
        trouble = link.host.trouble
        trouble.late, trouble.late_seconds, trouble.duplicate = self.late, self.late_seconds, self.duplicate

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.host.trouble.late = link.host.trouble.duplicate = 0.0


class Partition(_Window, frozen=True, tag="partition"):
    """The network carries nothing; the hosts go on with what they have, and try to reconnect meanwhile."""

    def start(self, link: Link) -> None:
        """It begins on this host."""
        link.cut = True

    def stop(self, link: Link) -> None:
        """It is over on this host."""
        link.cut = False


class _Moment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that happens at one moment."""

    at: Moment
    hosts: Count = 0

    @property
    def over_at(self) -> float:
        """When nothing of it is left but its consequences."""
        return self.at

    def play(self, stage: Stage) -> None:
        """Put it on the timeline."""
        for link in _hit(stage, self.hosts):
            stage.timeline.at(self.at, partial(self.strike, link))

    def strike(self, link: Link) -> None:
        """It happens to this host."""
        raise NotImplementedError


class HalfOpen(_Moment, frozen=True, tag="half_open"):
    """The connection stays open, but one direction carries nothing any more, until it is given up and made anew."""

    lost: Literal["to_host", "from_host"] = "from_host"

    def strike(self, link: Link) -> None:
        """It happens to this host."""
        if self.lost == "to_host":
            link.deaf_epoch = link.epoch
        else:
            link.mute_epoch = link.epoch


class Disconnect(_Moment, frozen=True, tag="disconnect"):
    """All sessions break; the agents come back after their back-off, all at once: the herd."""

    def strike(self, link: Link) -> None:
        """It happens to this host."""
        if link.open:
            link.drop()


class CrashAfterEffect(_Moment, frozen=True, tag="crash_after_effect"):
    """The agent dies right after the next effect, before it can say so, and is started again a second later."""

    times: Annotated[int, Meta(ge=1)] = 1

    def strike(self, link: Link) -> None:
        """It happens to this host."""
        link.host.crashes_after_effect += self.times


class ClockStep(Struct, frozen=True, forbid_unknown_fields=True, tag="clock_step"):
    """The controller's time of day jumps by so many seconds."""

    at: Moment
    seconds: float

    @property
    def over_at(self) -> float:
        """When nothing of it is left but its consequences."""
        return self.at

    def play(self, stage: Stage) -> None:
        """Put it on the timeline."""

        def step() -> None:
            stage.plane.wall_offset += self.seconds

        stage.timeline.at(self.at, step)


class ControllerRestart(Struct, frozen=True, forbid_unknown_fields=True, tag="controller_restart"):
    """The controller dies and is back after `down_seconds`: all sessions end, what was only in memory is lost."""

    at: Moment
    down_seconds: Annotated[float, Meta(gt=0)] = 5.0

    @property
    def over_at(self) -> float:
        """When nothing of it is left but its consequences."""
        return self.at + self.down_seconds

    def play(self, stage: Stage) -> None:
        """Put it on the timeline."""

        def die() -> None:
            stage.plane.stop()
            for link in stage.links:
                if link.open:
                    link.drop()

        stage.timeline.at(self.at, die)
        stage.timeline.at(self.over_at, stage.plane.start)


Fault = (
    Slow
    | Dead
    | Frozen
    | Flaky
    | Refusing
    | Answers
    | Partition
    | HalfOpen
    | Disconnect
    | CrashAfterEffect
    | ClockStep
    | ControllerRestart
)


def _hit(stage: Stage, hosts: int) -> Sequence[Link]:
    return stage.links[:hosts] if hosts else stage.links
