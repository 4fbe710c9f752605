"""How a command is to be delivered, and where: what every operation of the client takes besides its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

On = str | Sequence[str] | None
"""Which hosts: a name, a label such as `env=prod`, `all`, or several of these; None where there is just one host."""

PARALLEL = 50
"""On how many hosts at once unless told otherwise."""


class Delivery(TypedDict, total=False):
    """How it is to be done; whatever is left out is the controller's choice.

    `timeout` is what one attempt may take and `deadline` what all of it may take, in seconds; `retries` counts the
    attempts after the first. With `queue=False` a host that isn't connected fails at once, with `wait=False` the
    accepted records come back at once. The same `idempotency_key` is the same command, on each of the hosts.
    `parallel` is on how many hosts at once at most, 50 unless given.
    """

    timeout: float
    deadline: float
    retries: int
    queue: bool
    wait: bool
    idempotency_key: str
    parallel: int


def key_on_host(key: str, agent_id: str, *, several: bool) -> str:
    """The idempotency key on one host, made from the one of the call if that may go to several.

    By id: a host that joins anew under an old name is another host, and its command another command.
    """
    return f"{key}:{agent_id}" if several else key
