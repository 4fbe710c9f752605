"""What a Compose project connects, and publishes, as Docker's API writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seawall.agent.operations.compose_values import ModelRefused, a_table

_RESERVED = ("host", "none", "bridge", "default")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
_NETWORK = frozenset(
    {
        "name",
        "driver",
        "driver_opts",
        "external",
        "labels",
        "internal",
        "attachable",
        "ipam",
        "enable_ipv6",
        "enable_ipv4",
    }
)
_OPTIONS = frozenset(
    {
        "com.docker.network.bridge.enable_icc",
        "com.docker.network.bridge.enable_ip_masquerade",
        "com.docker.network.driver.mtu",
    }
)


def network_of(name: str, value: object) -> dict[str, object]:
    """The body with which Docker is asked to create a network; one that is there already needs none."""
    where = f"network {name[:64]}"
    network = a_table(value or {}, where)
    for key in network:
        if key not in _NETWORK and not key.startswith("x-"):
            raise ModelRefused(f"{where}: the agent doesn't know `{key[:64]}`")
    for option in a_table(network.get("driver_opts") or {}, where):
        if option not in _OPTIONS:
            raise ModelRefused(
                f"{where}: the driver's option {option[:64]!r} can reach into the host's network"
            )
    external = network.get("external")
    given = external.get("name") if isinstance(external, dict) else None
    for own in (name if external else None, network.get("name"), given):
        if own is not None and (not isinstance(own, str) or own in _RESERVED or not _NAME.fullmatch(own)):
            raise ModelRefused(f"{where}: {str(own)[:64]!r} is no network of a project")
    return {} if external else {"Driver": network.get("driver") or "bridge"}


def networks_of(
    settings: Mapping[str, object], networks: Mapping[str, object], where: str
) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    """What a service's networks and ports add to `Config`, to `HostConfig`, and `NetworkingConfig`."""
    config: dict[str, object] = {}
    host: dict[str, object] = {}
    if isinstance(settings.get("mac_address"), str):
        config["MacAddress"] = settings["mac_address"]
    bindings = _ports(settings.get("ports") or [], where)
    if bindings:
        host["PortBindings"] = bindings
        config["ExposedPorts"] = {port: {} for port in bindings}
    if settings.get("network_mode"):
        if settings.get("networks"):
            raise ModelRefused(f"{where}: `network_mode` and `networks` can't both be there")
        return config, host, {}
    given = settings.get("networks") or {"default": None}
    joined = list(given) if isinstance(given, list | dict) else []
    names: list[str] = []
    for name in joined:
        network = networks.get(name) if isinstance(name, str) else None
        own = network.get("name") if isinstance(network, dict) else None
        names.append(own if isinstance(own, str) else str(name))
    if names:
        host["NetworkMode"] = names[0]
    endpoints = [_endpoint(given.get(name) if isinstance(given, dict) else None, where) for name in joined]
    return config, host, {"EndpointsConfig": dict(zip(names, endpoints, strict=True))} if names else {}


def _endpoint(value: object, where: str) -> dict[str, object]:
    options = a_table(value or {}, f"{where}: `networks`").get("driver_opts")
    return {"DriverOpts": options} if options else {}


def _ports(ports: object, where: str) -> dict[str, object]:
    if not isinstance(ports, list):
        raise ModelRefused(f"{where}: `ports` is no list")
    bindings: dict[str, list[object]] = {}
    for port in ports:
        if isinstance(port, dict):
            target, protocol = port.get("target"), port.get("protocol") or "tcp"
            published, address = port.get("published", ""), port.get("host_ip") or ""
        else:
            head, _, protocol = str(port).partition("/")
            rest, _, target = head.rpartition(":")
            address, _, published = rest.rpartition(":")
        binding = {"HostIp": str(address).strip("[]"), "HostPort": str(published)}
        bindings.setdefault(f"{target}/{protocol or 'tcp'}", []).append(binding)
    return dict(bindings)
