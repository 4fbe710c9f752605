"""Garbage is found by the clock: soon what is new, now and then the rest."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from seawall.controller.garbage import LEAST_SECONDS, LOOK_SECONDS, collect_garbage
from seawall.testing.clock import FakeClock

pytestmark = pytest.mark.asyncio


class Ring:
    """Refers to itself, so that its count alone never frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest_asyncio.fixture
async def clock() -> AsyncIterator[FakeClock]:
    clock = FakeClock()
    task = asyncio.create_task(collect_garbage(clock))
    await clock.settle()
    yield clock
    task.cancel()
    await asyncio.wait((task,))


async def test_what_is_new_and_garbage_goes_with_the_next_look(clock: FakeClock) -> None:
    garbage = weakref.ref(Ring())
    assert garbage() is not None
    await clock.advance(LOOK_SECONDS)
    assert garbage() is None


async def test_what_has_grown_old_and_is_garbage_goes_with_a_look_at_everything(clock: FakeClock) -> None:
    old = Ring()
    await clock.advance(2 * LOOK_SECONDS)
    garbage = weakref.ref(old)
    del old
    await clock.advance(2 * LOOK_SECONDS)
    assert garbage() is not None, "among what is new it isn't any more"
    await clock.advance(LEAST_SECONDS)
    assert garbage() is None


async def test_python_looks_by_itself_again_once_it_has_ended() -> None:
    clock = FakeClock()
    task = asyncio.create_task(collect_garbage(clock))
    await clock.settle()
    assert not gc.isenabled()
    task.cancel()
    await asyncio.wait((task,))
    assert gc.isenabled()
