"""Bodies in and documents out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from seawall.controller.api.problems import Problem, ProblemCode

BODY_LIMIT_BYTES = 1024 * 1024

# So much more is read and thrown away, because a caller who is still sending doesn't see an answer.
_DISCARD_LIMIT_BYTES = 64 * 1024 * 1024
_BODY_SECONDS = 30.0

Body = TypeVar("Body")


async def read_json(request: Request, kind: type[Body], *, empty: bytes = b"") -> Body:
    """The body as what it should be; `empty` is what no body at all stands for.

    Raises Problem: 400 if it isn't JSON, 413 if it is too long, 422 if it is JSON of another kind.
    """
    content = await _read(request)
    try:
        return msgspec.json.decode(content or empty, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(
            422,
            ProblemCode.INVALID_REQUEST,
            f"the body doesn't fit: {error}; /api/v1/openapi.json says what does",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem(
            400, ProblemCode.INVALID_REQUEST, f"the body isn't JSON ({reason}); send a JSON object"
        ) from None


def document(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def body_schema(kind: type[msgspec.Struct]) -> dict[str, object]:
    """What OpenAPI says of a route that reads a body of this kind."""
    (_,), parts = msgspec.json.schema_components([kind], schema_hook=_anything, ref_template="{name}")
    schema = parts[kind.__name__]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _anything(_: type) -> dict[str, object]:
    return {"description": "any JSON value"}


async def _read(request: Request) -> bytes:
    content, size = bytearray(), 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= BODY_LIMIT_BYTES:
                    content += chunk
                elif size > _DISCARD_LIMIT_BYTES:
                    break
    except TimeoutError:
        detail = f"the body didn't arrive within {_BODY_SECONDS:g} s; try again"
        raise Problem(408, ProblemCode.REQUEST_TIMEOUT, detail, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        # Nobody reads this.
        raise Problem(400, ProblemCode.INVALID_REQUEST, "the request broke off") from None
    if size > BODY_LIMIT_BYTES:
        raise Problem(
            413,
            ProblemCode.TOO_LARGE,
            f"the body is longer than {BODY_LIMIT_BYTES} bytes; nothing was done",
            headers={"Connection": "close"},
        )
    return bytes(content)
