"""Changes of networks and volumes in doubt, and what has to be found out: the same on the fake and the real Docker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from seawall.agent.docker import Docker
from seawall.agent.operations.registry import RESOLVERS, RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution
from seawall.agent.operations.verification import Doubt, Finding, Sought, Verdict
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS

SECONDS = 20.0
HOME = "home"
"""The network that every container is in."""


class Place:
    """What one case has to itself: names, and the hands that make and break what they stand for."""

    def __init__(self, docker: Docker, number: int) -> None:
        self.docker = docker
        self.number = number
        self.network, self.other = f"net-{number}", f"other-{number}"
        self.volume, self.second = f"vol-{number}", f"second-{number}"
        self.container = f"box-{number}"
        self.ids: dict[str, str] = {}

    async def make_network(self, name: str = "") -> None:
        pool = {"Subnet": f"10.201.{2 * self.number + len(self.ids)}.0/24"}
        spec = {"Name": name or self.network, "IPAM": {"Config": [pool]}}
        self.ids[name or self.network] = await self.docker.network_create(spec=spec, timeout_seconds=SECONDS)

    async def make_container(self) -> None:
        spec: dict[str, object] = {
            "Image": "busybox:latest",
            "Cmd": ["sleep", "600"],
            "HostConfig": {"NetworkMode": HOME},
        }
        made = await self.docker.container_create(name=self.container, spec=spec, timeout_seconds=SECONDS)
        await self.docker.container_start(made, timeout_seconds=SECONDS)

    async def make_volume(self, name: str = "", **options: str) -> None:
        spec: dict[str, object] = {"Name": name or self.volume, "DriverOpts": options}
        _ = await self.docker.volume_create(spec=spec, timeout_seconds=SECONDS)

    async def remove_volume(self, name: str = "") -> None:
        await self.docker.volume_remove(name or self.volume, force=False, timeout_seconds=SECONDS)

    async def connect(self, *aliases: str) -> None:
        await self.docker.network_connect(
            self.network,
            container=self.container,
            endpoint={"Aliases": list(aliases)},
            timeout_seconds=SECONDS,
        )

    async def remove_network(self, name: str = "") -> None:
        await self.docker.network_remove(name or self.network, timeout_seconds=SECONDS)

    async def remove_container(self) -> None:
        await self.docker.container_remove(self.container, force=True, volumes=False, timeout_seconds=SECONDS)


Happening = Callable[[Place], Awaitable[None]]


async def nothing(place: Place) -> None:
    """The call never arrived."""


async def a_network(place: Place) -> None:
    await place.make_network()


async def two_networks(place: Place) -> None:
    await place.make_network()
    await place.make_network(place.other)


async def a_container_beside(place: Place) -> None:
    await place.make_network()
    await place.make_container()


async def a_container_inside(place: Place) -> None:
    await a_container_beside(place)
    await place.connect("web")


async def a_volume(place: Place) -> None:
    await place.make_volume()


async def two_volumes(place: Place) -> None:
    await place.make_volume()
    await place.make_volume(place.second)


async def another_volume(place: Place) -> None:
    await place.make_volume(type="tmpfs", device="tmpfs", o="size=1m")


async def network_goes(place: Place) -> None:
    await place.remove_network()


async def container_goes(place: Place) -> None:
    await place.remove_container()


async def volume_goes(place: Place) -> None:
    await place.remove_volume()


async def volume_is_made_anew(place: Place) -> None:
    await place.remove_volume()
    await another_volume(place)


async def connects_otherwise(place: Place) -> None:
    await place.connect("db")


@dataclass(frozen=True)
class NetworkCase:
    """What is there `before`, whether the change was `done`, what `somebody` does, and what is to be found out of it.

    `response` is (state_satisfied, attributed).
    """

    operation: str
    verdict: Verdict
    response: tuple[bool, str] | None = None
    before: Happening = nothing
    done: bool = False
    somebody: Happening = nothing
    arguments: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [self.operation, self.before.__name__, "done" if self.done else "undone"]
        return "-".join([*words, self.somebody.__name__, *self.arguments])


_applied, _not_applied = Verdict.APPLIED, Verdict.NOT_APPLIED
_unknowable, _failed = Verdict.UNKNOWABLE, Verdict.FAILED
_ours, _anyone, _partly = (True, "seawall"), (True, "unknown"), (False, "unknown")
_beside, _inside = a_container_beside, a_container_inside
_web: dict[str, object] = {"aliases": ["web"]}
_create, _remove, _prune = "network_create", "network_remove", "network_prune"
_connect, _disconnect = "network_connect", "network_disconnect"
_new, _gone, _clean = "volume_create", "volume_remove", "volume_prune"

NETWORK_CASES = [
    NetworkCase(_create, _not_applied),
    NetworkCase(_create, _applied, _ours, done=True),
    NetworkCase(_create, _not_applied, somebody=a_network),
    NetworkCase(_create, _not_applied, done=True, somebody=network_goes),
    NetworkCase(_remove, _not_applied, before=a_network),
    NetworkCase(_remove, _applied, _ours, before=a_network, done=True),
    NetworkCase(_remove, _applied, _ours, before=a_network, done=True, somebody=a_network),
    NetworkCase(_connect, _not_applied, before=_beside),
    NetworkCase(_connect, _applied, _ours, before=_beside, done=True),
    NetworkCase(_connect, _applied, _ours, before=_beside, done=True, arguments=_web),
    NetworkCase(_connect, _applied, _anyone, before=_inside, arguments=_web),
    NetworkCase(_connect, _unknowable, before=_beside, somebody=connects_otherwise, arguments=_web),
    NetworkCase(_connect, _unknowable, before=_beside, done=True, somebody=container_goes),
    NetworkCase(_disconnect, _not_applied, before=_inside),
    NetworkCase(_disconnect, _applied, _ours, before=_inside, done=True),
    NetworkCase(_disconnect, _applied, _anyone, before=_beside),
    NetworkCase(_disconnect, _unknowable, before=_inside, somebody=container_goes),
    NetworkCase(_prune, _not_applied, before=two_networks),
    NetworkCase(_prune, _applied, _anyone, before=two_networks, done=True),
    NetworkCase(_prune, _applied, _partly, before=two_networks, somebody=network_goes),
    NetworkCase(_new, _not_applied),
    NetworkCase(_new, _applied, _ours, done=True),
    NetworkCase(_new, _applied, _anyone, somebody=a_volume),
    NetworkCase(_new, _failed, somebody=another_volume),
    NetworkCase(_gone, _not_applied, before=a_volume),
    NetworkCase(_gone, _applied, _ours, before=a_volume, done=True),
    NetworkCase(_gone, _unknowable, before=a_volume, somebody=volume_is_made_anew),
    NetworkCase(_clean, _not_applied, before=two_volumes),
    NetworkCase(_clean, _applied, _anyone, before=two_volumes, done=True),
    NetworkCase(_clean, _applied, _partly, before=two_volumes, somebody=volume_goes),
]


async def find_out_networks(docker: Docker, cases: list[NetworkCase]) -> list[str]:
    """Let it all happen; what is found out wrongly."""
    spec = {"Name": HOME, "IPAM": {"Config": [{"Subnet": "10.200.0.0/24"}]}}
    _ = await docker.network_create(spec=spec, timeout_seconds=SECONDS)
    wrong: list[str] = []
    for number, case in enumerate(cases):
        finding = await _find_out(case, Place(docker, number))
        found, expected = _summary(finding), (case.verdict, case.response)
        if found != expected:
            wrong.append(f"{case}: {found} instead of {expected} ({finding.reason})")
    return wrong


def given(case: NetworkCase, place: Place) -> dict[str, object]:
    """The arguments of a case."""
    if case.operation == _create:
        return {"name": place.network, "subnet": f"10.202.{place.number}.0/24"}
    if case.operation == _new:
        return {"name": place.volume}
    if case.operation == _prune:
        return {"ids": list(place.ids.values())}
    if case.operation == _clean:
        return {"names": [place.volume, place.second]}
    if case.operation == _gone:
        return {"volume": place.volume}
    container = {"container": place.container} if case.operation in (_connect, _disconnect) else {}
    return {"network": place.network, **container, **case.arguments}


async def _find_out(case: NetworkCase, place: Place) -> Finding:
    docker, command_id = place.docker, f"command-{place.number}"
    await case.before(place)
    arguments = check_arguments(OPERATIONS[case.operation], given(case, place))
    resolver, verifier = RESOLVERS.get(case.operation), VERIFIERS[case.operation]
    target = await resolver(docker, arguments, SECONDS) if resolver is not None else None
    image = {} if target is None else {**verifier.pre_image(target.record), "id": target.object_id}
    image = msgspec.json.decode(msgspec.json.encode(image), type=dict[str, object])
    if case.done:
        execution = Execution(docker, command_id, arguments, SECONDS, _quiet, target)
        _ = await RUNNERS[case.operation](execution)
    await case.somebody(place)
    found = await verifier.find(docker, Sought(command_id, arguments, image), SECONDS)
    now = found.record if found is not None else None
    return verifier.verify(Doubt(arguments, image, now, settled=True, command_id=command_id))


def _quiet(text: str, detail: Mapping[str, object] | None = None) -> None:
    """Nobody watches."""


def _summary(finding: Finding) -> tuple[Verdict, tuple[object, object] | None]:
    response = finding.response
    if not isinstance(response, dict):
        return finding.verdict, None
    return finding.verdict, (response["state_satisfied"], response["attributed"])
