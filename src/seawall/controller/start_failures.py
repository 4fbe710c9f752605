"""What may well go wrong when a controller starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seawall.controller.auth import AdminTokenError
from seawall.controller.authority import AuthorityError
from seawall.controller.gateway import ListenFailed
from seawall.controller.listener import ApiListenFailed
from seawall.controller.vault import VaultError
from seawall.engine.store import StoreFailed
from seawall.storage.directory import DataDirectoryError
from seawall.toml_document import InvalidToml


class StartFailed(Exception):
    """The controller can't start. The message says why, and what to do."""


@contextmanager
def start_failures() -> Iterator[None]:
    """Make of it a sentence, not a traceback."""
    try:
        yield
    except (
        *(AdminTokenError, ApiListenFailed, AuthorityError, DataDirectoryError, InvalidToml, ListenFailed),
        *(StoreFailed, VaultError),
    ) as error:
        raise StartFailed(str(error)) from error
