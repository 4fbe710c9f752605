"""The steps by which one container takes another one's place, each looking before it acts, and the way back."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.local_policy_spec import judge_spec
from seawall.agent.operations.containers import grace_of
from seawall.agent.operations.health import is_well, last_check
from seawall.agent.operations.image_records import look
from seawall.agent.operations.replacement import COMMAND_LABEL, REPLACES_LABEL, Replacement, replacement_of
from seawall.agent.operations.runner import (
    Execution,
    Target,
    argument,
    clock_of,
    if_there,
    section,
)
from seawall.agent.operations.saga import Ending, Saga, Step, StepFailed, in_doubt, run_saga
from seawall.agent.operations.snapshot import Snapshot, snapshot_of
from seawall.agent.operations.verification import Record
from seawall.core.errors import Circumstance, CommandErrorCode

CALL_SECONDS = 60.0
"""How long Docker may take for one step; a stop's grace comes on top."""
STEADY_SECONDS = 3.0
"""How long a container without a health check has to run before it is taken to be well."""
CREATE = "create"
"""The first step that Docker sees anything of."""

_LOOK_AGAIN_SECONDS = 0.5
_SHORT = 12
_MANUAL = {"Name": "no"}


class Swapped(Struct, frozen=True):
    """How it ended well: what inspect says of the new container and of its image, and the id of the one replaced."""

    record: Record
    image: Mapping[str, object]
    replaced: str
    warnings: list[str]


