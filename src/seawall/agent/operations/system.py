"""The host itself."""

from __future__ import annotations

from seawall.agent.docker import Docker
from seawall.agent.operations.runner import Arguments

SIMULATED_KEY = "SeawallSimulated"
"""A fake Engine sets this in its info, so that nobody takes its host for a real one."""


async def ping(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """Come back: whoever gets here has crossed the worker."""
    return {"pong": True}


async def system_info(docker: Docker, arguments: Arguments, timeout_seconds: float) -> object:
    """What the host and its Docker Engine are."""
    info = await docker.info(timeout_seconds=timeout_seconds)
    version = await docker.version(timeout_seconds=timeout_seconds)
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
