"""Registries of the tests' own: Debian's docker-registry, in the network of the tests' Docker Engine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.engine import Engine
from tests.system.packages import SYSTEM_PATH, find_or_install

USER = "seawall"
PASSWORD = "correct horse"
_HASH = "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"  # bcrypt of it

_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", headers: {{X-Content-Type-Options: [nosniff]}}}}
"""
_GUARD = 'auth: {{htpasswd: {{realm: tests, path: "{directory}/users"}}}}\n'


@contextmanager
def registry(engine: Engine, port: int, *, guarded: bool = False) -> Iterator[str]:
    """A registry at this port of dockerd's network; its address. Raises NotInstallable."""
    program = find_or_install("docker-registry", "docker-registry")
    directory = Path(tempfile.mkdtemp(prefix="seawall-registry-"))
    try:
        text = _CONFIG.format(directory=directory, port=port)
        if guarded:
            (directory / "users").write_text(f"{USER}:{_HASH}\n", encoding="utf-8")
            text += _GUARD.format(directory=directory)
        config = directory / "config.yml"
        config.write_text(text, encoding="utf-8")
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                engine.in_its_network(str(program), "serve", str(config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": SYSTEM_PATH, "OTEL_TRACES_EXPORTER": "none"},
                start_new_session=True,
            )
        try:
            _wait_until_ready(engine, port, process, directory / "log")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_ready(engine: Engine, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 20.0
    probe = engine.busybox_in_its_network("nc", "-w", "1", "127.0.0.1", str(port))
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if (
            subprocess.run(
                probe, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=5
            ).returncode
            == 0
        ):
            return
        time.sleep(0.05)  # another process gets ready, and tells nobody when
    text = log.read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"docker-registry was not ready at port {port}: {text[-600:]}")
