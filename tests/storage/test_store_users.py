"""What every store promises about users and their sign-ins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from seawall.engine.store import Store, UserNameTaken
from tests.storage.backends import BACKENDS, NOW, later, sign_in, user

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await BACKENDS[request.param](tmp_path)()
    yield store
    await store.close()


async def test_of_many_first_users_at_once_one_is_kept(store: Store) -> None:
    assert not await store.had_users()
    made = await asyncio.gather(*(store.add_user(user(f"u-{n}"), first=True) for n in range(8)))
    assert sorted(made) == [False] * 7 + [True]
    assert await store.had_users()
    assert len(await store.users()) == 1


async def test_there_is_no_first_user_after_the_last_was_removed(store: Store) -> None:
    await store.add_user(user())
    assert await store.remove_user("name-of-u-1", later(1))
    assert await store.users() == []
    assert await store.had_users()
    assert not await store.add_user(user("u-2"), first=True)


async def test_a_name_is_taken_until_its_user_is_removed(store: Store) -> None:
    await store.add_user(user("u-1", name="ada"))
    with pytest.raises(UserNameTaken):
        await store.add_user(user("u-2", name="ada"))
    assert await store.remove_user("ada", later(1))
    assert not await store.remove_user("ada", later(1))
    assert await store.user("ada") is None
    await store.add_user(user("u-2", name="ada"))
    assert await store.user("ada") == user("u-2", name="ada")


async def test_users_come_by_name(store: Store) -> None:
    for user_id, name in (("u-1", "eve"), ("u-2", "ada")):
        await store.add_user(user(user_id, name=name))
    assert [each.name for each in await store.users()] == ["ada", "eve"]


async def test_a_sign_in_is_found_with_its_user_ended_and_expired_ones_too(store: Store) -> None:
    await store.add_user(user())
    assert await store.add_sign_in(sign_in())
    await store.seen_sign_in("s-1", later(60))
    await store.seen_sign_in("s-1", later(30))
    await store.end_sign_in("s-1", later(70))
    await store.end_sign_in("s-1", later(80))
    expected = sign_in(seen_at=later(60), ended_at=later(70))
    assert await store.sign_in("hash of s-1") == (expected, user())
    assert await store.sign_in("hash of s-2") is None


@pytest.mark.parametrize("change", ["password", "role", "removal"])
async def test_what_is_changed_of_a_user_ends_the_sign_ins_of_that_one_alone(
    store: Store, change: str
) -> None:
    for user_id in ("u-1", "u-2"):
        await store.add_user(user(user_id))
        await store.add_sign_in(sign_in(f"s-{user_id}", user_id))
    if change == "password":
        assert await store.change_user("name-of-u-1", later(5), password_hash="another")
    elif change == "role":
        assert await store.change_user("name-of-u-1", later(5), role="viewer")
    else:
        assert await store.remove_user("name-of-u-1", later(5))
    ended, other = await store.sign_in("hash of s-u-1"), await store.sign_in("hash of s-u-2")
    assert ended is not None
    assert other is not None
    assert (ended[0].ended_at, other[0].ended_at) == (later(5), None)
    expected = {"password": ("another", "operator"), "role": ("a hash", "viewer")}
    assert (ended[1].password_hash, ended[1].role) == expected.get(change, ("a hash", "operator"))


async def test_nobody_that_is_not_there_can_be_changed_or_signed_in(store: Store) -> None:
    assert not await store.change_user("nobody", NOW, role="admin")
    await store.add_user(user())
    await store.remove_user("name-of-u-1", NOW)
    assert not await store.add_sign_in(sign_in())
    assert await store.sign_in("hash of s-1") is None


async def test_expired_sign_ins_are_forgotten_when_another_begins(store: Store) -> None:
    await store.add_user(user())
    await store.add_sign_in(sign_in("s-1", expires_at=later(10)))
    await store.add_sign_in(sign_in("s-2", created_at=later(9)))
    assert await store.sign_in("hash of s-1") is not None
    await store.add_sign_in(sign_in("s-3", created_at=later(10)))
    assert await store.sign_in("hash of s-1") is None
    assert await store.sign_in("hash of s-2") is not None
