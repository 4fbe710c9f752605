"""What every test may ask for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.chaos import figures
from tests.system.engine import Engine
from tests.system.programs import EngineUnavailable, prepare

# How long an example takes says how busy the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """One file gathers what the tests counted; the workers find it in the environment that they inherit."""
    if not hasattr(config, "workerinput"):
        directory = tempfile.TemporaryDirectory(prefix="seawall-figures-")
        config.add_cleanup(directory.cleanup)
        os.environ[figures.FILE] = str(Path(directory.name) / "figures")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how often each claim was tried."""
    lines = figures.summary(Path(os.environ[figures.FILE]))
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of the tests that need a Docker Engine may have to install it, which has a limit of its own."""
    for item in items:
        if item.get_closest_marker("docker") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """A real Docker Engine for tests marked `docker`, without containers at the start of each of them.

    Where none can be had, the tests that ask for it are skipped with the reason; with CI=true they fail.
    """
    try:
        engine = Engine(prepare())
    except EngineUnavailable as error:
        _give_up(str(error))
    try:
        try:
            engine.start()
        except EngineUnavailable as error:
            _give_up(str(error))
        yield engine
    finally:
        engine.stop()


@pytest.fixture(autouse=True)
def _fresh_docker_engine(request: pytest.FixtureRequest) -> None:
    """Undo what an earlier test did to the engine: dockerd may be killed, paused, or hold containers."""
    if request.node.get_closest_marker("docker") is not None:
        engine: Engine = request.getfixturevalue("docker_engine")
        engine.ensure_running()


def _give_up(reason: str) -> None:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"CI has to run the real-Docker tests, but {reason}", pytrace=False)
    pytest.skip(f"no real Docker Engine: {reason}")
