"""The bus of a single controller: queues in this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from seawall.engine.notices import Notice

_BACKLOG = 1_000


class LocalBus:
    """`engine.notices.Bus` without a network. Publishing never waits; each listener's backlog is bounded."""

    def __init__(self) -> None:
        self._listeners: dict[str | None, set[_Listener]] = {}

    def publish(self, notice: Notice) -> None:
        """See `Bus.publish`."""
        for topic in (notice.command_id, None) if notice.command_id is not None else (None,):
            for listener in self._listeners.get(topic, ()):
                listener.put(notice)

    @contextmanager
    def listen(self, command_id: str | None = None) -> Iterator[AsyncIterator[Notice]]:
        """See `Bus.listen`."""
        listener = _Listener()
        listeners = self._listeners.setdefault(command_id, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners and self._listeners.get(command_id) is listeners:
                del self._listeners[command_id]


class _Listener:
    def __init__(self) -> None:
        self._backlog: deque[Notice] = deque()
        self._arrived = asyncio.Event()
        self._lost = 0

    def put(self, notice: Notice) -> None:
        if len(self._backlog) >= _BACKLOG:
            self._lost += 1
        else:
            self._backlog.append(notice)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Notice]:
        return self

    async def __anext__(self) -> Notice:
        while not self._backlog:
            if self._lost:
                lost, self._lost = self._lost, 0
                return Notice("lost", "", None, {"notices": lost})
            self._arrived.clear()
            await self._arrived.wait()
        return self._backlog.popleft()
