"""Who may change what a Compose project is made of: the project as a whole alone, its containers beside each other.

Whoever waits here holds no slot and no container, so that nobody waits for whom he keeps waiting. Everybody comes in
the order of arrival: a container's change that came after a project's waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from seawall.agent.job import Job
from seawall.agent.operations.runner import Target, section

_LABEL = "com.docker.compose.project"


class _Place:
    """A place in the queue of one project; `ready` is done when it may be changed."""

    def __init__(self, project: str, *, whole: bool) -> None:
        self.project = project
        self.whole = whole
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Projects:
    """The queues. A project that nobody changes takes no room."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Place]] = {}

    def __len__(self) -> int:
        return len(self._queues)

    @asynccontextmanager
    async def whole(self, project: str | None) -> AsyncIterator[None]:
        """Change a project while nobody else changes it or a container of it; None is no project."""
        if project is None:
            yield
            return
        place = self._join(project, whole=True)
        try:
            await place.ready
            yield
        finally:
            self._leave(place)

    @asynccontextmanager
    async def container(
        self, job: Job, look: Callable[[], Awaitable[Target | None]], step_back: Callable[[Job], None]
    ) -> AsyncIterator[Target | None]:
        """Change what `look` finds, while the project that it belongs to isn't changed as a whole.

        Where that has to be waited for, `step_back` gives up what others may need, and `look` looks anew: the project's
        change may have replaced it. What is urgent doesn't wait: a person must be able to stop what hangs.
        """
        place: _Place | None = None
        try:
            while True:
                target = await look()
                project = _project_of(target)
                if project is None or (place is not None and place.project == project):
                    break
                if place is not None:
                    self._leave(place)
                place = self._join(project, whole=False)
                if place.ready.done() or job.urgent:
                    break
                step_back(job)
                await place.ready
            yield target
        finally:
            if place is not None:
                self._leave(place)

    def _join(self, project: str, *, whole: bool) -> _Place:
        place = _Place(project, whole=whole)
        queue = self._queues.setdefault(project, deque())
        queue.append(place)
        _serve(queue)
        return place

    def _leave(self, place: _Place) -> None:
        queue = self._queues[place.project]
        queue.remove(place)
        _serve(queue)
        if not queue:
            del self._queues[place.project]


def _serve(queue: deque[_Place]) -> None:
    """Whoever comes first, and with a container's change all others up to the first of the whole project."""
    for index, place in enumerate(queue):
        if place.whole and index > 0:
            return
        if not place.ready.done():
            place.ready.set_result(None)
        if place.whole:
            return


def _project_of(target: Target | None) -> str | None:
    """The Compose project of a container, by its label."""
    labels = section(section(target.record, "Config"), "Labels") if target is not None else {}
    project = labels.get(_LABEL)
    return project if isinstance(project, str) and project else None
