"""Whether spans are wanted. Nothing of OpenTelemetry's SDK is imported before this says so."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.telemetry.spans import Spans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Any of these variables has spans made: it says which collector takes them."""

_logger = logging.getLogger("seawall.traces")


def open_spans(service: str, environment: Mapping[str, str]) -> Spans | None:
    """What makes the spans of this process and sends them to a collector; None if none is named."""
    if not _wanted(environment):
        return None
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if protocol and protocol != "http/protobuf":
        _logger.warning(
            "there are no traces: spans go out as http/protobuf, and OTEL_EXPORTER_OTLP_PROTOCOL asks for %s; name "
            "the collector's HTTP endpoint (port 4318) and leave the variable out",
            protocol,
        )
        return None
    try:
        from seawall.telemetry.spans import Spans
    except ModuleNotFoundError as error:
        _logger.warning(
            "there are no traces: a collector is named, and %s is not installed; install 'seawall[traces]'",
            error.name,
        )
        return None
    return Spans(service)


def _wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip() not in ("", "otlp"):
        return False
    return any(environment.get(name) for name in ENDPOINTS)
