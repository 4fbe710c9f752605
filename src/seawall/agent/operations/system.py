"""The host itself."""

from __future__ import annotations

from seawall.agent.operations.runner import Execution, Runner

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


RUNNERS: dict[str, Runner] = {"ping": ping, "system_info": system_info}
