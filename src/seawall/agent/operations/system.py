"""The host itself."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.runner import Execution, Runner, section

SIMULATED_KEY = "SeawallSimulated"
"""A fake Engine sets this in its info, so that nobody takes its host for a real one."""


async def ping(execution: Execution) -> object:
    """Come back: whoever gets here has crossed the worker."""
    return {"pong": True}


async def system_info(execution: Execution) -> object:
    """What the host and its Docker Engine are."""
    info = await execution.docker.info(timeout_seconds=execution.timeout_seconds)
    version = await execution.docker.version(timeout_seconds=execution.timeout_seconds)
    response: dict[str, object] = {
        "hostname": info.get("Name"),
        "os": info.get("OperatingSystem"),
        "kernel": info.get("KernelVersion"),
        "architecture": info.get("Architecture"),
        "cpus": info.get("NCPU"),
        "memory_bytes": info.get("MemTotal"),
        "docker_version": version.get("Version"),
        "api_version": version.get("ApiVersion"),
        "containers": {
            "running": info.get("ContainersRunning"),
            "paused": info.get("ContainersPaused"),
            "stopped": info.get("ContainersStopped"),
        },
        "images": info.get("Images"),
    }
    if info.get(SIMULATED_KEY):
        response["simulated"] = True
    return response


async def system_version(execution: Execution) -> object:
    """See `operations.system.SYSTEM_VERSION`."""
    version = await execution.docker.version(timeout_seconds=execution.timeout_seconds)
    return {
        "docker_version": version.get("Version"),
        "api_version": version.get("ApiVersion"),
        "oldest_api_version": version.get("MinAPIVersion"),
        "os": version.get("Os"),
        "architecture": version.get("Arch"),
        "kernel": version.get("KernelVersion"),
        "parts": [
            {"name": part.get("Name"), "version": part.get("Version")}
            for part in _entries(version, "Components")
        ],
    }


async def system_df(execution: Execution) -> object:
    """See `operations.system.SYSTEM_DF`. What is reclaimable is what a prune of all that is unused would free."""
    usage = await execution.docker.disk_usage(timeout_seconds=execution.timeout_seconds)
    images, containers = _entries(usage, "Images"), _entries(usage, "Containers")
    volumes, cache = _entries(usage, "Volumes"), _entries(usage, "BuildCache")
    used = [image for image in images if _number(image, "Containers") > 0]
    stopped = [container for container in containers if container.get("State") != "running"]
    idle = [volume for volume in volumes if _number(section(volume, "UsageData"), "RefCount") == 0]
    layers = _number(usage, "LayersSize")
    held = sum(_number(image, "VirtualSize", "Size") - _number(image, "SharedSize") for image in used)
    return {
        "images": _share(len(images), len(used), layers, max(layers - held, 0)),
        "containers": _share(
            len(containers),
            len(containers) - len(stopped),
            _sum(containers, "SizeRw"),
            _sum(stopped, "SizeRw"),
        ),
        "volumes": _share(
            len(volumes),
            len(volumes) - len(idle),
            sum(_number(section(volume, "UsageData"), "Size") for volume in volumes),
            sum(_number(section(volume, "UsageData"), "Size") for volume in idle),
        ),
        "build_cache": _share(
            len(cache),
            sum(entry.get("InUse") is True for entry in cache),
            _sum(cache, "Size"),
            _sum([entry for entry in cache if entry.get("InUse") is not True], "Size"),
        ),
    }


def _share(count: int, active: int, size: int, reclaimable: int) -> dict[str, object]:
    return {"count": count, "active": active, "bytes": size, "reclaimable_bytes": reclaimable}


def _entries(record: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    entries = record.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _sum(entries: list[Mapping[str, object]], name: str) -> int:
    return sum(_number(entry, name) for entry in entries)


def _number(record: Mapping[str, object], *names: str) -> int:
    """The first of these that Docker tells; it says -1 for what it doesn't know."""
    for name in names:
        value = record.get(name)
        if isinstance(value, int):
            return max(value, 0)
    return 0


RUNNERS: dict[str, Runner] = {
    "ping": ping,
    "system_info": system_info,
    "system_version": system_version,
    "system_df": system_df,
}
