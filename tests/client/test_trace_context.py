"""A program's current span goes along with the commands that it gives."""

from __future__ import annotations

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from seawall.client.trace_context import callers_context


def test_a_program_with_a_current_span_sends_its_context_and_any_other_sends_none() -> None:
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    assert callers_context() == {}
    with use_span(span):
        assert callers_context() == {"traceparent": f"00-{1:032x}-{2:016x}-01"}
