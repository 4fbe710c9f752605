"""What a Compose project mounts, as Docker's API writes it."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.compose_values import ModelRefused, a_table

_KINDS = ("bind", "volume", "tmpfs")
_VOLUME = frozenset({"name", "driver", "external", "labels"})


def mounts_of(settings: Mapping[str, object], where: str) -> list[dict[str, object]]:
    """The mounts of a service, with what is of the host in `Source`. Raises ModelRefused."""
    volumes = settings.get("volumes") or []
    if not isinstance(volumes, list):
        raise ModelRefused(f"{where}: `volumes` is no list")
    return [_mount(volume, where) for volume in volumes]


def check_volumes(volumes: Mapping[str, object]) -> None:
    """A volume is made by Docker's own driver, and holds nothing that was there before. Raises ModelRefused."""
    for name, value in volumes.items():
        where = f"volume {name[:64]}"
        volume = a_table(value or {}, where)
        if volume.get("driver") not in (None, "local"):
            raise ModelRefused(
                f"{where}: the driver {str(volume['driver'])[:64]!r} is not `local`; make it on the host, and say "
                "`external: true`"
            )
        if volume.get("driver_opts"):
            raise ModelRefused(
                f"{where}: `driver_opts` can make any path of the host a volume; make it on the host, and say "
                "`external: true`"
            )
        unknown = [
            key for key in volume if key not in _VOLUME and key != "driver_opts" and not key.startswith("x-")
        ]
        if unknown:
            raise ModelRefused(f"{where}: the agent doesn't know `{unknown[0][:64]}`")
        own = volume.get("name")
        if isinstance(own, str) and ("/" in own or own.startswith(".")):
            raise ModelRefused(f"{where}: {own[:64]!r} is the name of no volume")


def _mount(volume: object, where: str) -> dict[str, object]:
    if isinstance(volume, str):
        return _short(volume, where)
    mount = a_table(volume, f"{where}: a volume")
    kind = mount.get("type")
    if kind not in _KINDS:
        raise ModelRefused(f"{where}: a mount of the kind {str(kind)[:64]!r} is none of {', '.join(_KINDS)}")
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
