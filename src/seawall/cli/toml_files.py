"""Files that people write for a controller, read before it gets to see them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from seawall.cli.exits import CliProblem
from seawall.toml_document import InvalidToml

Content = TypeVar("Content")
Read = Callable[[str, str], Content]
"""Makes something of a name and a text. Raises InvalidToml."""


def text_of(file: Path) -> str:
    """What a file says. Raises CliProblem."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CliProblem(f"{file} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CliProblem(f"{file} isn't UTF-8 text; save it as UTF-8") from error


def understood(name: str, text: str, read: Read[Content]) -> Content:
    """What a text means. Raises CliProblem."""
    try:
        return read(name, text)
    except InvalidToml as error:
        raise CliProblem(str(error)) from error
