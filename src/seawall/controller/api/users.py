"""Users of the dashboard: who they are and what they may do. Passwords come in and never out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Admin
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import Services, TheServices
from seawall.engine.records import UserRecord
from seawall.operations.operation import Role
from seawall.wire.secret import Secret

router = APIRouter(prefix="/api/v1/users", tags=["users"])

_Password = Annotated[str, Meta(max_length=1_024)]


class UserBody(Struct, forbid_unknown_fields=True):
    """The user to make."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Role
    password: _Password


class PasswordBody(Struct, forbid_unknown_fields=True):
    """The new password."""

    password: _Password


class RoleBody(Struct, forbid_unknown_fields=True):
    """The new role."""

    role: Role


@router.get("")
async def list_users(_: Admin, services: TheServices) -> Response:
    """All users, by name."""
    return document([_document(user) for user in await services.users.all()])


@router.post("", openapi_extra=body_schema(UserBody))
async def add_user(principal: Admin, services: TheServices, request: Request) -> Response:
    """Make a user."""
    body = await read_json(request, UserBody)
    user = await services.users.add(body.name, Secret(body.password), body.role, principal.caller)
    return document(_document(user), 201)


@router.delete("/{name}")
async def remove_user(principal: Admin, services: TheServices, name: str) -> Response:
    """Remove a user; its sign-ins end at once."""
    if not await services.users.remove(name, principal.caller):
        raise _unknown(name)
    return Response(status_code=204)


@router.put("/{name}/password", openapi_extra=body_schema(PasswordBody))
async def give_password(principal: Admin, services: TheServices, name: str, request: Request) -> Response:
    """Give a user another password; its sign-ins end at once."""
    body = await read_json(request, PasswordBody)
    if not await services.users.give_password(name, Secret(body.password), principal.caller):
        raise _unknown(name)
    return await _shown(services, name)


@router.put("/{name}/role", openapi_extra=body_schema(RoleBody))
async def give_role(principal: Admin, services: TheServices, name: str, request: Request) -> Response:
    """Give a user another role; its sign-ins end at once."""
    body = await read_json(request, RoleBody)
    if not await services.users.give_role(name, body.role, principal.caller):
        raise _unknown(name)
    return await _shown(services, name)


async def _shown(services: Services, name: str) -> Response:
    user = await services.store.user(name)
    if user is None:
        raise _unknown(name)
    return document(_document(user))


def _unknown(name: str) -> Problem:
    return Problem(
        404, ProblemCode.NOT_FOUND, f"no user is named {name[:64]!r}; `seawall user list` shows them"
    )


def _document(user: UserRecord) -> dict[str, object]:
    return {"user_id": user.user_id, "name": user.name, "role": user.role, "created_at": user.created_at}
