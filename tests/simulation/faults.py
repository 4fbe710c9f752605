"""What goes wrong in a world: a swarm of faults, each kind of which is on in half of the seeds, with its own rate.

Each fault has a beginning and an end, and the witness is told of both. `heal` ends all that last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from seawall.testing.faults import Fault as DockerFault
from seawall.wire.codec import encode_message
from seawall.wire.messages import Completed, Execute
from tests.simulation.history import FaultKind, Place
from tests.simulation.network import Direction, Rates
from tests.simulation.store import SimulatedStore

if TYPE_CHECKING:
    from tests.simulation.host import Host
    from tests.simulation.world import World

_HANGS = (DockerFault.HANGS_BEFORE, DockerFault.HANGS_AFTER)
_FAILURES = (
    DockerFault.BROKEN_BEFORE,
    DockerFault.BROKEN_AFTER,
    DockerFault.SERVER_ERROR,
    DockerFault.UNREACHABLE,
)
_ENDS_THE_CONTROLLER = {"controller crash", "controller power", "controller disk", "restore"}
_MOST_TIMES = 3
_FIRST_SECONDS = 3.0

Undo = Callable[[], object]
Strike = Callable[[], object]


class Fate:
    """The faults of one world. `menu` names the kinds; `chosen` are those that are on."""

    def __init__(self, world: World, random: Random, only: frozenset[str] | None = None) -> None:
        self._world = world
        self._random = random
        self._active: dict[tuple[FaultKind, Place, str], Undo] = {}
        self._backup: tuple[bytes, int] | None = None
        self._over = False
        self.menu: dict[str, Strike] = {
            "controller crash": partial(self._controller_ends, FaultKind.CRASH),
            "controller power": partial(self._controller_ends, FaultKind.POWER_LOSS),
            "controller disk": self._controller_disk,
            "slow disk": self._slow_disk,
            "disk full": self._disk_full,
            "backup": self._take_backup,
            "restore": self._restore,
            "agent crash": self._agent_crash,
            "host power": self._host_power,
            "ledger disk": self._ledger_disk,
            "ledger lost": self._ledger_lost,
            "dockerd": lambda: self._dockerd(self._host()),
            "dockerd in mid-restart": self._dockerd_in_mid_restart,
            "docker hangs": self._docker_hangs,
            "docker fails": self._docker_fails,
            "container ends": self._container_ends,
            "partition": self._partition,
            "one way": self._one_way,
            "half open": self._half_open,
            "cut": self._cut,
            "frames": self._frames,
            "replay": self._replay,
            "forgery": self._forgery,
            "clock jump": self._clock_jump,
        }
        self.chosen = [
            name for name in self.menu if (random.random() < 0.5 if only is None else name in only)
        ]
        if {"restore", "ledger lost"} <= set(self.chosen):
            # Where both ends have gone back nobody is left who knows better.
            self.chosen.remove(random.choice(("restore", "ledger lost")))

    def schedule(self, seconds: float) -> None:
        """Let them strike until then."""
        for name in self.chosen:
            for _ in range(self._random.randint(1, _MOST_TIMES)):
                when = self._random.uniform(_FIRST_SECONDS, seconds)
                self._world.loop.call_at(when, self._strike, self.menu[name])

    def heal(self) -> None:
        """From here on nothing goes wrong any more."""
        self._over = True
        for key in list(self._active):
            self._end(key)

    def _strike(self, strike: Strike) -> None:
        if not self._over:
            strike()

    def _begin(
        self, kind: FaultKind, place: Place, agent: str, seconds: float, undo: Undo, *, backup_order: int = 0
    ) -> None:
        key = (kind, place, agent)
        self._world.witness.fault(kind, place, agent, backup_order=backup_order)
        self._active[key] = undo
        self._world.loop.call_later(seconds, self._end, key)

    def _end(self, key: tuple[FaultKind, Place, str]) -> None:
        undo = self._active.pop(key, None)
        if undo is not None:
            undo()
            self._world.witness.fault(*key, ended=True)

    def _at_once(self, kind: FaultKind, place: Place, agent: str = "") -> None:
        """A fault that lasts no time."""
        self._world.witness.fault(kind, place, agent)
        self._world.witness.fault(kind, place, agent, ended=True)

    def _busy(self, place: Place, agent: str = "", *kinds: FaultKind) -> bool:
        return any(
            at is place and whose == agent and (not kinds or kind in kinds)
            for kind, at, whose in self._active
        )

    def _host(self) -> Host:
        return self._random.choice(self._world.hosts)

    # The controller

    def _controller_ends(self, kind: FaultKind) -> None:
        if self._busy(Place.CONTROLLER):
            return
        world = self._world
        world.kill_controller(silent=kind is FaultKind.POWER_LOSS)
        if kind is FaultKind.POWER_LOSS:
            world.disk.lose_power()
        self._begin(kind, Place.CONTROLLER, "", self._random.uniform(0.1, 15.0), world.start_controller)

    def _controller_disk(self) -> None:
        """An error of a flush: the process has to end."""
        world = self._world
        if self._busy(Place.CONTROLLER):
            return

        def breaks() -> None:
            if not self._busy(Place.CONTROLLER, "", FaultKind.CRASH, FaultKind.POWER_LOSS):
                world.kill_controller()

        def mend() -> None:
            world.disk.fails_next = None
            world.start_controller()

        world.disk.fails_next = breaks
        self._begin(FaultKind.DISK, Place.CONTROLLER, "", self._random.uniform(2.0, 20.0), mend)

    def _slow_disk(self) -> None:
        world = self._world
        if self._busy(Place.CONTROLLER, "", FaultKind.OVERLOAD):
            return
        world.disk.slowness = self._random.uniform(5.0, 80.0)

        def mend() -> None:
            world.disk.slowness = 1.0

        self._begin(FaultKind.OVERLOAD, Place.CONTROLLER, "", self._random.uniform(2.0, 20.0), mend)

    def _disk_full(self) -> None:
        disk = self._world.disk
        if disk.full:
            return
        disk.full = True

        def mend() -> None:
            disk.full = False

        self._world.loop.call_later(self._random.uniform(2.0, 20.0), mend)
        self._at_once(FaultKind.DISK, Place.CONTROLLER)

    def _take_backup(self) -> None:
        self._backup = (self._world.disk.image(), self._world.witness.order)

    def _restore(self) -> None:
        world = self._world
        if self._backup is None or self._busy(Place.CONTROLLER):
            return
        image, order = self._backup
        world.kill_controller()
        world.disk.restore(SimulatedStore.restored(image, world.time_of_day))
        self._begin(
            FaultKind.RESTORED,
            Place.CONTROLLER,
            "",
            self._random.uniform(1.0, 15.0),
            world.start_controller,
            backup_order=order,
        )
        # What the restore itself has recorded may be in a backup before the controller has written anything.
        world.witness.audited(world.disk.connection)

    # A host

    def _agent_crash(self) -> None:
        host = self._host()
        if not self._busy(Place.AGENT, host.agent_id):
            host.kill()
            self._begin(
                FaultKind.CRASH, Place.AGENT, host.agent_id, self._random.uniform(0.05, 25.0), host.start
            )

    def _host_power(self) -> None:
        host = self._host()
        if self._busy(Place.AGENT, host.agent_id) or self._busy(Place.DOCKER, host.agent_id):
            return
        if host.line.connection is not None:
            host.line.connection.silence(Direction.TO_CONTROLLER)
        host.kill()
        host.disk.lose_power()
        host.docker.kill_daemon()

        def power_on() -> None:
            host.docker.start_daemon(containers_lost=True)
            host.start()

        self._begin(
            FaultKind.POWER_LOSS, Place.AGENT, host.agent_id, self._random.uniform(1.0, 25.0), power_on
        )

    def _ledger_disk(self) -> None:
        host = self._host()
        if self._busy(Place.AGENT, host.agent_id):
            return

        def mend() -> None:
            host.disk.fails_next = None
            host.start()

        host.disk.fails_next = host.kill
        self._begin(FaultKind.DISK, Place.AGENT, host.agent_id, self._random.uniform(2.0, 20.0), mend)

    def _ledger_lost(self) -> None:
        """It is wiped, or replaced by what it was some time ago, where that can be noticed at all."""
        host, random = self._host(), self._random
        if random.random() < 0.4:
            for each in self._world.hosts:
                each.keep_copy()
            return
        if self._busy(Place.AGENT, host.agent_id):
            return
        host.kill()
        copy = host.copy
        if copy is not None and random.random() < 0.6 and copy.is_missed(self._world.witness.events):
            host.disk.restore(copy.image)
        else:
            host.disk.restore(host.new_ledger())
        self._begin(FaultKind.LEDGER_LOST, Place.AGENT, host.agent_id, random.uniform(0.1, 10.0), host.start)

    def _clock_jump(self) -> None:
        """A wrong time of day.

        A deadline outlives the controller's process as a time of day, so a restart shifts it by what the clock has
        jumped since: the controller's clock jumps far only where nothing ends the controller.
        """
        random, world = self._random, self._world
        jump = random.choice((-1.0, 1.0)) * random.choice((2.0, 90.0, 7_200.0))
        place, agent, wall = Place.CONTROLLER, "", world.wall
        if _ENDS_THE_CONTROLLER & set(self.chosen):
            jump = math.copysign(0.4, jump)
        if random.random() < 0.6:
            host = self._host()
            place, agent, wall = Place.AGENT, host.agent_id, host.wall
            jump = random.choice((-90.0, 90.0, -7_200.0, 7_200.0))
        if self._busy(place, agent, FaultKind.CLOCK_JUMP):
            return
        wall.offset_seconds += jump

        def mend() -> None:
            wall.offset_seconds = 0.0

        self._begin(FaultKind.CLOCK_JUMP, place, agent, random.uniform(1.0, 30.0), mend)

    # Docker

    def _dockerd_in_mid_restart(self) -> None:
        host = self._host()
        host.docker.in_mid_restart = partial(self._strike, partial(self._dockerd, host))

    def _dockerd(self, host: Host) -> None:
        if self._busy(Place.DOCKER, host.agent_id) or self._busy(
            Place.AGENT, host.agent_id, FaultKind.POWER_LOSS
        ):
            return
        host.docker.kill_daemon()
        self._begin(
            FaultKind.DOCKER_DEAD,
            Place.DOCKER,
            host.agent_id,
            self._random.uniform(0.5, 20.0),
            host.docker.start_daemon,
        )

    def _docker_hangs(self) -> None:
        host = self._host()
        if not self._busy(Place.DOCKER, host.agent_id):
            host.docker.fault(self._random.choice(_HANGS))
            self._begin(
                FaultKind.DOCKER_HANGS,
                Place.DOCKER,
                host.agent_id,
                self._random.uniform(1.0, 30.0),
                host.docker.heal,
            )

    def _docker_fails(self) -> None:
        host = self._host()
        if not self._busy(Place.DOCKER, host.agent_id):
            host.docker.fail_next(self._random.choice(_FAILURES), self._random.randint(1, 4))
            self._begin(
                FaultKind.DOCKER_FAILS,
                Place.DOCKER,
                host.agent_id,
                self._random.uniform(5.0, 30.0),
                host.docker.heal,
            )

    def _container_ends(self) -> None:
        """No fault, but what happens: a program ends by itself."""
        self._host().docker.end_by_itself(self._random.choice(("web", "db", "mule")))

    # The network

    def _partition(self) -> None:
        self._block(self._host(), *Direction)

    def _one_way(self) -> None:
        self._block(self._host(), self._random.choice(list(Direction)))

    def _block(self, host: Host, *directions: Direction) -> None:
        if not self._busy(Place.LINK, host.agent_id, FaultKind.PARTITION):
            host.line.block(*directions)
            seconds = self._random.choice((2.0, 10.0, 60.0)) * self._random.random()
            self._begin(FaultKind.PARTITION, Place.LINK, host.agent_id, seconds, host.line.open)

    def _half_open(self) -> None:
        host = self._host()
        if host.line.connection is not None:
            host.line.connection.half_open(self._random.choice(list(Direction)))
            self._at_once(FaultKind.PARTITION, Place.LINK, host.agent_id)

    def _cut(self) -> None:
        host = self._host()
        if host.line.connection is not None:
            host.line.connection.cut()
            self._at_once(FaultKind.PARTITION, Place.LINK, host.agent_id)

    def _frames(self) -> None:
        host, random = self._host(), self._random
        if self._busy(Place.LINK, host.agent_id, FaultKind.FRAMES):
            return

        def rate(highest: float) -> float:
            return random.random() * highest if random.random() < 0.5 else 0.0

        host.line.rates = Rates(rate(0.1), rate(0.3), rate(0.2), rate(0.2), rate(0.1))

        def mend() -> None:
            host.line.rates = Rates()

        self._begin(FaultKind.FRAMES, Place.LINK, host.agent_id, random.uniform(5.0, 60.0), mend)

    def _replay(self) -> None:
        host = self._host()
        self._at_once(FaultKind.FRAMES, Place.LINK, host.agent_id)
        for _ in range(self._random.randint(1, 6)):
            host.line.replay(self._random.choice(list(Direction)))

    def _forgery(self) -> None:
        """A host that has been taken over answers for another: as soon as that is asked something."""
        forger, victim = self._host(), self._host()
        if forger is victim:
            return

        def forge(execute: Execute) -> None:
            answer = Completed(
                execute.command_id,
                execute.correlation_id,
                forger.line.epoch,
                response={"forged_by": forger.agent_id},
                sequence=execute.sequence,
                recorded=self._random.random() < 0.7,
            )
            forger.line.inject(Direction.TO_CONTROLLER, encode_message(answer))

        victim.line.on_execute = forge
        self._at_once(FaultKind.FRAMES, Place.LINK, forger.agent_id)
