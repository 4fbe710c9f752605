"""From a selector to the hosts that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.client.errors import ClientError
from seawall.client.models import Agent
from seawall.client.selector import Selector, select

if TYPE_CHECKING:
    from seawall.client.client import Client

_MOST_ASKED_BY_NAME = 20
_NOT_FOUND = 404


async def choose(client: Client, selector: Selector) -> list[Agent]:
    """The hosts that are meant. Raises SelectorProblem, which says what there is, and what the client raises."""
    if selector.by_name and 0 < len(selector.names) <= _MOST_ASKED_BY_NAME:
        # A large fleet isn't listed for the sake of a few names, unless one is wrong.
        try:
            return select([await client.agent(name) for name in selector.names], selector)
        except ClientError as error:
            if error.status != _NOT_FOUND:
                raise
    return select(await client.agents(), selector)