class Swap:
    """One run of the saga. What it is about is in the pre-image, how far it came in the journal, the rest in Docker."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._docker = execution.docker
        self._seconds = call_seconds(execution)
        self._before = msgspec.convert(execution.pre_image, Snapshot)
        self._policy = section(execution.pre_image, "restart_policy") or _MANUAL
        self._old_id = self._before.id
        self._name = self._before.name
        short = execution.command_id.replace("-", "")[-_SHORT:]
        self._new_aside, self._old_aside = (
            f"{self._name}.seawall-{short}",
            f"{self._name}.seawall-old-{short}",
        )
        self._new_id: str | None = None
        self._reference = argument(execution.arguments, "image", str)
        self._warnings: list[str] = []
        self._told: Mapping[str, object] | None = None

    async def run(self) -> Swapped:
        """To its end. Raises DockerFailure: of the circumstance NONE if it was undone, else it is in doubt."""
        if self._execution.journal is None:
            raise ValueError("an update was begun without a journal")
        ending = await run_saga(self._saga(), self._execution.journal, self._tell)
        try:
            ended = await self._result(ending)
        except DockerFailure as failure:
            raise in_doubt(failure) from failure
        if isinstance(ended, str):
            raise DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.NONE, ended)
        return ended

    async def _result(self, ending: Ending) -> Swapped | str:
        """How it ended; in words if it was undone."""
        if ending.undone is not None:
            return await self._undone(ending)
        record = await self._find_new()
        if record is None:
            return f"{self._name} was replaced, and its replacement has been removed since"
        image = await self._image_of(record) or {}
        return Swapped(record, image, self._old_id, self._warnings + ending.problems)

    def _tell(self, text: str, detail: Mapping[str, object] | None = None) -> None:
        self._told = detail
        self._execution.progress(text, detail)

    def _saga(self) -> Saga:
        name, image = self._name, self._reference
        runs = self._before.running
        forward = [
            Step(CREATE, f"creating the new {name} of {image}", self._create),
            Step("connect", f"connecting the new {name} to its networks", self._connect),
            Step("quiet", f"keeping the old {name} from starting by itself", self._quiet),
            *([Step("stop", f"stopping the old {name}", self._stop)] if runs else []),
            Step("aside", f"setting the old {name} aside", self._set_aside),
            Step("name", f"giving the new container the name {name}", self._give_name),
            *([Step("start", f"starting the new {name}", self._start)] if runs else []),
            *([Step("prove", f"waiting until the new {name} is well", self._prove)] if runs else []),
        ]
        final = [
            Step("restore", f"giving the new {name} its restart policy", self._restore),
            Step("remove", f"removing the old {name}", self._remove),
        ]
        back = [
            Step("halt", f"stopping the new {name} again", self._halt_new),
            Step("return", f"giving the old container its name {name} back", self._return_name),
            Step("revive", f"having the old {name} serve again", self._revive),
            Step("discard", f"removing the new {name}", self._discard),
        ]
        return Saga(forward, final, back)

    # Forward

    async def _create(self) -> None:
        if await self._find_new() is not None:
            return
        spec = (await self.replacement(await self._old())).spec
        refusal = judge_spec(self._execution.policy, spec)
        if refusal is not None:
            raise StepFailed(refusal.message)
        try:
            self._new_id = await self._docker.container_create(
                name=self._new_aside, spec=spec, timeout_seconds=self._seconds
            )
        except DockerFailure:
            # Its name may be taken by the one that an earlier call of ours has made all the same.
            if await self._find_new() is None:
                raise

    async def replacement(self, record: Record) -> Replacement:
        """What the new container is made of. Raises DockerFailure."""
        image = await self._image_of(record)
        made = replacement_of(record, image, self._reference, self._execution.command_id)
        host = section(made.spec, "HostConfig")
        if host.get("CgroupnsMode") == "host":
            info = await self._docker.info(timeout_seconds=self._seconds)
            if str(info.get("CgroupVersion")) == "1":
                # There it is what every container has that asks for nothing, so nobody asked for it.
                spec = {**made.spec, "HostConfig": {**host, "CgroupnsMode": ""}}
                return msgspec.structs.replace(made, spec=spec)
        return made

    async def _connect(self) -> None:
        record = await self._new()
        wanted = (await self.replacement(await self._old())).networks
        connected = section(section(record, "NetworkSettings"), "Networks")
        for network in [network for network in wanted if network not in connected]:
            await self._docker.network_connect(
                network,
                container=_id_of(record),
                endpoint=wanted[network],
                timeout_seconds=self._seconds,
            )

    async def _quiet(self) -> None:
        record = await self._old()
        if policy_of(record).get("Name") != _MANUAL["Name"]:
            await self._configure(self._old_id, _MANUAL)

    async def _stop(self) -> None:
        record = await self._old()
        if snapshot_of(record).running:
            await self._docker.container_stop(
                self._old_id,
                grace_seconds=grace_of({}, Target(self._old_id, self._name, record)),
                timeout_seconds=self._seconds,
            )
        if snapshot_of(await self._old()).running:
            raise StepFailed(f"the old container {self._name} did not stop")

    async def _set_aside(self) -> None:
        if snapshot_of(await self._old()).name != self._old_aside:
            await self._rename(self._old_id, self._old_aside)

    async def _give_name(self) -> None:
        record = await self._new()
        if snapshot_of(record).name != self._name:
            await self._rename(_id_of(record), self._name)

    async def _start(self) -> None:
        record = await self._new()
        if not snapshot_of(record).running:
            await self._docker.container_start(_id_of(record), timeout_seconds=self._seconds)

    async def _prove(self) -> None:
        clock = clock_of(self._execution)
        began = clock.now()
        limit = argument(self._execution.arguments, "health_timeout_seconds", float)
        # After a kill it may have been stopped in the middle, by a daemon that ended: that proves nothing.
        await self._start()
        while True:
            record = await self._new()
            seconds = clock.now() - began
            if is_well(record, steady=seconds >= min(STEADY_SECONDS, limit)):
                return
            if seconds >= limit:
                raise StepFailed(f"the new container was not healthy within {limit:g} s{last_check(record)}")
            self._tell(f"waiting until the new {self._name} is well: {seconds:.0f} s", self._told)
            await clock.sleep_until(min(clock.now() + _LOOK_AGAIN_SECONDS, began + limit))

    # Final: the new one serves

    async def _restore(self) -> None:
        record = await self._new()
        if policy_of(record) != self._policy:
            await self._configure(_id_of(record), self._policy)
        if self._before.running:
            await self._start()

    async def _remove(self) -> None:
        new_id = _id_of(await self._new())
        await self._warn()
        await self._remove_one(self._old_id, volumes=False)
        for container_id in await self._made_by_us():
            if container_id != new_id:
                await self._remove_one(container_id, volumes=True)

    # Back: the old one serves again

    async def _halt_new(self) -> None:
        record = await self._find_new()
        if record is None or await self._find(self._old_id) is None:
            return
        seen = snapshot_of(record)
        if seen.running:
            await self._docker.container_stop(
                seen.id,
                grace_seconds=grace_of({}, Target(seen.id, seen.name, record)),
                timeout_seconds=self._seconds,
            )
        if seen.name != self._new_aside:
            await self._rename(seen.id, self._new_aside)

    async def _return_name(self) -> None:
        record = await self._find(self._old_id) or await self._find_new()
        if record is not None and snapshot_of(record).name != self._name:
            await self._rename(_id_of(record), self._name)

    async def _revive(self) -> None:
        record = await self._find(self._old_id) or await self._find_new()
        if record is None:
            return
        if policy_of(record) != self._policy:
            await self._configure(_id_of(record), self._policy)
        if self._before.running and not snapshot_of(record).running:
            await self._docker.container_start(_id_of(record), timeout_seconds=self._seconds)

    async def _discard(self) -> None:
        if await self._find(self._old_id) is None:
            return
        for container_id in await self._made_by_us():
            await self._remove_one(container_id, volumes=True)

    async def _undone(self, ending: Ending) -> str:
        """What became of it, in words."""
        record = await self._find(self._old_id)
        stands = record or await self._find_new()
        if stands is None:
            text = "and neither the old nor the new container is there any more"
        else:
            which = "old" if record is not None else "new"
            seen = snapshot_of(stands)
            if seen.running:
                serves = (
                    "serves again" if record is not None else "was left in its place, because the old is gone"
                )
                text = f"the {which} container {seen.name} {serves}"
            elif self._before.running:
                text = f"the {which} container {seen.name} is there, and does NOT run. Start it"
            else:
                text = f"the {which} container {seen.name} is as it was"
        problems = f". Not all could be undone: {'; '.join(ending.problems)}" if ending.problems else ""
        reason = (ending.undone or "").rstrip(".")
        return f"the update of {self._name} to {self._reference} failed: {reason}. It was undone: {text}{problems}"

    # What Docker is asked again and again

    async def _find(self, container_id: str) -> Record | None:
        return await if_there(self._docker.container_inspect(container_id, timeout_seconds=self._seconds))

    async def _old(self) -> Record:
        record = await self._find(self._old_id)
        if record is None:
            raise StepFailed(f"the container {self._name} that was to be replaced has been removed")
        return record

    async def _find_new(self) -> Record | None:
        if self._new_id is None:
            made = await self._made_by_us()
            self._new_id = made[0] if made else None
        return await self._find(self._new_id) if self._new_id is not None else None

    async def _new(self) -> Record:
        record = await self._find_new()
        if record is None:
            raise StepFailed("the new container has been removed")
        return record

    async def _made_by_us(self) -> list[str]:
        return await replacements(
            self._docker, self._execution.command_id, self._old_id, timeout_seconds=self._seconds
        )

    async def _image_of(self, record: Record) -> Mapping[str, object] | None:
        return await look(self._docker, str(record.get("Image")), self._seconds)

    async def _rename(self, container_id: str, name: str) -> None:
        await self._docker.container_rename(container_id, name=name, timeout_seconds=self._seconds)

    async def _configure(self, container_id: str, policy: Mapping[str, object]) -> None:
        await self._docker.container_configure(
            container_id, changes={"RestartPolicy": dict(policy)}, timeout_seconds=self._seconds
        )

    async def _remove_one(self, container_id: str, *, volumes: bool) -> None:
        await if_there(
            self._docker.container_remove(
                container_id, force=True, volumes=volumes, timeout_seconds=self._seconds
            )
        )

    async def _warn(self) -> None:
        """What the user has to know, as long as the old one is there to be looked at."""
        shared = f"container:{self._old_id}"
        listed = await self._docker.container_list(stopped=True, timeout_seconds=self._seconds)
        self._warnings = [
            f"{_listed_name(record)} uses the network of the old container: recreate it"
            for record in listed
            if section(record, "HostConfig").get("NetworkMode") == shared
        ]
        record = await self._find(self._old_id)
        if record is not None and await self._image_of(record) is None:
            self._warnings.append(
                "the old container's image is gone, so that what had come from it was kept as if it had been asked for"
            )


async def replacements(docker: Docker, command_id: str, old_id: str, *, timeout_seconds: float) -> list[str]:
    """The ids of what this command has made to take that container's place."""
    listed = await docker.container_list(stopped=True, timeout_seconds=timeout_seconds)
    ours = {COMMAND_LABEL: command_id, REPLACES_LABEL: old_id}
    return [_id_of(record) for record in listed if ours.items() <= dict(section(record, "Labels")).items()]


def policy_of(record: Record) -> dict[str, object]:
    """Its restart policy, as Docker takes it."""
    policy = section(section(record, "HostConfig"), "RestartPolicy")
    retries = policy.get("MaximumRetryCount")
    return {
        "Name": policy.get("Name") or "no",
        "MaximumRetryCount": retries if isinstance(retries, int) else 0,
    }


def _listed_name(record: Record) -> str:
    names = record.get("Names")
    return str(names[0]).removeprefix("/") if isinstance(names, list) and names else _id_of(record)[:_SHORT]


def _id_of(record: Record) -> str:
    return str(record.get("Id"))


def call_seconds(execution: Execution) -> float:
    """How long Docker may take for one call."""
    return min(CALL_SECONDS, execution.timeout_seconds)
