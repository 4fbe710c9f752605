"""How hosts come and go: join tokens, the routes that redeem them, and revocation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
from aiohttp import web

from seawall.clock import Clock
from seawall.controller.credentials import hash_secret, new_join_secret
from seawall.engine.audit import CONTROLLER, Action, Caller
from seawall.engine.fleet import Fleet
from seawall.engine.records import AgentRecord, JoinTokenRecord
from seawall.engine.store import FleetStore, JoinTokenRefused, NameTaken, StoreFailed
from seawall.wire.join import JoinRequest, JoinResponse, JoinToken

JOIN_TOKEN_VALIDITY = timedelta(minutes=10)
JOIN_BODY_LIMIT_BYTES = 16 * 1024

_BODY_SECONDS = 10.0
Refused = Callable[[Action, str, str], object]
"""Is told of what was refused, to which address, and why."""

_REVOKED = "this agent's identity was revoked"


class Enrolment:
    """The routes of the agents' listener by which a host becomes an agent."""

    def __init__(
        self,
        store: FleetStore,
        fleet: Fleet,
        clock: Clock,
        ca_pem: str,
        controller_id: str,
        refused: Refused,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._ca_pem = ca_pem
        self._controller_id = controller_id
        self._refused = refused

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve `GET /ca.pem` and `POST /join`."""
        router.add_get("/ca.pem", self._certificate)
        router.add_post("/join", self._join)

    async def _certificate(self, _: web.Request) -> web.Response:
        return web.Response(text=self._ca_pem)

    async def _join(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return problem(408, "request_timeout", "the request didn't arrive in time; try again")
        except web.HTTPRequestEntityTooLarge:
            return problem(
                413,
                "too_large",
                f"a join request has at most {JOIN_BODY_LIMIT_BYTES} bytes; use fewer labels",
            )
        try:
            asked = msgspec.json.decode(body, type=JoinRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return problem(422, "invalid_request", f"this isn't a join request: {error}")
        try:
            agent = await self._redeem(asked, request.remote or "")
        except JoinTokenRefused as error:
            self._refused(Action.JOIN_REFUSED, request.remote or "", str(error))
            return problem(403, "join_token_refused", str(error))
        except NameTaken:
            return problem(409, "name_taken", f"another host is named {asked.name!r} already")
        except StoreFailed:
            return problem(
                503,
                "store_failed",
                "the controller can't keep a new host now; its log says why",
                {"Retry-After": "10"},
            )
        answer = JoinResponse(agent.agent_id, agent.name, self._ca_pem, self._controller_id)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _redeem(self, asked: JoinRequest, source: str) -> AgentRecord:
        now = self._clock.wall()
        agent = AgentRecord(
            self._clock.new_id(),
            asked.name,
            asked.public_key,
            now,
            labels=asked.labels,
            simulated=asked.simulated,
            version=asked.version,
        )
        kept = await self._store.redeem(hash_secret(asked.token), now, agent, source)
        self._fleet.learn(kept)
        return kept


async def new_join_token(
    store: FleetStore,
    authority_fingerprint: str,
    clock: Clock,
    created_by: str,
    caller: Caller = CONTROLLER,
) -> tuple[JoinToken, datetime]:
    """Make a token that lets one host join within 10 minutes; it is kept only as a hash. Also says when it ends."""
    secret = new_join_secret()
    now = clock.wall()
    expires_at = now + JOIN_TOKEN_VALIDITY
    record = JoinTokenRecord(
        clock.new_id(),
        hash_secret(secret.reveal()),
        created_at=now,
        expires_at=expires_at,
        created_by=created_by,
    )
    await store.add_join_token(record, caller)
    return JoinToken(secret, authority_fingerprint), expires_at


async def revoke_agent(
    store: FleetStore, fleet: Fleet, clock: Clock, agent_id: str, caller: Caller = CONTROLLER
) -> bool:
    """End an agent's identity for good, and its live session at once. False if there is no such live agent."""
    revoked = await store.revoke_agent(agent_id, clock.wall(), caller)
    session = fleet.forget(agent_id)
    if session is not None:
        await session.close(_REVOKED, None)
    return revoked


def problem(
    status: int, error_code: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A refusal as problem+json (RFC 9457)."""
    content = {
        "type": "about:blank",
        "title": web.Response(status=status).reason,
        "status": status,
        "detail": detail,
        "error_code": error_code,
    }
    return web.Response(
        status=status,
        body=msgspec.json.encode(content),
        content_type="application/problem+json",
        headers=headers,
    )
