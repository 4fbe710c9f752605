"""Who did what, from where, and why: as the API records it, and as it tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from seawall.client.client import Client
from seawall.client.context import Connection
from seawall.client.errors import ClientError
from seawall.controller.door_log import KINDS_AT_ONCE, WINDOW_SECONDS, DoorLog
from seawall.controller.policy_file import POLICY_FILE
from seawall.core.events import MassFailureChanged
from seawall.engine.audit import Action, Caller, Entry, read_exported
from seawall.engine.audit_chain import ChainCheck
from seawall.engine.store import AuditStore
from seawall.operations.operation import Role
from seawall.storage.sqlite import SqliteStore
from seawall.testing.clock import FakeClock
from seawall.wire.secret import Secret
from tests.controller.api_plane import CHANGE, HOST, READ, ApiPlane, api_plane, is_problem

pytestmark = pytest.mark.asyncio

HERE = "127.0.0.1"


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ApiPlane]:
    async with api_plane(tmp_path) as plane:
        yield plane


async def told(
    plane: ApiPlane, *actions: Action, subject: str | None = None
) -> list[tuple[str, str, str, str]]:
    """Who did what from where, and the detail, the oldest first."""
    await plane.services.door.flush()
    entries = await plane.services.store.audit(actions=actions, subject=subject, limit=1_000)
    return [(each.action, each.actor, each.source, each.detail) for each in reversed(entries)]


async def test_a_command_is_recorded_from_its_asker_to_its_result(plane: ApiPlane) -> None:
    plane.attach()
    record = await plane.done(CHANGE)
    entries = await told(plane, subject=str(record["command_id"]))
    assert [each[:3] for each in entries] == [
        ("command_accepted", "token:admin", HERE),
        ("command_finished", "host:web-1", ""),
    ]
    assert '"arguments":{"container":"web"}' in entries[0][3]
    assert '"correlation_id":"' in entries[0][3]
    assert '"state":"SUCCEEDED"' in entries[1][3]


async def test_who_asked_for_a_commands_end_is_recorded_before_it_is_asked_for(plane: ApiPlane) -> None:
    accepted = (await plane.post("/api/v1/commands", CHANGE)).json()["command_id"]
    cancelling = plane.post(f"/api/v1/commands/{accepted}/cancel", {}, role=Role.OPERATOR)
    await plane.while_time_passes(cancelling)
    entries = await told(plane, subject=accepted)
    assert [each[:3] for each in entries] == [
        ("command_accepted", "token:admin", HERE),
        ("command_cancel_asked", "token:operator", HERE),
        ("command_finished", "controller", ""),
    ]


async def test_a_persons_word_about_an_unknown_command_is_recorded_with_the_reason(plane: ApiPlane) -> None:
    plane.attach()
    record = await plane.unknown()
    body = {"state": "SUCCEEDED", "reason": "I looked at the host"}
    await plane.post(f"/api/v1/commands/{record['command_id']}/resolve", body, role=Role.OPERATOR)
    last = (await told(plane, subject=str(record["command_id"])))[-1]
    assert last[:3] == ("command_settled", "token:operator", HERE)
    assert "I looked at the host" in last[3]


async def test_tokens_hosts_circuits_and_policies_are_recorded_with_who_changed_them(plane: ApiPlane) -> None:
    made = (await plane.post("/api/v1/tokens", {"name": "ci", "role": "viewer"})).json()
    await plane.request("DELETE", f"/api/v1/tokens/{made['token_id']}")
    await plane.post("/api/v1/join-tokens", {})
    await plane.services.store.quarantine(HOST, plane.clock.wall())
    await plane.post("/api/v1/agents/web-1/release", {})
    await plane.post("/api/v1/circuits/web-1/docker/open", {"reason": "new disk"}, role=Role.OPERATOR)
    await plane.request("PUT", "/api/v1/policy", {"text": 'preset = "development"\n'})
    await plane.post("/api/v1/agents/web-1/revoke", {})
    wanted = (
        *(Action.TOKEN_CREATED, Action.TOKEN_REVOKED, Action.JOIN_TOKEN_CREATED, Action.HOST_RELEASED),
        *(Action.CIRCUIT_OVERRULED, Action.CIRCUIT_CHANGED, Action.POLICY_CHANGED, Action.HOST_REVOKED),
    )
    entries = [each for each in await told(plane, *wanted) if each[1] != "controller"]
    assert [each[:3] for each in entries] == [
        ("token_created", "token:admin", HERE),
        ("token_revoked", "token:admin", HERE),
        ("join_token_created", "token:admin", HERE),
        ("host_released", "token:admin", HERE),
        ("circuit_overruled", "token:operator", HERE),
        ("circuit_changed", "token:operator", ""),
        ("policy_changed", "token:admin", HERE),
        ("host_revoked", "token:admin", HERE),
    ]
    assert made["token"] not in str(entries)
    assert '"reason":"new disk"' in entries[4][3]
    assert '"preset":"development"' in entries[6][3]


async def test_changes_of_users_are_recorded_with_who_made_them_and_without_a_password(
    plane: ApiPlane,
) -> None:
    body = {"name": "eve", "role": "viewer", "password": "canary horse battery"}
    await plane.post("/api/v1/users", body)
    await plane.request("PUT", "/api/v1/users/eve/role", {"role": "operator"})
    await plane.request("PUT", "/api/v1/users/eve/password", {"password": "canary staple battery"})
    await plane.request("DELETE", "/api/v1/users/eve")
    entries = await told(
        plane,
        *(Action.USER_ADDED, Action.USER_ROLE_CHANGED, Action.USER_PASSWORD_CHANGED, Action.USER_REMOVED),
    )
    assert [each[:3] for each in entries] == [
        ("user_added", "token:admin", HERE),
        ("user_role_changed", "token:admin", HERE),
        ("user_password_changed", "token:admin", HERE),
        ("user_removed", "token:admin", HERE),
    ]
    assert entries[1][3] == '{"name":"eve","role":"operator","before":"viewer"}'
    assert "canary" not in str(await told(plane))


async def test_what_is_done_about_alerts_is_recorded_with_who_did_it_and_why(plane: ApiPlane) -> None:
    clock, keeper = plane.clock, plane.services.alerts.keeper
    keeper.observe(MassFailureChanged(clock.now(), True, 9, 10))
    await keeper.turn()
    (alert,) = await plane.services.store.alerts(unresolved=True)
    path = f"/api/v1/alerts/{alert.alert_id}/acknowledge"
    await plane.post(path, {"reason": "I look"}, role=Role.OPERATOR)
    quiet = {"seconds": 60, "hosts": ["web-*"], "reason": "new switch"}
    made = (await plane.post("/api/v1/alert-silences", quiet, role=Role.OPERATOR)).json()
    await plane.request("DELETE", f"/api/v1/alert-silences/{made['silence_id']}")
    await plane.post("/api/v1/alert-channels", {"name": "ops", "url": "https://canary.test/x"})
    await plane.post("/api/v1/alert-channels/ops/test", {}, role=Role.OPERATOR)
    await plane.request("DELETE", "/api/v1/alert-channels/ops")
    entries = await told(
        plane,
        *(Action.ALERT_ACKNOWLEDGED, Action.SILENCE_ADDED, Action.SILENCE_ENDED),
        *(Action.CHANNEL_ADDED, Action.CHANNEL_TESTED, Action.CHANNEL_REMOVED),
    )
    assert [each[:3] for each in entries] == [
        ("alert_acknowledged", "token:operator", HERE),
        ("silence_added", "token:operator", HERE),
        ("silence_ended", "token:admin", HERE),
        ("channel_added", "token:admin", HERE),
        ("channel_tested", "token:operator", HERE),
        ("channel_removed", "token:admin", HERE),
    ]
    assert '"reason":"I look"' in entries[0][3]
    assert '"hosts":["web-*"],"reason":"new switch"' in entries[1][3]
    assert "canary" not in str(entries)


async def test_a_policy_that_cannot_be_written_is_recorded_as_not_changed(
    plane: ApiPlane, tmp_path: Path
) -> None:
    (tmp_path / POLICY_FILE).mkdir()
    answer = await plane.request("PUT", "/api/v1/policy", {"text": 'preset = "development"\n'})
    is_problem(answer, 503, "store_failed")
    entries = await told(plane, Action.POLICY_CHANGED, Action.POLICY_NOT_CHANGED)
    assert [each[0] for each in entries] == ["policy_changed", "policy_not_changed"]


async def test_a_sign_in_is_recorded_once_for_each_token_and_address_and_day(plane: ApiPlane) -> None:
    for _ in range(3):
        await plane.get("/api/v1/agents")
    await plane.get("/api/v1/agents", role=Role.OPERATOR)
    assert [each[:3] for each in await told(plane, Action.SIGNED_IN)] == [
        ("signed_in", "token:viewer", HERE),
        ("signed_in", "token:operator", HERE),
    ]
    await plane.clock.advance(24 * 3600)
    await plane.get("/api/v1/agents")
    assert len(await told(plane, Action.SIGNED_IN)) == 3


async def test_refused_tokens_are_recorded_with_what_is_known_of_them_and_never_themselves(
    plane: ApiPlane,
) -> None:
    secret, record = await plane.services.access.create("gone", Role.VIEWER)
    await plane.services.access.revoke(record.token_id)
    unknown = "swt_" + "x" * 43
    for token in ("nonsense", unknown, secret.reveal()):
        answer = await plane.request(
            "GET", "/api/v1/agents", role=None, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 401
    await plane.get("/api/v1/agents", role=None)  # shows none, so it is no sign-in
    entries = await told(plane, Action.SIGN_IN_REFUSED)
    assert [each[:3] for each in entries] == [("sign_in_refused", "nobody", HERE)] * 3
    said = [each[3] for each in entries]
    assert "hasn't the form" in said[0]
    assert "it is unknown" in said[1]
    assert "that of gone, which was revoked" in said[2]
    everything = str(await told(plane))
    assert all(token not in everything for token in ("nonsense", unknown, secret.reveal()))


async def test_who_wants_more_than_their_role_allows_is_recorded(plane: ApiPlane) -> None:
    is_problem(await plane.get("/api/v1/tokens"), 403, "forbidden")
    is_problem(await plane.post("/api/v1/commands", CHANGE, role=Role.VIEWER), 403, "forbidden")
    entries = await told(plane, Action.ACCESS_DENIED)
    assert [each[:3] for each in entries] == [("access_denied", "token:viewer", HERE)] * 2
    assert "needs the role operator" in entries[1][3]


async def test_no_secret_of_a_command_reaches_the_log(plane: ApiPlane) -> None:
    plane.attach()
    canaries = [f"canary-{number}" for number in range(6)]
    pull = {
        "operation": "image_pull",
        "agent": "web-1",
        "arguments": {"reference": "nginx:1", "username": canaries[0], "password": canaries[1]},
    }
    run = {
        "operation": "container_run",
        "agent": "web-1",
        "arguments": {
            "image": "nginx:1",
            "name": "web",
            "privileged": True,
            "env": {"KEY": canaries[2]},
            "labels": {"label": canaries[3]},
            "command": ["serve", canaries[4]],
        },
    }
    for body in (pull, run):
        record = await plane.done(body)
        assert record["state"] == "SUCCEEDED", record
    entries = str(await told(plane))
    assert not [canary for canary in canaries if canary in entries]
    assert '"arguments":{"reference":"nginx:1"}' in entries
    assert '"arguments":{"image":"nginx:1","name":"web","privileged":true}' in entries


# What may be asked


async def client_of(plane: ApiPlane, role: Role) -> Client:
    connection = Connection("http://seawall.test", Secret(plane.tokens[role]))
    return Client(connection, clock=plane.clock, transport=httpx.ASGITransport(plane.controller.api))


async def test_the_log_is_for_admins_only(plane: ApiPlane) -> None:
    for method, path in (("GET", ""), ("GET", "/export"), ("POST", "/verify"), ("POST", "/prune")):
        answer = await plane.request(method, f"/api/v1/audit{path}", {}, role=Role.OPERATOR)
        is_problem(answer, 403, "forbidden")


async def test_a_client_lists_verifies_exports_and_prunes(plane: ApiPlane) -> None:
    plane.attach()
    record = await plane.done(READ)
    async with await client_of(plane, Role.ADMIN) as client:
        entries = await client.audit.entries(subject=str(record["command_id"]), actions=["command_accepted"])
        assert [(each.action, each.actor) for each in entries] == [("command_accepted", "token:admin")]
        assert entries[0].at == plane.clock.wall()
        since = await client.audit.entries(since=plane.clock.wall(), limit=1)
        assert len(await client.audit.entries(before=since[0].position, limit=2)) == 2
        verdict = await client.audit.verify()
        assert verdict.fault is None
        assert (await client.audit.verify(verdict.head)).head_was == "held"
        lines = [line async for line in client.audit.lines()]
        check = ChainCheck()
        check.take(map(read_exported, lines))
        assert check.verdict().fault is None
        assert len(lines) == (await client.audit.verify()).entries
        await plane.clock.advance(10)
        assert await client.audit.prune(plane.clock.wall()) == len(lines) - 1
        pruned = await client.audit.verify()
        assert (pruned.fault, pruned.first) == (None, len(lines))
        with pytest.raises(ClientError, match="no head of an audit log"):
            await client.audit.verify("12:ab")


async def test_what_is_wrong_with_the_chain_is_told_to_whoever_asks(plane: ApiPlane) -> None:
    store = plane.services.store
    assert isinstance(store, SqliteStore)
    await store._writer.run(lambda raw: raw.execute("UPDATE audit SET actor = 'x' WHERE position = 3"))
    async with await client_of(plane, Role.ADMIN) as client:
        fault = (await client.audit.verify()).fault
    assert fault is not None
    assert (fault.position, fault.kind) == (3, "altered")


async def test_a_time_without_a_zone_prunes_nothing(plane: ApiPlane) -> None:
    answer = await plane.post("/api/v1/audit/prune", {"before": "2031-01-01T00:00:00"})
    is_problem(answer, 422, "invalid_request")


# Who knocks at the door


class Kept:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def record(self, *entries: Entry) -> None:
        self.entries += entries


async def test_an_attacker_adds_a_few_dozen_entries_a_minute_however_often_he_knocks() -> None:
    clock, kept = FakeClock(), Kept()
    store: AuditStore = kept  # type: ignore[assignment]  # as much of it as a door needs
    door = DoorLog(store, clock)
    running = asyncio.create_task(door.run())
    for number in range(10_000):
        door.refused(Action.SIGN_IN_REFUSED, f"192.0.2.{number % 100}", "it is unknown")
        door.refused(Action.HOST_REFUSED, "198.51.100.1", "the same again and again")
    await clock.settle()
    assert len(kept.entries) == KINDS_AT_ONCE
    await clock.advance(WINDOW_SECONDS)
    await clock.settle()
    assert len(kept.entries) <= 2 * KINDS_AT_ONCE + 1
    counted = sum(getattr(each.detail, "more", 0) for each in kept.entries)
    assert counted + KINDS_AT_ONCE == 20_000
    door.refused(Action.SIGN_IN_REFUSED, "192.0.2.1", "it is unknown")
    await clock.settle()
    assert getattr(kept.entries[-1].detail, "more", None) == 0
    assert kept.entries[-1].caller == Caller("nobody", "192.0.2.1")
    running.cancel()
