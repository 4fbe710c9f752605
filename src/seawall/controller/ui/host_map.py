"""Many hosts in little room: a cell for each, the ones that fare worst first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seawall.controller.ui import words
from seawall.controller.ui.elements import Tag, box
from seawall.controller.ui.frame import part
from seawall.controller.ui.overview import HostRow
from seawall.core.circuit import CircuitState

_MOST = 600


class HostMap:
    """A card with the map."""

    def __init__(self, label: str) -> None:
        self._cells: list[Tag] = []
        self._looks: list[tuple[str, str, str, CircuitState] | None] = []
        with box("card", "section", aria_label=label):
            self._map = box("map")
            self._note = Tag("p", "", "muted small")

    def fill(self, hosts: Sequence[HostRow], state: Callable[[HostRow], str]) -> None:
        """Show these hosts, each with a state; those that come first stay when there are too many."""
        shown = hosts[:_MOST]
        with self._map:
            while len(self._cells) < len(shown):
                self._cells.append(Tag("a"))
                self._looks.append(None)
        for index, (cell, host) in enumerate(zip(self._cells, shown, strict=False)):
            look = (host.name, host.state, state(host), host.circuit)
            if look == self._looks[index]:
                continue
            self._looks[index] = look
            shape, tone = words.shape(look[2])
            circuit = (
                "" if host.circuit is CircuitState.CLOSED else f", a circuit {words.word(host.circuit.value)}"
            )
            label = f"{host.name}: {host.state}{circuit}"
            cell.reveal(True)
            cell.show(
                shape, f"cell {tone}", href=f"/ui/hosts/{part(host.name)}", title=label, aria_label=label
            )
        for index, cell in enumerate(self._cells[len(shown) :], len(shown)):
            self._looks[index] = None
            cell.reveal(False)
        more = len(hosts) - len(shown)
        self._note.show(
            f"The {len(shown)} that fare worst; {more:,} more are in the table." if more > 0 else ""
        )
        self._note.reveal(more > 0)
