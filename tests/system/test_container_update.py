"""container_update on a real Docker Engine: what the new container is like, and what becomes of one that isn't well."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio

from seawall.agent.docker import AioDocker
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.testing.ledger import MemoryDisk
from seawall.wire.messages import Completed, Execute, FromAgent
from tests.system.engine import IMAGE, Engine

pytestmark = [pytest.mark.docker, pytest.mark.asyncio, pytest.mark.timeout(180, func_only=True)]

OLD, NEW, ILL = "app:1", "app:2", "app:ill"
NETWORKS = ("front", "back")


class Host:
    """An agent's worker on the tests' own Engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.docker = AioDocker(engine.host)
        self.clock = SystemClock()
        self.sent: list[FromAgent] = []
        self.worker = Worker(
            self.docker,
            self.clock,
            self.sent.append,
            ledger=MemoryDisk().ledger("agent-1", self.clock),
            version="0.1.0",
        )
        self.count = 0

    async def update(self, **arguments: object) -> Completed:
        self.count += 1
        name = f"command-{self.count}"
        given = {"container": "web", "pull": "never", **arguments}
        self.worker.execute(Execute(name, name, 1, "container_update", given, 120.0, 1, self.count))
        end = self.clock.now() + 120.0
        while self.clock.now() < end:
            for message in self.sent:
                if isinstance(message, Completed) and message.command_id == name:
                    return message
            await asyncio.sleep(0.05)  # a bounded poll: the Engine is another process
        raise AssertionError("the update has no end")

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = await asyncio.to_thread(self.engine.request, method, path, body)
        assert answer.status < 400, answer.body
        return answer.json()

    async def commit(self, image: str, changes: Mapping[str, object]) -> None:
        """An image like the tests' own, with other settings."""
        container = await self.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"]})
        repo, _, tag = image.partition(":")
        query = urlencode({"container": container["Id"], "repo": repo, "tag": tag})
        await self.ask("POST", f"/commit?{query}", dict(changes))
        await self.ask("DELETE", f"/containers/{container['Id']}?v=1")


def image_settings(version: str, program: str) -> dict[str, object]:
    return {
        "Env": [f"VERSION={version}", "COLOUR=blue"],
        "Cmd": ["sh", "-c", program],
        "Labels": {"org.version": version, "team": "image"},
        "WorkingDir": f"/v{version}",
        "ExposedPorts": {f"{8000 + int(version)}/tcp": {}},
        "Volumes": {f"/scratch{version}": {}},
        "StopSignal": "SIGKILL",
    }


@pytest_asyncio.fixture
async def host(docker_engine: Engine) -> AsyncIterator[Host]:
    host = Host(docker_engine)
    serve = "echo $VERSION > /data/version; while true; do sleep 1; done"
    await host.commit(OLD, image_settings("1", serve))
    await host.commit(NEW, image_settings("2", serve))
    await host.commit(ILL, image_settings("3", "sleep 1; exit 7"))
    await host.worker.begin_session(1, 1)
    yield host
    await host.worker.close()
    await host.docker.close()
    docker_engine.remove_all_containers()
    for name in NETWORKS:
        docker_engine.request("DELETE", f"/networks/{name}")


