"""How hosts join: one token, one host, and a clear refusal for everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from seawall.agent.join import JoinError, join
from seawall.controller.authority import CertificateAuthority
from seawall.controller.enrolment import JOIN_BODY_LIMIT_BYTES, new_join_token
from seawall.wire.join import JoinRequest, JoinResponse, JoinToken
from tests.controller.wire_peer import CONTROLLER, A, Plane, own_authority, running

pytestmark = pytest.mark.asyncio

NEW_KEY = bytes(range(32))


async def new_token(plane: Plane) -> JoinToken:
    token, _ = await new_join_token(plane.store, own_authority().fingerprint, plane.clock, "admin")
    return token


def request(token: JoinToken, name: str = "web-9") -> bytes:
    asked = JoinRequest(
        token.secret.reveal(), NEW_KEY, name, {"site": "north"}, simulated=True, version="1.0"
    )
    return msgspec.json.encode(asked)


async def post(plane: Plane, body: bytes) -> tuple[int, bytes, str]:
    async with plane.http.post(f"{plane.url}/join", data=body) as answer:
        return answer.status, await answer.read(), answer.content_type


async def refused(plane: Plane, body: bytes) -> tuple[int, str]:
    status, content, content_type = await post(plane, body)
    assert content_type == "application/problem+json"
    said = msgspec.json.decode(content, type=dict[str, object])
    assert said.keys() == {"type", "title", "status", "detail", "error_code"}
    assert said["type"] == "about:blank"
    assert said["status"] == status
    return status, str(said["error_code"])


async def test_a_host_joins_with_a_token_and_is_known_at_once() -> None:
    async with running() as plane:
        status, content, content_type = await post(plane, request(await new_token(plane)))
        assert (status, content_type) == (200, "application/json")
        answer = msgspec.json.decode(content, type=JoinResponse)
        assert (answer.name, answer.controller_id) == ("web-9", CONTROLLER)
        assert answer.ca_certificate == own_authority().ca_pem
        record = plane.fleet.find("web-9")
        assert record is not None
        assert (record.agent_id, record.public_key, record.labels) == (
            answer.agent_id,
            NEW_KEY,
            {"site": "north"},
        )
        assert record.simulated
        assert record.joined_at == plane.clock.wall()


async def test_a_token_works_once() -> None:
    async with running() as plane:
        token = await new_token(plane)
        assert (await post(plane, request(token)))[0] == 200
        assert await refused(plane, request(token, "web-10")) == (403, "join_token_refused")
        assert plane.fleet.find("web-10") is None


async def test_a_token_is_worth_nothing_after_ten_minutes() -> None:
    async with running() as plane:
        token, expires_at = await new_join_token(
            plane.store, own_authority().fingerprint, plane.clock, "admin"
        )
        assert expires_at == plane.clock.wall() + timedelta(minutes=10)
        await plane.clock.advance(600.0)
        assert await refused(plane, request(token)) == (403, "join_token_refused")


async def test_a_token_is_kept_only_as_a_hash_with_who_made_it() -> None:
    async with running() as plane:
        token = await new_token(plane)
        (record,) = plane.store.join_tokens.values()
        assert token.secret.reveal() not in repr(record)
        assert record.created_by == "admin"
        assert token.ca_fingerprint == own_authority().fingerprint


async def test_an_unknown_token_is_refused() -> None:
    async with running() as plane:
        token = await new_token(plane)
        plane.store.join_tokens.clear()
        assert await refused(plane, request(token)) == (403, "join_token_refused")


async def test_a_taken_name_leaves_the_token_unused() -> None:
    async with running() as plane:
        token = await new_token(plane)
        assert await refused(plane, request(token, "web-1")) == (409, "name_taken")
        assert (await post(plane, request(token)))[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"x": ' + b"[" * 10_000, b'{"token": 5}'],
    ids=["empty", "cut off", "a list", "no text", "too deep", "wrong type"],
)
async def test_what_is_no_join_request_is_refused(body: bytes) -> None:
    async with running() as plane:
        assert await refused(plane, body) == (422, "invalid_request")


async def test_a_refusal_never_repeats_the_token() -> None:
    async with running() as plane:
        secret = (await new_token(plane)).secret.reveal()
        for name in ("no name", "web-1"):
            content = {"token": secret, "public_key": "A" * 43 + "=", "name": name}
            _, said, _ = await post(plane, msgspec.json.encode(content))
            assert secret.encode() not in said


async def test_a_body_over_the_limit_is_refused() -> None:
    async with running() as plane:
        assert await refused(plane, b"x" * (JOIN_BODY_LIMIT_BYTES + 1)) == (413, "too_large")


async def test_a_store_that_fails_says_try_later() -> None:
    async with running() as plane:
        token = await new_token(plane)
        plane.store.broken = True
        assert await refused(plane, request(token)) == (503, "store_failed")


async def test_the_certificate_is_for_everybody() -> None:
    async with running() as plane, plane.http.get(f"{plane.url}/ca.pem") as answer:
        assert answer.content_type == "text/plain"
        assert await answer.text() == own_authority().ca_pem


async def test_the_agent_s_own_join_works_over_tls(tmp_path: Path) -> None:
    own = CertificateAuthority.open(tmp_path / "ca", datetime.now(UTC))
    plane = Plane(authority=own)
    plane.add_agent(A, "web-1")
    await plane.gateway.start("127.0.0.1", 0, own.server_context())
    url = f"https://127.0.0.1:{plane.gateway.port}"
    try:
        token, _ = await new_join_token(plane.store, own.fingerprint, plane.clock, "admin")
        taken = token.encode()
        with pytest.raises(JoinError, match="name is taken"):
            await join(url, taken, name="web-1", labels={}, directory=tmp_path / "one", version="1.0")
        identity = await join(url, taken, name="web-9", labels={}, directory=tmp_path / "two", version="1.0")
        assert identity.controller_id == CONTROLLER
        assert plane.fleet.find(identity.agent_id) is not None
        with pytest.raises(JoinError, match="already used"):
            await join(url, taken, name="web-10", labels={}, directory=tmp_path / "three", version="1.0")
    finally:
        await plane.gateway.stop()
