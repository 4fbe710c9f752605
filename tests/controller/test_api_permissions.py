"""Every route x every role, generated from the routes that there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from seawall.controller.api.application import create_api
from seawall.controller.api.permissions import (
    Requirement,
    UndeclaredRoute,
    Viewer,
    check_permissions,
    permission_of,
    public,
    require,
)
from seawall.core.circuit import CircuitState
from seawall.core.command import Domain
from seawall.core.events import CircuitChanged
from seawall.operations.operation import Role
from seawall.wire.secret import Secret
from tests.controller.api_plane import HOST, OTHER, PING, ApiPlane, api_plane, is_problem

Sample = Callable[[ApiPlane], Awaitable[tuple[str, object]]]


def fixed(path: str, body: object = None) -> Sample:
    async def sample(_: ApiPlane) -> tuple[str, object]:
        return path, body

    return sample


def of_command(suffix: str = "") -> Sample:
    async def sample(plane: ApiPlane) -> tuple[str, object]:
        record = await plane.done(PING)
        return f"/api/v1/commands/{record['command_id']}{suffix}", None

    return sample


def of_unknown_command(suffix: str, body: object = None) -> Sample:
    async def sample(plane: ApiPlane) -> tuple[str, object]:
        return f"/api/v1/commands/{(await plane.unknown())['command_id']}{suffix}", body

    return sample


async def a_token(plane: ApiPlane) -> tuple[str, object]:
    _, record = await plane.services.access.create("spare", Role.VIEWER)
    return f"/api/v1/tokens/{record.token_id}", None


async def an_alert(plane: ApiPlane) -> str:
    """An open one, as a run that has ended may have left it."""
    keeper = plane.controller.alerts.keeper
    now = plane.clock.now()
    plane.controller.emit(
        CircuitChanged(now, HOST, Domain.DOCKER, CircuitState.CLOSED, CircuitState.OPEN, "5 of 6 failed")
    )
    await keeper.turn()
    return (await plane.services.store.alerts())[0].alert_id


async def to_show_an_alert(plane: ApiPlane) -> tuple[str, object]:
    return f"/api/v1/alerts/{await an_alert(plane)}", None


async def to_acknowledge_an_alert(plane: ApiPlane) -> tuple[str, object]:
    return f"/api/v1/alerts/{await an_alert(plane)}/acknowledge", {"reason": "I look"}


async def a_silence(plane: ApiPlane) -> tuple[str, object]:
    made = await plane.post("/api/v1/alert-silences", {"seconds": 60})
    return f"/api/v1/alert-silences/{made.json()['silence_id']}", None


async def a_stop(plane: ApiPlane) -> tuple[str, object]:
    await plane.post("/api/v1/remediation/stop", {"reason": "new rack"})
    return "/api/v1/remediation/resume", {}


def of_channel(suffix: str = "") -> Sample:
    async def sample(plane: ApiPlane) -> tuple[str, object]:
        name = f"channel-{len(plane.controller.alerts.channels.names())}"
        await plane.post("/api/v1/alert-channels", {"name": name, "url": "http://127.0.0.1:9/"})
        return f"/api/v1/alert-channels/{name}{suffix}", None

    return sample


async def a_user(plane: ApiPlane) -> tuple[str, object]:
    name = f"spare-{len(await plane.services.users.all())}"
    await plane.services.users.add(name, Secret("correct horse"), Role.VIEWER)
    return f"/api/v1/users/{name}", None


async def a_users_password(plane: ApiPlane) -> tuple[str, object]:
    path, _ = await a_user(plane)
    return f"{path}/password", {"password": "battery staple"}


async def a_users_role(plane: ApiPlane) -> tuple[str, object]:
    path, _ = await a_user(plane)
    return f"{path}/role", {"role": "operator"}


# A request for each route that is right in everything but, perhaps, who makes it.
SAMPLES: dict[tuple[str, str], Sample] = {
    ("GET", "/api/v1/analytics"): fixed("/api/v1/analytics"),
    ("GET", "/api/v1/analytics/{table}.csv"): fixed("/api/v1/analytics/hosts.csv"),
    ("GET", "/api/v1/agents"): fixed("/api/v1/agents"),
    ("GET", "/api/v1/agents/{agent}"): fixed("/api/v1/agents/web-1"),
    ("POST", "/api/v1/agents/{agent}/release"): fixed("/api/v1/agents/web-1/release"),
    ("POST", "/api/v1/agents/{agent}/revoke"): fixed(f"/api/v1/agents/{OTHER}/revoke"),
    ("GET", "/api/v1/alerts"): fixed("/api/v1/alerts?all=true"),
    ("GET", "/api/v1/alerts/{alert_id}"): to_show_an_alert,
    ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): to_acknowledge_an_alert,
    ("GET", "/api/v1/alert-rules"): fixed("/api/v1/alert-rules"),
    ("GET", "/api/v1/alert-silences"): fixed("/api/v1/alert-silences"),
    ("POST", "/api/v1/alert-silences"): fixed("/api/v1/alert-silences", {"seconds": 60}),
    ("DELETE", "/api/v1/alert-silences/{silence_id}"): a_silence,
    ("GET", "/api/v1/alert-channels"): fixed("/api/v1/alert-channels"),
    ("POST", "/api/v1/alert-channels"): fixed(
        "/api/v1/alert-channels", {"name": "ops", "url": "https://hooks.example.com/x"}
    ),
    ("DELETE", "/api/v1/alert-channels/{name}"): of_channel(),
    ("POST", "/api/v1/alert-channels/{name}/test"): of_channel("/test"),
    ("GET", "/api/v1/remediation"): fixed("/api/v1/remediation"),
    ("GET", "/api/v1/remediation/history"): fixed("/api/v1/remediation/history"),
    ("POST", "/api/v1/remediation/stop"): fixed("/api/v1/remediation/stop", {"reason": "new rack"}),
    ("POST", "/api/v1/remediation/resume"): a_stop,
    ("POST", "/api/v1/commands"): fixed("/api/v1/commands", PING),
    ("GET", "/api/v1/commands"): fixed("/api/v1/commands"),
    ("GET", "/api/v1/commands/{command_id}"): of_command(),
    ("POST", "/api/v1/commands/{command_id}/cancel"): of_command("/cancel"),
    ("GET", "/api/v1/commands/{command_id}/events"): of_command("/events"),
    ("GET", "/api/v1/commands/{command_id}/explain"): of_command("/explain"),
    ("POST", "/api/v1/commands/{command_id}/verify"): of_unknown_command("/verify?wait=0"),
    ("POST", "/api/v1/commands/{command_id}/resolve"): of_unknown_command(
        "/resolve", {"state": "FAILED", "reason": "I looked"}
    ),
    ("POST", "/api/v1/commands/{command_id}/force-retry"): of_unknown_command("/force-retry"),
    ("GET", "/api/v1/circuits"): fixed("/api/v1/circuits"),
    ("GET", "/api/v1/circuits/{agent}/{domain}"): fixed(f"/api/v1/circuits/{HOST}/docker"),
    ("POST", "/api/v1/circuits/{agent}/{domain}/{action}"): fixed("/api/v1/circuits/web-1/agent/reset"),
    ("GET", "/api/v1/policy"): fixed("/api/v1/policy"),
    ("PUT", "/api/v1/policy"): fixed("/api/v1/policy", {"text": "[default]\nmax_attempts = 2\n"}),
    ("GET", "/api/v1/tokens"): fixed("/api/v1/tokens"),
    ("POST", "/api/v1/tokens"): fixed("/api/v1/tokens", {"name": "ci", "role": "viewer"}),
    ("DELETE", "/api/v1/tokens/{token_id}"): a_token,
    ("GET", "/api/v1/users"): fixed("/api/v1/users"),
    ("POST", "/api/v1/users"): fixed(
        "/api/v1/users", {"name": "eve", "role": "viewer", "password": "correct horse"}
    ),
    ("DELETE", "/api/v1/users/{name}"): a_user,
    ("PUT", "/api/v1/users/{name}/password"): a_users_password,
    ("PUT", "/api/v1/users/{name}/role"): a_users_role,
    ("POST", "/api/v1/join-tokens"): fixed("/api/v1/join-tokens"),
    ("GET", "/api/v1/audit"): fixed("/api/v1/audit"),
    ("GET", "/api/v1/audit/export"): fixed("/api/v1/audit/export"),
    ("POST", "/api/v1/audit/verify"): fixed("/api/v1/audit/verify", {}),
    ("POST", "/api/v1/audit/prune"): fixed("/api/v1/audit/prune", {"before": "2020-01-01T00:00:00Z"}),
    ("GET", "/api/v1/events"): fixed("/api/v1/events"),
    ("GET", "/api/v1/operations"): fixed("/api/v1/operations"),
    ("GET", "/api/v1/openapi.json"): fixed("/api/v1/openapi.json"),
    ("GET", "/healthz"): fixed("/healthz"),
    ("GET", "/readyz"): fixed("/readyz"),
    ("GET", "/metrics"): fixed("/metrics"),
}


def needed_role(route: APIRoute) -> Role | None:
    permission = permission_of(route)
    return permission.role if isinstance(permission, Requirement) else None


@pytest.mark.asyncio
@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.value if role else "nobody")
async def test_every_route_lets_in_exactly_the_roles_that_it_declares(
    tmp_path: Path, role: Role | None
) -> None:
    async with api_plane(tmp_path) as plane:
        plane.attach()
        plane.services.readiness.recovered = plane.services.readiness.listening = True
        seen = set()
        for route in plane.controller.api.routes:
            if isinstance(route, APIWebSocketRoute):
                continue  # its upgrades are refused in test_api_streams
            assert isinstance(route, APIRoute)
            for method in route.methods:
                seen.add((method, route.path))
                path, body = await SAMPLES[method, route.path](plane)
                # Streams end once the controller stops; nothing else differs.
                if route.path == "/api/v1/events":
                    plane.services.stopping.set()
                answer = await plane.request(method, path, body, role=role)
                plane.services.stopping.clear()
                needed = needed_role(route)
                if needed is None or (role is not None and role.allows(needed)):
                    assert answer.is_success, f"{method} {path}: {answer.text}"
                elif role is None:
                    is_problem(answer, 401, "unauthenticated")
                    assert answer.headers["www-authenticate"] == "Bearer"
                else:
                    problem = is_problem(answer, 403, "forbidden")
                    assert needed.value in str(problem["detail"])
        assert seen == set(SAMPLES)


@pytest.mark.asyncio
async def test_the_open_routes_are_the_three_that_are_meant(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        routes = plane.controller.api.routes
        opened = {
            route.path for route in routes if isinstance(route, APIRoute) and needed_role(route) is None
        }
        assert opened == {"/healthz", "/readyz", "/metrics"}
        beyond = create_api(plane.services, metrics_open=False)
        metrics = next(r for r in beyond.routes if isinstance(r, APIRoute) and r.path == "/metrics")
        assert needed_role(metrics) is Role.VIEWER


@pytest.mark.asyncio
async def test_a_viewer_may_run_reads_but_no_changes(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        session = plane.attach()
        change = {"operation": "container_stop", "agent": "web-1", "arguments": {"container": "web"}}
        problem = is_problem(await plane.post("/api/v1/commands", change, role=Role.VIEWER), 403, "forbidden")
        assert "container_stop" in str(problem["detail"])
        assert session.reached == []
        assert (await plane.post("/api/v1/commands", change, role=Role.OPERATOR)).status_code == 202


@pytest.mark.asyncio
async def test_incident_42_a_route_without_a_permission_keeps_the_app_from_being_made(tmp_path: Path) -> None:
    async def forgetful() -> Response:
        return PlainTextResponse("open to all")

    router = APIRouter()
    router.add_api_route("/forgotten", forgetful)
    async with api_plane(tmp_path) as plane:
        with pytest.raises(UndeclaredRoute, match="/forgotten"):
            create_api(plane.services, metrics_open=True, more_routes=router.routes)


def test_routes_that_cannot_declare_a_permission_are_refused_too() -> None:
    inner = APIRouter()
    inner.add_api_route("/inner", lambda: None)
    including = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    including.include_router(inner)
    mounted = Mount("/mounted", app=FastAPI())
    for routes in (including.routes, [mounted], FastAPI().routes):
        with pytest.raises(UndeclaredRoute):
            check_permissions(routes)


def test_a_route_that_declares_two_permissions_is_refused() -> None:
    async def torn(_: Viewer) -> None:
        pass

    router = APIRouter()
    router.add_api_route("/torn", torn, dependencies=[Depends(public())])
    with pytest.raises(UndeclaredRoute, match="/torn"):
        check_permissions(router.routes)
    declared = APIRouter()
    declared.add_api_route("/well", lambda: None, dependencies=[Depends(require(Role.ADMIN))])
    check_permissions(declared.routes)


@pytest.mark.asyncio
async def test_incident_47_a_token_in_a_query_string_is_refused_and_not_repeated(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        token = plane.tokens[Role.ADMIN]
        for path in (
            f"/api/v1/agents?token={token}",
            f"/api/v1/agents?access_token={token[4:]}",
            f"/api/v1/agents?label=a%3D{token.replace('_', '%5F')}",
            f"/nowhere?{token}",
            f"/healthz?x={token}",
        ):
            answer = await plane.get(path, role=Role.ADMIN)
            problem = is_problem(answer, 400, "invalid_request")
            assert "Authorization" in str(problem["detail"])
            assert token[4:] not in answer.text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "header",
    ["Basic YTpi", "Bearer", "Bearer ", "Bearer swt_", "Bearer swt_" + "a" * 43, "swt_" + "a" * 43, "\x7f"],
)
async def test_anything_but_a_live_bearer_token_is_401(tmp_path: Path, header: str) -> None:
    async with api_plane(tmp_path) as plane:
        answer = await plane.request("GET", "/api/v1/agents", role=None, headers={"Authorization": header})
        is_problem(answer, 401, "unauthenticated")
