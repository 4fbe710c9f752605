"""Where log lines go and how they look: one line a decision on standard error, for people or for machines.

Everything logs on the standard library's loggers and gives what matters as `extra`. Secrets are taken out here, as the
last thing before a line is written, whoever logged them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Literal, TextIO

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter

from seawall.telemetry.redaction import redact_text
from seawall.wire.secret import REDACTED

LogFormat = Literal["console", "json"]

_SECRET_FIELDS = frozenset({"token", "secret", "password", "authorization"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEPTH = 6

# Other handlers' formatters write these into the record, where they look like fields that somebody gave.
_LEFT_BY_OTHERS = frozenset({"message", "asctime"})

# Their INFO is the story of a library, not of the product.
_QUIET_BELOW_WARNING = ("aiohttp", "alembic", "asyncio", "httpcore", "httpx", "sqlalchemy", "uvicorn")

_EventDict = MutableMapping[str, object]


def configure(log_format: LogFormat = "console", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send the log of this process to `stream` (standard error if None), from `level` up. May be called again."""
    target = stream if stream is not None else sys.stderr
    handler = _Handler(target)
    handler.setFormatter(_formatter(log_format, colors=log_format == "console" and target.isatty()))
    root = logging.getLogger()
    for earlier in [earlier for earlier in root.handlers if isinstance(earlier, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET_BELOW_WARNING:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` finds it."""


class _Formatter(ProcessorFormatter):
    """structlog's, and then a last look for secrets, wherever in the line they are."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


def _formatter(log_format: LogFormat, *, colors: bool) -> logging.Formatter:
    last: list[structlog.typing.Processor]
    if log_format == "json":
        # ASCII only, so no character in a value can end the line or steer a terminal.
        last = [structlog.processors.JSONRenderer(ensure_ascii=True)]
    else:
        last = [_on_one_line, structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time")]
    return _Formatter(
        foreign_pre_chain=[
            _add_time,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            ExtraAdder(),
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_secrets,
            *last,
        ],
    )


def _add_time(_: object, __: str, event_dict: _EventDict) -> _EventDict:
    record = event_dict["_record"]
    if isinstance(record, logging.LogRecord):
        event_dict["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return event_dict


def _without_secrets(_: object, __: str, event_dict: _EventDict) -> _EventDict:
    shown = (item for item in event_dict.items() if item[0] not in _LEFT_BY_OTHERS)
    return {key: _redacted(key, value, _DEPTH) for key, value in shown}


def _redacted(key: str, value: object, depth: int) -> object:
    if re.split(r"[_\-. ]", key.lower())[-1] in _SECRET_FIELDS and value is not None:
        return REDACTED
    if isinstance(value, Mapping):
        if depth == 0:
            return "..."
        return {str(inner): _redacted(str(inner), content, depth - 1) for inner, content in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", content, depth - 1) for content in value] if depth else "..."
    # Before it is rendered: a secret whose characters are escaped by then would not be recognised.
    return redact_text(value) if isinstance(value, str) else value


def _on_one_line(_: object, __: str, event_dict: _EventDict) -> _EventDict:
    """What a stranger sent must neither forge a second line nor steer a terminal."""
    return {key: _escaped(value) if key != "exception" else value for key, value in event_dict.items()}


def _escaped(value: object) -> object:
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], value) if isinstance(value, str) else value
