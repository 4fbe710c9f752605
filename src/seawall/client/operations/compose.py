"""Bring up projects of several containers, look at them and take them down.

Made from `operations/compose.py` by `make generate`: change it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.operations.group import Group
from seawall.client.results import Results


class Compose(Group):
    """Bring up projects of several containers, look at them and take them down."""

    async def up(
        self,
        project: str,
        *,
        files: Mapping[str, str],
        on: On = None,
        use: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        services: Sequence[str] | None = None,
        pull: str = "missing",
        remove_orphans: bool = False,
        grace_seconds: int | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Bring a project up as its files say: create, change and start what differs.

        - `project`: the project's name: lowercase letters, digits, '_' and '-', the first a letter or a digit
        - `files`: the project's files by plain names, without folders: at most 16, and 256 KiB together
        - `use`: which of the files are the project, each refining those before it; compose.yaml unless told
          otherwise
        - `environment`: the values of the variables in the files; nothing else fills them in
        - `services`: only these services, by their names in the files; all of them unless told otherwise
        - `pull`: which images are pulled before: those that are missing, or all of them
        - `remove_orphans`: remove the project's containers of services that the files don't have any more
        - `grace_seconds`: how long a container may take to stop before it is killed
        """
        return await self._perform(
            "compose_up",
            on,
            {
                "project": project,
                "files": files,
                "use": use,
                "environment": environment,
                "services": services,
                "pull": pull,
                "remove_orphans": remove_orphans,
                "grace_seconds": grace_seconds,
            },
            delivery,
        )

    async def down(
        self,
        project: str,
        *,
        on: On = None,
        remove_volumes: bool = False,
        remove_orphans: bool = False,
        grace_seconds: int | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Stop a project and remove its containers and networks, and what this host keeps of its files.

        - `project`: the project's name: lowercase letters, digits, '_' and '-', the first a letter or a digit
        - `remove_volumes`: remove its volumes too, and what they hold
        - `remove_orphans`: remove the project's containers of services that its files don't have
        - `grace_seconds`: how long a container may take to stop before it is killed
        """
        return await self._perform(
            "compose_down",
            on,
            {
                "project": project,
                "remove_volumes": remove_volumes,
                "remove_orphans": remove_orphans,
                "grace_seconds": grace_seconds,
            },
            delivery,
        )

    async def restart(
        self,
        project: str,
        *,
        on: On = None,
        services: Sequence[str] | None = None,
        grace_seconds: int | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Stop the containers of a project and start them again.

        - `project`: the project's name: lowercase letters, digits, '_' and '-', the first a letter or a digit
        - `services`: only these services, by their names in the files; all of them unless told otherwise
        - `grace_seconds`: how long a container may take to stop before it is killed
        """
        return await self._perform(
            "compose_restart",
            on,
            {"project": project, "services": services, "grace_seconds": grace_seconds},
            delivery,
        )

    async def ps(self, project: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """The services of a project and how their containers stand.

        - `project`: the project's name: lowercase letters, digits, '_' and '-', the first a letter or a digit
        """
        return await self._perform("compose_ps", on, {"project": project}, delivery)

    async def logs(
        self,
        project: str,
        *,
        on: On = None,
        services: Sequence[str] | None = None,
        tail: int = 100,
        timestamps: bool = False,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """The end of the logs of a project's containers, in the order of time.

        - `project`: the project's name: lowercase letters, digits, '_' and '-', the first a letter or a digit
        - `services`: only these services, by their names in the files; all of them unless told otherwise
        - `tail`: how many lines of each container
        - `timestamps`: put the time before each line
        """
        return await self._perform(
            "compose_logs",
            on,
            {"project": project, "services": services, "tail": tail, "timestamps": timestamps},
            delivery,
        )
