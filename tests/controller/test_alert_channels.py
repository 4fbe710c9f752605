"""A message goes where it may, over the connection that was judged, and nowhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.controller.alerts.apprise_channel import AppriseSender
from seawall.controller.alerts.delivery import DeliveryFailed, Destination, without_address
from seawall.controller.alerts.webhook import AddressInfo, WebhookSender
from seawall.core.reach import Reach
from seawall.engine.alert_records import MessageRecord
from seawall.testing.clock import FakeClock
from tests.controller.alert_sink import AlertSink, sink_on

MESSAGE = MessageRecord(
    "m-1",
    datetime(2030, 1, 1, tzinfo=UTC),
    "opened",
    "circuit",
    "warning",
    "circuit open on web-1",
    "because",
)
LOOPBACK = Reach(["127.0.0.1"])


@pytest.fixture
def sink() -> Iterator[AlertSink]:
    with sink_on() as sink:
        yield sink


def send(url: str, reach: Reach, addresses: list[list[str]] | None = None) -> int:
    """Send a message; the host stands for these addresses, asked for the first time, the second time and so on.

    How often it was asked for.
    """
    asked = 0

    async def resolve(host: str, port: int) -> list[AddressInfo]:
        nonlocal asked
        answers = addresses or []
        found = answers[min(asked, len(answers) - 1)]
        asked += 1
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in found]

    clock = FakeClock()
    sender = WebhookSender(clock, resolve) if addresses else WebhookSender(clock)
    asyncio.run(sender.send(Destination(url, "secret", reach), MESSAGE))
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ],
)
def test_no_way_of_writing_this_machine_gets_a_message_to_it(sink: AlertSink, host: str) -> None:
    with pytest.raises(DeliveryFailed, match="isn't an address of the open internet"):
        send(f"http://{host}:{sink.port}/", Reach())
    assert sink.received == []


def test_an_address_that_the_operator_has_allowed_is_reached(sink: AlertSink) -> None:
    send(sink.url, LOOPBACK)
    assert len(sink.received) == 1


def test_a_name_whose_address_changes_is_asked_once_and_the_address_that_was_judged_is_used(
    sink: AlertSink,
) -> None:
    url = f"http://hooks.example.com:{sink.port}/"
    assert send(url, LOOPBACK, [["127.0.0.1"], ["10.0.0.1"]]) == 1
    assert len(sink.received) == 1
    assert sink.received[0][0]["Host"] == f"hooks.example.com:{sink.port}"
    with pytest.raises(DeliveryFailed, match=r"stands for 169\.254\.169\.254"):
        send(url, LOOPBACK, [["169.254.169.254"], ["127.0.0.1"]])


def test_a_name_with_one_private_address_among_others_is_refused(sink: AlertSink) -> None:
    with pytest.raises(DeliveryFailed, match=r"stands for 10\.0\.0\.1"):
        send(f"http://hooks.example.com:{sink.port}/", LOOPBACK, [["127.0.0.1", "10.0.0.1"]])
    assert sink.received == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(sink: AlertSink, status: int) -> None:
    with sink_on() as other:
        sink.status, sink.location = status, other.url
        with pytest.raises(DeliveryFailed, match=f"answered {status}"):
            send(sink.url, LOOPBACK)
        assert (len(sink.received), other.received) == (1, [])


def test_a_proxy_of_the_environment_is_not_asked(sink: AlertSink, monkeypatch: pytest.MonkeyPatch) -> None:
    with sink_on() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        send(sink.url, LOOPBACK)
        assert (len(sink.received), proxy.received) == (1, [])


def test_nobody_there_is_a_failure_that_tells_nothing_of_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DeliveryFailed) as failed:
        send(f"http://127.0.0.1:{port}/t0kent0ken", LOOPBACK)
    assert "t0kent0ken" not in str(failed.value)


def test_what_is_said_of_a_failure_holds_no_part_of_the_address() -> None:
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
    said = without_address(f"403 for {url}\n\x1b[2J at https://x/services/TIiajkdnlazkcOXrIdevi7FQ", url)
    assert not any(part in said for part in ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"))
    assert said.isprintable()


def test_an_address_is_not_in_the_repr_of_what_holds_it() -> None:
    assert "t0kent0ken" not in repr(Destination("https://t0kent0ken", "t0kent0ken"))


# Apprise, in a process of its own


def apprise(url: str, directory: Path, *allow: str) -> None:
    asyncio.run(AppriseSender(directory).send(Destination(url), MESSAGE, allow))


def test_apprise_delivers_where_it_may(
    sink: AlertSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    apprise(f"json://localhost:{sink.port}/hook", tmp_path, "localhost")
    (message,) = sink.messages
    assert message["title"] == "[Seawall] circuit open on web-1"
    assert "m-1" in str(message["message"])


def test_apprise_is_stopped_at_the_connection_whatever_it_was_told(sink: AlertSink, tmp_path: Path) -> None:
    with pytest.raises(DeliveryFailed, match=r"127\.0\.0\.1 isn't an address of the open internet"):
        apprise(f"json://2130706433:{sink.port}/hook", tmp_path)
    assert sink.received == []


def test_apprise_follows_no_redirect(sink: AlertSink, tmp_path: Path) -> None:
    with sink_on() as other:
        sink.status, sink.location = 307, other.url
        with pytest.raises(DeliveryFailed):
            apprise(f"json://127.0.0.1:{sink.port}/hook", tmp_path, "127.0.0.1")
        assert other.received == []


def test_apprise_finds_the_controllers_directory_closed(sink: AlertSink, tmp_path: Path) -> None:
    (tmp_path / "vault.key").write_text("{}", encoding="utf-8")
    url = f"fcm://project@abcdefghij/device/?mode=oauth2&keyfile={tmp_path}/vault.key"
    with pytest.raises(DeliveryFailed, match="data directory stays closed"):
        apprise(url, tmp_path)
