"""Secret arguments of commands: sealed when a command is accepted, opened when an attempt is sent, shown never."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from seawall.operations.operation import Operation
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import secrets_of


class SecretLost(Exception):
    """A sealed secret can't be opened any more. The message says whose, and what to do."""


class Vault(Protocol):
    """Seals texts with a key of its own. `bound_to` is what a text belongs to: it opens for nothing else."""

    def seal(self, text: str, bound_to: str) -> str:
        """A text that tells nothing of `text`."""

    def open(self, sealed: str, bound_to: str) -> str:
        """What was sealed; raises SecretLost."""

    def mark(self, text: str) -> str:
        """The same mark for the same text, and nothing by which the text could be guessed without the key."""


def sealed(
    operation: Operation, arguments: Mapping[str, object], command_id: str, vault: Vault
) -> dict[str, object]:
    """The arguments as they are kept."""
    secret = secrets_of(operation)
    return {
        name: vault.seal(_text(value), f"{command_id}/{name}") if name in secret else value
        for name, value in arguments.items()
    }


def opened(
    operation: str, arguments: Mapping[str, object], command_id: str, vault: Vault
) -> dict[str, object]:
    """The arguments as they are sent. Raises SecretLost."""
    secret = secrets_of(OPERATIONS.get(operation))
    return {
        name: json.loads(vault.open(str(value), f"{command_id}/{name}")) if name in secret else value
        for name, value in arguments.items()
    }


def marked(operation: Operation, arguments: Mapping[str, object], vault: Vault) -> dict[str, object]:
    """The arguments as they are compared: other secrets make other arguments."""
    secret = secrets_of(operation)
    return {name: vault.mark(_text(value)) if name in secret else value for name, value in arguments.items()}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
