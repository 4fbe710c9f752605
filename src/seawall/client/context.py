"""Which controller is meant, and how to speak to it: a flag wins over the environment, that over the saved context."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from seawall.client.errors import ContextError
from seawall.files import write_whole
from seawall.wire.secret import Secret

URL_VARIABLE = "SEAWALL_URL"
TOKEN_VARIABLE = "SEAWALL_TOKEN"  # noqa: S105  # a variable's name, not a token
CA_VARIABLE = "SEAWALL_CA"
CONTEXT_FILE = "context.json"

_MAX_FILE_BYTES = 64 * 1024


class Context(Struct, omit_defaults=True):
    """What is saved between calls. The token itself stays in the file that `token_file` names."""

    url: str
    token_file: str | None = None
    ca_file: str | None = None


class Connection(Struct, frozen=True):
    """Everything that a `Client` needs. `ca_file` is the only CA that is trusted; None means the system's."""

    url: str
    token: Secret | None = None
    ca_file: Path | None = None


def context_path(environment: Mapping[str, str]) -> Path:
    """Where the context lies."""
    return _base(environment, "XDG_CONFIG_HOME", ".config") / "seawall" / CONTEXT_FILE


def data_path(environment: Mapping[str, str]) -> Path:
    """The data directory unless told otherwise."""
    given = environment.get("SEAWALL_DATA")
    return Path(given) if given else _base(environment, "XDG_DATA_HOME", ".local/share") / "seawall"


def save_context(context: Context, path: Path) -> None:
    """Put the context in place, whole, for its owner's eyes only. Raises ContextError."""
    content = msgspec.json.format(msgspec.json.encode(context), indent=2) + b"\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        write_whole(path, content)
    except OSError as error:
        raise ContextError(
            f"the context can't be saved to {path}: {error.strerror or error}; give this user the right to write "
            f"there, or set XDG_CONFIG_HOME"
        ) from error


def load_context(path: Path) -> Context | None:
    """The saved context, or None if there is none. Raises ContextError for one that can't be read."""
    content = _read(path, "the context")
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Context)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContextError(
            f"the context {path} is damaged ({error}); remove it and run 'seawall up' again, or set {URL_VARIABLE} "
            f"and {TOKEN_VARIABLE}"
        ) from error


def resolve(
    environment: Mapping[str, str],
    *,
    url: str | None = None,
    token_file: str | None = None,
    ca_file: str | None = None,
) -> Connection:
    """The connection that flags (the arguments), environment and context come to. Raises ContextError.

    The saved token is only ever shown to the controller that it was saved for.
    """
    path = context_path(environment)
    asked = url or environment.get(URL_VARIABLE)
    try:
        saved = load_context(path)
    except ContextError:
        if not (asked and (token_file or environment.get(TOKEN_VARIABLE))):
            raise
        saved = None
    found = asked or (saved.url if saved is not None else None)
    if found is None:
        raise ContextError(
            f"no controller is known here: there is no {path}. Start one with 'seawall up', or name one with --url "
            f"or {URL_VARIABLE}"
        )
    found = checked_url(found)
    if saved is not None and saved.url.rstrip("/") != found:
        saved = None
    token = _token(environment, token_file, saved)
    given_ca = ca_file or environment.get(CA_VARIABLE) or (saved.ca_file if saved is not None else None)
    needs_ca = given_ca is not None and found.startswith("https:")
    return Connection(found, token, Path(given_ca) if needs_ca and given_ca is not None else None)


def checked_url(text: str) -> str:
    """The API's URL without a trailing slash. Raises ContextError for one that can't be meant or isn't safe."""
    example = "give it like http://127.0.0.1:7700 or https://controller.example:7700"
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ContextError(f"the controller's URL can't be read ({error}); {example}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ContextError(f"the controller's URL needs http:// or https:// and a host; {example}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ContextError(f"the controller's URL has parts that don't belong there; {example}")
    if parts.scheme == "http" and not is_loopback(host):
        raise ContextError(
            f"http:// to {host} would show the token to the network; only loopback goes without TLS: use https://"
        )
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine for sure."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trust(ca_file: Path | None) -> ssl.SSLContext | bool:
    """What httpx is to trust: just this CA, or True for those of the system. Raises ContextError."""
    if ca_file is None:
        return True
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise ContextError(
            f"the CA certificate {ca_file} can't be used: {error.strerror or error}; name the controller's ca.pem "
            "with --ca or SEAWALL_CA"
        ) from error
    return context


def read_token_file(path: Path) -> Secret:
    """The token in a file. Raises ContextError."""
    content = _read(path, "the token file")
    if content is None:
        raise ContextError(
            f"the token file {path} doesn't exist: start the controller, which writes it, or name another one with "
            f"--token-file or give {TOKEN_VARIABLE}"
        )
    return _secret(content.decode("utf-8", "replace"), str(path))


def _token(environment: Mapping[str, str], token_file: str | None, saved: Context | None) -> Secret | None:
    if token_file is not None:
        return read_token_file(Path(token_file))
    given = environment.get(TOKEN_VARIABLE)
    if given:
        return _secret(given, TOKEN_VARIABLE)
    if saved is not None and saved.token_file is not None:
        return read_token_file(Path(saved.token_file))
    return None


def _secret(text: str, origin: str) -> Secret:
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ContextError(f"{origin} doesn't hold a token: one word that begins with 'swt_'")
    return Secret(text)


def _read(path: Path, what: str) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ContextError(
            f"{what} {path} can't be read: {error.strerror or error}; run this as the user who owns it"
        ) from error


def _base(environment: Mapping[str, str], variable: str, default: str) -> Path:
    given = environment.get(variable, "")
    # The XDG rules: a relative path is invalid and is ignored.
    return (
        Path(given) if given.startswith("/") else Path(environment.get("HOME") or "~").expanduser() / default
    )
