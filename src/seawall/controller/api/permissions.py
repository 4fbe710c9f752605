"""Who may use a route. Every route declares it, or the app isn't made: nothing is open by accident."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from fastapi import Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import services_of, source_of
from seawall.controller.auth import Principal
from seawall.engine.audit import Action
from seawall.operations.operation import Role


class UndeclaredRoute(Exception):
    """A route doesn't say who may use it, or says it twice. A defect: the controller doesn't start."""


class Requirement:
    """A dependency that lets in whoever has at least this role, and says who it is."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: HTTPConnection) -> Principal:
        """See the class. Raises Problem: 401 without a valid token, 403 where the role is too low."""
        principal = await _authenticate(request)
        allow(principal, self.role, "this")
        return principal


class Openness:
    """A dependency that lets everybody in: the mark of a route that is open on purpose."""

    async def __call__(self) -> None:
        """See the class."""


Permission = Requirement | Openness


def require(role: Role) -> Requirement:
    """The route needs a token of this role or a higher one."""
    return Requirement(role)


def public() -> Openness:
    """The route needs no token."""
    return Openness()


Viewer = Annotated[Principal, Depends(require(Role.VIEWER))]
Operator = Annotated[Principal, Depends(require(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(require(Role.ADMIN))]


def allow(principal: Principal, needed: Role, what: str) -> None:
    """Raise Problem (403) unless the principal has the role that `what` needs."""
    if not principal.role.allows(needed):
        raise Problem(
            403,
            ProblemCode.FORBIDDEN,
            f"{what} needs the role {needed.value}; the token {principal.name!r} has the role {principal.role.value}",
        )


def permission_of(route: BaseRoute) -> Permission | None:
    """What a route declares; None if it declares nothing, or more than one thing."""
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return None
    calls: Iterable[object] = (dependency.call for dependency in route.dependant.dependencies)
    declared = [call for call in calls if isinstance(call, Requirement | Openness)]
    return declared[0] if len(declared) == 1 else None


def check_permissions(routes: Sequence[BaseRoute]) -> None:
    """Raise UndeclaredRoute, naming every route that doesn't declare exactly one permission."""
    undeclared = [route for route in routes if permission_of(route) is None]
    if undeclared:
        named = ", ".join(str(getattr(route, "path", None) or route) for route in undeclared)
        raise UndeclaredRoute(f"these routes don't declare exactly one permission: {named}")


async def _authenticate(request: HTTPConnection) -> Principal:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthenticated("this needs a token: send the header 'Authorization: Bearer TOKEN'")
    services, source = services_of(request), source_of(request)
    judged = await services.access.judge(token.strip())
    if not isinstance(judged, Principal):
        services.door.refused(Action.SIGN_IN_REFUSED, source, judged)
        raise _unauthenticated("this token isn't valid: it is unknown here, or was revoked, or has expired")
    principal = msgspec.structs.replace(judged, source=source)
    await services.door.signed_in(principal.caller, principal.token_id, principal.role.value)
    request.state.principal = principal
    return principal


def _unauthenticated(detail: str) -> Problem:
    return Problem(401, ProblemCode.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})
