"""What a Compose project mounts, as Docker's API writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seawall.agent.operations.compose_values import ModelRefused, a_table, table_or_list

_KINDS = ("bind", "volume", "tmpfs")
_MOUNT = frozenset({"type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs"})
_OPTIONS = frozenset(
    {"propagation", "create_host_path", "selinux", "recursive", "nocopy", "subpath", "labels", "size", "mode"}
)
_VOLUME = frozenset({"name", "driver", "driver_opts", "external", "labels"})
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")


def mounts_of(settings: Mapping[str, object], where: str) -> list[dict[str, object]]:
    """The mounts of a service, with what is of the host in `Source`. Raises ModelRefused."""
    volumes = settings.get("volumes") or []
    if not isinstance(volumes, list):
        raise ModelRefused(f"{where}: `volumes` is no list")
    return [_mount(volume, where) for volume in volumes]


def volume_of(name: str, value: object) -> dict[str, object]:
    """The body with which Docker is asked to create a volume; one that is there already needs none."""
    where = f"volume {name[:64]}"
    volume = a_table(value or {}, where)
    for key in volume:
        if key not in _VOLUME and not key.startswith("x-"):
            raise ModelRefused(f"{where}: the agent doesn't know `{key[:64]}`")
    external = volume.get("external")
    given = external.get("name") if isinstance(external, dict) else None
    for own in (name, volume.get("name"), given):
        if own is not None and not (isinstance(own, str) and _NAME.fullmatch(own)):
            raise ModelRefused(f"{where}: {str(own)[:64]!r} is the name of no volume")
    if external:
        return {}
    return {
        "Driver": volume.get("driver") or "local",
        "DriverOpts": table_or_list(volume.get("driver_opts") or {}),
    }


def _mount(volume: object, where: str) -> dict[str, object]:
    if isinstance(volume, str):
        return _short(volume, where)
    mount = a_table(volume, f"{where}: a volume")
    kind = mount.get("type")
    if kind not in _KINDS:
        raise ModelRefused(f"{where}: a mount of the kind {str(kind)[:64]!r} is none of {', '.join(_KINDS)}")
    given = {key for name in _KINDS for key in a_table(mount.get(name) or {}, f"{where}: `{name}`")}
    for key in sorted((mount.keys() - _MOUNT) | (given - _OPTIONS)):
        if not key.startswith("x-"):
            raise ModelRefused(f"{where}: the agent doesn't know `{key[:64]}` of a mount")
    source, target = mount.get("source"), mount.get("target")
    if not isinstance(target, str) or not (source is None or isinstance(source, str)):
        raise ModelRefused(f"{where}: a mount has no `target`, or a `source` that is no text")
    found: dict[str, object] = {"Type": _kind(str(kind), source), "Target": target}
    if source:
        found["Source"] = source
    if mount.get("read_only"):
        found["ReadOnly"] = True
    bind = a_table(mount.get("bind") or {}, f"{where}: `bind`")
    if bind.get("propagation"):
        found["BindOptions"] = {"Propagation": bind["propagation"]}
    return found


def _short(text: str, where: str) -> dict[str, object]:
    """`/host:/container:ro`, `volume:/container` or `/container`."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise ModelRefused(f"{where}: {text[:64]!r} is no mount such as /source:/target:ro")
    if len(parts) == 1:
        return {"Type": "volume", "Target": text}
    source, target, *mode = parts
    found: dict[str, object] = {"Type": _kind("volume", source), "Source": source, "Target": target}
    options = mode[0].split(",") if mode else []
    if "ro" in options:
        found["ReadOnly"] = True
    propagation = [option for option in options if option.endswith(("shared", "slave", "private"))]
    if propagation and found["Type"] == "bind":
        found["BindOptions"] = {"Propagation": propagation[0]}
    return found


def _kind(kind: str, source: str | None) -> str:
    """Docker takes a source with a path in it for one, whatever it is called."""
    if kind == "volume" and source and ("/" in source or source.startswith((".", "~"))):
        return "bind"
    return kind
