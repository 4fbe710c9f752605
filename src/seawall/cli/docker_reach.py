"""Is there a Docker Engine to serve? Asked before anything is started."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from seawall.agent.docker import DockerAddressError, docker_address
from seawall.cli.exits import CliProblem, UsageProblem

_CONNECT_SECONDS = 3.0


def reachable_docker(given: str | None) -> str:
    """The address of the Docker Engine, which takes connections. Raises CliProblem, which names the ways on."""
    try:
        address = docker_address(given)
    except DockerAddressError as error:
        raise UsageProblem(str(error)) from error
    try:
        _connect(address)
    except PermissionError as error:
        raise _no_engine(
            f"this user may not use the Docker Engine at {address} ({error.strerror})"
        ) from error
    except OSError as error:
        reason = error.strerror or "no answer"
        raise _no_engine(f"no Docker Engine can be reached at {address} ({reason})") from error
    return address


def _connect(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            probe.connect(parts.path)
        return
    with socket.create_connection((parts.hostname or "", parts.port or 0), _CONNECT_SECONDS):
        return


def _no_engine(what: str) -> CliProblem:
    return CliProblem(
        f"{what}: start Docker (and let this user use it), or run simulated hosts with 'make up SIMULATE=3' "
        "('seawall up --simulate 3')"
    )
