"""The host's policy: what it forbids doesn't get through, whichever way it comes."""

from __future__ import annotations

from random import Random

import pytest

from seawall.agent.local_policy import (
    READ_ONLY,
    UNRESTRICTED,
    Level,
    LocalPolicy,
    Rules,
    judge_image,
    judge_network,
    judge_operation,
    judge_process,
    judge_volume,
    normal_path,
)
from seawall.agent.local_policy_spec import judge_spec
from seawall.core.errors import CommandErrorCode
from seawall.operations.registry import OPERATIONS
from tests.agent.forbidden import (
    FORBIDDEN_ARGUMENTS,
    FORBIDDEN_BODIES,
    HOST_PATHS,
    PERMITTED_ARGUMENTS,
    PERMITTED_BODIES,
    POLICY,
    specification,
)
from tests.agent.worker_bench import opened

SPECIFICATIONS = 300


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", ["container_create", "container_run"])
async def test_of_300_specifications_none_that_a_rule_forbids_gets_through_a_create(operation: str) -> None:
    bench = await opened(policy=POLICY)
    bench.docker.add_image("ghcr.io/acme/tool:1")
    refused = 0
    for seed in range(SPECIFICATIONS):
        arguments, forbidden = specification(
            Random(seed), {"image": "busybox"}, FORBIDDEN_ARGUMENTS, PERMITTED_ARGUMENTS
        )
        before = len(bench.docker.history)
        answer = await bench.answer(bench.give(operation, **arguments, name=f"made-{seed}"))
        if forbidden:
            refused += 1
            assert answer.code == CommandErrorCode.PERMISSION_DENIED.value, (seed, arguments, answer)
            assert "the policy of this host forbids it" in (answer.error or "")
            assert len(bench.docker.history) == before, (seed, arguments)
        else:
            assert answer.code is None, (seed, arguments, answer.error)
            assert len(bench.docker.history) > before
    assert SPECIFICATIONS * 0.5 < refused < SPECIFICATIONS * 0.9, (
        "the dice were loaded: this run proves nothing"
    )


def test_of_300_bodies_none_that_a_rule_forbids_passes_the_judge_of_update_and_compose() -> None:
    for seed in range(SPECIFICATIONS):
        body, forbidden = specification(
            Random(seed), {"Image": "busybox", "HostConfig": {}}, FORBIDDEN_BODIES, PERMITTED_BODIES
        )
        refusal = judge_spec(POLICY, body)
        assert (refusal is not None) is forbidden, (seed, body, refusal)


@pytest.mark.parametrize("make", FORBIDDEN_BODIES)
def test_each_forbidden_piece_is_refused_by_itself_and_permits_no_body_at_a_lower_level(make: object) -> None:
    assert callable(make)
    for seed in range(40):
        body = {"Image": "busybox", "HostConfig": {}} | make(Random(seed))
        assert judge_spec(POLICY, body) is not None, body
        assert judge_spec(LocalPolicy(Level.OPERATE), {"Image": "busybox"}) is not None


@pytest.mark.parametrize(
    ("policy", "permitted", "forbidden"),
    [
        (READ_ONLY, ["ping", "container_list", "container_logs"], ["container_start", "container_remove"]),
        (
            LocalPolicy(Level.OPERATE),
            ["container_restart", "container_pause", "container_set_limits"],
            ["container_create", "container_run", "container_remove", "container_exec"],
        ),
        (POLICY, ["container_run", "container_remove", "container_start"], ["container_exec"]),
        (LocalPolicy(exec=True), ["container_exec"], ["container_start"]),
        (UNRESTRICTED, sorted(OPERATIONS), []),
    ],
    ids=["read-only", "operate", "manage", "exec alone", "unrestricted"],
)
def test_a_level_permits_what_it_says_and_exec_stands_apart(
    policy: LocalPolicy, permitted: list[str], forbidden: list[str]
) -> None:
    for name in permitted:
        assert judge_operation(policy, OPERATIONS[name]) is None
    for name in forbidden:
        assert judge_operation(policy, OPERATIONS[name]) is not None


def test_whatever_changes_the_host_and_is_not_named_needs_the_level_manage() -> None:
    changing = [operation for operation in OPERATIONS.values() if operation.changes]
    assert all(judge_operation(READ_ONLY, operation) is not None for operation in changing)


@pytest.mark.asyncio
async def test_a_refused_operation_is_over_before_anything_begins_and_is_not_offered() -> None:
    bench = await opened(policy=READ_ONLY)
    answer = await bench.answer(bench.give("container_stop", container="web"))
    assert (answer.code, answer.recorded) == ("permission_denied", True)
    assert 'needs level = "operate"' in (answer.error or "")
    assert bench.docker.calls == []
    assert "container_stop" not in bench.worker.operations
    assert "container_list" in bench.worker.operations


