"""A fault in one system call between a request and its result, and what becomes of the command."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

from tests.chaos.injection import struck
from tests.chaos.lone import AGENT, Lone

CALLS = {
    "flush": ("fdatasync",),
    "write": ("pwrite64",),
    "word": ("write", "writev", "sendto", "sendmsg"),
}
"""What is struck: a flush, a write to the disk, or a word to another process or thread."""


@dataclass(frozen=True)
class Strike:
    """What one fault led to: the exit code of the process, None if it never came that far, and what was wrong."""

    kind: str
    number: int
    exit_code: int | None
    lie: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.number}: {self.lie}"


def places(most: Mapping[str, int], seed: int) -> Iterator[tuple[str, int]]:
    """The first calls of each kind, `most` of them: the kinds in turn, the numbers in random order."""
    dice = random.Random(seed)
    numbers = [dice.sample(range(1, count + 1), count) for count in most.values()]
    for row in itertools.zip_longest(*numbers):
        yield from ((kind, number) for kind, number in zip(most, row, strict=True) if number is not None)


async def strikes(
    plane: Lone,
    victim: str,
    fault: str,
    most: Mapping[str, int],
    seed: int,
    seconds: float,
    paths: Sequence[Path] = (),
    *,
    least: int,
) -> AsyncIterator[Strike]:
    """Strike one place after the other, as many as there is time for; whoever ended is started anew each time.

    `most` says how many calls of each kind of `CALLS` are struck. However slow the machine is, it goes on until the
    victim has ended `least` times, or nothing is left to strike. See `struck` for the rest.
    """
    last_moment, ends = time.monotonic() + seconds, 0
    for kind, number in places(most, seed):
        if ends >= least and time.monotonic() > last_moment:
            return
        # A new agent, since one that lost several controllers in a row takes its time before it tries the next.
        await plane.start(AGENT)
        await plane.connected()
        await plane.close_circuits()
        container = plane.hold()
        async with struck(plane.process_id(victim), CALLS[kind], fault, number, paths):
            answer = await plane.restart(container)
            await _over_or_ended(plane, victim, answer)
        exit_code = await plane.survived(victim)
        if exit_code is not None:
            ends += 1
            await plane.start(victim)
        yield Strike(kind, number, exit_code, await _lie(plane, container, answer))


async def _over_or_ended(plane: Lone, victim: str, answer: httpx.Response | None) -> None:
    """Wait until the command is over, or the victim."""

    async def either() -> bool:
        if plane.exit_code(victim) is not None:
            return True
        if answer is None or answer.is_error:
            return False
        known = await plane.record(answer.json()["command_id"])
        return known is not None and bool(known["finished_at"])

    await plane.until("the command is over, or the victim", either)


async def _lie(plane: Lone, container: str, answer: httpx.Response | None) -> str | None:
    """What is wrong once the same request was made again, and everything is over."""
    again = await plane.restart(container)
    if again is None or again.status_code not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        return f"asked again, it answered {again}"
    command_id = again.json()["command_id"]
    if answer is not None and answer.is_success and answer.json()["command_id"] != command_id:
        return f"{answer.json()['command_id']} was accepted, and {command_id} is there"
    found = await plane.over(command_id)
    executions = plane.executions(container)
    if (found["state"], executions) != ("SUCCEEDED", 1):
        return f"{found['state']} after {executions} executions: {found['error']}"
    return None
