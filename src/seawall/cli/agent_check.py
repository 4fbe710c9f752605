"""Whether the agent on this machine, if there is one, has what it needs: its identity and the ledger that fits it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from seawall.agent.identity import IDENTITY_FILE, AgentIdentity, IdentityError
from seawall.agent.ledger_file import FORMAT, LEDGER_FILE
from seawall.agent.local_policy_file import PolicyError, load_policy
from seawall.cli.wording import safe
from seawall.storage.diagnosis import Finding, Verdict

CHECK = "agent"

_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_AWAY = f"move it away together with {LEDGER_FILE}-wal, and the controller marks what was under way here as unknown"


def agent_home(data: Path) -> Path | None:
    """Where the identity of this machine's agent lies: in or below a data directory; None if nowhere."""
    return next((each for each in (data, data / "agent") if (each / IDENTITY_FILE).exists()), None)


def diagnose_agent(directory: Path) -> Finding:
    """Read the identity, the policy and the ledger in a directory. An agent that runs isn't disturbed."""
    try:
        identity = AgentIdentity.load(directory)
    except IdentityError as error:
        return Finding(CHECK, Verdict.FAILED, "its identity can't be used", str(error))
    try:
        _ = load_policy(directory)
    except PolicyError as error:
        return Finding(CHECK, Verdict.FAILED, "its policy can't be used", str(error))
    name, path = safe(identity.name), directory / LEDGER_FILE
    if not path.exists():
        return Finding(CHECK, Verdict.OK, f"{name}, which has no ledger yet")
    try:
        owner, waiting = _read(path)
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in _IN_USE:
            return Finding(CHECK, Verdict.OK, f"{name}, which runs and has its ledger {path} open")
        return _unreadable(path, str(error))
    except _Damaged as error:
        return _unreadable(path, str(error))
    if owner != identity.agent_id:
        found = (
            f"its ledger {path} belongs to agent {safe(owner)}, and this host is agent {identity.agent_id}"
        )
        return Finding(CHECK, Verdict.FAILED, found, _AWAY)
    return Finding(CHECK, Verdict.OK, f"{name}, whose ledger has {waiting} commands")


class _Damaged(Exception):
    """The ledger isn't one, or not as this version reads it."""


def _unreadable(path: Path, reason: str) -> Finding:
    return Finding(
        CHECK,
        Verdict.FAILED,
        f"its ledger {path} can't be read ({safe(reason)})",
        f"run this as the user who runs the agent, with the same Seawall; if it is damaged, restore it or {_AWAY}",
    )


def _read(path: Path) -> tuple[str, int]:
    """Whose ledger it is, and how many commands are in it."""
    # With no log there is nothing to read but the file, and then nothing has to be put beside it.
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode=ro{alone}"
    with closing(sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)) as ledger:
        (version,) = ledger.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            raise _Damaged(f"its format is {version}, and this Seawall knows {FORMAT}")
        faults = [str(row[0]) for row in ledger.execute("PRAGMA quick_check(1)")]
        row = ledger.execute("SELECT agent_id FROM ledger").fetchone()
        (waiting,) = ledger.execute("SELECT count(*) FROM entries").fetchone()
    if faults != ["ok"] or row is None:
        raise _Damaged(faults[0] if row else "its first table is empty")
    return str(row[0]), waiting
