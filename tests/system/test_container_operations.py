"""Every operation of containers on a real Docker Engine, through the agent's worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from seawall.agent.local_policy import Level, LocalPolicy, Rules
from seawall.agent.operations.registry import VERIFIERS
from seawall.agent.operations.verification import Doubt, Finding, Sought, Verdict
from tests.system.engine import IMAGE, Engine
from tests.system.worker_on_docker import Host, host_on

pytestmark = [pytest.mark.docker, pytest.mark.asyncio]

SLEEP = ["sleep", "600"]


@pytest_asyncio.fixture
async def host(docker_engine: Engine) -> AsyncIterator[Host]:
    async with host_on(docker_engine.host) as host:
        yield host


async def run(host: Host, name: str, **more: object) -> str:
    """A container that sleeps; its id."""
    given = {"image": IMAGE, "name": name, "command": SLEEP, "network_mode": "none", **more}
    return str((await host.do("container_run", **given))["id"])


def part(record: dict[str, object], *path: str) -> dict[str, object]:
    for step in path:
        record = cast("dict[str, object]", record[step])
    return record


async def test_a_created_container_is_all_that_was_asked_for_and_does_not_run(host: Host) -> None:
    created = await host.do("container_create", **WHOLE)
    assert part(created, "state")["status"] == "created"
    record = await host.do("container_inspect", container="made", show_env=True)
    config, own = part(record, "Config"), part(record, "HostConfig")
    assert {key: config[key] for key in EXPECTED_CONFIG} == EXPECTED_CONFIG
    assert {key: own[key] for key in EXPECTED_HOST} == EXPECTED_HOST
    labels = part(config, "Labels")
    assert labels["tier"] == "front"
    assert str(labels["seawall.command_id"]).startswith("command-")
    variables = cast("list[str]", config["Env"])
    assert {"A=1=2", "B="} <= set(variables)
    hidden = part(await host.do("container_inspect", container="made"), "Config")["Env"]
    assert hidden == [f"{variable.partition('=')[0]}=***" for variable in variables]
    mounts = cast("list[dict[str, object]]", record["Mounts"])
    assert {(mount["Destination"], mount["Type"], mount["RW"]) for mount in mounts} == {
        ("/data", "volume", False),
        ("/anonymous", "volume", True),
        ("/host", "bind", True),
        ("/t", "tmpfs", True),
    }


WHOLE: dict[str, object] = {
    "image": "busybox",
    "name": "made",
    "command": ["-c", "true"],
    "entrypoint": ["/bin/sh"],
    "env": {"A": "1=2", "B": ""},
    "labels": {"tier": "front"},
    "hostname": "inner",
    "user": "1000:1000",
    "working_dir": "/bin",
    "tty": True,
    "stdin": True,
    "init": True,
    "stop_signal": "SIGINT",
    "stop_timeout_seconds": 0,
    "volumes": ["data:/data:ro", "/anonymous", "/bin:/host"],
    "mounts": ["type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777"],
    "tmpfs": ["/run:size=64k"],
    "read_only": True,
    "shm_size": "32m",
    "ports": ["127.0.0.1:8080:80", "53/udp"],
    "expose": ["9000"],
    "network_mode": "none",
    "extra_hosts": ["db.internal:10.0.0.7"],
    "dns": ["10.0.0.1"],
    "restart": "on-failure:3",
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["CHOWN"],
    "devices": ["/dev/null:/dev/nothing:r"],
    "security_opt": ["no-new-privileges"],
    "pid_mode": "host",
    "ipc_mode": "shareable",
    "ulimits": ["nofile=64:128"],
    "health_command": "true",
    "health_interval_seconds": 1.5,
    "health_retries": 2,
    "log_driver": "json-file",
    "log_options": {"max-size": "1m"},
}
EXPECTED_CONFIG: dict[str, object] = {
    "Image": IMAGE,
    "Cmd": ["-c", "true"],
    "Entrypoint": ["/bin/sh"],
    "Hostname": "inner",
    "User": "1000:1000",
    "WorkingDir": "/bin",
    "Tty": True,
    "OpenStdin": True,
    "StopSignal": "SIGINT",
    "StopTimeout": 0,
    "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "9000/tcp": {}},
    "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 1_500_000_000, "Retries": 2},
}
EXPECTED_HOST: dict[str, object] = {
    "NetworkMode": "none",
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    "PortBindings": {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "", "HostPort": ""}],
    },
    "CapAdd": ["NET_ADMIN"],
    "CapDrop": ["CHOWN"],
    # Docker takes the labels of SELinux away from who sees the host's processes.
    "SecurityOpt": ["no-new-privileges", "label=disable"],
    "PidMode": "host",
    "IpcMode": "shareable",
    "Init": True,
    "ReadonlyRootfs": True,
    "ShmSize": 32 * 1024**2,
    "Tmpfs": {"/run": "size=64k"},
    "ExtraHosts": ["db.internal:10.0.0.7"],
    "Dns": ["10.0.0.1"],
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
    "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}],
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
}


async def test_a_container_joins_all_of_its_networks_before_it_starts(host: Host) -> None:
    for name in ("front", "back"):
        spec = {"Name": name, "Internal": True, "CheckDuplicate": True}
        await host.docker.network_create(spec=spec, timeout_seconds=10)
    await host.do(
        "container_create",
        image=IMAGE,
        name="joined",
        command=SLEEP,
        networks=["front", "name=back,alias=db"],
    )
    record = await host.do("container_inspect", container="joined")
    networks = part(record, "NetworkSettings", "Networks")
    assert set(networks) == {"front", "back"}
    assert "db" in cast("list[str]", part(networks, "back")["Aliases"])


async def test_a_container_runs_and_its_end_is_waited_for(host: Host) -> None:
    created = await run(host, "short", command=["sh", "-c", "sleep 0.5; exit 7"])
    waited = await host.do("container_wait", container="short")
    assert (waited["id"], waited["exit_code"]) == (created, 7)
    assert (await host.do("container_wait", container=created[:12]))["exit_code"] == 7


async def test_a_container_of_an_image_that_is_not_there_is_not_created(host: Host) -> None:
    answer = await host.ask("container_run", image="no/such:image", name="never")
    assert (answer.code, answer.circumstance) == ("docker_error", "docker_refused")
    assert "No such image" in (answer.error or "")
    assert await host.read("container_list") == []


async def test_a_name_that_is_taken_is_told_and_nothing_changes(host: Host) -> None:
    first = await run(host, "taken")
    answer = await host.ask("container_run", image=IMAGE, name="taken", command=SLEEP)
    assert (answer.code, answer.circumstance) == ("docker_error", "docker_refused")
    listed = cast("list[dict[str, object]]", await host.read("container_list"))
    assert [entry["id"] for entry in listed] == [first]


async def test_a_container_that_can_not_start_leaves_nothing_behind(host: Host) -> None:
    answer = await host.ask(
        "container_run", image=IMAGE, name="broken", command=["/no/such/program"], network_mode="none"
    )
    assert (answer.code, answer.circumstance) == ("docker_error", "docker_refused"), answer
    assert "is removed again" in (answer.error or "")
    assert await host.read("container_list") == []


async def test_a_container_is_paused_and_goes_on_and_both_may_be_asked_for_twice(host: Host) -> None:
    await run(host, "web")
    for _ in range(2):
        paused = await host.do("container_pause", container="web")
        assert part(paused, "state")["status"] == "paused"
    for _ in range(2):
        going = await host.do("container_unpause", container="web")
        assert part(going, "state")["status"] == "running"


async def test_limits_are_changed_while_it_runs(host: Host) -> None:
    await run(host, "web", memory="64m")
    await host.do(
        "container_set_limits", container="web", memory="256m", cpus=0.5, pids=50, restart="unless-stopped"
    )
    own = part(await host.do("container_inspect", container="web"), "HostConfig")
    assert (own["Memory"], own["NanoCpus"], own["PidsLimit"]) == (256 * 1024**2, 500_000_000, 50)
    assert part(own, "RestartPolicy")["Name"] == "unless-stopped"


async def test_one_looks_into_a_container(host: Host) -> None:
    await run(host, "web", command=["sh", "-c", "echo 1 > /new; sleep 600"])
    top = await host.do("container_top", container="web")
    assert any("sleep 600" in row[-1] for row in cast("list[list[str]]", top["processes"]))
    usage = await host.do("container_stats", container="web")
    assert usage["container"] == "web"
    assert cast("int", usage["processes"]) >= 0
    changed: object = []
    async with asyncio.timeout(10):
        while changed == []:  # its program is about to write
            changed = await host.read("container_diff", container="web")
    assert changed == [{"path": "/new", "kind": "added"}]


async def test_a_list_is_filtered(host: Host) -> None:
    await run(host, "web-1", labels={"tier": "front"})
    await run(host, "web-2", labels={"tier": "front", "blue": ""})
    await host.do("container_create", image=IMAGE, name="db", labels={"tier": "data"})

    async def names(**filters: object) -> set[object]:
        listed = cast("list[dict[str, object]]", await host.read("container_list", **filters))
        return {entry["name"] for entry in listed}

    assert await names(name=["web"]) == {"web-1", "web-2"}
    assert await names(label=["tier=front", "blue"]) == {"web-2"}
    assert await names(status=["created"]) == {"db"}
    assert await names(image=[IMAGE], all=False) == {"web-1", "web-2"}
    assert await names(image=["other"]) == set()


async def test_a_command_runs_in_a_container_and_its_streams_are_kept_apart(host: Host) -> None:
    await run(host, "web")
    ran = await host.do(
        "container_exec",
        container="web",
        command=["sh", "-c", 'echo "$GREETING"; pwd; id -u; echo bad >&2; exit 3'],
        env={"GREETING": "hello; rm -rf /"},
        working_dir="/bin",
        user="1000",
    )
    assert (ran["exit_code"], ran["stdout"], ran["stderr"]) == (3, "hello; rm -rf /\n/bin\n1000\n", "bad\n")
    assert ran["truncated"] is False


async def test_a_command_that_writes_too_much_is_cut_off_and_says_so(host: Host) -> None:
    await run(host, "web")
    ran = await host.do("container_exec", container="web", command=["seq", "1", "400000"])
    assert (ran["truncated"], len(str(ran["stdout"])), ran["exit_code"]) == (True, 1024 * 1024, 0)


async def test_a_process_in_doubt_is_told_by_docker(host: Host) -> None:
    container = await run(host, "web")
    verifier = VERIFIERS["container_exec"]

    async def found(exec_id: str | None) -> Finding:
        sought = Sought("command", {}, {}, exec_id)
        target = await verifier.find(host.docker, sought, 10)
        now = target.record if target is not None else None
        return verifier.verify(Doubt({}, {}, now, settled=True, step=exec_id))

    spec = {"Cmd": ["sh", "-c", "exit 5"], "AttachStdout": True}
    exec_id = await host.docker.exec_create(container, spec=spec, timeout_seconds=10)
    assert (await found(None)).verdict is Verdict.NOT_APPLIED
    assert (await found(exec_id)).verdict is Verdict.NOT_APPLIED
    await host.docker.exec_start(exec_id, timeout_seconds=10)
    finding = await found(exec_id)
    assert (finding.verdict, cast("dict[str, object]", finding.response)["exit_code"]) == (Verdict.APPLIED, 5)
    assert (await found("f" * 64)).verdict is Verdict.UNKNOWABLE


async def test_a_program_that_is_not_there_has_the_shells_exit_code(host: Host) -> None:
    await run(host, "web")
    answer = await host.ask("container_exec", container="web", command=["/no/such/program"])
    assert isinstance(answer.response, dict), answer
    assert answer.response["exit_code"] in (126, 127)
    assert "no such file" in str(answer.response["stdout"])


async def test_a_command_needs_a_running_container(host: Host) -> None:
    await host.do("container_create", image=IMAGE, name="idle", command=SLEEP, network_mode="none")
    answer = await host.ask("container_exec", container="idle", command=["true"])
    assert (answer.code, answer.circumstance) == ("docker_error", "docker_refused")


async def test_the_hosts_policy_holds_on_a_real_engine(docker_engine: Engine) -> None:
    policy = LocalPolicy(Level.MANAGE, rules=Rules(images=("busybox",), binds=("/srv/data",)))
    async with host_on(docker_engine.host, policy) as host:
        for forbidden in (
            {"image": "alpine"},
            {"privileged": True},
            {"network_mode": "host"},
            {"volumes": ["/etc:/mnt"]},
            {"cap_add": ["SYS_ADMIN"]},
        ):
            given = {"image": IMAGE, "command": SLEEP, **forbidden}
            assert (await host.ask("container_run", **given)).code == "permission_denied", forbidden
        assert await host.read("container_list") == []
        await run(host, "web", volumes=["data:/data"])
        answer = await host.ask("container_exec", container="web", command=["true"])
        assert answer.code == "permission_denied"
