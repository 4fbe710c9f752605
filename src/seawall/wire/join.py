"""How a host joins: the join token, and the request and response that redeem it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec

from seawall.wire.secret import REDACTED, Secret

CONTROLLER_SERVER_NAME = "seawall-controller"
"""The name in every controller's certificate. Agents check it, whatever address they dialled."""

JOIN_TOKEN_PREFIX = "swj_"
API_TOKEN_PREFIX = "swt_"

_SECRET_BYTES = 32
_SECRET_LENGTH = 43  # 32 bytes in URL-safe base64 without padding
_FINGERPRINT_LENGTH = 64
JOIN_TOKEN_LENGTH = len(JOIN_TOKEN_PREFIX) + _SECRET_LENGTH + 1 + _FINGERPRINT_LENGTH

MAX_LABELS = 32
MAX_LABEL_KEY_LENGTH = 63
MAX_LABEL_VALUE_LENGTH = 255
MAX_VERSION_LENGTH = 64
PUBLIC_KEY_BYTES = 32

_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RESERVED_HOST_NAMES = frozenset({"all"})  # `--on all` means the whole fleet
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_NEW_TOKEN = "make a new one on the controller with 'seawall token join'"


class JoinToken(msgspec.Struct, frozen=True):
    """What an operator carries to a new host: the right to join once, and whom to trust while joining.

    `secret` is 32 random bytes in URL-safe base64 without padding. `ca_fingerprint` is the SHA-256 of the
    controller's CA certificate in DER, 64 lower-case hex digits. Raises `ValueError` when either is
    malformed.
    """

    secret: Secret
    ca_fingerprint: str

    def __post_init__(self) -> None:
        if not _is_join_secret(self.secret.reveal()):
            raise ValueError(f"the secret of a join token must be {_SECRET_BYTES} bytes in URL-safe base64")
        if not _FINGERPRINT.fullmatch(self.ca_fingerprint):
            raise ValueError("the CA fingerprint of a join token must be 64 lower-case hex digits")

    def encode(self) -> str:
        """The token as one word to copy. It contains the secret: show it once, store it nowhere."""
        return f"{JOIN_TOKEN_PREFIX}{self.secret.reveal()}.{self.ca_fingerprint}"


def parse_join_token(text: str) -> JoinToken:
    """Read a join token that a person pasted.

    Raises `ValueError` whose message says what is wrong with it and what to do, and never quotes it.
    """
    text = text.strip()
    if not text:
        raise ValueError(f"the join token is empty; {_NEW_TOKEN}")
    if text.startswith(API_TOKEN_PREFIX):
        raise ValueError(
            f"this is an API token ({API_TOKEN_PREFIX}...), not a join token ({JOIN_TOKEN_PREFIX}...); "
            f"keep it to yourself and {_NEW_TOKEN}"
        )
    if any(character.isspace() for character in text):
        raise ValueError("the join token has a space or a line break inside; copy it again in one piece")
    if not text.startswith(JOIN_TOKEN_PREFIX):
        raise ValueError(
            f"a join token starts with '{JOIN_TOKEN_PREFIX}' and this text doesn't: it is something else, or "
            f"its beginning was cut off in copying; copy it again, or {_NEW_TOKEN}"
        )
    if len(text) < JOIN_TOKEN_LENGTH:
        raise ValueError(
            f"the join token was cut off in copying: it has {len(text)} of {JOIN_TOKEN_LENGTH} characters; "
            "copy all of it again"
        )
    if len(text) > JOIN_TOKEN_LENGTH:
        raise ValueError(
            f"the join token is too long: it has {len(text)} characters instead of {JOIN_TOKEN_LENGTH}; "
            "copy only the token"
        )
    secret, _, fingerprint = text.removeprefix(JOIN_TOKEN_PREFIX).partition(".")
    try:
        return JoinToken(secret=Secret(secret), ca_fingerprint=fingerprint.lower())
    except ValueError as error:
        raise ValueError(
            f"the join token is damaged: some of its characters were changed; copy it again, or {_NEW_TOKEN}"
        ) from error


class JoinRequest(msgspec.Struct, frozen=True):
    """An agent redeems a join token. `token` is the token's secret alone, as text.

    `public_key` is a raw Ed25519 public key of 32 bytes. Making or decoding a malformed request fails
    (`ValueError`; `msgspec.ValidationError` from a decoder), so no handler can forget to check.
    `name` is kept in lower case: one host has one spelling.
    """

    token: str
    public_key: bytes
    name: str
    labels: dict[str, str] = {}
    simulated: bool = False
    version: str = ""

    def __post_init__(self) -> None:
        if not _is_join_secret(self.token):
            raise ValueError("the token of a join request isn't the secret of a join token")
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            raise ValueError(
                f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, this one has {len(self.public_key)}"
            )
        msgspec.structs.force_setattr(self, "name", validate_host_name(self.name))
        validate_labels(self.labels)
        if len(self.version) > MAX_VERSION_LENGTH or not self.version.isprintable():
            raise ValueError(f"a version has at most {MAX_VERSION_LENGTH} printable characters")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [
            (name, REDACTED if name == "token" else getattr(self, name)) for name in self.__struct_fields__
        ]


class JoinResponse(msgspec.Struct, frozen=True):
    """The controller accepted a host. `ca_certificate` is the CA certificate as PEM text."""

    agent_id: str
    name: str
    ca_certificate: str
    controller_id: str

    def __post_init__(self) -> None:
        for field, value in (("agent_id", self.agent_id), ("controller_id", self.controller_id)):
            if not 1 <= len(value) <= 128 or not value.isprintable() or " " in value:
                raise ValueError(f"{field} must have 1 to 128 printable characters and no space")
        msgspec.structs.force_setattr(self, "name", validate_host_name(self.name))


def validate_host_name(name: str) -> str:
    """Return the name of a host in lower case. Raises `ValueError` saying what a name may look like."""
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} can't be the name of a host: use 1 to 63 letters, digits, dots, dashes and "
            "underscores, beginning with a letter or a digit"
        )
    lowered = name.lower()
    if lowered in _RESERVED_HOST_NAMES:
        raise ValueError(f"{name!r} can't be the name of a host: it already means something in a selector")
    return lowered


def validate_labels(labels: Mapping[str, str]) -> None:
    """Raise `ValueError` unless the labels of a host are within their limits.

    At most 32 labels; keys of 1 to 63 and values of up to 255 printable characters; no '=' in a key,
    because a selector is written `key=value`.
    """
    if len(labels) > MAX_LABELS:
        raise ValueError(f"a host has at most {MAX_LABELS} labels, not {len(labels)}")
    for key, value in labels.items():
        if not 1 <= len(key) <= MAX_LABEL_KEY_LENGTH or not key.isprintable() or "=" in key:
            raise ValueError(
                f"{key[:80]!r} can't be the key of a label: use 1 to {MAX_LABEL_KEY_LENGTH} printable "
                "characters without '='"
            )
        if len(value) > MAX_LABEL_VALUE_LENGTH or not value.isprintable():
            raise ValueError(
                f"the value of the label {key!r} must have at most {MAX_LABEL_VALUE_LENGTH} printable "
                "characters"
            )


def _is_join_secret(text: str) -> bool:
    """Whether the text is exactly how we write 32 bytes; another spelling of the same bytes isn't."""
    if len(text) != _SECRET_LENGTH or not text.isascii():
        return False
    try:
        decoded = base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        return False
    return base64.urlsafe_b64encode(decoded).rstrip(b"=") == text.encode("ascii")
