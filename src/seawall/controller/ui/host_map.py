"""Many hosts in little room: a cell for each, the ones that fare worst first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seawall.controller.ui import words
from seawall.controller.ui.drawing import Drawing, Piece, piece
from seawall.controller.ui.elements import Tag, box
from seawall.controller.ui.frame import part
from seawall.controller.ui.overview import HostRow
from seawall.core.circuit import CircuitState

_MOST = 600


class HostMap:
    """A card with the map."""

    def __init__(self, label: str) -> None:
        with box("card", "section", aria_label=label):
            self._map = Drawing("div", "map")
            self._note = Tag("p", "", "muted small")

    def fill(self, hosts: Sequence[HostRow], state: Callable[[HostRow], str]) -> None:
        """Show these hosts, each with a state; those that come first stay when there are too many."""
        shown = hosts[:_MOST]
        self._map.show([_cell(host, state(host)) for host in shown])
        more = len(hosts) - len(shown)
        self._note.show(
            f"The {len(shown)} that fare worst; {more:,} more are in the table." if more > 0 else ""
        )
        self._note.reveal(more > 0)


def _cell(host: HostRow, state: str) -> Piece:
    shape, tone = words.shape(state)
    circuit = "" if host.circuit is CircuitState.CLOSED else f", a circuit {words.word(host.circuit.value)}"
    label = f"{host.name}: {host.state}{circuit}"
    return piece(
        "a", shape, f"cell {tone}", href=f"/ui/hosts/{part(host.name)}", title=label, aria_label=label
    )
