"""Users: the set-up code that works once, names, passwords, and what a change ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from seawall.controller.passwords import UnfitPassword
from seawall.controller.users import SetUpRefused, UnfitName, Users
from seawall.operations.operation import Role
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from seawall.wire.secret import Secret
from tests.controller.people import GOOD, people, quick_passwords

pytestmark = pytest.mark.asyncio


async def open_store(directory: Path) -> SqliteStore:
    return await SqliteStore.open(directory / "seawall.db", FakeClock())


async def test_the_code_makes_one_admin_and_then_never_works_again(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    users = Users(store, quick_passwords(), FakeClock())
    code = await users.offer_set_up()
    assert code is not None
    assert await users.needs_set_up()
    made = await users.set_up(Secret(f" {code.reveal().upper()} "), "ada", GOOD)
    assert (made.name, made.role) == ("ada", "admin")
    assert GOOD.reveal() not in made.password_hash
    assert not await users.needs_set_up()
    with pytest.raises(SetUpRefused, match="over"):
        await users.set_up(code, "eve", GOOD)
    await users.remove("ada")
    assert not await users.needs_set_up()
    assert await Users(store, quick_passwords(), FakeClock()).offer_set_up() is None
    await store.close()


async def test_the_code_makes_one_user_even_if_many_have_it_at_once(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    users = Users(store, quick_passwords(), FakeClock())
    code = await users.offer_set_up()
    assert code is not None
    tries = await asyncio.gather(
        *(users.set_up(code, f"user-{n}", GOOD) for n in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in tries) == 1
    assert all(isinstance(each, SetUpRefused) for each in tries if isinstance(each, BaseException))
    assert len(await users.all()) == 1
    await store.close()


async def test_the_code_is_over_once_there_is_a_user_from_elsewhere(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    users = Users(store, quick_passwords(), FakeClock())
    code = await users.offer_set_up()
    assert code is not None
    await users.add("ada", GOOD, Role.VIEWER)
    assert not await users.needs_set_up()
    with pytest.raises(SetUpRefused, match="over"):
        await users.set_up(code, "eve", GOOD)
    await store.close()


async def test_a_wrong_code_makes_nobody_and_codes_can_not_be_tried_for_ever(tmp_path: Path) -> None:
    store, clock = await open_store(tmp_path), FakeClock()
    users = Users(store, quick_passwords(), clock)
    code = await users.offer_set_up()
    assert code is not None
    for _ in range(20):
        with pytest.raises(SetUpRefused, match="isn't the set-up code"):
            await users.set_up(Secret("23456-23456-23456-23456"), "eve", GOOD)
    with pytest.raises(SetUpRefused, match="too many"):
        await users.set_up(code, "ada", GOOD)
    await clock.advance(6.0)
    assert (await users.set_up(code, "ada", GOOD)).name == "ada"
    await store.close()


@pytest.mark.parametrize("name", ["", "Ada", "ada lovelace", "-ada", "a" * 65, "<b>", "ada\n", "ädä"])
async def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    async with people(tmp_path) as known:
        with pytest.raises(UnfitName):
            await known.users.add(name, GOOD, Role.VIEWER)


@pytest.mark.parametrize("password", ["", "123456789", "x" * 257])
async def test_a_password_that_is_too_short_or_too_long_is_refused(tmp_path: Path, password: str) -> None:
    async with people(tmp_path) as known:
        with pytest.raises(UnfitPassword):
            await known.users.add("eve", Secret(password), Role.VIEWER)
        with pytest.raises(UnfitPassword):
            await known.users.give_password("ada", Secret(password))
