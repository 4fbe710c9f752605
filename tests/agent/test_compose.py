"""What is done with a Compose project, from the command to the program: judged first, and told without its secrets."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

import pytest

from seawall.agent.docker import DockerFailure
from seawall.agent.docker.compose import Down, Up
from seawall.agent.docker.compose_program import Watch
from seawall.agent.docker.compose_projects import Kept
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy
from seawall.agent.operations.compose_model import Project, project_of
from seawall.agent.operations.compose_plan import permitted
from seawall.agent.operations.compose_yaml import read_yaml
from seawall.agent.operations.registry import RESOLVERS, RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution, Target
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker, Fault
from tests.agent.test_compose_model import FORBIDDEN, MANAGE, PERMITTED, TOP

WEB = "services: {web: {image: busybox, environment: [TOKEN]}}"


def labelled(name: str, service: str, fingerprint: str = "", *, running: bool = True) -> FakeContainer:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": service,
        "com.docker.compose.config-hash": fingerprint,
        "com.docker.compose.container-number": "1",
    }
    return FakeContainer(name, image="busybox", labels=labels, running=running)


class ComposingDocker(FakeDocker):
    """Its program changes nothing in what it reads, and does what it is told."""

    compose_absent = None

    def __init__(self, *containers: FakeContainer) -> None:
        super().__init__(FakeClock(), [*containers, FakeContainer("other")])
        self.brought_up: list[Mapping[str, object] | None] = []
        self.hows: list[Up | Down] = []
        self.fails_with: str | None = None
        self.says = "all is well"

    async def compose_config(
        self, project: str, *, files: Mapping[str, str], use: Sequence[str], timeout_seconds: float
    ) -> str:
        return files[use[0]]

    async def compose_hashes(
        self, project: str, *, model: Mapping[str, object], timeout_seconds: float
    ) -> dict[str, str]:
        return {service.name: f"hash of {service.name}" for service in project_of(model).services}

    async def compose_kept(self, project: str) -> Kept:
        return Kept("digest", busy=False)

    async def compose_up(
        self, project: str, *, model: Mapping[str, object] | None, how: Up, watch: Watch
    ) -> str:
        self.brought_up.append(model)
        self.hows.append(how)
        await watch([self.says])
        return self._said()

    async def compose_down(self, project: str, *, how: Down, watch: Watch) -> str:
        self.hows.append(how)
        return self._said()

    def _said(self) -> str:
        if self.fails_with is not None:
            raise DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.NONE, self.fails_with)
        return self.says


async def run(
    docker: FakeDocker,
    operation: str,
    policy: LocalPolicy = UNRESTRICTED,
    progress: list[tuple[str, object]] | None = None,
    **arguments: object,
) -> dict[str, object]:
    checked = check_arguments(OPERATIONS[operation], {"project": "shop", **arguments})
    resolver = RESOLVERS.get(operation)
    target = await resolver(docker, checked, 30.0) if resolver is not None else None

    def report(text: str, detail: Mapping[str, object] | None = None) -> None:
        if progress is not None:
            progress.append((text, detail))

    execution = Execution(docker, "command", checked, 30.0, report, target, policy=policy)
    response = await RUNNERS[operation](execution)
    assert isinstance(response, dict)
    return response


@pytest.mark.asyncio
async def test_what_is_brought_up_is_the_model_that_was_judged() -> None:
    docker = ComposingDocker(labelled("shop_web_1", "web", "hash of web"))
    told: list[tuple[str, object]] = []
    up = await run(
        docker, "compose_up", MANAGE, told, files={"c.yml": WEB}, environment={"TOKEN": "hunter22"}
    )
    assert docker.brought_up == [
        {"services": {"web": {"image": "busybox", "environment": ["TOKEN=hunter22"]}}}
    ]
    assert up["services"] == {"web": {"running": 1, "containers": 1}}
    assert told == [
        ("1 of 1 containers run: all is well", {"services": up["services"], "said": ["all is well"]})
    ]


@pytest.mark.asyncio
async def test_a_forbidden_project_never_reaches_the_program() -> None:
    docker = ComposingDocker()
    text = "services: {web: {image: busybox}, spy: {image: busybox, volumes: ['/:/host']}}"
    with pytest.raises(DockerFailure, match=r"service spy: .*rules\.binds") as caught:
        await run(docker, "compose_up", MANAGE, files={"c.yml": text}, services=["web"])
    assert caught.value.code is CommandErrorCode.PERMISSION_DENIED
    assert docker.brought_up == []


@pytest.mark.asyncio
async def test_values_of_variables_are_told_to_nobody() -> None:
    docker = ComposingDocker(labelled("shop_web_1", "web"))
    docker.says = "TOKEN is hunter22"
    given: dict[str, object] = {"files": {"c.yml": WEB}, "environment": {"TOKEN": "hunter22"}}
    told: list[tuple[str, object]] = []
    up = await run(docker, "compose_up", UNRESTRICTED, told, **given)
    assert up["output"] == "TOKEN is [redacted]"
    assert "hunter22" not in repr(told)
    docker.fails_with = "no hunter22 here"
    with pytest.raises(DockerFailure, match=r"no \[redacted\] here"):
        await run(docker, "compose_up", **given)
    wrong = {**given, "files": {"c.yml": "services: {web: {image: x, mem_limit: $TOKEN}}"}}
    with pytest.raises(DockerFailure, match=r"'\[redacted\]' is no size"):
        await run(docker, "compose_up", **wrong)


@pytest.mark.asyncio
async def test_a_program_that_fails_is_the_end_if_docker_says_how_things_stand_and_a_doubt_if_not() -> None:
    docker = ComposingDocker(labelled("shop_web_1", "web", running=False))
    docker.fails_with = "it ended with 1"
    with pytest.raises(DockerFailure, match="Its containers now: shop_web_1 created") as caught:
        await run(docker, "compose_up", files={"c.yml": WEB})
    assert caught.value.circumstance is Circumstance.NONE

    execution = Execution(
        docker,
        "command",
        check_arguments(OPERATIONS["compose_down"], {"project": "shop"}),
        30.0,
        lambda text, detail=None: None,
        Target("project shop", "shop", {}),
    )
    docker.fault(Fault.UNREACHABLE)
    with pytest.raises(DockerFailure, match="isn't known") as caught:
        await RUNNERS["compose_down"](execution)
    assert caught.value.circumstance is Circumstance.DOCKER_FAILED


@pytest.mark.asyncio
async def test_services_that_are_not_there_are_refused_by_name() -> None:
    with pytest.raises(DockerFailure, match="no service 'wbe', only web"):
        await run(ComposingDocker(), "compose_up", files={"c.yml": WEB}, services=["wbe"])
    with pytest.raises(DockerFailure, match="or none of these services"):
        await run(ComposingDocker(labelled("shop_web_1", "web")), "compose_restart", services=["wbe"])


@pytest.mark.asyncio
async def test_only_the_containers_of_a_project_are_looked_at_and_restarted() -> None:
    docker = ComposingDocker(labelled("shop_web_1", "web"), labelled("shop_db_1", "db"))
    standing = await run(docker, "compose_ps")
    assert standing["services"] == {
        "db": {"running": 1, "containers": 1},
        "web": {"running": 1, "containers": 1},
    }
    found = standing["containers"]
    assert isinstance(found, list)
    ids = {container["container"]: container["id"] for container in found}
    await run(docker, "compose_restart", services=["web"], grace_seconds=0)
    assert {effect.container_id for effect in docker.history} == {ids["shop_web_1"]}


@pytest.mark.asyncio
async def test_the_pre_image_is_plain_and_small_and_has_no_secret() -> None:
    docker = ComposingDocker(labelled("shop_web_1", "web", "old"))
    arguments = check_arguments(
        OPERATIONS["compose_up"],
        {"project": "shop", "files": {"c.yml": WEB}, "environment": {"TOKEN": "hunter22"}},
    )
    target = await RESOLVERS["compose_up"](docker, arguments, 30.0)
    assert target is not None
    image = json.dumps(VERIFIERS["compose_up"].pre_image(target.record))
    assert "hash of web" in image
    assert "hunter22" not in image


CLAIMS = 300


def test_three_hundred_projects_with_a_claim_on_the_host_are_forbidden() -> None:
    for seed in range(CLAIMS):
        dice = random.Random(seed)
        claim = dice.choice(list(FORBIDDEN.values()))
        harmless = dice.sample([text for text in PERMITTED.values() if text], 4)
        settings = fitting([claim, *harmless])
        dice.shuffle(settings)
        text = f"services: {{web: {{image: busybox, {', '.join(settings)}}}, db: {{image: busybox}}}}\n{TOP}"
        project = project_of(read_yaml(text, "it"))
        assert is_forbidden(project), f"seed {seed}: {text}"
        permitted(UNRESTRICTED, project)


def is_forbidden(project: Project) -> bool:
    try:
        permitted(MANAGE, project)
    except DockerFailure as failure:
        return "the policy of this host forbids it" in failure.message
    return False


def fitting(settings: list[str]) -> list[str]:
    """Those that don't say the same key a second time."""
    kept: list[str] = []
    keys: set[str] = set()
    for each in settings:
        read = read_yaml(f"{{{each}}}", "it")
        assert isinstance(read, dict)
        own = {"networks" if key == "network_mode" else key for key in read}
        if not own & keys:
            kept.append(each)
            keys |= own
    return kept
