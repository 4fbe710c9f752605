"""Every operation of networks, volumes and the system on a real Docker Engine, through the agent's worker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import quote

import pytest
import pytest_asyncio

from seawall.agent.local_policy import Level, LocalPolicy, Rules
from seawall.core.errors import CommandErrorCode
from tests.agent.network_doubts import NETWORK_CASES, find_out_networks
from tests.system.engine import IMAGE, Engine
from tests.system.worker_on_docker import Host, host_on

pytestmark = [pytest.mark.docker, pytest.mark.asyncio]

Records = list[dict[str, object]]
PREDEFINED = ("bridge", "host", "none")


def remove_networks_and_volumes(engine: Engine) -> None:
    engine.remove_all_containers()
    for network in json.loads(engine.request("GET", "/networks").body):
        if network["Name"] not in PREDEFINED:
            _ = engine.request("DELETE", f"/networks/{network['Id']}")
    for volume in json.loads(engine.request("GET", "/volumes").body)["Volumes"] or []:
        _ = engine.request("DELETE", f"/volumes/{quote(volume['Name'])}?force=1")


@pytest_asyncio.fixture
async def host(docker_engine: Engine) -> AsyncIterator[Host]:
    remove_networks_and_volumes(docker_engine)
    async with host_on(docker_engine.host) as host:
        yield host
    remove_networks_and_volumes(docker_engine)


def on_docker(engine: Engine, path: str) -> dict[str, object]:
    """What Docker itself says."""
    answer = engine.request("GET", path)
    assert answer.status == 200, answer.body
    return cast("dict[str, object]", answer.json())


def part(record: dict[str, object], *path: str) -> dict[str, object]:
    for step in path:
        record = cast("dict[str, object]", record[step])
    return record


async def make_container(host: Host, name: str, network: str, *, start: bool = True) -> str:
    operation = "container_run" if start else "container_create"
    made = await host.do(operation, image=IMAGE, name=name, command=["sleep", "600"], networks=[network])
    return str(made["id"])


async def names_of(host: Host, operation: str, **arguments: object) -> list[object]:
    records = cast("Records", await host.read(operation, **arguments))
    return [record["name"] for record in records]


async def test_a_network_is_what_was_asked_for(host: Host, docker_engine: Engine) -> None:
    made = await host.do(
        "network_create",
        name="inner",
        internal=True,
        attachable=True,
        subnet="10.150.0.0/24",
        gateway="10.150.0.9",
        ip_range="10.150.0.128/25",
        labels={"tier": "front"},
        options={"com.docker.network.driver.mtu": "1400"},
    )
    assert made["subnets"] == ["10.150.0.0/24"]
    record = on_docker(docker_engine, f"/networks/{made['id']}")
    assert (record["Name"], record["Driver"], record["Internal"], record["Attachable"]) == (
        "inner",
        "bridge",
        True,
        True,
    )
    assert part(record, "IPAM")["Config"] == [
        {"Subnet": "10.150.0.0/24", "Gateway": "10.150.0.9", "IPRange": "10.150.0.128/25"}
    ]
    assert part(record, "Options") == {"com.docker.network.driver.mtu": "1400"}
    labels = part(record, "Labels")
    assert labels["tier"] == "front"
    assert str(labels["seawall.command_id"]).startswith("command-")
    assert await host.do("network_inspect", network="inner") == record
    assert "inner" in await names_of(host, "network_list")


async def test_a_network_with_ipv6_addresses_is_made(host: Host, docker_engine: Engine) -> None:
    _ = await host.do("network_create", name="six", subnet="fd00:150::/64", enable_ipv6=True)
    assert on_docker(docker_engine, "/networks/six")["EnableIPv6"] is True


async def test_what_docker_refuses_of_networks_is_said_in_its_words(host: Host) -> None:
    _ = await host.do("network_create", name="one", subnet="10.150.0.0/24")
    for operation, arguments, words in (
        ("network_create", {"name": "one", "subnet": "10.150.1.0/24"}, "already exists"),
        ("network_create", {"name": "two", "subnet": "10.150.0.0/24"}, "Pool overlaps"),
        ("network_create", {"name": "two", "driver": "no-such-driver"}, "not found"),
        ("network_remove", {"network": "host"}, "pre-defined"),
        ("network_remove", {"network": "nowhere"}, "not found"),
        ("network_inspect", {"network": "nowhere"}, "seawall network list"),
        ("volume_inspect", {"volume": "nothing"}, "seawall volume list"),
        ("volume_remove", {"volume": "nothing"}, "no such volume"),
        ("volume_create", {"name": "odd", "options": {"no-such-option": "1"}}, "invalid option"),
    ):
        answer = await host.ask(operation, **arguments)
        assert answer.code == CommandErrorCode.DOCKER_ERROR.value, (operation, answer)
        assert words in (answer.error or ""), (operation, answer.error)


async def test_a_container_is_connected_with_aliases_and_an_address_and_disconnected_again(
    host: Host, docker_engine: Engine
) -> None:
    _ = await host.do("network_create", name="home", subnet="10.150.1.0/24")
    made = await host.do("network_create", name="away", subnet="10.150.2.0/24")
    container = await make_container(host, "web", "home")
    done = await host.do(
        "network_connect", network="away", container="web", aliases=["www"], address="10.150.2.77"
    )
    assert (done["changed"], done["endpoint"]) == (True, {"address": "10.150.2.77", "aliases": ["www"]})
    record = on_docker(docker_engine, f"/networks/{made['id']}")
    assert part(record, "Containers", container)["IPv4Address"] == "10.150.2.77/24"
    again = await host.do("network_connect", network="away", container="web", aliases=["www"])
    assert again["changed"] is False
    busy = await host.ask("network_remove", network="away")
    assert "active endpoints" in (busy.error or "")
    gone = await host.do("network_disconnect", network="away", container="web")
    assert (gone["changed"], gone["endpoint"]) == (True, None)
    once_more = await host.do("network_disconnect", network="away", container="web")
    assert once_more["changed"] is False
    assert await host.do("network_remove", network="away") == {"network": "away", "id": made["id"]}
    assert "away" not in await names_of(host, "network_list")


async def test_a_container_that_does_not_run_is_connected_by_the_network_s_id(host: Host) -> None:
    _ = await host.do("network_create", name="home", subnet="10.150.1.0/24")
    made = await host.do("network_create", name="away", subnet="10.150.2.0/24")
    _ = await make_container(host, "web", "home", start=False)
    done = await host.do(
        "network_connect", network=str(made["id"])[:12], container="web", address="10.150.2.77"
    )
    assert (done["network"], done["endpoint"]) == ("away", {"address": "10.150.2.77", "aliases": []})
    _ = await host.do("container_start", container="web")
    record = await host.do("container_inspect", container="web")
    assert part(record, "NetworkSettings", "Networks", "away")["IPAddress"] == "10.150.2.77"


async def test_an_address_that_the_network_lacks_leaves_the_container_able_to_start_again(
    host: Host,
) -> None:
    _ = await host.do("network_create", name="home", subnet="10.150.1.0/24")
    _ = await host.do("network_create", name="away", subnet="10.150.2.0/24")
    _ = await make_container(host, "web", "home")
    refused = await host.ask("network_connect", network="away", container="web", address="10.99.0.1")
    assert "in no subnet of network away" in (refused.error or "")
    restarted = await host.do("container_restart", container="web", grace_seconds=0)
    assert part(restarted, "state")["running"] is True


async def test_a_volume_is_what_was_asked_for_and_goes_when_nobody_names_it(
    host: Host, docker_engine: Engine
) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    made = await host.do("volume_create", name="data", options=options, labels={"tier": "back"})
    assert made["changed"] is True
    record = on_docker(docker_engine, "/volumes/data")
    assert (record["Driver"], record["Options"]) == ("local", options)
    assert part(record, "Labels")["tier"] == "back"
    again = await host.do("volume_create", name="data", options=options)
    assert again["changed"] is False
    other = await host.ask("volume_create", name="data")
    assert "its driver or its options are others" in (other.error or "")
    assert await host.do("volume_inspect", volume="data") == record
    _ = await host.do(
        "container_create", image=IMAGE, name="user", network_mode="none", volumes=["data:/data"]
    )
    assert await names_of(host, "volume_list", unused=True) == []
    assert await names_of(host, "volume_list") == ["data"]
    busy = await host.ask("volume_remove", volume="data")
    assert "in use" in (busy.error or "")
    _ = await host.do("container_remove", container="user")
    assert await host.do("volume_remove", volume="data") == {"volume": "data"}
    assert await names_of(host, "volume_list") == []


async def test_networks_are_pruned_by_the_plan_that_was_confirmed(host: Host) -> None:
    for number, name in enumerate(("home", "later", "unused")):
        _ = await host.do("network_create", name=name, subnet=f"10.150.{number}.0/24")
    _ = await make_container(host, "web", "home", start=False)
    plan = cast("Records", (await host.do("network_prune_plan"))["networks"])
    ids = {str(each["name"]): str(each["id"]) for each in plan}
    assert set(ids) == {"later", "unused"}, "a network of a container that doesn't run is in use"
    _ = await host.do("network_connect", network="later", container="web")
    done = await host.do("network_prune", ids=[*ids.values(), "0" * 64])
    assert done["removed"] == [ids["unused"]]
    kept = {str(each["id"]): each["reason"] for each in cast("Records", done["kept"])}
    assert kept == {ids["later"]: "a container is in it", "0" * 64: "it was gone already"}


async def test_volumes_are_pruned_by_the_plan_that_was_confirmed(host: Host) -> None:
    for name in ("free", "taken"):
        _ = await host.do("volume_create", name=name)
    plan = cast("Records", (await host.do("volume_prune_plan"))["volumes"])
    names = sorted(str(each["name"]) for each in plan)
    assert names == ["free", "taken"]
    _ = await host.do(
        "container_create", image=IMAGE, name="user", network_mode="none", volumes=["taken:/data"]
    )
    _ = await host.do("volume_create", name="new")
    done = await host.do("volume_prune", names=[*names, "nothing"])
    assert done["removed"] == ["free"]
    assert [each["name"] for each in cast("Records", done["kept"])] == ["taken", "nothing"]
    assert sorted(map(str, await names_of(host, "volume_list"))) == ["new", "taken"]


async def test_a_host_s_policy_judges_what_volumes_and_networks_are_made_of(docker_engine: Engine) -> None:
    policy = LocalPolicy(Level.MANAGE, rules=Rules())
    async with host_on(docker_engine.host, policy) as host:
        for operation, arguments in (
            ("volume_create", {"options": {"type": "none", "o": "bind", "device": "/etc"}}),
            ("volume_create", {"options": {"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"}}),
            ("volume_create", {"driver": "other"}),
            ("network_create", {"driver": "macvlan"}),
        ):
            refused = await host.ask(operation, name="evil", **arguments)
            assert refused.code == CommandErrorCode.PERMISSION_DENIED.value, (operation, arguments)
        assert "evil" not in [*await names_of(host, "volume_list"), *await names_of(host, "network_list")]


async def test_the_versions_and_the_use_of_the_disk_are_told(host: Host) -> None:
    version = await host.do("system_version")
    assert str(version["docker_version"]).startswith("20.10.")
    assert version["api_version"] == "1.41"
    assert "Engine" in [each["name"] for each in cast("Records", version["parts"])]
    _ = await host.do("volume_create", name="data")
    _ = await host.do("container_create", image=IMAGE, name="user", network_mode="none")
    usage = await host.do("system_df")
    images, containers = part(usage, "images"), part(usage, "containers")
    assert (images["count"], images["active"], images["reclaimable_bytes"]) == (1, 1, 0)
    assert cast("int", images["bytes"]) > 500_000
    assert (containers["count"], containers["active"]) == (1, 0)
    assert part(usage, "volumes") == {"count": 1, "active": 0, "bytes": 0, "reclaimable_bytes": 0}
    assert part(usage, "build_cache")["count"] == 0
    assert await host.do("ping") == {"pong": True}
    assert (await host.do("system_info"))["docker_version"] == version["docker_version"]


async def test_every_change_in_doubt_is_found_out_as_on_the_fake(host: Host) -> None:
    assert await find_out_networks(host.docker, NETWORK_CASES) == []
