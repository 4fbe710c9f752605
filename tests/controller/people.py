"""Users and sign-ins over a real store, with passwords that are quick to check and a clock that the test turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from seawall.controller.door_log import DoorLog
from seawall.controller.passwords import Passwords
from seawall.controller.sign_ins import SignIns
from seawall.controller.users import Users
from seawall.operations.operation import Role
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from seawall.wire.secret import Secret

GOOD = Secret("correct horse battery")
HOME = "192.0.2.1"


def quick_passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass
class People:
    """See the module's text."""

    store: SqliteStore
    clock: FakeClock
    users: Users
    sign_ins: SignIns
    door: DoorLog


@asynccontextmanager
async def people(directory: Path) -> AsyncIterator[People]:
    """With the operator ada, whose password is GOOD."""
    clock, passwords = FakeClock(), quick_passwords()
    store = await SqliteStore.open(directory / "seawall.db", clock)
    users, door = Users(store, passwords, clock), DoorLog(store, clock)
    try:
        await users.add("ada", GOOD, Role.OPERATOR)
        yield People(store, clock, users, SignIns(store, users, passwords, clock, door), door)
    finally:
        await store.close()
