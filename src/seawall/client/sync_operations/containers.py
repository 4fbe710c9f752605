"""Look at containers, make, start and stop them, on one host or on many.

Made from `operations/containers.py` by `make generate`: change it there.
"""

from __future__ import annotations

from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.results import Results
from seawall.client.sync_operations.group import Group


class SyncContainers(Group):
    """Look at containers, make, start and stop them, on one host or on many."""

    def list(self, *, on: On = None, all: bool = True, **delivery: Unpack[Delivery]) -> Results:
        """List the host's containers.

        - `all`: stopped ones as well
        """
        return self._perform("container_list", on, {"all": all}, delivery)

    def inspect(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Everything that Docker knows about a container.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return self._perform("container_inspect", on, {"container": container}, delivery)

    def logs(
        self,
        container: str,
        *,
        on: On = None,
        tail: int = 100,
        timestamps: bool = False,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """The end of a container's log.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `tail`: how many lines
        - `timestamps`: put the time before each line
        """
        return self._perform(
            "container_logs", on, {"container": container, "tail": tail, "timestamps": timestamps}, delivery
        )

    def start(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Start a container.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return self._perform("container_start", on, {"container": container}, delivery)

    def stop(
        self, container: str, *, on: On = None, grace_seconds: int | None = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Stop a container: ask it, and kill it when the grace is over.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `grace_seconds`: how long the container may take to stop before it is killed
        """
        return self._perform(
            "container_stop", on, {"container": container, "grace_seconds": grace_seconds}, delivery
        )

    def restart(
        self, container: str, *, on: On = None, grace_seconds: int | None = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Stop a container and start it again.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `grace_seconds`: how long the container may take to stop before it is killed
        """
        return self._perform(
            "container_restart", on, {"container": container, "grace_seconds": grace_seconds}, delivery
        )

    def kill(
        self, container: str, *, on: On = None, signal: str = "SIGKILL", **delivery: Unpack[Delivery]
    ) -> Results:
        """Send a signal to a container's main process.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `signal`: a signal's name such as SIGTERM, or its number
        """
        return self._perform("container_kill", on, {"container": container, "signal": signal}, delivery)

    def rename(self, container: str, name: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Give a container another name.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `name`: the new name
        """
        return self._perform("container_rename", on, {"container": container, "name": name}, delivery)

    def remove(
        self,
        container: str,
        *,
        on: On = None,
        force: bool = False,
        volumes: bool = False,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Remove a container.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `force`: kill it first if it runs
        - `volumes`: remove its anonymous volumes too
        """
        return self._perform(
            "container_remove", on, {"container": container, "force": force, "volumes": volumes}, delivery
        )
