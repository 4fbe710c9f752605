"""From what happens to a message that somebody gets: rules, silences, the outbox, channels and the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from seawall.controller.auth import Role
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CircuitChanged
from seawall.engine.alert_settings import ALERT_FILE
from seawall.testing.clock import FakeClock
from seawall.wire.webhook import is_genuine
from tests.controller.alert_sink import AlertSink, sink_on
from tests.controller.api_plane import CHANGE, HOST, OTHER, ApiPlane, api_plane, failing, is_problem, ok

pytestmark = pytest.mark.asyncio

STEP = 5.0
CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN
QUIET_HOSTS = "[rule.agent_offline]\nenabled = false\n"
LOOPBACK = 'allow = ["127.0.0.0/8"]\n' + QUIET_HOSTS


@asynccontextmanager
async def plane_with(
    directory: Path, text: str = QUIET_HOSTS, clock: FakeClock | None = None
) -> AsyncIterator[ApiPlane]:
    """A plane whose alerts are watched and sent."""
    (directory / ALERT_FILE).write_text(text, encoding="utf-8")
    async with api_plane(directory, clock) as plane:
        task = asyncio.create_task(plane.controller.alerts.run())
        await plane.settle()
        try:
            yield plane
        finally:
            task.cancel()
            await asyncio.wait((task,))


@pytest.fixture
def sink() -> AlertSink:
    with sink_on() as sink:
        yield sink  # type: ignore[misc]  # a fixture


async def channel(plane: ApiPlane, sink: AlertSink, name: str = "ops") -> str:
    answer = await plane.post("/api/v1/alert-channels", {"name": name, "url": sink.url})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def circuit(plane: ApiPlane, target: CircuitState, agent_id: str = HOST) -> None:
    origin = CLOSED if target is OPEN else OPEN
    now = plane.clock.now()
    plane.controller.emit(CircuitChanged(now, agent_id, Domain.DOCKER, origin, target, "5 of 6 failed"))


async def let_pass(plane: ApiPlane, seconds: float, reached: Callable[[], bool] = lambda: False) -> None:
    """Time passes for the plane in steps, in each of which the store and real connections get theirs."""
    for _ in range(int(seconds / STEP)):
        if reached():
            return
        await plane.clock.advance(STEP)
        await plane.services.store.check()
        await plane.clock.settle()


async def until(plane: ApiPlane, reached: Callable[[], bool]) -> None:
    """Let real connections, which take real time, come to their end."""
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.to_thread(lambda: None)


def database(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.glob("seawall.db*"))


async def opened(plane: ApiPlane, query: str = "") -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await plane.get(f"/api/v1/alerts{query}")).json()
    return found


async def test_a_sink_gets_one_message_for_a_flapping_circuit_and_one_recovery(
    tmp_path: Path, sink: AlertSink
) -> None:
    async with plane_with(tmp_path, LOOPBACK) as plane:
        secret = await channel(plane, sink)
        for _ in range(6):
            circuit(plane, OPEN)
            await let_pass(plane, 20)
            circuit(plane, CLOSED)
            await let_pass(plane, 20)
        await until(plane, lambda: len(sink.received) == 1)
        (alert,) = await opened(plane)
        assert (alert["flapping"], alert["openings"], alert["host"]) == (True, 6, "web-1")
        await let_pass(plane, 200)
        await until(plane, lambda: len(sink.received) == 2)
        await let_pass(plane, 1000)
        assert await opened(plane) == []
        assert sink.said == [("opened", "circuit"), ("recovered", "circuit")]
        for headers, body in sink.received:
            assert is_genuine(secret, headers, body, plane.clock.wall().timestamp(), window_seconds=3000)
            assert headers["Seawall-Message-Id"] in body.decode()
        (alert,) = await opened(plane, "?all=true")
        shown = (await plane.get(f"/api/v1/alerts/{alert['alert_id']}")).json()
        assert [(each["said"], each["attempts"], each["error"]) for each in shown["deliveries"]] == [
            ("recovered", 1, ""),
            ("opened", 1, ""),
        ]
        metrics = (await plane.get("/metrics")).text
        assert 'alerts_said_total{kind="circuit",said="opened"} 1.0' in metrics
        assert "alerts_delivered_total 2.0" in metrics


async def test_real_failures_open_a_circuit_and_what_follows_is_grouped(tmp_path: Path) -> None:
    async with plane_with(tmp_path) as plane:
        plane.attach(failing(CommandErrorCode.TIMEOUT, Circumstance.HEARD))
        for _ in range(10):
            await plane.done(CHANGE)
        await let_pass(plane, 20)
        kinds = {alert["kind"] for alert in await opened(plane)}
        assert {"unknown_outcome", "error_rate"} <= kinds
        (unknown,) = [alert for alert in await opened(plane) if alert["kind"] == "unknown_outcome"]
        assert "10 outcomes" in str(unknown["text"])


async def test_without_configuration_a_host_that_stays_away_is_listed_and_one_that_comes_back_is_not(
    tmp_path: Path,
) -> None:
    async with plane_with(tmp_path, "") as plane:
        plane.attach(ok, OTHER)
        await let_pass(plane, 100)
        assert await opened(plane) == []
        await let_pass(plane, 60)
        (alert,) = await opened(plane)
        assert (alert["kind"], alert["host"], alert["severity"]) == ("agent_offline", "web-1", "critical")
        assert alert["told_at"] is not None
        plane.attach(ok, HOST)
        await let_pass(plane, 120)
        assert await opened(plane) == []


async def test_a_full_disk_and_a_wrong_clock_are_seen_in_what_a_host_tells(tmp_path: Path) -> None:
    async with plane_with(tmp_path) as plane:
        session = plane.attach()
        session.signs.free_bytes, session.signs.total_bytes = 1, 100
        session.signs.clock_offset_seconds = 60.0
        await let_pass(plane, 100)
        assert {alert["kind"] for alert in await opened(plane)} == {"disk_low", "clock_offset"}


async def test_a_host_that_is_put_out_takes_its_alerts_along(tmp_path: Path) -> None:
    async with plane_with(tmp_path) as plane:
        circuit(plane, OPEN)
        await let_pass(plane, 10)
        assert len(await opened(plane)) == 1
        await plane.post("/api/v1/agents/web-1/revoke")
        await let_pass(plane, 200)
        assert await opened(plane) == []


async def test_what_was_decided_but_not_delivered_outlives_the_controller_and_comes_with_the_same_id(
    tmp_path: Path, sink: AlertSink
) -> None:
    sink.status = 503
    clock = FakeClock()
    async with plane_with(tmp_path, LOOPBACK, clock) as plane:
        await channel(plane, sink)
        circuit(plane, OPEN)
        await let_pass(plane, 30, lambda: len(sink.received) > 0)
        await until(plane, lambda: plane.controller.alerts.sender.failed > 0)
    sink.status = 204
    before = len(sink.received)
    async with plane_with(tmp_path, LOOPBACK, clock) as plane:
        await let_pass(plane, 30, lambda: len(sink.received) > before)
        await until(plane, lambda: plane.controller.alerts.sender.delivered == 1)
        assert {message["message_id"] for message in sink.messages} == {sink.messages[0]["message_id"]}
        await let_pass(plane, 300)
        await until(plane, lambda: plane.controller.alerts.sender.delivered == 2)
    assert set(sink.said) == {("opened", "circuit"), ("recovered", "circuit")}


async def test_a_restart_says_nothing_twice_in_the_cool_down(tmp_path: Path, sink: AlertSink) -> None:
    clock = FakeClock()
    async with plane_with(tmp_path, LOOPBACK, clock) as plane:
        await channel(plane, sink)
        circuit(plane, OPEN)
        await let_pass(plane, 30)
        await until(plane, lambda: len(sink.received) == 1)
        circuit(plane, CLOSED)
        await let_pass(plane, 200)
        await until(plane, lambda: len(sink.received) == 2)
    async with plane_with(tmp_path, LOOPBACK, clock) as plane:
        circuit(plane, OPEN)
        await let_pass(plane, 100)
        assert len(sink.received) == 2
        (alert,) = await opened(plane)
        assert alert["told_at"] is None


async def test_a_dead_channel_holds_up_no_other_and_its_messages_stay_in_order(
    tmp_path: Path, sink: AlertSink
) -> None:
    async with plane_with(tmp_path, LOOPBACK) as plane:
        with sink_on() as dead:
            dead.status = 500
            await channel(plane, sink, "well")
            await channel(plane, dead, "dead")
            circuit(plane, OPEN)
            await let_pass(plane, 30)
            circuit(plane, CLOSED)
            await let_pass(plane, 400)
            await until(plane, lambda: len(sink.received) == 2)
            assert set(dead.said) == {("opened", "circuit")}
            assert len(dead.received) < 12, "it is tried less and less often"
            dead.status = 200
            await let_pass(plane, 700, lambda: dead.said[-1:] == [("recovered", "circuit")])
            await until(plane, lambda: dead.said[-1:] == [("recovered", "circuit")])
        sender = plane.controller.alerts.sender
        await until(plane, lambda: sender.waiting == 0)
        assert sender.given_up == 0


async def test_what_does_not_get_through_in_days_is_given_up_and_says_so(
    tmp_path: Path, sink: AlertSink
) -> None:
    sink.status = 500
    async with plane_with(tmp_path, LOOPBACK) as plane:
        await channel(plane, sink)
        circuit(plane, OPEN)
        await let_pass(plane, 10)
        await until(plane, lambda: plane.controller.alerts.sender.failed > 0)
        plane.clock.set_wall(plane.clock.wall() + timedelta(days=4))
        await let_pass(plane, 30, lambda: plane.controller.alerts.sender.given_up > 0)
        await until(plane, lambda: plane.controller.alerts.sender.given_up > 0)
        (alert,) = await opened(plane)
        shown = (await plane.get(f"/api/v1/alerts/{alert['alert_id']}")).json()
        assert shown["deliveries"][0]["given_up_at"] is not None
        assert shown["deliveries"][0]["error"] == "the receiver answered 500"


async def test_a_silence_that_somebody_asks_for_keeps_quiet_over_a_restart_until_its_end(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with plane_with(tmp_path, clock=clock) as plane:
        body = {"seconds": 600, "rules": ["circuit"], "hosts": ["web-*"], "reason": "work"}
        made = (await plane.post("/api/v1/alert-silences", body, role=Role.OPERATOR)).json()
        assert made["created_by"] == "operator"
    async with plane_with(tmp_path, clock=clock) as plane:
        assert [each["reason"] for each in (await plane.get("/api/v1/alert-silences")).json()] == ["work"]
        plane.clock.set_wall(plane.clock.wall() + timedelta(days=1))  # a jump of the clock ends nothing
        circuit(plane, OPEN)
        await let_pass(plane, 300)
        (alert,) = await opened(plane)
        assert alert["told_at"] is None
        await let_pass(plane, 400)
        (alert,) = await opened(plane)
        assert alert["told_at"] is not None
        assert (await plane.get("/api/v1/alert-silences")).json() == []


async def test_a_silence_can_be_ended_before_its_time(tmp_path: Path) -> None:
    async with plane_with(tmp_path) as plane:
        made = (await plane.post("/api/v1/alert-silences", {"seconds": 600})).json()
        circuit(plane, OPEN)
        await let_pass(plane, 30)
        path = f"/api/v1/alert-silences/{made['silence_id']}"
        assert (await plane.request("DELETE", path)).status_code == 204
        await let_pass(plane, 5)
        assert (await opened(plane))[0]["told_at"] is not None
        is_problem(await plane.request("DELETE", path), 404, "not_found")


async def test_an_alert_is_acknowledged_and_is_not_escalated_then(tmp_path: Path, sink: AlertSink) -> None:
    text = LOOPBACK + "[rule.circuit]\nescalate_after_seconds = 60\nchannels = []\nescalate_to = ['phone']\n"
    async with plane_with(tmp_path, text) as plane:
        await channel(plane, sink, "phone")
        circuit(plane, OPEN)
        circuit(plane, OPEN, OTHER)
        await let_pass(plane, 20)
        seen = next(alert for alert in await opened(plane) if alert["host"] == "web-1")
        path = f"/api/v1/alerts/{seen['alert_id']}/acknowledge"
        answer = await plane.post(path, {"reason": "I look"}, role=Role.OPERATOR)
        assert answer.json()["acknowledged_by"] == "operator"
        await let_pass(plane, 200)
        await until(plane, lambda: len(sink.received) == 1)
        assert [(message["said"], message["hosts"]) for message in sink.messages] == [
            ("escalated", ["web-2"])
        ]
        for agent_id in (HOST, OTHER):
            circuit(plane, CLOSED, agent_id)
        await let_pass(plane, 200)
        is_problem(await plane.post(path, {}), 409, "conflict")


async def test_the_address_and_the_secret_of_a_channel_are_sealed_and_never_shown(
    tmp_path: Path, sink: AlertSink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.status = 500
    async with plane_with(tmp_path, LOOPBACK) as plane:
        secret = await channel(plane, sink)
        tested = (await plane.post("/api/v1/alert-channels/ops/test", role=Role.OPERATOR)).json()
        assert tested == {"channel": "ops", "delivered": False, "error": "the receiver answered 500"}
        listed = await plane.get("/api/v1/alert-channels")
        assert listed.json()[0]["address"] == "http://…"
        shown = listed.text + repr(await plane.services.store.channels()) + caplog.text
    content = database(tmp_path)
    for hidden in ("s3cret-path", secret):
        assert hidden not in shown
        assert hidden.encode() not in content


@pytest.mark.parametrize(
    ("name", "url", "said"),
    [
        ("ops", "hooks.example.com", "begins with its kind"),
        ("ops", "https:///x", "has a host"),
        ("ops", "http://[", "no address"),
        ("ops", "https://hooks.example.com/\n", "ASCII"),
        ("Ops!", "https://hooks.example.com", "small letters"),
        ("ops", "dbus://", "this machine only"),
        ("ops", "slack://a/b/c?verify=no", "mustn't have 'verify'"),
        ("ops", "slack://a/b/c?Redirect=yes", "mustn't have 'redirect'"),
        ("ops", "nonsense://t0kent0ken", "Unparseable"),
    ],
)
async def test_what_is_no_channel_is_refused_with_the_reason_and_without_the_address(
    tmp_path: Path, name: str, url: str, said: str
) -> None:
    async with plane_with(tmp_path) as plane:
        answer = await plane.post("/api/v1/alert-channels", {"name": name, "url": url})
        problem = is_problem(answer, 422, "invalid_request")
        assert said in str(problem["detail"])
        assert "t0kent0ken" not in answer.text


async def test_a_name_is_taken_once_and_a_channel_that_is_gone_is_said_to_be(
    tmp_path: Path, sink: AlertSink
) -> None:
    async with plane_with(tmp_path, LOOPBACK) as plane:
        await channel(plane, sink)
        again = await plane.post("/api/v1/alert-channels", {"name": "ops", "url": sink.url})
        is_problem(again, 422, "invalid_request")
        assert (await plane.request("DELETE", "/api/v1/alert-channels/ops")).status_code == 204
        for method, path in (("DELETE", "/ops"), ("POST", "/ops/test")):
            is_problem(await plane.request(method, f"/api/v1/alert-channels{path}"), 404, "not_found")


async def test_the_rules_show_what_holds_and_where_it_comes_from(tmp_path: Path) -> None:
    night = '[silence.night]\nfrom = "22:00"\nto = "06:00"\nzone = "Europe/Berlin"\ndays = ["fri"]\n'
    async with plane_with(tmp_path, f"[rule.circuit]\nseverity = 'critical'\n{night}") as plane:
        shown = (await plane.get("/api/v1/alert-rules")).json()
        rule = shown["rules"]["circuit"]
        assert (rule["severity"], rule["calm_seconds"]) == ("critical", 120.0)
        assert rule["sources"] == {"severity": f"{tmp_path / ALERT_FILE}, line 2"}
        assert shown["silences"][0] | {"days": [4]} == shown["silences"][0]
        assert shown["channels"] is None


async def test_a_file_that_changes_holds_without_a_restart_and_one_with_a_mistake_changes_nothing(
    tmp_path: Path,
) -> None:
    async with plane_with(tmp_path) as plane:
        keeper = plane.controller.alerts.keeper
        (tmp_path / ALERT_FILE).write_text("group_seconds = 77\n", encoding="utf-8")

        async def reached(seconds: float) -> None:
            async with asyncio.timeout(20):
                while keeper.settings.group_seconds != seconds:
                    await plane.clock.advance(1.0)
                    await asyncio.to_thread(lambda: None)

        await reached(77)
        (tmp_path / ALERT_FILE).write_text("group_seconds = -1\n", encoding="utf-8")
        for _ in range(5):
            await plane.clock.advance(1.0)
            await asyncio.to_thread(lambda: None)
        assert keeper.settings.group_seconds == 77
        (tmp_path / ALERT_FILE).unlink()
        await reached(5)
