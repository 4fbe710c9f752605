"""The pages about the audit log and the code say the same, and the program on them verifies what the code writes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from seawall.clock import SystemClock
from seawall.engine.audit import CONTROLLER, Action, AuditRecord, exported
from seawall.storage.audit_file import read_audit
from seawall.storage.sqlite import SqliteStore
from tests.docs.tables import REFERENCE, rows
from tests.storage.backends import NOW, command, later


def test_every_action_is_documented_and_no_other() -> None:
    assert [row[0] for row in rows("audit.md", "recorded action")] == [action.value for action in Action]


def test_every_field_of_an_entry_is_documented_in_its_order() -> None:
    assert [row[0] for row in rows("audit.md", "field of an entry")] == list(AuditRecord._fields)


def run(program: Path, lines: list[bytes]) -> subprocess.CompletedProcess[str]:
    export = program.with_name("audit.jsonl")
    export.write_bytes(b"".join(lines))
    called = (sys.executable, str(program), str(export))
    return subprocess.run(called, capture_output=True, text=True, check=False, timeout=60)


def test_the_program_of_the_reference_verifies_an_export_and_finds_what_was_changed(tmp_path: Path) -> None:
    text = re.search(r"```python\n(.*?)```", (REFERENCE / "audit.md").read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    program = tmp_path / "verify.py"
    program.write_text(text[1], encoding="utf-8")

    async def work() -> None:
        store = await SqliteStore.open(tmp_path / "seawall.db", SystemClock())
        for number in range(5):
            await store.accept(command(f"c-{number}", agent="zwölf", accepted_at=later(number)))
        await store.prune_audit(NOW, later(9), CONTROLLER)
        await store.close()

    asyncio.run(work())
    records = [record for some in read_audit(tmp_path / "seawall.db") for record in some]
    lines = [exported(record) for record in records]
    good = run(program, lines)
    assert good.stdout == f"whole up to {records[-1].position}:{records[-1].hash.hex()}\n", good.stderr
    changed = [*lines[:2], lines[2].replace(b"controller", b"contr0ller"), *lines[3:]]
    for forged in (changed, [*lines[:2], *lines[3:]], lines[1:]):
        assert run(program, forged).returncode == 1
