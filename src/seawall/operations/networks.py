"""Networks: what can be asked of a host about them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from seawall.core.command import SafetyClass
from seawall.operations.containers import NAME_PATTERN
from seawall.operations.labels import LABELS, label_problems
from seawall.operations.operation import Argument, Lane, Operation, Role

PREDEFINED = ("bridge", "host", "none")
"""Docker's own networks, which nobody creates or removes."""

_OPTION_NAME = r"[a-zA-Z0-9][a-zA-Z0-9._-]*"
_ID_PATTERN = r"[0-9a-f]{64}"

_Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network_argument(name: str, summary: str) -> Argument:
    return Argument(name, str, summary, required=True, max_length=128, pattern=NAME_PATTERN, positional=True)


_NETWORK = _network_argument(
    "network",
    "the network's name or id: letters, digits, '_', '.' and '-', the first a letter or a digit",
)
_CONTAINER = _network_argument(
    "container",
    "the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a digit",
)


def _creation_problems(arguments: Mapping[str, object]) -> list[str]:
    problems = label_problems(arguments)
    if arguments.get("name") in PREDEFINED:
        problems.append(f"argument 'name' is {arguments['name']!r}, which is one of Docker's own networks")
    subnet = _subnet(arguments, "subnet", problems)
    ip_range = _subnet(arguments, "ip_range", problems)
    gateway = _address(arguments, "gateway", problems)
    if problems:
        return problems
    if subnet is None:
        return [
            f"argument {name!r} needs the subnet that it is in: give 'subnet' as well"
            for name, given in (("gateway", gateway), ("ip_range", ip_range))
            if given is not None
        ]
    if gateway is not None and gateway not in subnet:
        problems.append(f"argument 'gateway' is {gateway}, which is not in the subnet {subnet}")
    if ip_range is not None and not _within(ip_range, subnet):
        problems.append(f"argument 'ip_range' is {ip_range}, which is not in the subnet {subnet}")
    if isinstance(subnet, ipaddress.IPv6Network) and not arguments.get("enable_ipv6"):
        problems.append(f"argument 'subnet' is {subnet}: a network of IPv6 addresses needs 'enable_ipv6'")
    return problems


def _connection_problems(arguments: Mapping[str, object]) -> list[str]:
    problems: list[str] = []
    address = _address(arguments, "address", problems)
    if isinstance(address, ipaddress.IPv6Address):
        problems.append("argument 'address' is an IPv6 address: only an IPv4 address can be asked for")
    return problems


def _address(
    arguments: Mapping[str, object], name: str, problems: list[str]
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = arguments.get(name)
    if not isinstance(text, str):
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        problems.append(f"argument {name!r} is no IP address such as 10.1.0.1: {text!r}")
        return None


def _subnet(arguments: Mapping[str, object], name: str, problems: list[str]) -> _Subnet | None:
    text = arguments.get(name)
    if not isinstance(text, str):
        return None
    if "/" not in text:
        problems.append(
            f"argument {name!r} is no subnet such as 10.1.0.0/24 (the length is missing): {text!r}"
        )
        return None
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        problems.append(f"argument {name!r} is no subnet such as 10.1.0.0/24 ({error}): {text!r}")
        return None


def _within(inner: _Subnet, outer: _Subnet) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


NETWORK_LIST = Operation("network_list", "List the host's networks.", SafetyClass.SAFE_READ, role=Role.VIEWER)
NETWORK_INSPECT = Operation(
    "network_inspect",
    "Everything that Docker knows about a network, and the running containers in it.",
    SafetyClass.SAFE_READ,
    (_NETWORK,),
    role=Role.VIEWER,
)
NETWORK_CREATE = Operation(
    "network_create",
    "Create a network.",
    SafetyClass.VERIFIABLE,
    (
        _network_argument(
            "name",
            "the new network's name: letters, digits, '_', '.' and '-', the first a letter or a digit",
        ),
        Argument(
            "driver",
            str,
            "the driver that makes it, such as bridge or macvlan",
            default="bridge",
            max_length=64,
            pattern=r"[a-zA-Z0-9][a-zA-Z0-9_.:/-]*",
        ),
        Argument("internal", bool, "no way out of it: its containers reach each other only", default=False),
        Argument("attachable", bool, "containers may join it by hand (of a swarm's network)", default=False),
        Argument("enable_ipv6", bool, "give IPv6 addresses as well", default=False, option="ipv6"),
        Argument("subnet", str, "its addresses, such as 10.1.0.0/24; Docker chooses some if it isn't given"),
        Argument("gateway", str, "the address in the subnet that leads out of it, such as 10.1.0.1"),
        Argument("ip_range", str, "the part of the subnet that containers are given, such as 10.1.0.128/25"),
        Argument(
            "options",
            dict,
            "options of the driver, such as com.docker.network.driver.mtu=1400",
            key_pattern=_OPTION_NAME,
            option="option",
        ),
        LABELS,
    ),
    check=_creation_problems,
)
NETWORK_REMOVE = Operation(
    "network_remove",
    "Remove a network that no running container is in.",
    SafetyClass.VERIFIABLE,
    (_NETWORK,),
)
NETWORK_CONNECT = Operation(
    "network_connect",
    "Connect a container to a network.",
    SafetyClass.VERIFIABLE,
    (
        _NETWORK,
        _CONTAINER,
        Argument(
            "aliases",
            list,
            "further names that the container has in this network",
            pattern=NAME_PATTERN,
            max_length=128,
            max_items=32,
            option="alias",
        ),
        Argument(
            "address",
            str,
            "the IPv4 address that it is to have there; only in a network that was created with a subnet",
            max_length=64,
        ),
    ),
    container="container",
    check=_connection_problems,
)
NETWORK_DISCONNECT = Operation(
    "network_disconnect",
    "Disconnect a container from a network; fine if it isn't connected.",
    SafetyClass.VERIFIABLE,
    (_NETWORK, _CONTAINER),
    container="container",
)
NETWORK_PRUNE_PLAN = Operation(
    "network_prune_plan",
    "The networks that no container is in, running or not: what network_prune would remove.",
    SafetyClass.SAFE_READ,
    role=Role.VIEWER,
)
NETWORK_PRUNE = Operation(
    "network_prune",
    "Remove unused networks: those of a plan, by their ids. One that is used by now is kept.",
    SafetyClass.VERIFIABLE,
    (
        Argument(
            "ids",
            list,
            "the whole ids of the networks, as network_prune_plan tells them",
            required=True,
            pattern=_ID_PATTERN,
            max_length=64,
            max_items=1000,
            option="id",
        ),
    ),
    lane=Lane.BULK,
    timeout_seconds=120.0,
)

OPERATIONS = (
    NETWORK_LIST,
    NETWORK_INSPECT,
    NETWORK_CREATE,
    NETWORK_REMOVE,
    NETWORK_CONNECT,
    NETWORK_DISCONNECT,
    NETWORK_PRUNE_PLAN,
    NETWORK_PRUNE,
)
