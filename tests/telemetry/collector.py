"""A collector of spans: a real HTTP server that takes OTLP, and remembers what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

_PATIENCE_SECONDS = 20.0

Facts = dict[str, str | int | float | bool]


class Told(NamedTuple):
    """An event of a span."""

    at: int
    name: str
    facts: Facts


class Seen(NamedTuple):
    """A span as it came; ids in hex, times in nanoseconds."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    facts: Facts
    failure: str
    events: list[Told]


class Collector:
    """Use it as a context manager. `url` is for OTEL_EXPORTER_OTLP_ENDPOINT; `raw` is all that came."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.spans: list[Seen] = []
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.raw.append(body)
            for resource in request.resource_spans:
                service = str(_facts(resource.resource.attributes)["service.name"])
                for scope in resource.scope_spans:
                    self.spans += [
                        Seen(
                            service,
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            _facts(span.attributes),
                            span.status.message,
                            [
                                Told(each.time_unix_nano, each.name, _facts(each.attributes))
                                for each in span.events
                            ],
                        )
                        for span in scope.spans
                    ]
            self._changed.notify_all()

    def until(self, enough: Callable[[list[Seen]], bool]) -> list[Seen]:
        """The spans, as soon as there are enough of them."""
        with self._changed:
            came = self._changed.wait_for(lambda: enough(self.spans), _PATIENCE_SECONDS)
            assert came, f"only these spans came: {[(span.service, span.name) for span in self.spans]}"
            return list(self.spans)


def _facts(attributes: list[KeyValue]) -> Facts:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes}
