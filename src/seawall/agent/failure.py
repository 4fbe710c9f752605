"""What went wrong between the agent and the Docker Engine: decided here, by HTTP status and errno alone."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping

import aiodocker
import aiohttp
from msgspec import Struct

from seawall.core.errors import Circumstance, CommandErrorCode

_BAD_GATEWAY, _GATEWAY_TIMEOUT = 502, 504
_SERVER_ERROR = 500
_CONFLICT, _NOT_FOUND = 409, 404
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_FIRST_ERROR, _LAST_ERROR = 400, 599
_LONGEST_QUOTE = 500


class DockerFailure(Exception):
    """A call to the Docker Engine did not succeed. The message says what happened, to what, and what to do.

    `status` is the HTTP status if there was an answer.
    """

    def __init__(
        self,
        code: CommandErrorCode,
        circumstance: Circumstance,
        message: str,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.circumstance = circumstance
        self.message = message
        self.status = status


class Request(Struct, frozen=True):
    """What the Engine was asked, for the words and the verdict of a failure.

    `purpose` reads after "to", as in "start container web"; `noun` and `name` say what is meant, if anything is: a
    "container" and its name. With a `registry` the Engine has to ask that one: whatever it can't say more exactly than
    by a 5xx is that registry's failure.
    """

    address: str
    purpose: str
    changes: bool = False
    noun: str | None = None
    name: str | None = None
    registry: str | None = None

    def silent(self, seconds: float) -> DockerFailure:
        """The Engine did not answer in time."""
        if self.registry is not None:
            return DockerFailure(
                CommandErrorCode.TIMEOUT,
                Circumstance.REGISTRY_UNREACHABLE,
                f"the Docker Engine said nothing for {seconds:g} s when asked to {self.purpose}: it waits for the "
                f"registry {self.registry}. Look whether this host reaches that registry",
            )
        return DockerFailure(
            CommandErrorCode.TIMEOUT,
            Circumstance.DOCKER_SILENT,
            f"the Docker Engine did not answer within {seconds:g} s when asked to {self.purpose}. {self._doubt()}",
        )

    def failed(self, error: Exception) -> DockerFailure:
        """Whatever an aiodocker call raised."""
        if isinstance(error, aiodocker.DockerError):
            # aiodocker gives every connection's end the same made-up status; what happened is the error's context.
            cause = error.__context__
            if isinstance(cause, aiohttp.ClientConnectionError):
                return self._connection_failed(cause)
            return self._answered(error.status, error.message)
        if isinstance(error, aiohttp.ClientError | OSError | EOFError):
            return self._connection_failed(error)
        return DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.DOCKER_FAILED,
            f"what answered at {self.address} when asked to {self.purpose} doesn't speak as the Docker Engine does "
            f"({type(error).__name__}). {self._doubt()}",
        )

    def told(self, detail: Mapping[str, object], text: object) -> DockerFailure:
        """An error that the Engine tells in the middle of an answer: `detail` is its errorDetail."""
        status, words = detail.get("code"), detail.get("message", text)
        known = isinstance(status, int) and _FIRST_ERROR <= status <= _LAST_ERROR
        return self._answered(status if known and isinstance(status, int) else _SERVER_ERROR, str(words))

    def _connection_failed(self, error: Exception) -> DockerFailure:
        if not isinstance(error, aiohttp.ClientConnectorError):
            return DockerFailure(
                CommandErrorCode.DOCKER_ERROR,
                Circumstance.DOCKER_FAILED,
                f"the connection to the Docker Engine broke ({type(error).__name__}) when it was asked to "
                f"{self.purpose}. {self._doubt()}",
            )
        reason = error.os_error.strerror or str(error.os_error)
        if error.os_error.errno in (errno.EACCES, errno.EPERM):
            return DockerFailure(
                CommandErrorCode.PERMISSION_DENIED,
                Circumstance.NONE,
                f"the agent's user may not use the Docker Engine at {self.address} ({reason}), so it could not "
                f"{self.purpose}. Nothing was done. Add that user to the group that owns the socket, then restart "
                "the agent",
            )
        return DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.DOCKER_UNREACHABLE,
            f"no Docker Engine can be reached at {self.address} ({reason}), so the agent could not {self.purpose}. "
            "Nothing was done. Start Docker on this host, or tell the agent where it is with --docker",
        )

    def _answered(self, status: int, text: str) -> DockerFailure:
        if self.registry is not None and status >= _SERVER_ERROR:
            return DockerFailure(
                CommandErrorCode.DOCKER_ERROR,
                Circumstance.REGISTRY_UNREACHABLE,
                f"Docker answered {status} when asked to {self.purpose}: {_quote(text)}. Nothing was changed. Look "
                f"whether this host reaches the registry {self.registry}, then try again",
                status,
            )
        about_this = status < _SERVER_ERROR or (
            self.changes and not _BAD_GATEWAY <= status <= _GATEWAY_TIMEOUT
        )
        circumstance = Circumstance.DOCKER_FAILED
        if about_this:
            refused = status < _SERVER_ERROR
            circumstance = Circumstance.DOCKER_REFUSED if refused else Circumstance.DOCKER_ERRED
        said = f"Docker answered {status} when asked to {self.purpose}: {_quote(text)}"
        return DockerFailure(
            CommandErrorCode.DOCKER_ERROR,
            circumstance,
            f"{said}. {self._advice(status) if about_this else self._doubt()}",
            status,
        )

    def _advice(self, status: int) -> str:
        if self.registry is not None and status in (_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND):
            return f"Check the image's name, and the credentials for the registry {self.registry}"
        if status == _NOT_FOUND and self.noun is not None:
            return f"Look for the right name with 'seawall {self.noun} list'"
        if status == _CONFLICT and self.noun is not None:
            return f"Look at its state with 'seawall {self.noun} inspect {self.name}'"
        if status >= _SERVER_ERROR:
            return "Correct what it names on the host, then try again"
        return "Correct what it names, then try again"

    def _doubt(self) -> str:
        if not self.changes:
            return "Try again; if it stays so, look at Docker on this host"
        if self.noun is None:
            return "It may have been done all the same: look before you repeat it"
        return (
            "It may have been done all the same: look with "
            f"'seawall {self.noun} inspect {self.name}' before you repeat it"
        )


def _quote(text: str) -> str:
    """Docker's own words, on one line and not too many of them."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict) and isinstance(content.get("message"), str):
        text = content["message"]
    words = " ".join(text.split())
    return (words[:_LONGEST_QUOTE] + " ..." if len(words) > _LONGEST_QUOTE else words).rstrip(".")
