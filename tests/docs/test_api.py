"""The page of the API and the code say the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute

import seawall
from seawall.controller.api.application import create_api
from seawall.controller.api.commands import CommandBody
from seawall.controller.api.permissions import Requirement, permission_of
from seawall.core.command import CommandState
from seawall.engine.records import AttemptRecord, CommandRecord, command_document
from tests.controller.api_plane import api_plane
from tests.docs.tables import rows

SOURCE = Path(seawall.__file__).parent
AGENTS_ROUTE = re.compile(r"\.add_(get|post|put|patch|delete|head|route)\(\s*\"([^\"]+)\"")
NOTICE = re.compile(r"\bNotice\(\s*\"(\w+)\"")

Route = tuple[str, str]


def permissions(app: FastAPI) -> dict[Route, str]:
    found: dict[Route, str] = {}
    for route in app.routes:
        assert isinstance(route, APIRoute | APIWebSocketRoute)
        permission = permission_of(route)
        for method in route.methods or () if isinstance(route, APIRoute) else ("GET",):
            role = permission.role.value if isinstance(permission, Requirement) else "open"
            found[method, route.path] = role
    return found


def routes(*, agents: bool) -> list[list[str]]:
    """The documented routes of the agents' listener, or of the API's; only the API's have a role or are open."""
    found = rows("api.md", "method")
    served = {path for _, path in agents_routes()}
    return [row for row in found if (row[1] in served) is agents]


def agents_routes() -> list[Route]:
    sources = (path.read_text(encoding="utf-8") for path in sorted((SOURCE / "controller").glob("*.py")))
    return [(method.upper(), path) for text in sources for method, path in AGENTS_ROUTE.findall(text)]


def fields(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@pytest.mark.asyncio
async def test_every_route_of_the_api_is_documented_with_its_permission_and_no_other(tmp_path: Path) -> None:
    async with api_plane(tmp_path) as plane:
        on_loopback = permissions(create_api(plane.services, metrics_open=True))
        beyond = permissions(create_api(plane.services, metrics_open=False))
    expected = [
        (
            method,
            path,
            role if role == beyond[method, path] else f"{role} on loopback, else {beyond[method, path]}",
        )
        for (method, path), role in on_loopback.items()
    ]
    documented = [(row[0], row[1], row[2]) for row in routes(agents=False)]
    assert sorted(documented) == sorted(expected)


def test_every_route_of_the_agents_listener_is_documented_and_no_other() -> None:
    assert len(agents_routes()) == 3
    assert sorted((row[0], row[1]) for row in routes(agents=True)) == sorted(agents_routes())


def test_every_field_of_a_commands_body_is_documented_in_its_order() -> None:
    assert [row[0] for row in rows("api.md", "field of the body")] == fields(CommandBody)


def test_what_a_body_must_have_is_documented_as_required() -> None:
    required = [row[0] for row in rows("api.md", "field of the body") if row[2] == "required"]
    assert required == [field.encode_name for field in msgspec.structs.fields(CommandBody) if field.required]


def test_every_field_of_a_commands_record_is_documented_and_no_other() -> None:
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    record = CommandRecord("id", "ping", "id", "web-1", {}, CommandState.ACCEPTED, moment, moment, 1.0, 1)
    assert sorted(row[0] for row in rows("api.md", "field of a command")) == sorted(command_document(record))


def test_every_field_of_an_attempt_is_documented_and_no_other() -> None:
    assert [row[0] for row in rows("api.md", "field of an attempt")] == fields(AttemptRecord)


def test_every_kind_of_event_is_documented_and_no_other() -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))]
    kinds = {kind for text in sources for kind in NOTICE.findall(text)}
    assert sorted(row[0] for row in rows("api.md", "event")) == sorted(kinds | {"record"})
