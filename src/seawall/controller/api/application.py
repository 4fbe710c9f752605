"""The app: all routes, their errors, and the check that each of them says who may use it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seawall.controller.api import (
    agents,
    alerts,
    analytics,
    audit,
    circuits,
    commands,
    events,
    operations,
    policies,
    remediation,
    streams,
    tokens,
    users,
)
from seawall.controller.api.bodies import document
from seawall.controller.api.health import health_router
from seawall.controller.api.permissions import check_permissions, public, require
from seawall.controller.api.problems import Problem, ProblemCode, add_problem_handlers
from seawall.controller.api.services import Services
from seawall.operations.operation import Role
from seawall.wire.join import API_TOKEN_PREFIX, JOIN_TOKEN_PREFIX

_VERSION = "1"
_NAMES_OF_TOKENS = frozenset(
    {"token", "access_token", "api_token", "api_key", "apikey", "auth", "authorization", "bearer"}
)


def create_api(services: Services, *, metrics_open: bool, more_routes: Sequence[BaseRoute] = ()) -> FastAPI:
    """The API over these services. Raises UndeclaredRoute if any route doesn't say who may use it.

    `metrics_open` lets everybody read the metrics, as on loopback; else that takes a viewer's token.
    """
    app = FastAPI(
        title="Seawall",
        version=_VERSION,
        # Served below, to those who may use the API; the pages of HTML would load scripts from elsewhere.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    health = health_router(public() if metrics_open else require(Role.VIEWER))
    nouns = (
        agents,
        alerts,
        remediation,
        commands,
        circuits,
        policies,
        tokens,
        users,
        events,
        operations,
        streams,
        audit,
        analytics,
    )
    for router in (*(noun.router for noun in nouns), _description, health):
        # Not included but taken over, so that the check below sees each route itself.
        app.router.routes.extend(router.routes)
    app.router.routes.extend(more_routes)
    add_problem_handlers(app)
    app.add_middleware(Doorway)
    check_permissions(app.routes)
    return app


_description = APIRouter(prefix="/api/v1", tags=["description"])


@_description.get("/openapi.json", dependencies=[Depends(require(Role.VIEWER))])
async def describe(request: Request) -> Response:
    """The API as OpenAPI describes it."""
    app: FastAPI = request.app
    return document(app.openapi())


class Doorway:
    """What holds for every request, known path or not: no token in a URL, and no answer kept by a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        if scope["query_string"] and _holds_token(scope["query_string"]):
            refusal = Problem(
                400,
                ProblemCode.INVALID_REQUEST,
                "a token doesn't belong into a URL, where logs and proxies keep it: send it in the header "
                "'Authorization: Bearer TOKEN', and revoke the one that was sent",
            )
            await refusal.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _holds_token(query: bytes) -> bool:
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name.lower() in _NAMES_OF_TOKENS:
            return True
        if any(prefix in text for prefix in (API_TOKEN_PREFIX, JOIN_TOKEN_PREFIX) for text in (name, value)):
            return True
    return False
