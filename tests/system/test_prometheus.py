"""The rules and the dashboard that are delivered: a real Prometheus loads them, and finds data for each expression."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.system.packages import NotInstallable, find_or_install
from tests.system.plane import Plane, free_port, plane_in, until

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "seawall.json"
LIMIT = re.compile(r" [<>]=? [0-9.]+$")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def programs() -> tuple[Path, Path]:
    """prometheus and promtool."""
    try:
        return find_or_install("prometheus", "prometheus"), find_or_install("promtool", "prometheus")
    except NotInstallable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def rules() -> dict[str, str]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def panels() -> dict[str, str]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return {
        f"{panel['title']}, {target['legendFormat']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


@contextmanager
def running(prometheus: Path, directory: Path, target: str) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes the target each second, with the rules that are delivered."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "seawall", "static_configs": [{"targets": [target]}]}],
    }
    file, address = directory / "prometheus.yml", f"127.0.0.1:{free_port()}"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(prometheus),
                *(f"--config.file={file}", f"--storage.tsdb.path={directory / 'tsdb'}"),
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def answer(client: httpx.Client, expression: str) -> list[object] | None:
    """What an expression brings now; None if there is no answer."""
    try:
        found = client.get("/query", params={"query": expression})
    except httpx.TransportError:
        return None
    if found.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return None  # it starts, and says so in plain words
    assert found.status_code == httpx.codes.OK, f"{expression}: {found.text}"
    result: list[object] = found.json().get("data", {}).get("result", [])
    return result


def use(plane: Plane) -> None:
    """Something of everything that is counted."""
    plane.up("--simulate", "2")
    assert plane.cli("container", "restart", "web", "--on", "all").returncode == 0
    assert plane.cli("container", "restart", "missing", "--on", "all").returncode != 0
    (first, *_) = json.loads(plane.cli("agent", "list", "--json").stdout)
    plane.request("POST", f"/api/v1/circuits/{first['name']}/docker/open", {})


def test_promtool_finds_nothing_wrong_with_the_rules(programs: tuple[Path, Path]) -> None:
    checked = subprocess.run(
        [str(programs[1]), "check", "rules", "--lint-fatal", str(RULES)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules())} rules found" in checked.stdout


def test_every_rule_is_a_value_and_a_limit() -> None:
    assert not [name for name, expression in rules().items() if not LIMIT.search(expression)]


def test_every_expression_has_data_of_a_running_controller_and_a_rule_that_holds_fires(
    programs: tuple[Path, Path], tmp_path: Path
) -> None:
    values = {name: LIMIT.sub("", expression) for name, expression in rules().items()}
    asked = {**values, **panels()}
    assert len(asked) == len(rules()) + len(panels())
    with plane_in(tmp_path) as plane:
        use(plane)
        with running(programs[0], tmp_path, f"127.0.0.1:{plane.api_port}") as client:
            # Twice, so that there are rates.
            until("it was scraped", lambda: answer(client, "count_over_time(mass_failure[5m]) > 2"))
            without = {
                name: expression for name, expression in asked.items() if not answer(client, expression)
            }
            assert without == {}
            firing = 'ALERTS{alertname="SeawallCircuitsOpen", alertstate="pending"}'
            until("the open circuit is noticed", lambda: answer(client, firing))
            quiet = answer(client, 'ALERTS{alertname=~"SeawallMassFailure|SeawallControllerDown"}')
            assert quiet == []
