"""Look at volumes, make and remove them.

Made from `operations/volumes.py` by `make generate`: change it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.results import Results
from seawall.client.sync_operations.group import Group


class SyncVolumes(Group):
    """Look at volumes, make and remove them."""

    def list(self, *, on: On = None, unused: bool = False, **delivery: Unpack[Delivery]) -> Results:
        """List the host's volumes.

        - `unused`: only those that no container names, running or not
        """
        return self._perform("volume_list", on, {"unused": unused}, delivery)

    def inspect(self, volume: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Everything that Docker knows about a volume.

        - `volume`: the volume's name: at least two letters, digits, '_', '.' or '-', the first a letter or a
          digit
        """
        return self._perform("volume_inspect", on, {"volume": volume}, delivery)

    def create(
        self,
        name: str,
        *,
        on: On = None,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Create a volume; fine if there is one of that name, driver and options.

        - `name`: the new volume's name: at least two letters, digits, '_', '.' or '-', the first a letter or
          a digit
        - `driver`: the driver that keeps it
        - `options`: options of the driver, such as type=tmpfs; the host's policy says which are allowed
        - `labels`: its labels: names of letters, digits, '.', '_', '/' and '-', not beginning with 'seawall.'
        """
        return self._perform(
            "volume_create",
            on,
            {"name": name, "driver": driver, "options": options, "labels": labels},
            delivery,
        )

    def remove(self, volume: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Remove a volume that no container names, with all that is in it.

        - `volume`: the volume's name: at least two letters, digits, '_', '.' or '-', the first a letter or a
          digit
        """
        return self._perform("volume_remove", on, {"volume": volume}, delivery)

    def prune_plan(self, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """The volumes that no container names, running or not: what volume_prune would remove."""
        return self._perform("volume_prune_plan", on, {}, delivery)

    def prune(self, *, names: Sequence[str], on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Remove unused volumes with all that is in them: those of a plan, by their names. One that is used by
        now is kept.

        - `names`: the names of the volumes, as volume_prune_plan tells them
        """
        return self._perform("volume_prune", on, {"names": names}, delivery)