@pytest.mark.asyncio
async def test_an_id_that_stands_for_the_hosts_network_is_the_hosts_network() -> None:
    bench = await opened(policy=POLICY)
    host = (await bench.docker.network_inspect("host", timeout_seconds=1))["Id"]
    for arguments in (
        {"network_mode": str(host)},
        {"networks": [str(host)]},
        {"networks": ["bridge", str(host)]},
    ):
        answer = await bench.answer(bench.give("container_create", image="busybox", **arguments))
        assert answer.code == "permission_denied", arguments
    assert bench.docker.history == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("image_pull", {"reference": "redis:7"}),
        ("image_pull", {"reference": "busybox", "mirror": "evil.example:5000"}),
        ("image_push", {"reference": "redis:7"}),
    ],
)
async def test_an_image_that_is_not_listed_is_neither_pulled_nor_pushed(
    operation: str, arguments: dict[str, object]
) -> None:
    bench = await opened(policy=POLICY)
    answer = await bench.answer(bench.give(operation, **arguments))
    assert (answer.code, bench.docker.history) == ("permission_denied", []), answer.error


@pytest.mark.parametrize(
    ("pattern", "image", "permitted"),
    [
        ("*", "evil.io/x", True),
        ("nginx", "nginx:1.27", True),
        ("nginx", "docker.io/library/nginx", True),
        ("nginx", "evil/nginx", False),
        ("nginx:1.*", "nginx:1.27", True),
        ("nginx:1.*", "nginx:2", False),
        ("nginx:1.*", f"nginx@sha256:{'a' * 64}", False),
        ("acme/*", "acme/tool", True),
        ("acme/*", "evil.io/acme/tool", False),
        ("ghcr.io/acme/*", "ghcr.io/acme/tool/deep", False),
        ("ghcr.io/acme/**", "ghcr.io/acme/tool/deep", True),
        ("localhost:5000/*", "localhost:5000/a:b", True),
        (f"sha256:{'a' * 64}", f"sha256:{'a' * 64}", True),
        (f"sha256:{'a' * 64}", f"nginx@sha256:{'a' * 64}", True),
        ("nginx.", "nginxx", False),
        ("*", "not an image", False),
    ],
)
def test_an_image_is_permitted_by_a_pattern_of_its_whole_name(
    pattern: str, image: str, permitted: bool
) -> None:
    policy = LocalPolicy(Level.MANAGE, rules=Rules(images=(pattern,)))
    assert (judge_image(policy, image) is None) is permitted


def test_an_empty_list_permits_nothing() -> None:
    policy = LocalPolicy(Level.MANAGE)
    assert judge_image(policy, "busybox") is not None
    assert judge_spec(policy, {"Image": "busybox"}) is not None


@pytest.mark.parametrize("path", HOST_PATHS)
def test_a_volume_that_is_a_path_of_the_host_is_a_bind(path: str) -> None:
    body = {"Name": "data", "DriverOpts": {"type": "none", "o": "bind", "device": path}}
    assert judge_volume(POLICY, body) is not None
    assert judge_volume(POLICY, {"Name": "data", "driveropts": body["DriverOpts"]}) is not None
    assert judge_volume(POLICY, {"Name": "data"}) is None


def test_everything_below_the_root_does_not_list_the_engines_socket() -> None:
    policy = LocalPolicy(Level.MANAGE, rules=Rules(images=("*",), binds=("/**",)))
    for path, permitted in (("/etc", True), ("/run", False), ("/", False), ("/var/run/docker.sock", False)):
        refusal = judge_spec(policy, {"Image": "a", "HostConfig": {"Binds": [f"{path}:/mnt"]}})
        assert (refusal is None) is permitted, path


def test_networks_of_the_hosts_own_are_listed_by_their_driver() -> None:
    assert judge_network(POLICY, {"Name": "a", "Driver": "bridge"}) is None
    assert judge_network(POLICY, {"Name": "a", "driver": "macvlan"}) is not None


def test_a_privileged_process_needs_the_rule_for_privileged_containers() -> None:
    policy = LocalPolicy(Level.MANAGE, exec=True)
    assert judge_process(policy, {"Cmd": ["id"]}) is None
    assert judge_process(policy, {"Cmd": ["id"], "privileged": True}) is not None
    assert judge_process(POLICY, {"Cmd": ["id"]}) is not None


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/a/../b", "/b"),
        ("//a", "/a"),
        ("/../..", "/"),
        ("/a/./b/", "/a/b"),
        ("a", None),
        ("", None),
        ("/a\0b", None),
    ],
)
def test_a_path_is_read_as_the_kernel_reads_it(path: str, normal: str | None) -> None:
    assert normal_path(path) == normal
