"""What a Compose project connects, and publishes, as Docker's API writes it."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.compose_values import ModelRefused, a_table

_DRIVERS = (None, "", "bridge")
_RESERVED = ("host", "none", "bridge", "default")
_NETWORK = frozenset(
    {"name", "driver", "external", "labels", "internal", "attachable", "ipam", "enable_ipv6", "enable_ipv4"}
)
_OPTIONS = frozenset(
    {
        "com.docker.network.bridge.enable_icc",
        "com.docker.network.bridge.enable_ip_masquerade",
        "com.docker.network.driver.mtu",
    }
)


def check_networks(networks: Mapping[str, object]) -> None:
    """A network is a bridge of the project's own, or one that is there under its name. Raises ModelRefused."""
    for name, value in networks.items():
        where = f"network {name[:64]}"
        network = a_table(value or {}, where)
        if network.get("driver") not in _DRIVERS:
            raise ModelRefused(
                f"{where}: the driver {str(network['driver'])[:64]!r} is not `bridge`; make it on the host, and say "
                "`external: true`"
            )
        for option in a_table(network.get("driver_opts") or {}, where):
            if option not in _OPTIONS:
                raise ModelRefused(
                    f"{where}: the driver's option {option[:64]!r} can reach into the host's network"
                )
        unknown = [
            key for key in network if key not in _NETWORK and key != "driver_opts" and not key.startswith("x-")
        ]
        if unknown:
            raise ModelRefused(f"{where}: the agent doesn't know `{unknown[0][:64]}`")
        external = network.get("external")
        own = external.get("name") if isinstance(external, dict) else None
        for given in (network.get("name"), own, name if external else None):
            if isinstance(given, str) and (given in _RESERVED or ":" in given or "/" in given):
                raise ModelRefused(f"{where}: {given[:64]!r} is no network of a project")


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
    return config, host, {"EndpointsConfig": {name: {} for name in names}} if names else {}


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
