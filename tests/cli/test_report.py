"""`seawall report`: the same figures on the terminal, as CSV, and as a page that needs nothing but itself."""

from __future__ import annotations

from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from seawall.cli.exits import FAILED, USAGE
from seawall.cli.report_page import report_page
from seawall.engine.analytics import Analytics, ErrorPattern, HostFigures
from seawall.testing.faults import Fault
from tests.cli.conftest import Seawall
from tests.dashboard.payloads import payloads
from tests.dashboard.stage import staged

MOMENT = "2030-05-17T08:30:00Z"


class Elements(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attributes)}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def analytics(**changes: object) -> Analytics:
    made = {
        "begins_at": MOMENT,
        "ends_at": MOMENT,
        "read_back_to": MOMENT,
        "part_seconds": 3600.0,
        "parts": [MOMENT, MOMENT],
        "commands": 1,
        "failures": 0,
        "complete": True,
        "patterns": [],
        "unlisted_failures": 0,
        "hosts": [],
        "durations": [],
    }
    return msgspec.structs.replace(msgspec.convert(made, Analytics), **changes)


def test_what_failed_is_reported_in_every_form(
    tmp_path: Path, seawall: Seawall, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.html"
    with staged(tmp_path / "stage") as stage:
        docker = stage.add_host("shaky")
        stage.do(partial(docker.fault, Fault.UNREACHABLE))
        stage.command("image_list", "shaky", max_attempts=1)
        monkeypatch.setenv("SEAWALL_URL", stage.running.api_url)
        monkeypatch.setenv("SEAWALL_TOKEN", stage.running.admin_token_file.read_text().strip())
        told = seawall("report", "--since", "1h")
        assert told.code == 0, told.both
        assert "commands: 1, failed attempts and refusals: 1" in told.out
        assert "docker_error  shaky  image_list" in told.out
        assert seawall("report", "--json").json["commands"] == 1  # type: ignore[index]  # a dictionary
        assert seawall("report", "--csv", "errors").out.count("docker_error,shaky,") == 1
        assert seawall("report", "--since", "1h", "--html", str(file)).code == 0
        assert seawall("report", "--html", str(tmp_path)).code == FAILED
        assert "366 days at most" in seawall("report", "--since", "400d").err
    page = file.read_text(encoding="utf-8")
    seen = Elements(page).seen
    assert not seen & {"script", "link", "img", "src", "href", "onload", "iframe"}
    assert "<td>docker_error</td><td>shaky</td><td>image_list</td><td>1</td>" in page
    assert "prefers-color-scheme: dark" in page


def test_one_form_is_asked_for_at_a_time(seawall: Seawall) -> None:
    call = seawall("report", "--json", "--csv", "hosts")
    assert (call.code, "give one of" in call.err) == (USAGE, True)


def test_whatever_names_hold_the_page_has_no_elements_but_its_own() -> None:
    texts = payloads(500)
    patterns = [ErrorPattern(text, "id", text, text, 3, (1, 2)) for text in texts]
    hosts = [
        HostFigures("id", text, 5, 2, 3, 0.2, 0.5, 9.0, 1, 9.0, None, 0.1, 0.2, 0.3, (0.5, None))
        for text in texts
    ]
    plain = analytics(
        patterns=[ErrorPattern("a", "id", "a", "a", 3, (1, 2))],
        hosts=[msgspec.structs.replace(hosts[0], host="a")],
    )
    page = Elements(report_page(analytics(patterns=patterns, hosts=hosts)))
    assert page.seen == Elements(report_page(plain)).seen
    assert sum("<script>canary(" in text for text in page.text) > 10


def test_what_the_figures_leave_out_is_said() -> None:
    page = report_page(analytics(complete=False, commands=1_000_000, unlisted_failures=7))
    assert "Only the newest 1,000,000 commands were looked at; they go back to 2030-05-17 08:30 UTC." in page
    assert "7 failures belong to patterns that aren&#x27;t listed." in page
    assert "Nothing failed." in page
