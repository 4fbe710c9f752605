"""A whole plane in real processes, for the tests: `seawall up`, the CLI beside it, and the API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx

Found = TypeVar("Found")


class Ended(Exception):
    """A process ended that should have gone on; the message has its output."""


def until(what: str, find: Callable[[], Found | None], *, within_seconds: float = 30.0) -> Found:
    """What `find` finds, as soon as it does; real processes leave no choice but to look again."""
    last_moment = time.monotonic() + within_seconds
    while True:
        found = find()
        if found:
            return found
        if time.monotonic() > last_moment:
            raise AssertionError(f"{what}: not within {within_seconds:g} s")
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Plane:
    """`seawall up` in a directory of its own, with a home of its own, so that nothing else is touched."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.api_port, self.agents_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.api_port}"
        home = directory / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.environment = {**kept, "HOME": str(home), "SEAWALL_HEARTBEAT_SECONDS": "1", "COLUMNS": "200"}
        self.output = directory / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.others: dict[str, subprocess.Popen[bytes]] = {}

    def start_controller(self) -> None:
        """Start a controller alone, and return once it is ready."""
        addresses = ("--api", f"127.0.0.1:{self.api_port}", "--agents", f"127.0.0.1:{self.agents_port}")
        self._spawn("controller", "seawall", "controller", "--data", str(self.data), *addresses)
        until("the controller is ready", self._answers)

    def start_agent(
        self, docker: str, host: str = "local", images: Sequence[str] = ("*",), allow: Sequence[str] = ()
    ) -> None:
        """Start the agent of a host, which joins the first time; return once it is connected.

        Containers may be made there of `images` only; `allow` has more flags of the join.
        """
        name = "agent" if host == "local" else host
        directory = self.directory / name
        if not directory.exists():
            self.join(directory, host, images, allow)
        self._spawn(name, "seawall", "agent", "run", "--data", str(directory), "--docker", docker)
        self.until_connected(host)

    def join(
        self, directory: Path, host: str, images: Sequence[str] = ("*",), allow: Sequence[str] = ()
    ) -> str:
        """Let a host join that keeps its identity in this directory; the token that it used."""
        status, _, body = self.request("POST", "/api/v1/join-tokens", {})
        assert status in (200, 201), body
        token: str = json.loads(body)["token"]
        joined = self.cli(
            *("agent", "join", f"https://127.0.0.1:{self.agents_port}", "--name", host),
            *("--token", token, "--data", str(directory), "--allow", "manage"),
            *(word for image in images for word in ("--allow-image", image)),
            *allow,
        )
        assert joined.returncode == 0, joined.stderr
        return token

    def start_simulated(self, host: str) -> None:
        """Let a simulated host join, and return once it is connected."""
        hosts = self.directory / "hosts"
        self.join(hosts / host, host)
        self._spawn(host, "seawall", "agent", "simulate", "--data", str(hosts), host)
        self.until_connected(host)

    def run_agent(self, host: str, module: str, directory: Path) -> None:
        """Start another program than `seawall` as the agent of a host that has joined."""
        self._spawn(host, module, str(directory))
        self.until_connected(host)

    def until_connected(self, host: str) -> None:
        """Wait for a host."""
        until("the agent is connected", lambda: self.host(host)["state"] == "connected")

    def host(self, name: str) -> dict[str, object]:
        """A host as the API shows it."""
        _, _, body = self.request("GET", f"/api/v1/agents/{name}")
        found: dict[str, object] = json.loads(body)
        return found

    def kill(self, name: str) -> None:
        """End the controller or the agent as a power cut would."""
        process = self.others.pop(name)
        process.kill()
        process.wait()

    def up(self, *flags: str) -> None:
        """Start, and return once it says `ready`."""
        self.launch(*flags)
        until("ready", lambda: self._ready(), within_seconds=60)

    def launch(self, *flags: str) -> None:
        """Start without waiting."""
        addresses = ("--api", f"127.0.0.1:{self.api_port}", "--agents", f"127.0.0.1:{self.agents_port}")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "seawall", "up", "--data", str(self.data), *addresses, *flags],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def printed(self) -> str:
        """What it has printed so far, logs included."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def children(self) -> dict[str, int]:
        """The process ids of the controller and of the agent, by these names."""
        if self.process is None:
            return {}
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    command = (entry / "cmdline").read_bytes().split(b"\0")
                    found["controller" if b"controller" in command else "agent"] = int(entry.name)
        return found

    def stop(self) -> int:
        """Ctrl-C, and the exit code of `up`."""
        for process in self.others.values():
            process.terminate()
        for process in self.others.values():
            process.wait(timeout=30)
        self.others.clear()
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        finally:
            self.process = None

    def cli(self, *words: str, timeout_seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run `seawall` with these words, as a second terminal would."""
        return subprocess.run(
            [sys.executable, "-m", "seawall", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def record(self, *words: str, timeout_seconds: float = 60.0) -> dict[str, object]:
        """The record that `seawall ... --json` prints."""
        answer = self.cli(*words, "--json", timeout_seconds=timeout_seconds)
        try:
            found: dict[str, object] = json.loads(answer.stdout)
        except ValueError:
            raise AssertionError(
                f"{words}: exit {answer.returncode}, {answer.stdout!r}, {answer.stderr!r}"
            ) from None
        return found

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request to the API with the admin token: status, headers, body."""
        token = (self.data / "admin.token").read_text().strip()
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        answer = httpx.request(method, self.url + path, json=body, headers=sent, timeout=60)
        return answer.status_code, dict(answer.headers), answer.content

    def circuit(self, host: str, domain: str) -> dict[str, object]:
        """One circuit as the API shows it."""
        status, _, body = self.request("GET", f"/api/v1/circuits/{host}/{domain}")
        assert status == 200, body
        found: dict[str, object] = json.loads(body)
        return found

    def _spawn(self, name: str, module: str, *words: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as output:
            self.others[name] = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz").status_code == 200
        return False

    def _ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise Ended(self.printed())
        return any(line.strip() == "ready" for line in self.printed().splitlines())


@contextlib.contextmanager
def plane_in(directory: Path) -> Iterator[Plane]:
    """A plane that is stopped at the end, however the test ends."""
    plane = Plane(directory)
    try:
        yield plane
    finally:
        plane.stop()
