"""Join a controller: from a token that a person carried to an identity on disk.

The order matters. The CA certificate comes over a connection that nobody has vouched for, so nothing
secret is sent on it. Only when the certificate is the one whose fingerprint the token carries is a second
connection made, which trusts that certificate alone, and only there is the token shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from seawall.agent.identity import (
    IDENTITY_FILE,
    AgentIdentity,
    IdentityError,
    new_private_key,
    pinned_context,
    prepare_directory,
)
from seawall.agent.ledger_file import LedgerDamaged, set_aside
from seawall.agent.local_policy import FILE_NAME, READ_ONLY, LocalPolicy
from seawall.agent.local_policy_file import save_policy
from seawall.wire.join import (
    CONTROLLER_SERVER_NAME,
    JoinRequest,
    JoinResponse,
    JoinToken,
    parse_join_token,
)
from seawall.wire.secret import REDACTED

MAX_ANSWER_BYTES = 64 * 1024
_MAX_DETAIL_LENGTH = 300


class JoinError(Exception):
    """The host could not join. The message says what happened, with which controller, and what to do."""


async def join(
    controller_url: str,
    token_text: str,
    *,
    name: str,
    labels: dict[str, str],
    directory: Path,
    simulated: bool = False,
    version: str,
    timeout_seconds: float = 30.0,
    replace_existing: bool = False,
    policy: LocalPolicy | None = None,
) -> AgentIdentity:
    """Redeem a join token and save this host's new identity in `directory`.

    Everything that can be checked without the controller is checked first, because a token works only once.
    A host that has already joined is refused unless `replace_existing` says that its identity may go.
    `timeout_seconds` bounds the whole conversation. `policy` is what the controller may do here: unless it is given,
    the one that is there already stays, and where there is none the controller may only look. Raises `JoinError`.
    """
    if not timeout_seconds > 0:
        raise JoinError(f"the timeout must be more than 0 seconds, not {timeout_seconds}")
    url = parse_controller_url(controller_url)
    private_key = new_private_key()
    try:
        token = parse_join_token(token_text)
        request = JoinRequest(
            token=token.secret.reveal(),
            public_key=private_key.public_key().public_bytes_raw(),
            name=name,
            labels=labels,
            simulated=simulated,
            version=version,
        )
    except ValueError as error:
        raise JoinError(str(error)) from error
    _check_directory(directory, replace_existing)

    conversation = _Conversation(url)
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            # Closing each connection keeps the unverified one from ever being used for the second request.
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                # An answer is read up to a limit in bytes; a compressed one could unfold to any size.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            ) as http,
        ):
            ca_pem = await conversation.fetch_ca(http, token)
            response = await conversation.redeem(http, request, ca_pem)
    except TimeoutError as error:
        raise JoinError(conversation.timed_out(timeout_seconds)) from error
    except aiohttp.ClientError as error:
        raise JoinError(conversation.failed(error)) from error

    identity = AgentIdentity(
        agent_id=response.agent_id,
        name=response.name,
        controller_url=url,
        controller_id=response.controller_id,
        labels=labels,
        ca_pem=ca_pem,
        private_key=private_key,
    )
    try:
        set_aside(directory)
        if policy is not None or not (directory / FILE_NAME).exists():
            save_policy(directory, policy if policy is not None else READ_ONLY)
        identity.save(directory)
    except (IdentityError, LedgerDamaged, OSError) as error:
        raise JoinError(
            f"{error}. The token is used up: revoke '{response.name}' on the controller with "
            "'seawall agent revoke' and join with a new token"
        ) from error
    return identity


def parse_controller_url(text: str) -> str:
    """The controller's URL without a trailing slash; a bare `host:port` means https.

    Raises `JoinError` for anything but https, and for parts that don't belong into the URL.
    """
    example = "give it like https://controller.example:7701"
    text = text.strip()
    bare = "://" not in text
    if bare:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise JoinError(f"the controller's address isn't a URL ({error}); {example}") from error
    if parts.scheme != "https":
        raise JoinError(
            f"the controller's address must begin with https://, not {parts.scheme}://; {example}"
        )
    if parts.username is not None or parts.password is not None:
        raise JoinError(f"the controller's address must not contain a user or a password; {example}")
    if not parts.hostname or parts.query or parts.fragment or any(c.isspace() for c in text):
        raise JoinError(
            f"the controller's address isn't complete or has parts that don't belong there; {example}"
        )
    if bare and port is None:
        raise JoinError(f"the controller's address has no port; {example}")
    return text.rstrip("/")


class _Conversation:
    """The two requests of one join, and the words for what went wrong in which of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redeeming = False

    async def fetch_ca(self, http: aiohttp.ClientSession, token: JoinToken) -> str:
        """The controller's CA certificate as PEM, proved by the token's fingerprint."""
        unproved = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unproved.minimum_version = ssl.TLSVersion.TLSv1_2
        # What arrives here is public and proves itself by its fingerprint, which the token carries.
        unproved.check_hostname = False
        unproved.verify_mode = ssl.CERT_NONE
        async with http.get(
            f"{self._url}/ca.pem",
            ssl=unproved,
            server_hostname=CONTROLLER_SERVER_NAME,
            allow_redirects=False,
        ) as answer:
            if answer.status != 200:
                raise JoinError(
                    f"{self._url} answered {answer.status} when asked for its certificate, so it doesn't "
                    "look like "
                    "the address where a Seawall controller receives agents; check the host and the port "
                    "(7701 "
                    "unless told otherwise)"
                )
            content = await self._read(answer)
        der = _certificate_der(content)
        if der is None:
            raise JoinError(
                f"{self._url}/ca.pem isn't a certificate; check that this is the address where the "
                "controller "
                "receives agents"
            )
        if hashlib.sha256(der).hexdigest() != token.ca_fingerprint:
            raise JoinError(
                f"the certificate of {self._url} isn't the one the token names. Either the token comes from "
                "another "
                "controller, or someone may be in between. The token was not sent. Check the address, and "
                "make a "
                "new token on the controller itself"
            )
        # Written anew from the one certificate that was proved: others in the same file are never trusted.
        return ssl.DER_cert_to_PEM_cert(der)

    async def redeem(self, http: aiohttp.ClientSession, request: JoinRequest, ca_pem: str) -> JoinResponse:
        """Show the token to the proved controller and return its answer."""
        self._redeeming = True
        async with http.post(
            f"{self._url}/join",
            data=msgspec.json.encode(request),
            headers={"Content-Type": "application/json"},
            ssl=pinned_context(ca_pem),
            server_hostname=CONTROLLER_SERVER_NAME,
            allow_redirects=False,
        ) as answer:
            content = await self._read(answer)
            if answer.status not in (200, 201):
                raise JoinError(self._refused(answer.status, content, request.token))
        try:
            response = msgspec.json.decode(content, type=JoinResponse)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JoinError(
                f"{self._url} accepted this host, but its answer can't be read ({error}). The token is used "
                "up: "
                "check that the versions of controller and agent fit, revoke this host there, and join with "
                "a new token"
            ) from error
        if _certificate_der(response.ca_certificate.encode()) != ssl.PEM_cert_to_DER_cert(ca_pem):
            raise JoinError(
                f"{self._url} accepted this host, but answered with another certificate than the one the "
                "token names. "
                "Nothing was saved. Revoke this host on the controller, and join with a new token"
            )
        return response

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise JoinError(
                    f"the answer of {self._url} is longer than {MAX_ANSWER_BYTES} bytes, so it doesn't come "
                    "from a "
                    "Seawall controller; check the address"
                )
        return bytes(content)

    def _refused(self, status: int, content: bytes, secret: str) -> str:
        reason = _problem_detail(content).replace(secret, REDACTED)
        said = f" It said: {reason}." if reason else ""
        if status == 403:
            return (
                f"{self._url} refused the join token: it was already used, it has expired (10 minutes after "
                "it was "
                f"made), or it was withdrawn.{said} Make a new one on the controller with 'seawall token "
                "join'"
            )
        if status == 409:
            return (
                f"{self._url} refused this host: its name is taken.{said} Choose another one with --name, "
                "or revoke "
                "the old host there"
            )
        if status == 429 or status >= 500:
            return f"{self._url} can't take a new host now ({status}).{said} Try again in a minute"
        return f"{self._url} refused this host ({status}).{said} Correct that and join again"

    def failed(self, error: aiohttp.ClientError) -> str:
        """Say what a failed connection means. The kind of error decides, never its text."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            cause = error.certificate_error
            reason = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
            return (
                f"{self._url} couldn't prove that it is the controller the token names: {reason}. Someone may "
                "be in between, or a clock is wrong. The token was not sent. Check the address and the clocks "
                "of both machines"
            )
        if isinstance(error, aiohttp.ClientSSLError):
            return (
                f"{self._url} doesn't speak TLS, or not a version that we accept (1.2 or later). Nothing "
                "was sent. "
                "Check the port: agents join where the controller receives agents (7701 unless told "
                "otherwise)"
            )
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"the name in {self._url} can't be resolved: check its spelling and this host's DNS"
        if isinstance(error, aiohttp.ClientConnectorError):
            return (
                f"{self._url} can't be reached: {error.os_error.strerror or error.os_error}. Check that the "
                "controller runs, that it listens on this address for other machines, and that no firewall "
                "is in between"
            )
        if isinstance(error, aiohttp.InvalidURL):
            return f"{self._url} isn't a usable address; give it like https://controller.example:7701"
        return f"the conversation with {self._url} broke off ({type(error).__name__}). {self._try_again()}"

    def timed_out(self, timeout_seconds: float) -> str:
        return f"{self._url} did not answer within {timeout_seconds:g} seconds. {self._try_again()}"

    def _try_again(self) -> str:
        if not self._redeeming:
            return (
                "The token was not sent. Check the address, that the controller runs, and that no firewall "
                "is in "
                "between, then try again"
            )
        return (
            "It isn't known whether the token was used. Look at 'seawall agent list' on the controller: if "
            "this host "
            "is there, revoke it and join with a new token, otherwise try again"
        )


def _check_directory(directory: Path, replace_existing: bool) -> None:
    record = directory / IDENTITY_FILE
    try:
        prepare_directory(directory)
        joined = record.exists()
    except (IdentityError, OSError) as error:
        raise JoinError(f"{error}. The token was not used") from error
    if joined and not replace_existing:
        raise JoinError(
            f"this host has already joined a controller: there is {record}. The token was not used. To join "
            "anew, "
            "revoke the old identity on its controller and remove that file here, or choose another directory"
        )


def _certificate_der(pem: bytes) -> bytes | None:
    """The first certificate of a PEM text as DER, or None when there is none."""
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    except ValueError:
        return None


class _Problem(msgspec.Struct):
    detail: str = ""
    title: str = ""


def _problem_detail(content: bytes) -> str:
    """What a problem+json answer says, fit for a terminal; empty when it says nothing."""
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    text = "".join(c if c.isprintable() else " " for c in problem.detail or problem.title)
    return text[:_MAX_DETAIL_LENGTH].strip().rstrip(".")
