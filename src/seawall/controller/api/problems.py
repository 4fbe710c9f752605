"""What a caller is told when something isn't possible: problem+json (RFC 9457) with an `error_code`, always."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from seawall.controller.api.services import services_of
from seawall.controller.auth import LastAdminToken, Principal
from seawall.controller.passwords import UnfitPassword
from seawall.controller.users import UnfitName
from seawall.core.errors import CommandErrorCode
from seawall.engine.audit import Action
from seawall.engine.commands import InvalidRequest, NotUnknown, UnknownAgent, UnknownCommand, UnknownOperation
from seawall.engine.store import IdempotencyConflict, StoreFailed, StoreFull, UserNameTaken
from seawall.operations.operation import InvalidArguments

STORE_RETRY_AFTER_SECONDS = 5.0


class ProblemCode(Enum):
    """Why a request failed, where it never became a command; beside these there are the codes of commands."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNKNOWN_HOST = "unknown_host"
    INVALID_REQUEST = "invalid_request"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    TOO_LARGE = "too_large"
    CONFLICT = "conflict"
    BUSY = "busy"
    STORE_FAILED = "store_failed"
    STORE_FULL = "store_full"
    NOT_READY = "not_ready"


Code = ProblemCode | CommandErrorCode


class Problem(Exception):
    """The answer to a request that can't be met. `extra` goes into the document beside what every problem has."""

    def __init__(
        self,
        status: int,
        code: Code,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_seconds)))
            self.extra["retry_after_seconds"] = retry_after_seconds

    def response(self) -> Response:
        """As it is sent."""
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "error_code": self.code.value,
            **self.extra,
        }
        return Response(
            msgspec.json.encode(content), self.status, self.headers, media_type="application/problem+json"
        )


def unknown_host(name: str) -> Problem:
    """There is no such host."""
    detail = f"no host is named {name[:64]!r}; `seawall agent list` shows those that joined"
    return Problem(404, ProblemCode.UNKNOWN_HOST, detail)


def unknown_command(command_id: str) -> Problem:
    """There is no such command."""
    detail = f"there is no command {command_id[:64]!r}; `seawall command list` shows the latest"
    return Problem(404, ProblemCode.NOT_FOUND, detail)


_MEANING: dict[type[Exception], tuple[int, Code]] = {
    UnknownOperation: (422, CommandErrorCode.UNSUPPORTED_OPERATION),
    UnknownAgent: (404, ProblemCode.UNKNOWN_HOST),
    UnknownCommand: (404, ProblemCode.NOT_FOUND),
    NotUnknown: (409, ProblemCode.CONFLICT),
    InvalidArguments: (422, CommandErrorCode.INVALID_ARGUMENT),
    InvalidRequest: (422, ProblemCode.INVALID_REQUEST),
    IdempotencyConflict: (409, ProblemCode.IDEMPOTENCY_CONFLICT),
    LastAdminToken: (409, ProblemCode.CONFLICT),
    UserNameTaken: (409, ProblemCode.CONFLICT),
    UnfitName: (422, ProblemCode.INVALID_REQUEST),
    UnfitPassword: (422, ProblemCode.INVALID_REQUEST),
}


EXPECTED: tuple[type[Exception], ...] = (Problem, StoreFailed, StoreFull, *_MEANING)
"""What may be said of a request that is no defect."""


def problem_of(error: Exception) -> Problem:
    """What an exception means to a caller; one that nobody expected is a 500 that gives nothing away."""
    match error:
        case Problem():
            return error
        case StoreFailed():
            return Problem(
                503,
                ProblemCode.STORE_FAILED,
                "the controller can't read or write its database now, so nothing was changed by this request as far "
                "as it knows; its log says why. Try again, with the same Idempotency-Key if you gave one",
                retry_after_seconds=STORE_RETRY_AFTER_SECONDS,
            )
        case StoreFull():
            return Problem(
                503, ProblemCode.STORE_FULL, str(error), retry_after_seconds=STORE_RETRY_AFTER_SECONDS
            )
        case RequestValidationError():
            return _invalid_parameters(error)
        case HTTPException():
            return _of_http(error)
        case InvalidArguments():
            extra: dict[str, object] = {"problems": error.problems}
        case IdempotencyConflict():
            extra = {"command_id": error.command_id}
        case _:
            extra = {}
    status, code = _MEANING.get(type(error), (500, CommandErrorCode.UNKNOWN_ERROR))
    detail = "something that nobody foresaw; the controller's log has it" if status == 500 else str(error)
    return Problem(status, code, detail, extra=extra)


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    for kind in (*EXPECTED, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _handle)


def _invalid_parameters(error: RequestValidationError) -> Problem:
    said = []
    for each in error.errors():
        # What was given isn't repeated: it may be anything.
        where, name = str(each["loc"][0]), ".".join(map(str, each["loc"][1:]))
        said.append(f"{where} parameter {name!r}: {each['msg']}")
    return Problem(422, ProblemCode.INVALID_REQUEST, "; ".join(said), extra={"problems": said})


def _of_http(error: HTTPException) -> Problem:
    headers = error.headers
    if error.status_code == 404:
        detail = "there is nothing at this path; /api/v1/openapi.json lists what there is"
        return Problem(404, ProblemCode.NOT_FOUND, detail, headers=headers)
    if error.status_code == 405:
        allowed = (headers or {}).get("Allow", "another method")
        detail = f"this path doesn't know this method; use {allowed}"
        return Problem(405, ProblemCode.METHOD_NOT_ALLOWED, detail, headers=headers)
    return Problem(error.status_code, ProblemCode.INVALID_REQUEST, str(error.detail), headers=headers)


def note_denial(connection: HTTPConnection, problem: Problem) -> None:
    """Have it recorded if somebody wanted more than their role allows."""
    principal = getattr(connection.state, "principal", None)
    if problem.code is ProblemCode.FORBIDDEN and isinstance(principal, Principal):
        services_of(connection).door.refused(
            Action.ACCESS_DENIED,
            principal.source,
            problem.detail,
            actor=principal.caller.actor,
            subject=principal.token_id,
        )


async def _handle(connection: HTTPConnection, error: Exception) -> Response:
    problem = problem_of(error)
    note_denial(connection, problem)
    response = problem.response()
    if isinstance(connection, WebSocket):
        # Its upgrade is refused with the same document.
        await connection.send_denial_response(response)
    return response
