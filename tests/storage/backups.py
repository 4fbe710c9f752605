"""A controller's data directory, and backups of it as Seawall writes them or as somebody else would."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.storage.archive import Manifest
from seawall.storage.backup import make_backup
from seawall.storage.sqlite import SqliteStore
from tests.storage.backends import NOW, agent, command, join_token

MADE_AT = datetime(2030, 5, 17, 8, 30, tzinfo=UTC)
TOKEN = b"swt_very_secret\n"
Members = dict[str, bytes]


async def fill(data: Path) -> tuple[str, int]:
    store = await SqliteStore.open(data / "seawall.db", SystemClock())
    await store.add_join_token(join_token())
    await store.redeem("hash", NOW, agent())
    await store.accept(command("c-1"))
    over = command("c-2", state=CommandState.REJECTED, finished_at=NOW)
    await store.accept(over)
    identity = await store.controller_identity()
    await store.close()
    return identity


def back_up(data: Path, target: Path) -> Manifest:
    return make_backup(data, target, made_at=MADE_AT, version="1.2.3")


def members_of(backup: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(backup)) as tar:
        return {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar}


def sealed(members: Members, **changes: object) -> bytes:
    """A backup of these members as Seawall would write it, with a manifest that fits them but for the changes."""
    manifest = json.loads(members["manifest.json"])
    content = {name: each for name, each in members.items() if not name.startswith("manifest.")}
    manifest["members"] = {
        name: {"size_bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()}
        for name, each in content.items()
    }
    described = json.dumps(manifest | changes).encode()
    digest = f"{hashlib.sha256(described).hexdigest()}  manifest.json\n".encode()
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, each in {"manifest.json": described, "manifest.sha256": digest, **content}.items():
            header = tarfile.TarInfo(name)
            header.size, header.mode, header.mtime = len(each), 0o600, int(MADE_AT.timestamp())
            tar.addfile(header, io.BytesIO(each))
    return file.getvalue()
