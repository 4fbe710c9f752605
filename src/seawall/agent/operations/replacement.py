"""The container that takes another one's place: what its user asked for, and of what its image brought only the new.

Docker's inspect shows what a container runs with, and not where each setting came from. What equals the old image's own
setting is taken to come from there, and follows the new image; everything else was asked for, and is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from seawall.agent.operations.runner import section

COMMAND_LABEL = "seawall.command_id"
"""On a container: the command that has made it."""
REPLACES_LABEL = "seawall.replaces"
"""On a container: the id of the one whose place it was made for."""

_SHORT_ID = 12
_CONTAINER = "container:"
_NO_NETWORKS = ("host", "none")
_DEFAULT_NETWORK = "bridge"

_FOLLOW_IF_EQUAL = ("User", "WorkingDir", "StopSignal", "Shell")
_NEVER_CARRIED = ("Image", "OnBuild", "ArgsEscaped", "Labels", "Env", "Cmd", "Entrypoint", "Healthcheck")
_OF_THE_NETWORK = ("Hostname", "Domainname", "MacAddress", "ExposedPorts")
_OF_THE_NETWORK_ON_HOST = (
    "PortBindings",
    "PublishAllPorts",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "Links",
)
_ENDPOINT = ("IPAMConfig", "Links", "DriverOpts", "GwPriority")


class Replacement(Struct, frozen=True):
    """What Docker is asked for.

    `spec` is the body of its create, with the one network that the container is made in; `networks` are the others,
    each with the endpoint that it is connected by before it starts. `restart_policy` is what it gets once it is proved.
    """

    spec: dict[str, object]
    networks: dict[str, dict[str, object]]
    restart_policy: dict[str, object]


def replacement_of(
    record: Mapping[str, object],
    old_image: Mapping[str, object] | None,
    image: str,
    command_id: str,
) -> Replacement:
    """The replacement of the container that inspect shows so, by one of this image.

    `old_image` is what inspect says of the image that it was made of; None if that is gone, and then everything that
    the container runs with is kept. Until it is proved the replacement doesn't start by itself.
    """
    host = dict(section(record, "HostConfig"))
    defaults = section(old_image, "Config") if old_image is not None else {}
    mode = _text(host.get("NetworkMode"))
    config = _config(record, defaults, host)
    config["Image"] = image
    config["Labels"] = {
        **_labels(record, defaults),
        COMMAND_LABEL: command_id,
        REPLACES_LABEL: _text(record.get("Id")),
    }
    _ = host.pop("ContainerIDFile", None)
    if mode.startswith(_CONTAINER):
        # The other container's network has these already, and Docker refuses to be told them twice.
        for name in _OF_THE_NETWORK:
            _ = config.pop(name, None)
        for name in _OF_THE_NETWORK_ON_HOST:
            _ = host.pop(name, None)
    if isinstance(host.get("Links"), list):
        host["Links"] = [_link(link) for link in _texts(host["Links"])]
    _keep_volumes(host, section(record, "HostConfig"), record)
    policy = dict(section(host, "RestartPolicy")) or {"Name": "no"}
    host["RestartPolicy"] = {"Name": "no"}
    spec: dict[str, object] = {**config, "HostConfig": host}
    first, networks = _networks(record, mode)
    if first:
        spec["NetworkingConfig"] = {"EndpointsConfig": first}
    return Replacement(spec, networks, policy)


def _config(
    record: Mapping[str, object], defaults: Mapping[str, object], host: Mapping[str, object]
) -> dict[str, object]:
    """Everything of the Config section but the image, and the labels."""
    old = section(record, "Config")
    config = {name: value for name, value in old.items() if name not in _NEVER_CARRIED}
    for name in _FOLLOW_IF_EQUAL:
        if (config.get(name) or None) == (defaults.get(name) or None):
            _ = config.pop(name, None)
    if config.get("Hostname") == _text(record.get("Id"))[:_SHORT_ID]:
        del config["Hostname"]
    inherited = _texts(defaults.get("Env"))
    config["Env"] = [entry for entry in _texts(old.get("Env")) if entry not in inherited]
    config.update(_command(old, defaults))
    published = section(host, "PortBindings")
    exposed, by_image = section(old, "ExposedPorts"), section(defaults, "ExposedPorts")
    config["ExposedPorts"] = {port: {} for port in exposed if port in published or port not in by_image}
    by_image = section(defaults, "Volumes")
    config["Volumes"] = {path: {} for path in section(old, "Volumes") if path not in by_image}
    health = _health(section(old, "Healthcheck"), section(defaults, "Healthcheck"))
    if health:
        config["Healthcheck"] = health
    return config


def _command(old: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """As Docker does it: an entrypoint of the user's makes the image's own command go away."""
    entrypoint, command = _texts(old.get("Entrypoint")), _texts(old.get("Cmd"))
    if entrypoint != _texts(defaults.get("Entrypoint")):
        return {"Entrypoint": entrypoint, **({"Cmd": command} if command else {})}
    return {"Cmd": command} if command != _texts(defaults.get("Cmd")) else {}


def _labels(record: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    by_image = section(defaults, "Labels")
    ours = (COMMAND_LABEL, REPLACES_LABEL)
    return {
        name: value
        for name, value in section(section(record, "Config"), "Labels").items()
        if name not in ours and not (name in by_image and by_image[name] == value)
    }


def _health(old: Mapping[str, object], by_image: Mapping[str, object]) -> dict[str, object]:
    """Docker fills in field by field what the user leaves out."""
    return {name: value for name, value in old.items() if value and by_image.get(name) != value}


def _keep_volumes(
    host: dict[str, object], before: Mapping[str, object], record: Mapping[str, object]
) -> None:
    """Name the volumes that Docker had named itself, so that their contents go along."""
    named = {
        _text(mount.get("Destination")): mount
        for mount in _sections(record.get("Mounts"))
        if mount.get("Type") == "volume" and _text(mount.get("Name"))
    }
    binds = _texts(before.get("Binds"))
    mounts: list[dict[str, object]] = []
    for mount in _sections(before.get("Mounts")):
        anonymous = mount.get("Type") == "volume" and not mount.get("Source")
        volume = named.get(_text(mount.get("Target")))
        mounts.append(
            {**mount, "Source": volume["Name"]} if anonymous and volume is not None else dict(mount)
        )
    told = {_text(mount.get("Target")) for mount in mounts} | {_target(bind) for bind in binds}
    kept = [
        f"{volume['Name']}:{path}{'' if volume.get('RW', True) else ':ro'}"
        for path, volume in sorted(named.items())
        if path not in told
    ]
    host["Binds"] = [*binds, *kept]
    if mounts:
        host["Mounts"] = mounts


def _networks(
    record: Mapping[str, object], mode: str
) -> tuple[dict[str, dict[str, object]], dict[str, dict[str, object]]]:
    """The endpoint of the network that the container is made in, and those of the others."""
    if mode.startswith(_CONTAINER) or mode in _NO_NETWORKS:
        return {}, {}
    own_alias = _text(record.get("Id"))[:_SHORT_ID]
    attached = section(section(record, "NetworkSettings"), "Networks")
    endpoints = {name: _endpoint(section(attached, name), own_alias) for name in sorted(attached)}
    first = _DEFAULT_NETWORK if mode in ("", "default") else mode
    if first not in endpoints:
        by_id = [name for name in endpoints if section(attached, name).get("NetworkID") == first]
        first = by_id[0] if by_id else first
    others = {name: endpoint for name, endpoint in endpoints.items() if name != first}
    own = endpoints.get(first)
    return ({first: own} if own else {}), others


def _endpoint(attached: Mapping[str, object], own_alias: str) -> dict[str, object]:
    """What was asked for of it, and not what Docker gave by itself."""
    endpoint = {name: attached[name] for name in _ENDPOINT if attached.get(name)}
    aliases = [alias for alias in _texts(attached.get("Aliases")) if alias != own_alias]
    if aliases:
        endpoint["Aliases"] = aliases
    return endpoint


def _link(link: str) -> str:
    """Inspect shows a link as /other/name:/this/alias; create wants other:alias."""
    other, _, alias = link.partition(":")
    return f"{other.removeprefix('/')}:{alias.rpartition('/')[2]}"


def _target(bind: str) -> str:
    """Where in the container a bind such as source:target:ro is."""
    parts = bind.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _sections(value: object) -> list[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
