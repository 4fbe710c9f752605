"""What the groups of operations stand on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from seawall.client.delivery import Delivery, On
from seawall.client.parcels import Source
from seawall.client.results import Results
from seawall.client.streams import Stream

Perform = Callable[[str, On, Mapping[str, object], Delivery], Awaitable[Results]]
"""Has an operation done: its name, where, its arguments, and how."""

OpenStream = Callable[[str, str, Mapping[str, object]], Stream]
"""Makes a stream of an operation: its name, the host, its arguments."""

Send = Callable[[str, Source, On, Mapping[str, object], Delivery], Awaitable[Results]]
"""Has an operation done with an archive: its name, what that is made of, where, its arguments, and how."""


class Group:
    """The operations of one noun."""

    def __init__(self, perform: Perform, stream: OpenStream, send: Send) -> None:
        self._perform = perform
        self._stream = stream
        self._send = send
