"""A controller's API on loopback that answers as told, so that the CLI can be run against every kind of end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from seawall.controller.api.policies import policy_document
from seawall.engine.policies import read_policies

TOKEN = "swt_test"
ACCEPTED_AT = "2030-01-01T00:00:00Z"


@dataclass
class Script:
    """What becomes of the commands to one host."""

    state: str = "SUCCEEDED"
    error_code: str | None = None
    error: str | None = None
    response: object = None
    attempts: int = 1
    at_once: bool = False
    """It is final when it is accepted."""
    refuse: int = 0
    """Answer the POST with this status."""
    refused_record: bool = False
    """The refusal carries the record."""
    lose_answers: int = 0
    """Drop the connection after accepting, so often."""
    break_streams: int = 0
    """Drop the event stream before the end, so often."""
    stream_status: int = 200
    settled: bool = False
    evidence: dict[str, object] | None = None
    found: str | None = None
    """What a verification finds: a final state, or None while it stays UNKNOWN."""
    goes_on: bool = False
    """A cancellation comes too late to have an effect."""
    progress: list[dict[str, object]] = field(default_factory=list)
    """What the host tells while it works."""
    responses: dict[str, object] = field(default_factory=dict)
    """By operation, where that is another than `response`."""
    output: bytes | None = None
    """What the host keeps of what its commands print; an agent that is too old keeps nothing."""
    interrupt: bool = False
    """Somebody presses Ctrl-C while the events are followed."""
    interrupt_order: bool = False
    """Somebody presses it before the answer says that the command was accepted."""
    interrupt_again: bool = False
    """And presses it once more while the cancellation is asked for, which has no answer."""


@dataclass
class ControllerDouble:
    """The API. Everything that a test looks at or sets is an attribute."""

    agents: list[dict[str, object]] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    commands: dict[str, dict[str, object]] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    bodies: list[dict[str, object]] = field(default_factory=list)
    streams: list[dict[str, object]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    circuit: dict[str, object] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0
    url: str = ""
    policy_text: str = ""
    alert_answers: dict[tuple[str, str], object] = field(default_factory=dict)
    """By method and path below /api/v1, for everything about alerts and remediation."""

    def add(self, name: str, *, simulated: bool = False, **labels: str) -> Script:
        """A host, and the script of its commands."""
        self.agents.append(
            {
                "agent_id": f"id-{name}",
                "name": name,
                "state": "connected",
                "simulated": simulated,
                "labels": labels,
                "circuits": {"agent": "closed", "docker": "closed"},
                "last_seen_at": ACCEPTED_AT,
            }
        )
        self.scripts[name] = Script()
        return self.scripts[name]

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._check])
        api = "/api/v1"
        app.add_routes(
            [
                web.get("/readyz", self._ready),
                web.get(f"{api}/agents", self._agents),
                web.get(f"{api}/agents/{{name}}", self._agent),
                web.post(f"{api}/agents/{{name}}/revoke", self._ok),
                web.post(f"{api}/agents/{{name}}/release", self._release),
                web.post(f"{api}/join-tokens", self._join_token),
                web.get(f"{api}/commands", self._list),
                web.post(f"{api}/commands", self._accept),
                web.get(f"{api}/commands/{{id}}", self._show),
                web.post(f"{api}/commands/{{id}}/cancel", self._cancel),
                web.post(f"{api}/commands/{{id}}/{{action:verify|resolve|force-retry}}", self._act_on),
                web.get(f"{api}/commands/{{id}}/events", self._events),
                web.get(f"{api}/streams", self._streams),
                web.get(f"{api}/circuits", self._circuits),
                web.get(f"{api}/circuits/{{agent}}/{{domain}}", self._circuit),
                web.post(f"{api}/circuits/{{agent}}/{{domain}}/{{action}}", self._change_circuit),
                web.get(f"{api}/tokens", self._tokens),
                web.post(f"{api}/tokens", self._new_token),
                web.delete(f"{api}/tokens/{{id}}", self._ok),
                web.get(f"{api}/operations", self._operations),
                web.get(f"{api}/policy", self._policy),
                web.put(f"{api}/policy", self._policy),
                web.get(f"{api}/commands/{{command}}/explain", self._explain),
                web.route("*", f"{api}/{{path:(?:alert|remediation).*}}", self._alert),
            ]
        )
        return app

    @web.middleware
    async def _check(self, request: web.Request, handler: object) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        if request.path != "/readyz" and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return problem(401, "unauthenticated", "the token isn't known")
        answer: web.StreamResponse = await handler(request)  # type: ignore[operator]  # aiohttp's own type is loose
        return answer

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(text="ready")

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _agents(self, request: web.Request) -> web.Response:
        wanted = [label.split("=", 1) for label in request.query.getall("label", [])]
        return web.json_response(
            [a for a in self.agents if all(a["labels"].get(k) == v for k, v in wanted)]  # type: ignore[attr-defined]
        )

    async def _agent(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = [agent for agent in self.agents if name in (agent["name"], agent["agent_id"])]
        return web.json_response(found[0]) if found else problem(404, "unknown_host", f"no host {name}")

    async def _release(self, request: web.Request) -> web.Response:
        agent = next(agent for agent in self.agents if agent["name"] == request.match_info["name"])
        agent.update(state="disconnected", quarantined_at=None)
        return web.json_response(agent)

    async def _join_token(self, _: web.Request) -> web.Response:
        content = {
            "token": "swj_x",
            "expires_at": ACCEPTED_AT,
            "command": "seawall agent join URL --token swj_x",
        }
        return web.json_response(content, status=201)

    async def _accept(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        agent = next(agent for agent in self.agents if agent["agent_id"] == body["agent"])
        script = self.scripts[str(agent["name"])]
        key = request.headers["Idempotency-Key"]
        known = self.by_key.get(key)
        if script.refuse:
            refused = self._record("refused", agent, body, key)
            refused.update(state="REJECTED", error_code=script.error_code, error=script.error)
            more = {"command": refused} if script.refused_record else {}
            return problem(script.refuse, script.error_code or "refused", script.error or "no", **more)
        if known is None:
            known = f"command-{len(self.commands) + 1}"
            self.by_key[key] = known
            self.commands[known] = self._record(known, agent, body, key)
            if script.at_once:
                self._finish(known)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        if script.interrupt_order:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        if script.lose_answers:
            script.lose_answers -= 1
            assert request.transport is not None
            request.transport.close()
        record = self.commands[known]
        return web.json_response(record, status=200 if record["finished_at"] else 202)

    async def _show(self, request: web.Request) -> web.Response:
        command_id = request.match_info["id"]
        if command_id not in self.commands:
            return problem(404, "not_found", f"no command {command_id}")
        if "wait" in request.query:
            self._finish(command_id)
        return web.json_response(self.commands[command_id])

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.commands.values()))

    async def _cancel(self, request: web.Request) -> web.Response:
        record = self.commands[request.match_info["id"]]
        if self.scripts[str(record["agent"])].interrupt_again:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        if self.scripts[str(record["agent"])].goes_on:
            return problem(409, "too_late", "it runs already")
        if not record["finished_at"]:
            record.update(state="CANCELLED", error_code="cancelled", finished_at=ACCEPTED_AT)
        return web.json_response(record)

    async def _act_on(self, request: web.Request) -> web.Response:
        record = self.commands[request.match_info["id"]]
        if record["state"] != "UNKNOWN":
            detail = f"command {record['command_id']} is {record['state']}, not UNKNOWN"
            return problem(409, "conflict", detail)
        body = await request.json()
        agent = next(agent for agent in self.agents if agent["agent_id"] == record["agent_id"])
        match request.match_info["action"]:
            case "verify":
                self.bodies.append({"wait": request.query.get("wait")})
                found = self.scripts[str(agent["name"])].found
                connected = agent["state"] == "connected"
                if found is not None and connected:
                    record.update(state=found, error_code=None, error=None, settled=True, safe_actions=[])
                return web.json_response(record, status=200 if connected else 202)
            case "resolve":
                self.bodies.append(body)
                known = {"resolved_by": "admin", "resolution": body["reason"], "safe_actions": []}
                record.update(state=body["state"], **known)
                return web.json_response(record)
            case _:
                key = request.headers["Idempotency-Key"]
                if key not in self.by_key:
                    self.by_key[key] = f"command-{len(self.commands) + 1}"
                    self.commands[self.by_key[key]] = self._record(self.by_key[key], agent, record, key)
                return web.json_response(self.commands[self.by_key[key]], status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        command_id = request.match_info["id"]
        record = self.commands[command_id]
        script = self.scripts[str(record["agent"])]
        if script.stream_status != 200:
            return problem(script.stream_status, "busy", "too many streams")
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b": listening\n\n" + event("record", record))
        if script.break_streams:
            script.break_streams -= 1
            assert request.transport is not None
            request.transport.close()
            return answer
        if script.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        for number in range(1, script.attempts + 1):
            last = number == script.attempts
            code = script.error_code if last else "timeout"
            await answer.write(event("attempt_started", {"number": number, "correlation_id": f"r{number}"}))
            for told in script.progress:
                await answer.write(event("progress", told))
            ended = {
                "number": number,
                "duration_seconds": 0.25,
                "error_code": code,
                "error": code and script.error,
            }
            await answer.write(event("attempt_finished", ended))
            if not last:
                again = {
                    "attempt": number + 1,
                    "of": script.attempts,
                    "delay_seconds": 1.5,
                    "error_code": code,
                }
                await answer.write(event("retry", again))
        self._finish(command_id)
        await answer.write(event("finished", self.commands[command_id]))
        await answer.write_eof()
        return answer

    async def _streams(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        order = await socket.receive_json()
        self.streams.append(order)
        agent = next(agent for agent in self.agents if order["agent"] == agent["agent_id"])
        output = self.scripts[str(agent["name"])].output
        end: dict[str, object] = {"type": "end", "offset": len(output or b"")}
        if output is None:
            end.update(code="unsupported_operation", error="this agent is version 0 and can't: update it")
        else:
            await socket.send_bytes(bytes(8) + output)
        await socket.send_json(end)
        async for _ in socket:
            break
        await socket.close()
        return socket

    async def _circuits(self, _: web.Request) -> web.Response:
        return web.json_response([self._circuit_of(str(a["name"]), "agent") for a in self.agents])

    async def _circuit(self, request: web.Request) -> web.Response:
        return web.json_response(self._circuit_of(request.match_info["agent"], request.match_info["domain"]))

    async def _change_circuit(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        self.bodies.append(await request.json())
        self.circuit = {"state": "open" if action == "open" else "closed", "forced": action != "reset"}
        return await self._circuit(request)

    async def _tokens(self, _: web.Request) -> web.Response:
        return web.json_response(
            [{"token_id": "t1", "name": "admin", "role": "admin", "created_at": ACCEPTED_AT}]
        )

    async def _new_token(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        content = {"token_id": "t2", "name": body["name"], "role": body["role"], "token": "swt_new"}
        return web.json_response(content, status=201)

    async def _policy(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            self.policy_text = (await request.json())["text"]
        policies = read_policies("policy.toml", self.policy_text)
        shown = {"text": self.policy_text, **policy_document(policies)}
        return web.json_response(text=msgspec.json.encode(shown).decode())

    async def _explain(self, request: web.Request) -> web.Response:
        record = self.commands[request.match_info["command"]]
        timeline = [
            {"at": ACCEPTED_AT, "kind": "accepted", "text": "it was accepted"},
            {"at": "2030-01-01T00:00:02Z", "kind": "finished", "text": "it is \u001b[31mSUCCEEDED"},
        ]
        return web.json_response({"command": record, "timeline": timeline})

    async def _alert(self, request: web.Request) -> web.Response:
        if request.can_read_body:
            self.bodies.append(await request.json())
        answer = self.alert_answers.get((request.method, request.match_info["path"]))
        if answer is None:
            return problem(404, "not_found", "there is no such thing")
        return web.Response(status=204) if answer == "" else web.json_response(answer)

    async def _operations(self, _: web.Request) -> web.Response:
        return web.json_response([{"name": "ping", "summary": "Cross.", "role": "viewer", "arguments": []}])

    def _circuit_of(self, agent: str, domain: str) -> dict[str, object]:
        name = agent.removeprefix("id-")
        change: dict[str, object] = {
            "at": ACCEPTED_AT,
            "from": "closed",
            "to": "open",
            "reason": "5 failures",
        }
        by_hand = change | {"from": "open", "to": "closed", "reason": "reset: it is well", "by": "ann"}
        return {
            "agent_id": f"id-{name}",
            "agent": name,
            "domain": domain,
            "state": "closed",
            "forced": False,
            "failures": 0,
            "successes": 0,
            "transitions": [change, by_hand],
            **self.circuit,
        }

    def _record(
        self, command_id: str, agent: dict[str, object], body: dict[str, object], key: str
    ) -> dict[str, object]:
        return {
            "command_id": command_id,
            "operation": body["operation"],
            "agent_id": agent["agent_id"],
            "agent": agent["name"],
            "arguments": body.get("arguments", {}),
            "state": "ACCEPTED",
            "error_code": None,
            "error": None,
            "response": None,
            "attempts": [],
            "total_attempts": 0,
            "retried": False,
            "duration_seconds": 0.0,
            "max_attempts": body.get("max_attempts", 3),
            "accepted_at": ACCEPTED_AT,
            "finished_at": None,
            "idempotency_key": key,
        }

    def _finish(self, command_id: str) -> None:
        record = self.commands[command_id]
        if record["finished_at"]:
            return
        self.under_way -= 1
        script = self.scripts[str(record["agent"])]
        record.update(
            state=script.state,
            error_code=script.error_code,
            error=script.error,
            response=script.responses.get(str(record["operation"]), script.response),
            total_attempts=script.attempts,
            retried=script.attempts > 1,
            duration_seconds=1.75,
            finished_at="2030-01-01T00:00:02Z",
            settled=script.state != "UNKNOWN" or script.settled,
            evidence=script.evidence,
            safe_actions=["verify", "resolve", "force-retry"] if script.state == "UNKNOWN" else [],
            attempts=[
                {
                    "number": number,
                    "correlation_id": f"r{number}",
                    "started_at": ACCEPTED_AT,
                    "finished_at": "2030-01-01T00:00:01Z",
                    "error_code": script.error_code if number == script.attempts else "timeout",
                    "error": script.error,
                }
                for number in range(1, script.attempts + 1)
            ],
        )


def event(kind: str, content: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n".encode()


def problem(status: int, code: str, detail: str, **more: object) -> web.Response:
    content = {
        "type": "about:blank",
        "title": "t",
        "status": status,
        "detail": detail,
        "error_code": code,
        **more,
    }
    return web.json_response(content, status=status, content_type="application/problem+json")


@contextmanager
def served(double: ControllerDouble) -> Iterator[ControllerDouble]:
    """Serve it on a thread of its own: the CLI has the main thread, and a loop of its own there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(double.application(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)

    async def end() -> None:
        await runner.cleanup()
        # Whoever hung up in the middle leaves a handler, which mustn't outlive the loop.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield double
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
