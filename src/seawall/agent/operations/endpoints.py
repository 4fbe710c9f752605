"""A container's place in a network, as inspect tells it of the container."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.runner import Arguments, section

_SHORT_ID = 12

Endpoint = Mapping[str, object]


def endpoint_in(container: Mapping[str, object], network: Mapping[str, object]) -> Endpoint | None:
    """A container's endpoint in a network, by the records of both; None if it isn't connected.

    One that doesn't run has no id in its endpoints. One that runs and has none is left of a connection that failed.
    """
    networks = section(section(container, "NetworkSettings"), "Networks")
    running = section(container, "State").get("Running") is True
    for name in networks:
        endpoint = section(networks, name)
        same = name in (network.get("Name"), network.get("Id")) or (
            endpoint.get("NetworkID") not in (None, "") and endpoint.get("NetworkID") == network.get("Id")
        )
        if same and (not running or endpoint.get("EndpointID")):
            return endpoint
    return None


def fits(endpoint: Endpoint, arguments: Arguments) -> bool:
    """Whether an endpoint has the aliases and the address that a network_connect asks for."""
    aliases, address = arguments.get("aliases"), arguments.get("address")
    if isinstance(aliases, list) and not set(aliases) <= set(_aliases(endpoint)):
        return False
    return address is None or address in (endpoint.get("IPAddress"), _asked_for(endpoint))


def summary_of(endpoint: Endpoint | None) -> dict[str, object] | None:
    """What responses say of an endpoint; Docker's own alias, the short id, is left out."""
    if endpoint is None:
        return None
    return {
        "address": endpoint.get("IPAddress") or _asked_for(endpoint),
        "aliases": [alias for alias in _aliases(endpoint) if not _is_short_id(alias)],
    }


def _aliases(endpoint: Endpoint) -> list[str]:
    aliases = endpoint.get("Aliases")
    return [str(alias) for alias in aliases] if isinstance(aliases, list) else []


def _asked_for(endpoint: Endpoint) -> object:
    return section(endpoint, "IPAMConfig").get("IPv4Address") or None


def _is_short_id(alias: str) -> bool:
    return len(alias) == _SHORT_ID and all(letter in "0123456789abcdef" for letter in alias)
