"""Secrets of commands: kept sealed, sent once in the clear, and seen nowhere."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from seawall.controller.vault import KeyVault, VaultError
from seawall.core.command import Attempt, Command, Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.engine.commands import CommandRequest, fingerprint
from seawall.engine.secrets import SecretLost
from tests.controller.api_plane import HOST, ApiPlane, api_plane

CANARY, NAME = "canary-in-the-mine", "canary-bird"


def pull(password: str = CANARY) -> dict[str, object]:
    arguments = {"reference": "registry.test/app:1", "username": NAME, "password": password}
    return {"operation": "image_pull", "agent": "web-1", "arguments": arguments}


def everything_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


@pytest.mark.asyncio
async def test_a_secret_reaches_the_agent_and_is_in_no_file_log_or_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[dict[str, object]] = []

    def note(command: Command, _: Attempt) -> Outcome:
        sent.append(command.arguments)
        return Outcome(CommandErrorCode.AGENT_ERROR, "as told") if len(sent) > 1 else Outcome(response={})

    with caplog.at_level(logging.DEBUG):
        async with api_plane(tmp_path) as plane:
            plane.attach(note)
            record = await plane.done(pull())
            assert record["arguments"] == {
                "reference": "registry.test/app:1",
                "username": "***",
                "password": "***",
            }
            failed = await plane.done(pull())
            shown = [
                (await plane.get(path)).text
                for path in (
                    "/api/v1/commands",
                    f"/api/v1/commands/{failed['command_id']}",
                    f"/api/v1/commands/{failed['command_id']}/explain",
                    "/api/v1/agents/web-1",
                )
            ]
            kept = everything_in(tmp_path)
    assert [arguments["password"] for arguments in sent] == [CANARY, CANARY]
    kept += everything_in(tmp_path)
    for secret in (CANARY, NAME):
        assert secret.encode() not in kept
        assert secret not in "".join(shown) + caplog.text + str(record) + str(failed)


@pytest.mark.asyncio
async def test_a_key_with_another_secret_is_another_command(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        first = await _asked(plane, pull())
        assert await _asked(plane, pull()) == first
        assert await _asked(plane, pull("another")) == (409, None)
        kept = await plane.services.store.command(str(first[1]))
        assert kept is not None
        arguments = {"reference": "registry.test/app:1", "username": NAME, "password": CANARY}
        guess = fingerprint(CommandRequest("image_pull", "web-1", arguments), HOST)
        assert kept.fingerprint != guess, "whoever reads the database could guess passwords by it"


async def _asked(plane: ApiPlane, body: object) -> tuple[int, object]:
    answer = await plane.while_time_passes(
        plane.post("/api/v1/commands?wait=60", body, headers={"Idempotency-Key": "one"})
    )
    return answer.status_code, answer.json().get("command_id") if answer.status_code < 400 else None


@pytest.mark.asyncio
async def test_a_forced_retry_has_the_secret_and_seals_it_anew(tmp_path: Path) -> None:
    sent: list[object] = []

    def note(command: Command, attempt: Attempt) -> Outcome:
        if not attempt.asks:
            sent.append(command.arguments["password"])
        if len(sent) == 1:
            return Outcome(CommandErrorCode.OUTCOME_UNKNOWN, "who knows", circumstance=Circumstance.NONE)
        return Outcome(response={})

    async with api_plane(tmp_path) as plane:
        plane.attach(note)
        record = await plane.done(pull())
        assert record["state"] == "UNKNOWN"
        again = await plane.while_time_passes(
            plane.post(f"/api/v1/commands/{record['command_id']}/force-retry?wait=60", {})
        )
        kept = [
            (await plane.services.store.command(command_id)).arguments["password"]  # type: ignore[union-attr]
            for command_id in (record["command_id"], again.json()["command_id"])
        ]
    assert sent == [CANARY, CANARY]
    assert kept[1] == "***"
    assert kept[0] != "***", "it may be done over once more"


@pytest.mark.asyncio
async def test_a_secret_that_cannot_be_opened_any_more_is_not_sent(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        sent: list[Command] = []

        def note(command: Command, _: Attempt) -> Outcome:
            sent.append(command)
            return Outcome(response={})

        plane.attach(note)
        plane.controller.fleet.vault = KeyVault(bytes(32))
        record = await plane.done(pull())
        assert (record["state"], record["error_code"]) == ("REJECTED", "invalid_argument")
        assert "secrets.key" in str(record["error"])
        assert sent == []


def test_a_secret_opens_only_for_what_it_was_sealed_for(tmp_path: Path) -> None:
    vault = KeyVault.of(tmp_path)
    sealed = vault.seal("text", "one/password")
    assert vault.seal("text", "one/password") != sealed
    assert KeyVault.of(tmp_path).open(sealed, "one/password") == "text"
    for wrong, bound in (
        (sealed, "two/password"),
        ("***", "one/password"),
        (f"A{sealed[1:]}", "one/password"),
    ):
        with pytest.raises(SecretLost):
            vault.open(wrong, bound)


def test_a_mark_tells_secrets_apart_and_needs_the_key() -> None:
    vault = KeyVault(bytes(32))
    assert vault.mark("a") == KeyVault(bytes(32)).mark("a")
    assert len({vault.mark("a"), vault.mark("b"), KeyVault(bytes([1] * 32)).mark("a")}) == 3


def test_the_key_is_its_owners_and_whole(tmp_path: Path) -> None:
    KeyVault.of(tmp_path)
    key = tmp_path / "secrets.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        KeyVault.of(tmp_path)
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(VaultError, match="isn't a key"):
        KeyVault.of(tmp_path)
