"""Log lines: one a decision, with their fields, and without a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest

from seawall.core.breaker import CircuitState
from seawall.core.command import Command, CommandResult, CommandState, CommandStatus, Domain, Outcome
from seawall.core.errors import CommandErrorCode
from seawall.core.events import CircuitChanged, CommandFinished, Event, RetryScheduled
from seawall.telemetry.log import log_event
from seawall.telemetry.setup import LogFormat, configure, redact_text
from seawall.wire.secret import Secret

TOKEN = "swt_" + "Ab-_" * 10 + "xyz"
JOIN_TOKEN = "swj_" + "Ab-_" * 10 + "xyz." + "0f" * 32
COMMAND = Command("c1", "container_restart", "a1", {})

Logged = Callable[[LogFormat, Callable[[], object]], str]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """What is written when something is done."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def do(log_format: LogFormat, work: Callable[[], object]) -> str:
        stream = io.StringIO()
        configure(log_format, "INFO", stream)
        work()
        return stream.getvalue()

    yield do
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_has_time_level_logger_and_all_fields(logged: Logged) -> None:
    printed = logged(
        "json", lambda: logging.getLogger("seawall.x").info("did %s", "it", extra={"agent": "a1"})
    )
    line = json.loads(printed)
    assert (line["event"], line["level"], line["logger"], line["agent"]) == (
        "did it",
        "info",
        "seawall.x",
        "a1",
    )
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_each_retry_transition_and_failure_is_one_line_with_its_facts(
    logged: Logged, log_format: LogFormat
) -> None:
    outcome = Outcome(CommandErrorCode.TIMEOUT, "no answer")
    failed = CommandResult(
        CommandStatus.TIMEOUT,
        success=False,
        error="no answer",
        error_code=CommandErrorCode.TIMEOUT,
        state=CommandState.FAILED,
    )
    events: list[tuple[Event, tuple[str, ...]]] = [
        (RetryScheduled(0.0, COMMAND, 1, 3, 1.5, outcome), ("a1", "2 of 3", "1.5", "timeout")),
        (
            CircuitChanged(0.0, "a1", Domain.DOCKER, CircuitState.CLOSED, CircuitState.OPEN, "5 failures"),
            ("a1", "docker", "closed", "open", "5 failures"),
        ),
        (CommandFinished(0.0, COMMAND, failed), ("a1", "timeout", "no answer", "c1")),
    ]
    for event, facts in events:
        printed = logged(log_format, lambda event=event: log_event(event))  # type: ignore[misc]  # bound at once
        assert printed.count("\n") == 1
        for fact in facts:
            assert fact in printed


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_is_written_wherever_it_stands(logged: Logged, log_format: LogFormat) -> None:
    def leak() -> None:
        logger = logging.getLogger("seawall.x")
        logger.info("a token: %s", TOKEN, extra={"where": f"https://x/?t={JOIN_TOKEN}&y=1"})
        fields = {
            "token": "hush-1",
            "api_token": "hush-2",
            "Authorization": "hush-3",
            "client-secret": "hush-4",
            "nested": {"password": "hush-5", "list": [{"secret": "hush-6"}, TOKEN]},
            "wrapped": Secret("hush-7"),
            "raw": TOKEN.encode(),
        }
        logger.info("fields", extra=fields)
        try:
            int(JOIN_TOKEN)
        except ValueError:
            logger.exception("failed")

    printed = logged(log_format, leak)
    assert "hush" not in printed
    assert "Ab-_" not in printed
    assert "0f0f" not in printed
    assert printed.count("[redacted]") >= 10
    assert "&y=1" in printed


def test_what_only_looks_like_a_secret_stays(logged: Logged) -> None:
    fields = {"token_id": "t-1", "tokens": 3, "prefix": "swt_"}
    printed = logged("json", lambda: logging.getLogger("seawall").info("x", extra=fields))
    assert json.loads(printed) | fields == json.loads(printed)
    assert redact_text("swt_ and swj_short") == "swt_ and swj_short"


def test_a_stranger_cannot_forge_a_line_or_steer_the_terminal(logged: Logged) -> None:
    evil = "x\n2030-01-01 [info] all is well\r\x1b[2J\u2028"
    for log_format in ("console", "json"):
        printed = logged(
            log_format,  # type: ignore[arg-type]  # both are formats
            lambda: logging.getLogger("seawall").info("name %s", evil, extra={"name_of_agent": evil}),
        )
        assert printed.count("\n") == 1
        assert printed.endswith("\n")
        assert "\x1b" not in printed
        assert "\r" not in printed
        assert "\u2028" not in printed


def test_configuring_twice_writes_each_line_once(logged: Logged) -> None:
    logged("console", lambda: None)
    assert logged("console", lambda: logging.getLogger("seawall").info("once")).count("once") == 1


def test_libraries_are_quiet_below_warning(logged: Logged) -> None:
    def talk() -> None:
        logging.getLogger("uvicorn.error").info("Started server process")
        logging.getLogger("alembic.runtime.migration").info("Running upgrade")
        logging.getLogger("seawall").debug("a detail")

    assert logged("console", talk) == ""
