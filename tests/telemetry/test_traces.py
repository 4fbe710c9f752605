"""Traces: from the caller's span over the controller and the wire to the Docker Engine, in real processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from seawall import AgentCommandExecutor
from seawall.agent.execution_spans import ExecutionSpans
from seawall.agent.worker import Worker
from seawall.clock import SystemClock
from seawall.core.command import Attempt, Command, CommandState, Outcome
from seawall.core.events import AttemptFinished, AttemptStarted, CommandSettled
from seawall.telemetry.command_spans import CommandSpans
from seawall.telemetry.spans import QUEUE_LIMIT, Spans
from seawall.telemetry.tracing import open_spans
from seawall.testing.clock import FakeClock
from seawall.testing.containers import FakeContainer
from seawall.testing.docker import FakeDocker, Fault, Latency
from seawall.testing.ledger import MemoryDisk
from seawall.wire.messages import Execute, FromAgent
from tests.chaos.fake_dockerd import FakeDockerd
from tests.chaos.mortal import MortalPlane
from tests.telemetry.collector import Collector, Seen

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def named(spans: list[Seen], name: str) -> list[Seen]:
    return sorted((span for span in spans if span.name == name), key=lambda span: span.start)


def is_within(inner: Seen, outer: Seen) -> bool:
    return outer.start <= inner.start <= inner.end <= outer.end


def test_a_retried_command_is_one_trace_of_four_levels_across_real_processes(tmp_path: Path) -> None:
    async def story() -> str:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with FakeDockerd(tmp_path / "docker.sock", seed=1) as dockerd:
            dockerd.hold("web")
            async with MortalPlane(tmp_path, {"one": dockerd.address}, environment=environment) as plane:
                dockerd.docker.fail_next(Fault.SERVER_ERROR)
                body = {"operation": "container_inspect", "agent": "one", "arguments": {"container": "web"}}
                token = (tmp_path / "data" / "admin.token").read_text().strip()
                headers = {"Authorization": f"Bearer {token}"}
                async with httpx.AsyncClient(base_url=plane.url, headers=headers, timeout=30.0) as http:
                    context = {"traceparent": CALLER}
                    answer = await http.post("/api/v1/commands?wait=20", json=body, headers=context)
                    record = answer.json()
                    await asyncio.to_thread(collector.until, is_whole)
                    metrics = (await http.get("/metrics")).text
                assert record["state"] == "SUCCEEDED", record
                assert record["total_attempts"] == 2
                return metrics

    def is_whole(spans: list[Seen]) -> bool:
        names = [span.name for span in spans]
        return "command container_inspect" in names and names.count("docker container_inspect") == 2

    with Collector() as collector:
        metrics = asyncio.run(story())
    spans = [span for span in collector.spans if span.trace_id == CALLER[3:35]]
    (command,) = named(spans, "command container_inspect")
    first, second = named(spans, "attempt")
    agents, calls = named(spans, "agent container_inspect"), named(spans, "docker container_inspect")

    assert command.parent_id == CALLER[36:52], "the caller's span is its parent"
    assert [first.parent_id, second.parent_id] == [command.span_id] * 2
    assert [span.parent_id for span in agents] == [first.span_id, second.span_id]
    assert [span.parent_id for span in calls] == [span.span_id for span in agents]
    assert {command.service, first.service} == {"seawall-controller"}
    assert {span.service for span in (*agents, *calls)} == {"seawall-agent"}
    for attempt, agent, call in zip((first, second), agents, calls, strict=True):
        assert is_within(attempt, command)
        assert is_within(agent, attempt)
        assert is_within(call, agent)

    assert [span.facts.get("error.type") for span in (first, agents[0], calls[0])] == ["docker_error"] * 3
    assert all("error.type" not in span.facts for span in (second, agents[1], calls[1], command))
    assert [first.facts["seawall.attempt"], second.facts["seawall.attempt"]] == [1, 2]
    assert command.facts["seawall.state"] == "SUCCEEDED"
    (retry,) = (event for event in command.events if event.name == "retry scheduled")
    assert retry.facts["error.type"] == "docker_error"
    assert "500" in str(retry.facts["seawall.reason"])
    assert float(retry.facts["seawall.delay_seconds"]) > 0
    assert first.end <= retry.at <= second.start
    assert 'trace_spans_total{end="sent"}' in metrics
    assert 'trace_spans_total{end="dropped"} 0.0' in metrics


IMPORTED = """
import json, sys
import seawall.controller.app, seawall.agent.app, seawall.client.client
from seawall.controller.traces import ControllerTraces
from seawall.clock import SystemClock
assert ControllerTraces(SystemClock()).subscribers == []
print(json.dumps(sorted(sys.modules)))
"""


def test_nothing_is_imported_for_traces_that_nobody_wants() -> None:
    code = "import os; [os.environ.pop(name) for name in list(os.environ) if name.startswith('OTEL_')]"
    spoken = subprocess.run(
        [sys.executable, "-c", code + IMPORTED], capture_output=True, text=True, check=True
    )
    imported = json.loads(spoken.stdout)
    # FastAPI brings the library's API along; what makes and sends spans is another part of it.
    unwanted = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "requests")
    ours = ("seawall.telemetry.spans", "seawall.telemetry.command_spans", "seawall.agent.execution_spans")
    assert [name for name in imported if name.startswith((*unwanted, *ours))] == []


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_there_are_no_spans_without_a_collector_that_is_to_have_them(environment: dict[str, str]) -> None:
    assert open_spans("seawall-test", environment) is None


class Stuck(SpanExporter):
    """A collector that takes no more, until it is let go."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def export(self, spans: object) -> SpanExportResult:
        self.released.wait(20.0)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.released.set()


