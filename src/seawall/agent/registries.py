"""Whether the host reaches the registries that its images came from lately."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import aiohttp

from seawall.clock import Clock
from seawall.operations.image_reference import DEFAULT_REGISTRY, InvalidReference, image_id, parse_reference

MOST_REGISTRIES = 4
"""So many are asked: those that were used last."""
ASK_SECONDS = 60.0
ASK_AGAIN_SECONDS = 15.0
"""How long after one couldn't be reached."""
ANSWER_SECONDS = 3.0

_SERVER_ERROR = 500
_HUB = "registry-1.docker.io"  # where the default registry answers

Reach = Callable[[str], Awaitable[bool]]
"""Whether a registry answers. Doesn't raise."""


class Registries:
    """Of one agent. `ask` is called when there is a moment for it; `fresh` are the results that nobody was told yet."""

    def __init__(self, clock: Clock, reach: Reach | None) -> None:
        self._clock = clock
        self._reach = reach
        self._used: OrderedDict[str, None] = OrderedDict()
        self._fresh: dict[str, bool] = {}
        self._due = 0.0
        self._asking = False

    def used(self, reference: object) -> None:
        """An image of this reference is fetched or sent; one that is named by its id comes from nowhere."""
        if image_id(str(reference)) is not None:
            return
        try:
            registry = parse_reference(str(reference)).registry
        except InvalidReference:
            return
        self._used[registry] = None
        self._used.move_to_end(registry)
        if len(self._used) > MOST_REGISTRIES:
            self._used.popitem(last=False)
        self._due = min(self._due, self._clock.now() + ASK_AGAIN_SECONDS)

    @property
    def due(self) -> bool:
        """Whether it is time to ask."""
        return (
            self._reach is not None
            and bool(self._used)
            and not self._asking
            and self._clock.now() >= self._due
        )

    async def ask(self) -> None:
        """Ask all of them at once."""
        if self._reach is None:
            return
        self._asking = True
        try:
            names = list(self._used)
            answers = await asyncio.gather(*map(self._reach, names))
            self._fresh = dict(zip(names, answers, strict=True))
            self._due = self._clock.now() + (ASK_SECONDS if all(answers) else ASK_AGAIN_SECONDS)
        finally:
            self._asking = False

    def fresh(self) -> dict[str, bool]:
        """What was found since this was asked last: an older answer says nothing about what failed since."""
        fresh, self._fresh = self._fresh, {}
        return fresh


async def reaches(registry: str) -> bool:
    """Whether a registry answers at /v2/, by TLS or, as Docker may be told to accept, without.

    Nothing is sent that it mustn't know, and nothing that it says is believed: whose its certificate is doesn't matter.
    """
    host = _HUB if registry == DEFAULT_REGISTRY else registry
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=not _is_own(host)) as session:
        for scheme in ("https", "http"):
            try:
                async with session.get(f"{scheme}://{host}/v2/", ssl=False, allow_redirects=False) as answer:
                    return answer.status < _SERVER_ERROR
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                continue
    return False


def _is_own(host: str) -> bool:
    """Whether it is this machine, which no proxy leads to."""
    name = host.rpartition(":")[0] or host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"
