"""From what came over HTTP to typed answers and errors."""

from __future__ import annotations

import ssl
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from seawall.client.errors import ClientError, Unreachable
from seawall.client.models import Command

Answer = TypeVar("Answer")

_LONGEST_DETAIL = 2_000


class _Problem(Struct):
    title: str = ""
    detail: str = ""
    error_code: str = ""
    command: msgspec.Raw = msgspec.Raw()


def decoded(answer: httpx.Response, kind: type[Answer]) -> Answer:
    """The answer's content. Raises ClientError if it isn't what was asked for."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClientError(
            answer.status_code,
            "invalid_response",
            f"the answer of {answer.request.url.copy_with(query=None)} can't be read ({error}); check that it is a "
            "Seawall controller, of a version near this one",
        ) from error


def problem_of(answer: httpx.Response) -> ClientError:
    """What an answer that isn't a success says, whoever wrote it."""
    status = answer.status_code
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = _Problem()
    detail = (problem.detail or problem.title)[:_LONGEST_DETAIL]
    if not detail:
        detail = (
            f"{answer.request.url.copy_with(query=None)} answered {status} {answer.reason_phrase}, and not as a "
            "Seawall controller does; check the URL, and any proxy in between"
        )
    return ClientError(
        status, problem.error_code or f"http_{status}", detail, _retry_after(answer), _record(problem)
    )


def _record(problem: _Problem) -> Command | None:
    try:
        return msgspec.json.decode(problem.command, type=Command | None) if problem.command else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The explanation counts even where the record is one of a later version.
        return None


def unreachable(url: str, error: httpx.TransportError, *, may_have_arrived: bool) -> Unreachable:
    """What a broken connection means. The kinds of the error and its causes decide, never its text."""
    cause = _system_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = (
            f"the controller at {url} couldn't prove who it is: {cause.verify_message}. Name its CA certificate with "
            "--ca or SEAWALL_CA, and dial a name that its certificate has"
        )
    elif isinstance(cause, ssl.SSLError):
        text = f"{url} doesn't speak TLS, or not a version that we accept (1.2 or later); check the URL"
    elif isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else "no connection"
        text = (
            f"no controller can be reached at {url} ({reason}). Start it with 'seawall up' or 'seawall controller', "
            "or say where it is with --url or SEAWALL_URL"
        )
    elif isinstance(error, httpx.TimeoutException):
        text = f"the controller at {url} doesn't answer. Look at its log, then try again"
    else:
        text = (
            f"the connection to the controller at {url} broke off. Look whether it still runs, then try again"
        )
    return Unreachable(text, may_have_arrived=may_have_arrived)


def _system_cause(error: BaseException) -> BaseException:
    """The innermost error: what the operating system or the TLS library said."""
    seen = error
    for _ in range(16):
        inner = seen.__cause__ or seen.__context__
        if isinstance(seen, BaseExceptionGroup):
            inner = seen.exceptions[0]
        if inner is None or isinstance(seen, ssl.SSLError):
            break
        seen = inner
    return seen


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
