"""What the ledger of a dead agent holds, read from a copy: the agent finds its own as it left it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from seawall.agent.answers import unpack_outcome
from seawall.agent.ledger import LEDGER_FILE


def recorded_results(directory: Path) -> dict[str, str | None]:
    """The error code of every result that is recorded, None for a success, by command_id."""
    with TemporaryDirectory() as copy:
        for file in directory.glob(f"{LEDGER_FILE}*"):
            shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy) / LEDGER_FILE)) as connection:
            rows = connection.execute(
                "SELECT command_id, outcome FROM entries WHERE state = 'DONE'"
            ).fetchall()
    codes = {command_id: unpack_outcome(outcome).code for command_id, outcome in rows}
    return {command_id: code.value if code is not None else None for command_id, code in codes.items()}