def test_a_collector_that_hangs_holds_nobody_up_and_what_is_too_much_is_counted() -> None:
    exporter = Stuck()
    spans = Spans("seawall-test", exporter)
    surplus = 3
    for _ in range(QUEUE_LIMIT + surplus):
        spans.tracer.start_span("any").end()
    assert spans.counts.dropped == surplus
    assert spans.counts.sent == spans.counts.failed == 0
    exporter.shutdown()
    asyncio.run(spans.close())
    assert spans.counts.failed == QUEUE_LIMIT


def finished(spans: Spans, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    asyncio.run(spans.close())
    return list(exporter.get_finished_spans())


class Nobody:
    """Connections that are never used."""

    def is_connected(self, agent_id: str) -> bool:
        return True

    async def send_command(self, agent_id: str, command: dict[str, object]) -> bool:
        raise AssertionError(f"{command} was sent to {agent_id}")


def test_a_circuit_that_refuses_is_an_event_with_its_code_and_its_reason() -> None:
    exporter = InMemorySpanExporter()
    spans = Spans("seawall-test", exporter)

    async def story() -> None:
        followed = CommandSpans(spans, SystemClock())
        executor = AgentCommandExecutor(Nobody(), subscribers=[followed.observe])
        for _ in range(executor.get_circuit_breaker("one").failure_threshold):
            executor.get_circuit_breaker("one").record_failure()
        await executor.execute_command("one", {"type": "ping"})

    asyncio.run(story())
    (span,) = finished(spans, exporter)
    (refused,) = span.events
    assert refused.name == "refused"
    assert refused.attributes is not None
    assert refused.attributes["error.type"] == "circuit_open"
    assert "Circuit open for agent one" in str(refused.attributes["seawall.reason"])
    assert span.status.description == refused.attributes["seawall.reason"]


def test_a_controller_that_starts_again_goes_on_with_the_trace_of_an_open_command() -> None:
    command = Command(SystemClock().new_id(), "ping", "agent-1", {})
    told, exporter = [], InMemorySpanExporter()
    spans = Spans("seawall-test", exporter)
    for _ in range(2):
        followed = CommandSpans(spans, SystemClock())
        followed.observe(AttemptStarted(1.0, command, Attempt(1, "attempt-1", 30.0)))
        told.append(followed.traceparent("attempt-1"))
    followed.observe(AttemptFinished(2.0, command, Attempt(1, "attempt-1", 30.0), Outcome(), 1.0))
    followed.observe(CommandSettled(3.0, command.command_id, "agent-1", "ping", CommandState.SUCCEEDED))
    attempt, settled = finished(spans, exporter)
    assert told[0][:35] == told[1][:35]
    assert told[0] != told[1]
    assert attempt.parent is not None
    assert settled.parent is not None
    assert attempt.parent.span_id == settled.parent.span_id
    assert attempt.context is not None
    assert settled.context is not None
    assert attempt.context.trace_id == settled.context.trace_id
    assert attempt.end_time is not None
    assert settled.start_time is not None
    assert attempt.end_time < settled.start_time


@pytest.mark.asyncio
async def test_an_attempt_that_is_answered_from_the_ledger_has_a_span_after_the_one_that_did_the_work() -> (
    None
):
    exporter = InMemorySpanExporter()
    spans, clock = Spans("seawall-test", exporter), FakeClock()
    docker = FakeDocker(clock, [FakeContainer("web", running=False)])
    docker.latency = lambda operation: Latency(effect=5.0 if operation == "container_start" else 0.0)
    traces, sent = ExecutionSpans(spans, "one"), list[FromAgent]()
    ledger = MemoryDisk().ledger("agent-1", clock)
    worker = Worker(
        *(traces.calling(docker), clock, traces.telling(sent.append)),
        ledger=ledger,
        version="1",
        within=traces.execution,
    )

    def give(epoch: int, attempt: int) -> None:
        parent = f"00-{1:032x}-{attempt:016x}-01"
        arguments: dict[str, object] = {"container": "web"}
        identity = ("command", f"attempt-{attempt}", attempt, "container_start", arguments)
        worker.execute(Execute(*identity, 30.0, epoch, 1, traceparent=parent))

    await worker.begin_session(1, 1)
    give(epoch=1, attempt=1)
    await clock.advance(1.0)
    await worker.begin_session(2, 1)
    worker.resend()
    await clock.advance(10.0)
    give(epoch=2, attempt=2)
    await clock.advance(1.0)
    await worker.close()
    await spans.close()
    made = exporter.get_finished_spans()
    assert [span.name for span in made] == [
        "docker container_inspect",
        "docker container_start",
        "docker container_inspect",
        "agent container_start",
        "agent container_start",
    ]
    *calls, worked, replayed = made
    assert worked.parent is not None
    assert replayed.parent is not None
    assert [worked.parent.span_id, replayed.parent.span_id] == [1, 2]
    assert [call.parent for call in calls] == [worked.context] * 3
    assert worked.end_time is not None
    assert replayed.start_time is not None
    assert worked.end_time <= replayed.start_time
    assert all(
        span.attributes is not None and span.attributes["seawall.recorded"] for span in (worked, replayed)
    )
    assert len(docker.effects) == 1
