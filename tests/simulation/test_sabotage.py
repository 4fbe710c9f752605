"""The simulation is tested with defects: one that finds none of them would find nothing in the real code either."""

from __future__ import annotations

import pytest

from tests.chaos import figures
from tests.simulation.sabotage import SABOTAGES, Sabotage


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_the_simulation_finds(sabotage: Sabotage) -> None:
    outcome = sabotage.found()
    figures.record("simulation", 1, int(outcome is None), "defects to be found")
    assert outcome is not None, f"{sabotage.name!r} survived {sabotage.within} worlds"
