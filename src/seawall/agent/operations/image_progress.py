"""What Docker tells of a transfer, layer by layer, made into progress."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.runner import Report, section

_MOST_LAYERS = 256
_LONGEST_TEXT = 64
_OVER = ("Pull complete", "Already exists", "Pushed", "Layer already exists")
_MEGABYTE = 1_000_000


class Layers:
    """The layers of one transfer; `verb` begins the line that people read, as in "pulling nginx:1.27"."""

    def __init__(self, verb: str, report: Report) -> None:
        self._verb = verb
        self._report = report
        self._layers: dict[str, dict[str, object]] = {}

    def __call__(self, event: Mapping[str, object]) -> None:
        """See `agent.docker.images.OnEvent`."""
        name, status = event.get("id"), event.get("status")
        if not isinstance(name, str) or not isinstance(status, str) or "progressDetail" not in event:
            return
        name = name[:_LONGEST_TEXT]
        known = self._layers.get(name, {})
        if not known and len(self._layers) >= _MOST_LAYERS:
            return
        detail = section(event, "progressDetail")
        current, total = _number(detail.get("current")), _number(detail.get("total"))
        over = status in _OVER or status.startswith("Mounted from")
        if total is None:
            total = _number(known.get("total"))
        if over:
            current = total
        self._layers[name] = {
            "status": status[:_LONGEST_TEXT],
            "current": current,
            "total": total,
            "done": over,
        }
        self._report(self._line(), {"layers": {name: dict(layer) for name, layer in self._layers.items()}})

    def _line(self) -> str:
        done = sum(layer["done"] is True for layer in self._layers.values())
        text = f"{self._verb}: {done} of {len(self._layers)} layers"
        moving = [
            (layer["status"], current, total)
            for layer in self._layers.values()
            if (current := _number(layer["current"])) is not None
            and (total := _number(layer["total"])) is not None
            and layer["done"] is False
        ]
        if moving:
            status, current, total = moving[0]
            text += f", {str(status).lower()} {current / _MEGABYTE:.1f} of {total / _MEGABYTE:.1f} MB"
        return text


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
