"""Secret arguments of commands: sealed when a command is accepted, opened when an attempt is sent, shown never.

They are kept as long as an attempt may need them, and no longer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from seawall.core.command import CommandState
from seawall.engine.records import CommandRecord
from seawall.operations.operation import Operation
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import hidden, secrets_of


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


def without_secrets(record: CommandRecord) -> dict[str, object] | None:
    """The arguments to keep in place of those with secrets, once no attempt can follow; None if they stay as they are.

    An UNKNOWN may be done over, whether its agent can still tell what it was or not.
    """
    if not record.state.final or record.state is CommandState.UNKNOWN:
        return None
    operation = OPERATIONS.get(record.operation)
    return hidden(operation, record.arguments) if secrets_of(operation) else None


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
