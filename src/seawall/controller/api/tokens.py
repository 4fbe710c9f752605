"""Tokens: those of people and programs for this API, and those by which hosts join."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from seawall.controller.api.bodies import body_schema, document, read_json
from seawall.controller.api.permissions import Admin
from seawall.controller.api.problems import Problem, ProblemCode
from seawall.controller.api.services import TheServices
from seawall.engine.records import TokenRecord
from seawall.operations.operation import Role

router = APIRouter(prefix="/api/v1", tags=["tokens"])


class TokenBody(Struct, forbid_unknown_fields=True):
    """The token to make. Without `expires_in_seconds` it is good until it is revoked."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Role
    expires_in_seconds: Annotated[float, Meta(gt=0, le=315_360_000)] | None = None


@router.get("/tokens")
async def list_tokens(_: Admin, services: TheServices) -> Response:
    """All tokens that aren't revoked, by name, without their secrets."""
    return document([_token_document(record) for record in await services.access.tokens()])


@router.post("/tokens", openapi_extra=body_schema(TokenBody))
async def create_token(principal: Admin, services: TheServices, request: Request) -> Response:
    """Make a token. This answer is the only one that holds its secret."""
    body = await read_json(request, TokenBody)
    if not body.name.isprintable() or not body.name.strip():
        raise Problem(422, ProblemCode.INVALID_REQUEST, "a token's name is made of printable characters")
    secret, record = await services.access.create(
        body.name.strip(), body.role, body.expires_in_seconds, principal.caller
    )
    return document({"token": secret.reveal(), **_token_document(record)}, 201)


@router.delete("/tokens/{token_id}")
async def revoke_token(principal: Admin, services: TheServices, token_id: str) -> Response:
    """End a token, at once. The last admin token stays."""
    if not await services.access.revoke(token_id, principal.caller):
        raise Problem(
            404,
            ProblemCode.NOT_FOUND,
            "there is no such live token; `seawall token list` shows them by token_id",
        )
    return Response(status_code=204)


@router.post("/join-tokens")
async def create_join_token(principal: Admin, services: TheServices) -> Response:
    """Let one more host join, within ten minutes. `command` is what to run on it."""
    token, expires_at = await services.invite(principal.name, principal.caller)
    encoded = token.encode()
    command = f"seawall agent join {services.agents_url} --token {encoded}"
    return document({"token": encoded, "expires_at": expires_at, "command": command}, 201)


def _token_document(record: TokenRecord) -> dict[str, object]:
    return {
        "token_id": record.token_id,
        "name": record.name,
        "role": record.role,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
    }
