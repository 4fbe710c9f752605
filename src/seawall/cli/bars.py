"""What the detail of progress comes to as bars: layers of an image, steps of an update, services. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from seawall.cli.wording import safe

_MOST = 12
_LONGEST_LABEL = 24


class Bar(Struct, frozen=True):
    """`done` of `total`, a total of 0 for one that nobody knows; `note` says more."""

    label: str
    done: float
    total: float
    note: str = ""


def bars_of(detail: object) -> list[Bar]:
    """The bars of a detail, what isn't over first, at most a dozen; none for one that means nothing here."""
    if not isinstance(detail, Mapping):
        return []
    found = [
        *(_layer(name, each) for name, each in _named(detail.get("layers"))),
        *(_step(each) for each in _steps(detail.get("steps"))),
        *(_service(name, each) for name, each in _named(detail.get("services"))),
    ]
    if "layers" in detail:
        found.sort(key=lambda bar: 0 < bar.total <= bar.done)
    shown = found[:_MOST]
    hidden = len(found) - len(shown)
    return [*shown, Bar(f"{hidden} more", 0, 0)] if hidden else shown


def _layer(name: str, layer: Mapping[str, object]) -> Bar:
    over = layer.get("done") is True
    total = _number(layer.get("total")) or (1.0 if over else 0.0)
    return Bar(
        _label(name), total if over else _number(layer.get("current")), total, _text(layer.get("status"))
    )


def _step(step: Mapping[str, object]) -> Bar:
    state = _text(step.get("state"))
    return Bar(_label(_text(step.get("step"))), float(state in ("done", "over", "skipped")), 1.0, state)


def _service(name: str, service: Mapping[str, object]) -> Bar:
    running, wanted = _number(service.get("running")), _number(service.get("containers"))
    return Bar(_label(name), running, wanted, f"{running:.0f} of {wanted:.0f} running")


def _named(table: object) -> list[tuple[str, Mapping[str, object]]]:
    rows = table.items() if isinstance(table, Mapping) else ()
    return [(str(name), each) for name, each in rows if isinstance(each, Mapping)]


def _steps(steps: object) -> list[Mapping[str, object]]:
    return [each for each in steps if isinstance(each, Mapping)] if isinstance(steps, list) else []


def _label(text: str) -> str:
    return safe(text)[:_LONGEST_LABEL]


def _text(value: object) -> str:
    return safe(value) if isinstance(value, str) else ""


def _number(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0.0, float(value)) if number and isinstance(value, int | float) else 0.0
