"""Where the host's Docker Engine is spoken to."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"


class DockerAddressError(ValueError):
    """The address of the Docker Engine can't be meant. The message says why, and what can."""


def docker_address(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The address of this host's Docker Engine: the given one, else DOCKER_HOST, else the usual socket.

    Raises DockerAddressError for anything but an absolute socket path or TCP on loopback.
    """
    address = given or environment.get("DOCKER_HOST") or DEFAULT_ADDRESS
    allowed = "give unix:///path/to/docker.sock or tcp://127.0.0.1:PORT"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise DockerAddressError(
            f"the Docker address {address!r} isn't a URL ({error}); {allowed}"
        ) from error
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return address
    if parts.scheme == "tcp" and port and parts.path in ("", "/"):
        if _is_loopback(parts.hostname or ""):
            return address.rstrip("/")
        raise DockerAddressError(
            f"the Docker address {address!r} isn't on this host, and nothing protects the way there; {allowed}"
        )
    raise DockerAddressError(f"the Docker address {address!r} is of no kind that the agent uses; {allowed}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
