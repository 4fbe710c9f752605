"""Spans on their way to a collector: a bounded queue that nobody waits for, and a count of what became of them.

Import it only where spans are wanted: it brings OpenTelemetry's SDK and protobuf along.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode, TraceFlags

from seawall.telemetry.redaction import redact_text

QUEUE_LIMIT = 4096
"""So many spans may wait for the collector; later ones are dropped."""
CLOSE_SECONDS = 2.0
"""How long the last spans may take to go out when the process ends."""

_BATCH = 512
_EVERY_MILLISECONDS = 1000.0

_logger = logging.getLogger("seawall.traces")


class SpanCounts(Struct):
    """What became of spans that ended: the collector took them, it didn't, or the queue was full."""

    sent: int = 0
    failed: int = 0
    dropped: int = 0


class Spans:
    """Makes the spans of one process, and has them exported in a thread of their own.

    What OpenTelemetry's variables say of endpoint, headers, sampling and resource holds. `exporter` is OTLP over HTTP
    unless told otherwise. One event loop makes and ends the spans.
    """

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        # What the library logs about each batch is one line of ours, when it begins and when it is over.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        named = {"service.name": service, "service.version": importlib.metadata.version("seawall")}
        self.counts = SpanCounts()
        self._ids = _Ids()
        self._provider = TracerProvider(
            # What the operator's variables say of the service goes before what it is called here.
            resource=Resource.create(named).merge(OTELResourceDetector().detect()),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        counting = _Counting(exporter if exporter is not None else OTLPSpanExporter(), self.counts)
        self._provider.add_span_processor(_Bounded(counting, self.counts))
        self.tracer = self._provider.get_tracer("seawall")

    def name_next(self, command_id: str) -> None:
        """The next span that is started is this command's.

        Its ids follow from the command's, so that a controller that starts again goes on with the same trace.
        """
        self._ids.trace_id, self._ids.span_id = _ids_of(command_id)

    def context_of(self, command_id: str) -> Context:
        """What a span has as its context if it belongs to a command that is not under way here."""
        trace_id, span_id = _ids_of(command_id)
        decision = self._provider.sampler.should_sample(None, trace_id, "").decision
        flags = TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT
        context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
        return trace.set_span_in_context(NonRecordingSpan(context))

    async def close(self) -> None:
        """Send what waits, for a moment; who doesn't take it by then doesn't get it."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            # The loop may be gone, for one that took too long.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=shut_down, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await closed.wait()


def fail(span: Span, code: str, text: str | None) -> None:
    """Note on a span what it failed with."""
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, redact_text(text or code)))


def traceparent(span: Span) -> str:
    """A span's context as W3C has it in a header."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"


def _ids_of(command_id: str) -> tuple[int, int]:
    digest = hashlib.sha256(command_id.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


class _Ids(RandomIdGenerator):
    """Random ids, unless those of the next span are given."""

    trace_id: int | None = None
    span_id: int | None = None

    def generate_trace_id(self) -> int:
        given, self.trace_id = self.trace_id, None
        return given if given is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        # A span with a parent asks for no trace id of its own.
        given, self.span_id, self.trace_id = self.span_id, None, None
        return given if given is not None else super().generate_span_id()


class _Counting(SpanExporter):
    """Counts what an exporter made of spans, and says once that it fails and once that it works again."""

    def __init__(self, exporter: SpanExporter, counts: SpanCounts) -> None:
        self._exporter = exporter
        self._counts = counts
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever is amiss with a collector costs its spans only
            _logger.debug("the exporter failed: %s", type(error).__name__)
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self._counts.failed += len(spans)
        else:
            self._counts.sent += len(spans)
        if failed is not self._failing:
            self._failing = failed
            if failed:
                _logger.warning("the collector takes no spans: they are lost, and counted, until it does")
            else:
                _logger.info("the collector takes spans again")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Bounded(BatchSpanProcessor):
    """The library's queue, which drops what it has no room for, and here counts it."""

    def __init__(self, exporter: SpanExporter, counts: SpanCounts) -> None:
        super().__init__(
            exporter,
            max_queue_size=QUEUE_LIMIT,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=_EVERY_MILLISECONDS,
        )
        self._counts = counts
        self._taken = 0

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if self._taken - self._counts.sent - self._counts.failed >= QUEUE_LIMIT:
            self._counts.dropped += 1
            return
        self._taken += 1
        super().on_end(span)
