"""A controller that is killed between its decision and the sending loses no alert."""

from __future__ import annotations

import json
from pathlib import Path

from seawall.wire.webhook import is_genuine
from tests.controller.alert_sink import sink_on
from tests.system.plane import Plane, free_port, plane_in, until

# Every certificate ends soon by this rule, so the first look opens an alert, and it waits for no other.
RULES = 'allow = ["127.0.0.1"]\ngroup_seconds = 0\n[rule.certificate_expiry]\nthreshold = 100000\n'


def alerts(plane: Plane) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(plane.request("GET", "/api/v1/alerts")[2])
    return found


def test_an_alert_that_was_decided_reaches_its_channel_though_the_controller_is_killed_before_that(
    tmp_path: Path,
) -> None:
    port = free_port()  # nobody listens there yet
    with plane_in(tmp_path) as plane:
        plane.start_controller()
        body = {"name": "ops", "url": f"http://127.0.0.1:{port}/hook"}
        status, _, answer = plane.request("POST", "/api/v1/alert-channels", body)
        assert status == 201, answer
        secret = json.loads(answer)["secret"]
        plane.kill("controller")
        (plane.data / "alerts.toml").write_text(RULES, encoding="utf-8")

        plane.start_controller()
        until("the alert is decided", lambda: [a for a in alerts(plane) if a["told_at"]])
        plane.kill("controller")

        with sink_on(port) as sink:
            plane.start_controller()
            until("the message has come", lambda: sink.received)
            path = f"/api/v1/alerts/{alerts(plane)[0]['alert_id']}"
            until(
                "the delivery is noted",
                lambda: json.loads(plane.request("GET", path)[2])["deliveries"][0]["delivered_at"],
            )
            assert sink.said == [("opened", "certificate_expiry")], "neither lost nor told twice"
        headers, content = sink.received[0]
        assert len(sink.messages[0]["alerts"]) == 2, "the server's and the CA's, together"
        sent_at = float(headers["Seawall-Timestamp"])
        assert is_genuine(secret, headers, content, sent_at)
        assert not is_genuine("another", headers, content, sent_at)