def full(networks: bool) -> dict[str, object]:
    """Something of everything that a user can ask for."""
    body: dict[str, object] = {
        "Image": OLD,
        "Hostname": "www",
        "Env": ["MODE=live", "COLOUR=red"],
        "Labels": {"owner": "me", "team": "image"},
        "Volumes": {"/data": {}},
        "StopTimeout": 1,
        "Healthcheck": {"Test": ["CMD", "/bin/true"], "Interval": 500_000_000, "Retries": 2},
        "HostConfig": {
            "NetworkMode": "none",
            "Binds": ["named:/named:ro"],
            "Mounts": [{"Type": "tmpfs", "Target": "/t"}, {"Type": "volume", "Target": "/m"}],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4},
            "Memory": 64 * 1024**2,
            "NanoCpus": 500_000_000,
            "PidsLimit": 50,
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["MKNOD"],
            "Devices": [
                {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nul", "CgroupPermissions": "rw"}
            ],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "ExtraHosts": ["db:10.0.0.1"],
            "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
            "ShmSize": 8 * 1024**2,
            "Init": True,
        },
    }
    if networks:
        host = body["HostConfig"]
        assert isinstance(host, dict)
        host["NetworkMode"] = "front"
        host["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]}
        body["ExposedPorts"] = {"80/tcp": {}}
        body["NetworkingConfig"] = {
            "EndpointsConfig": {"front": {"Aliases": ["www"], "IPAMConfig": {"IPv4Address": "10.81.0.9"}}}
        }
    return body


def comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be the same before and after."""
    record = copy.deepcopy(dict(record))
    config, host = record["Config"], record["HostConfig"]
    for name in ("Image", "Env", "Labels", "WorkingDir", "ExposedPorts", "Volumes", "Cmd", "Hostname"):
        del config[name]
    # Volumes that had no names have theirs now.
    del host["Binds"], host["Mounts"]
    networks = {
        name: {
            "IPAMConfig": end["IPAMConfig"],
            "Aliases": sorted(alias for alias in end["Aliases"] or [] if alias != record["Id"][:12]),
        }
        for name, end in record["NetworkSettings"]["Networks"].items()
    }
    mounts = sorted(
        (mount["Type"], mount["Destination"], mount.get("Name", ""), mount["RW"])
        for mount in record["Mounts"]
        if not mount["Destination"].startswith("/scratch2")
    )
    return {
        "Name": record["Name"],
        "Config": config,
        "HostConfig": host,
        "Networks": networks,
        "Mounts": mounts,
    }


async def connected(host: Host) -> bool:
    """Two networks, if this machine lets the Engine make them."""
    for name, subnet in zip(NETWORKS, ("10.81.0.0/24", "10.82.0.0/24"), strict=True):
        spec = {"Name": name, "Driver": "bridge", "IPAM": {"Config": [{"Subnet": subnet}]}}
        answer = await asyncio.to_thread(host.engine.request, "POST", "/networks/create", spec)
        if answer.status >= 400:
            return False
    return True


async def serve(host: Host, body: Mapping[str, object]) -> dict[str, Any]:
    made = await host.ask("POST", "/containers/create?name=web", dict(body))
    if "NetworkingConfig" in body:
        end = {
            "Container": made["Id"],
            "EndpointConfig": {"Aliases": ["api"], "IPAMConfig": {"IPv4Address": "10.82.0.7"}},
        }
        await host.ask("POST", "/networks/back/connect", end)
    await host.ask("POST", "/containers/web/start")
    found: dict[str, Any] = await host.ask("GET", "/containers/web/json")
    return found


async def names(host: Host) -> list[str]:
    return sorted(entry["Names"][0] for entry in await host.ask("GET", "/containers/json?all=1"))


async def test_the_new_container_is_as_the_old_one_but_for_what_its_image_brings(host: Host) -> None:
    before = await serve(host, full(await connected(host)))
    answer = await host.update(image=NEW)
    assert answer.code is None, answer.error
    after = await host.ask("GET", "/containers/web/json")
    assert comparable(after) == comparable(before)
    assert after["Config"]["Hostname"] == "www"
    assert sorted(after["Config"]["Env"]) == sorted(
        [*(entry for entry in before["Config"]["Env"] if entry != "VERSION=1"), "VERSION=2"]
    )
    assert after["Config"]["Labels"] == {
        "owner": "me",
        "team": "image",
        "org.version": "2",
        "seawall.command_id": "command-1",
        "seawall.replaces": before["Id"],
    }
    assert after["Config"]["WorkingDir"] == "/v2"
    assert "8002/tcp" in after["Config"]["ExposedPorts"]
    assert "8001/tcp" not in after["Config"]["ExposedPorts"]
    assert "/scratch2" in {mount["Destination"] for mount in after["Mounts"]}
    assert isinstance(answer.response, dict)
    assert (answer.response["health"], answer.response["replaced"]) == ("healthy", before["Id"])
    assert answer.response["warnings"] == []
    assert await names(host) == ["/web"]


async def test_the_contents_of_unnamed_volumes_go_along(host: Host) -> None:
    before = await serve(host, full(networks=False))
    answer = await host.update(image=NEW)
    assert answer.code is None, answer.error
    after = await host.ask("GET", "/containers/web/json")
    volumes = [{m["Destination"]: m.get("Name") for m in record["Mounts"]} for record in (before, after)]
    assert volumes[0]["/data"] == volumes[1]["/data"]
    assert volumes[0]["/m"] == volumes[1]["/m"]
    for name in (volumes[1]["/data"], volumes[1]["/m"]):
        assert (await host.ask("GET", f"/volumes/{quote(name)}"))["Name"] == name


async def test_a_new_container_that_is_not_well_is_undone(host: Host) -> None:
    body = full(networks=False)
    before = await serve(host, body)
    answer = await host.update(image=ILL, health_timeout_seconds=20)
    after = await host.ask("GET", "/containers/web/json")
    assert (answer.code, after["Id"], after["State"]["Running"]) == ("docker_error", before["Id"], True)
    assert after["HostConfig"]["RestartPolicy"] == before["HostConfig"]["RestartPolicy"]
    assert "the old container web serves again" in str(answer.error)
    assert await names(host) == ["/web"]


async def test_a_failing_health_check_is_undone(host: Host) -> None:
    check = {"Test": ["CMD-SHELL", 'test "$VERSION" = 1'], "Interval": 300_000_000, "Retries": 1}
    before = await serve(host, {**full(networks=False), "Healthcheck": check})
    answer = await host.update(image=NEW)
    assert answer.code == "docker_error"
    assert "unhealthy" in str(answer.error)
    assert (await host.ask("GET", "/containers/web/json"))["Id"] == before["Id"]
    assert await names(host) == ["/web"]


async def test_a_program_that_cannot_be_started_is_undone(host: Host) -> None:
    await host.commit("app:broken", {"Entrypoint": ["/no/such/program"]})
    before = await serve(host, full(networks=False))
    answer = await host.update(image="app:broken")
    after = await host.ask("GET", "/containers/web/json")
    assert (answer.code, after["Id"], after["State"]["Running"]) == ("docker_error", before["Id"], True)
    assert await names(host) == ["/web"]


async def test_a_container_that_shares_the_network_of_the_old_one_is_told_of_and_its_own_update_keeps_it(
    host: Host,
) -> None:
    before = await serve(host, full(networks=False))
    spec = {
        "Image": OLD,
        "StopTimeout": 1,
        "HostConfig": {"NetworkMode": f"container:{before['Id']}", "Tmpfs": {"/data": ""}},
    }
    await host.ask("POST", "/containers/create?name=sidecar", spec)
    await host.ask("POST", "/containers/sidecar/start")
    answer = await host.update(container="sidecar", image=NEW)
    assert answer.code is None, answer.error
    sidecar = await host.ask("GET", "/containers/sidecar/json")
    assert sidecar["HostConfig"]["NetworkMode"] == f"container:{before['Id']}"
    answer = await host.update(image=NEW)
    assert answer.code is None, answer.error
    assert isinstance(answer.response, dict)
    assert "sidecar uses the network of the old container" in json.dumps(answer.response["warnings"])


async def test_a_stopped_container_stays_stopped(host: Host) -> None:
    await serve(host, full(networks=False))
    await host.ask("POST", "/containers/web/stop?t=0")
    answer = await host.update(image=NEW)
    assert answer.code is None, answer.error
    after = await host.ask("GET", "/containers/web/json")
    assert (after["State"]["Status"], after["Config"]["Image"]) == ("created", NEW)
    assert after["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}
