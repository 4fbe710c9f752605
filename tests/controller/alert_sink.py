"""A receiver of webhooks for the tests: it notes what comes, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class AlertSink:
    """`received` are bodies as they were sent, with their headers; `status` is what is answered."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.location = ""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.received.append((dict(self.headers), body))
                self.send_response(sink.status)
                if sink.location:
                    self.send_header("Location", sink.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hooks/s3cret-path"

    @property
    def messages(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, body in self.received]

    @property
    def said(self) -> list[tuple[object, object]]:
        return [(message["said"], message["kind"]) for message in self.messages]


@contextmanager
def sink_on(port: int = 0) -> Iterator[AlertSink]:
    sink = AlertSink(port)
    thread = threading.Thread(target=sink._server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink._server.shutdown()
        sink._server.server_close()
        thread.join()
