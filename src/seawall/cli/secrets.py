"""Where secrets come from: a file, the environment or a prompt; never the command line, which everybody can read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from getpass import getpass
from pathlib import Path

from seawall.cli.exits import UsageProblem

_MOST_CHARACTERS = 1024 * 1024


def secret_text(environment: Mapping[str, str], name: str, file: str | None) -> str | None:
    """A secret argument's text without its last line end; None if nobody gives one.

    `file` names a file; `-` asks on a terminal, and reads stdin where there is none. Without it the variable
    SEAWALL_NAME counts. Raises UsageProblem.
    """
    if file is None:
        return environment.get(f"SEAWALL_{name.upper()}")
    if file == "-" and sys.stdin.isatty():
        return getpass(f"{name.replace('_', ' ')}: ")
    try:
        if file == "-":
            text = sys.stdin.read(_MOST_CHARACTERS)
        else:
            with Path(file).open(encoding="utf-8") as opened:
                text = opened.read(_MOST_CHARACTERS)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it isn't text"
        raise UsageProblem(f"the {name} can't be read from {file}: {reason}") from error
    if not text.strip():
        raise UsageProblem(f"there is no {name} in {'stdin' if file == '-' else file}: it is empty")
    return text.removesuffix("\n").removesuffix("\r")
