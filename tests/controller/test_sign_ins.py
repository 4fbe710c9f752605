"""Signing in: who gets in, for how long, and how often somebody may guess."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from seawall.controller.credentials import hash_secret
from seawall.controller.door_log import KINDS_AT_ONCE
from seawall.controller.sign_ins import IDLE, LONGEST, REMEMBER_SECONDS, TooManyGuesses, WrongPassword
from seawall.engine.audit import Action
from seawall.operations.operation import Role
from seawall.wire.secret import Secret
from tests.controller.people import GOOD, HOME, People, people

pytestmark = pytest.mark.asyncio
WRONG = Secret("wrong horse battery")


async def signed_in(known: People) -> str:
    secret, _ = await known.sign_ins.begin("ada", GOOD, HOME)
    return hash_secret(secret.reveal())


async def forget(known: People) -> None:
    """Let pass what a sign-in is believed for without a look."""
    await known.clock.advance(REMEMBER_SECONDS)


async def test_the_right_password_signs_in_and_the_store_knows_only_a_hash(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        secret, sign_in = await known.sign_ins.begin("ada", GOOD, HOME)
        assert (sign_in.principal.name, sign_in.principal.role) == ("ada", Role.OPERATOR)
        assert await known.sign_ins.find(hash_secret(secret.reveal())) == sign_in
        assert await known.sign_ins.find(secret.reveal()) is None
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240 - a few small files
    assert b"ada" in content
    assert secret.reveal().encode() not in content
    assert GOOD.reveal().encode() not in content


async def test_a_wrong_password_and_a_wrong_name_are_told_in_the_same_words(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        said = set()
        for name, password in (("ada", WRONG), ("eve", GOOD), ("", GOOD), ("ada", Secret("x" * 5_000))):
            with pytest.raises(WrongPassword) as refused:
                await known.sign_ins.begin(name, password, HOME)
            said.add(str(refused.value))
        assert len(said) == 1


@pytest.mark.parametrize("name", ["ada", "nobody"])
async def test_who_guesses_too_often_has_to_wait_whether_the_user_exists_or_not(
    tmp_path: Path, name: str
) -> None:
    async with people(tmp_path) as known:
        for _ in range(5):
            with pytest.raises(WrongPassword):
                await known.sign_ins.begin(name, WRONG, HOME)
        with pytest.raises(TooManyGuesses) as refused:
            await known.sign_ins.begin(name, GOOD, HOME)
        assert refused.value.wait_seconds == pytest.approx(30.0)
        # From elsewhere the user gets in all the same.
        if name == "ada":
            await known.sign_ins.begin(name, GOOD, "192.0.2.2")
        await known.clock.advance(30.0)
        with pytest.raises(WrongPassword):
            await known.sign_ins.begin(name, WRONG, HOME)


async def test_a_flood_of_guesses_adds_a_few_entries_to_the_audit_log(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        for number in range(100):
            with pytest.raises((WrongPassword, TooManyGuesses)):
                await known.sign_ins.begin(f"user-{number}", WRONG, f"192.0.2.{number % 50}")
        await known.door.flush()
        refused = await known.store.audit(actions=[Action.SIGN_IN_REFUSED], limit=1_000)
        assert len(refused) == KINDS_AT_ONCE


async def test_guesses_at_once_count_before_any_of_them_is_checked(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        tries = await asyncio.gather(
            *(known.sign_ins.begin("ada", WRONG, HOME) for _ in range(20)), return_exceptions=True
        )
        assert sum(isinstance(each, WrongPassword) for each in tries) == 5
        assert sum(isinstance(each, TooManyGuesses) for each in tries) == 15


async def test_one_place_can_not_try_many_names_nor_many_places_one_name(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        for n in range(30):
            with pytest.raises(WrongPassword):
                await known.sign_ins.begin(f"user-{n}", WRONG, HOME)
        with pytest.raises(TooManyGuesses):
            await known.sign_ins.begin("another", WRONG, HOME)
        for n in range(50):
            with pytest.raises(WrongPassword):
                await known.sign_ins.begin("ada", WRONG, f"198.51.100.{n}")
        with pytest.raises(TooManyGuesses):
            await known.sign_ins.begin("ada", WRONG, "203.0.113.1")


async def test_a_sign_in_that_nobody_uses_ends_and_being_shown_a_page_is_no_use(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        secret_hash = await signed_in(known)
        await known.clock.advance(IDLE.total_seconds() - 60)
        assert await known.sign_ins.find(secret_hash, used=False) is not None
        await known.clock.advance(60)
        assert await known.sign_ins.find(secret_hash, used=False) is None


async def test_a_sign_in_that_is_used_ends_all_the_same_in_the_end(tmp_path: Path) -> None:
    async with people(tmp_path) as known:
        secret_hash = await signed_in(known)
        step = IDLE - timedelta(hours=1)
        for _ in range(int(LONGEST / step)):
            await known.clock.advance(step.total_seconds())
            assert await known.sign_ins.find(secret_hash) is not None
        await known.clock.advance(step.total_seconds())
        assert await known.sign_ins.find(secret_hash) is None


@pytest.mark.parametrize("end", ["signed out", "removed", "new password", "new role"])
async def test_a_sign_in_ends_at_once_with_what_ends_it(tmp_path: Path, end: str) -> None:
    async with people(tmp_path) as known:
        secret_hash = await signed_in(known)
        found = await known.sign_ins.find(secret_hash)
        assert found is not None
        if end == "signed out":
            await known.sign_ins.end(found)
        elif end == "removed":
            await known.users.remove("ada")
        elif end == "new password":
            await known.users.give_password("ada", WRONG)
        else:
            await known.users.give_role("ada", Role.ADMIN)
        assert await known.sign_ins.find(secret_hash) is None
        await forget(known)
        assert await known.sign_ins.find(secret_hash) is None
