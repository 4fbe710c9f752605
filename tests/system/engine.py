"""A Docker Engine of the tests' own: started in a temporary folder, without network, and ended without a trace.

What it needs is found or installed by `tests.system.programs.prepare`. The Engine is spoken to through its HTTP API
only, so that whatever is named `docker` on the PATH doesn't matter.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.system.packages import SYSTEM_PATH
from tests.system.processes import family_of, living_processes, mounts_below
from tests.system.programs import EngineUnavailable, Programs

IMAGE = "busybox:latest"

_APPLETS = ("cat", "echo", "env", "false", "id", "kill", "ls", "nc", "printf", "seq", "sh", "sleep", "true")
_LONGEST_SOCKET_PATH = 107
_LONGEST_STOP_SECONDS = 10.0
_DATA_SIZE = "2g"
_WATCHDOG = """
read -r line || kill -TERM "$0"
kill -CONT "$0"
left=50
while kill -0 "$0" && [ $((left -= 1)) -gt 0 ]; do sleep 0.1; done
umount --lazy "$1"
"""


@dataclass(frozen=True)
class Answer:
    """The Engine's answer to one request."""

    status: int
    body: bytes

    def json(self) -> object:
        """The decoded body, None for an empty one."""
        return json.loads(self.body) if self.body else None


class Engine:
    """One dockerd, its folder, and what tests do to both."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._paused = False
        # A socket's path has to be short, which a test's own temporary folder is not.
        parent = tempfile.gettempdir()
        if len(parent) > _LONGEST_SOCKET_PATH // 2:
            parent = "/tmp"  # noqa: S108 - mkdtemp makes a folder of its own in it, open to root only
        self.directory = Path(tempfile.mkdtemp(prefix="seawall-", dir=parent))
        self.socket_path = str(self.directory / "docker.sock")
        self.host = f"unix://{self.socket_path}"
        self.log_path = self.directory / "dockerd.log"
        self._data = self.directory / "data"

    # Life and death

    @property
    def running(self) -> bool:
        """Whether dockerd lives, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_seconds: float = 40.0) -> None:
        """Start dockerd and return once it answers and holds the image.

        After `kill` it finds containers that still run, and deals with them as a real dockerd does.
        """
        if self.running:
            return
        self._forget_the_dead()
        self._keep_in_memory()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command_line(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": SYSTEM_PATH},
                # Ctrl-C in the terminal ends the tests first, and they end the engine.
                start_new_session=True,
            )
        self._paused = False
        self._watch(self._process.pid)
        self._wait_until_ready(timeout_seconds)
        if self.request("GET", f"/images/{quote(IMAGE)}/json").status != http.HTTPStatus.OK:
            self._import_image()

    def stop(self) -> None:
        """End everything of ours: containers, dockerd, containerd, mounts, and the folder."""
        self.resume()
        if self.running:
            # A daemon that doesn't answer any more is ended all the same.
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.remove_all_containers()
        self._terminate(grace_seconds=15.0)
        self._end_leftovers()
        shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self) -> None:
        """End dockerd as a service manager does, then start it: containers are stopped, and kept."""
        self.resume()
        self._terminate(grace_seconds=20.0)
        self.start()

    def kill(self) -> None:
        """SIGKILL: dockerd is gone at once; its containers live on, unattended, until the next start."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(timeout=10)
        self._unwatch()
        self._paused = False

    def pause(self) -> None:
        """SIGSTOP: dockerd accepts connections (the kernel does) and says nothing; returns when all of it stands."""
        self._signal(signal.SIGSTOP)
        self._paused = True
        if self._process is None:
            return
        asked, end = os.WSTOPPED | os.WNOWAIT | os.WNOHANG, time.monotonic() + _LONGEST_STOP_SECONDS
        # The kernel stops one thread after the other, and the last of them may still answer.
        while os.waitid(os.P_PID, self._process.pid, asked) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"dockerd did not stop within {_LONGEST_STOP_SECONDS:g} s")
            time.sleep(0.005)  # the kernel tells nobody when

    def resume(self) -> None:
        """SIGCONT: dockerd goes on where it was."""
        if self._paused:
            self._signal(signal.SIGCONT)
            self._paused = False

    def ensure_running(self) -> None:
        """Undo what an earlier test did: resumed, started, and with nothing in it but the image."""
        self.resume()
        self.start()
        self.remove_all_containers()
        for noun in ("networks", "volumes"):
            self._expect(self.request("POST", f"/{noun}/prune"), f"remove the {noun}")
        self._remove_other_images()

    # What tests ask of it

    def request(self, method: str, path: str, body: object = None, timeout_seconds: float = 30.0) -> Answer:
        """One request to the Engine's HTTP API. Bytes are sent as a tar archive, anything else as JSON."""
        connection = _UnixConnection(self.socket_path, timeout_seconds)
        headers: dict[str, str] = {}
        payload: bytes | None = None
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/x-tar"
            payload = body
        elif body is not None:
            headers["Content-Type"] = "application/json"
            payload = json.dumps(body).encode()
        try:
            connection.request(method, path, body=payload, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def in_its_network(self, *command: str) -> list[str]:
        """The command line that runs a command where dockerd lives: it has a network of its own."""
        if self._process is None:
            raise RuntimeError("the engine isn't running")
        nsenter = self._programs.unshare.with_name("nsenter")
        return [str(nsenter), f"--net=/proc/{self._process.pid}/ns/net", "--", *command]

    def busybox_in_its_network(self, *applet: str) -> list[str]:
        """The same for an applet of busybox."""
        return self.in_its_network(str(self._programs.busybox), *applet)

    def raise_loopback(self) -> None:
        """Have 127.0.0.1 in dockerd's network, which begins without."""
        command = self.busybox_in_its_network("ifconfig", "lo", "up")
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def run_container(
        self,
        name: str,
        command: Sequence[str] = ("sleep", "600"),
        labels: dict[str, str] | None = None,
        *,
        tty: bool = False,
    ) -> str:
        """Create and start a container of the test image; its id."""
        container_id = self.create_container(name, command, labels, tty=tty)
        self._expect(self.request("POST", f"/containers/{container_id}/start"), f"start {name}")
        return container_id

    def create_container(
        self,
        name: str,
        command: Sequence[str] = ("sleep", "600"),
        labels: dict[str, str] | None = None,
        *,
        tty: bool = False,
    ) -> str:
        """Create a container of the test image without starting it; its id."""
        body = {
            "Image": IMAGE,
            "Cmd": list(command),
            "Labels": labels or {},
            "Tty": tty,
            # As process 1, `sleep` ignores SIGTERM; nobody wants to wait ten seconds for that.
            "StopTimeout": 1,
            "HostConfig": {"NetworkMode": "none"},
        }
        answer = self.request("POST", f"/containers/create?{urlencode({'name': name})}", body)
        self._expect(answer, f"create {name}")
        return str(json.loads(answer.body)["Id"])

    def inspect_container(self, name: str) -> dict[str, object]:
        """Docker's own record of a container, by name or id."""
        answer = self.request("GET", f"/containers/{quote(name)}/json")
        self._expect(answer, f"inspect {name}")
        record: dict[str, object] = json.loads(answer.body)
        return record

    def remove_container(self, name: str) -> None:
        """Kill and remove a container, by name or id; one that is gone already is fine."""
        answer = self.request("DELETE", f"/containers/{quote(name)}?force=1&v=1")
        # 409: it is removing itself.
        if answer.status not in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT):
            self._expect(answer, f"remove {name}")

    def remove_all_containers(self) -> None:
        """Kill and remove every container."""
        answer = self.request("GET", "/containers/json?all=1")
        self._expect(answer, "list containers")
        for container in json.loads(answer.body):
            self.remove_container(container["Id"])

    def _remove_other_images(self) -> None:
        answer = self.request("GET", "/images/json")
        self._expect(answer, "list images")
        for image in json.loads(answer.body):
            tags = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
            for name in [tag for tag in tags if tag != IMAGE] or ([] if tags else [image["Id"]]):
                removed = self.request("DELETE", f"/images/{quote(name, safe='')}?force=1")
                if removed.status != http.HTTPStatus.NOT_FOUND:  # gone with another
                    self._expect(removed, f"remove image {name}")

    def log_tail(self, characters: int = 600) -> str:
        """The end of dockerd's log."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        return text[-characters:].strip()

    # How

    def _watch(self, process_id: int) -> None:
        """End dockerd with us, should we be killed: a shell notices that nobody holds the other end of its input."""
        self._unwatch()
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, str(process_id), str(self._data)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _unwatch(self) -> None:
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None

    def _command_line(self) -> list[str]:
        return [
            # In a network of its own: with --bridge=none dockerd removes docker0 wherever it finds one.
            *(str(self._programs.unshare), "--net", "--"),
            str(self._programs.dockerd),
            *("--data-root", str(self._data)),
            *("--exec-root", str(self.directory / "exec")),
            *("-H", self.host),
            *("-p", str(self.directory / "pid")),
            "--bridge=none",
            "--iptables=false",
        ]

    def _wait_until_ready(self, timeout_seconds: float) -> None:
        end = time.monotonic() + timeout_seconds
        while time.monotonic() < end:
            if not self.running:
                raise EngineUnavailable(f"dockerd ended at once. The end of its log: {self.log_tail()}")
            try:
                if self.request("GET", "/_ping", timeout_seconds=2.0).status == http.HTTPStatus.OK:
                    return
            except OSError:
                pass
            # Another process gets ready, and tells nobody when.
            time.sleep(0.05)
        self._terminate(grace_seconds=2.0)
        raise EngineUnavailable(
            f"dockerd was not ready in {timeout_seconds:g} s. The end of its log: {self.log_tail()}"
        )

    def _import_image(self) -> None:
        name, _, tag = IMAGE.partition(":")
        query = urlencode({"fromSrc": "-", "repo": name, "tag": tag, "changes": 'CMD ["sh"]'})
        answer = self.request("POST", f"/images/create?{query}", self._image_archive())
        self._expect(answer, f"import {IMAGE}")
        self._expect(self.request("GET", f"/images/{quote(IMAGE)}/json"), f"find {IMAGE} after its import")

    def _image_archive(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for folder in ("bin", "tmp"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            busybox = self._programs.busybox.read_bytes()
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = len(busybox), 0o755
            archive.addfile(entry, io.BytesIO(busybox))
            for applet in _APPLETS:
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
        return buffer.getvalue()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def _forget_the_dead(self) -> None:
        """Remove the notes of a dockerd that was killed: a new one trusts them, and waits in vain for its containerd.

        containerd ends with its dockerd. Where process 1 buries nobody, its number stays taken, which looks like life.
        """
        end = time.monotonic() + 5.0
        while self._containerd_lives() and time.monotonic() < end:
            time.sleep(0.02)  # another process ends, and tells nobody when
        for note in ("pid", "docker.sock", "exec/containerd/containerd.pid"):
            (self.directory / note).unlink(missing_ok=True)

    def _keep_in_memory(self) -> None:
        """Have its data where a flush costs nothing, if we may mount: no test of it is about a loss of power."""
        self._data.mkdir(exist_ok=True)
        if not mounts_below(self._data):
            command = [
                "/bin/mount",
                "-t",
                "tmpfs",
                "-o",
                f"mode=0711,size={_DATA_SIZE}",
                "tmpfs",
                str(self._data),
            ]
            subprocess.run(command, capture_output=True, check=False)

    def _containerd_lives(self) -> bool:
        processes = living_processes()
        needle = f"{self.directory}/exec/containerd/containerd.toml".encode()
        return any(needle in process.arguments for process in processes.values())

    def _terminate(self, grace_seconds: float) -> None:
        if self._process is None:
            return
        self._unwatch()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)

    def _end_leftovers(self) -> None:
        """End what a killed dockerd leaves: containerd, the shims, their containers, and mounts in our folder."""
        for process_id in family_of(str(self.directory)):
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue
        end = time.monotonic() + 10.0
        while family_of(str(self.directory)) and time.monotonic() < end:
            time.sleep(0.02)  # the kernel takes a moment to bury them
        for mount_point in mounts_below(self.directory):
            subprocess.run(["/bin/umount", "--lazy", mount_point], capture_output=True, check=False)

    @staticmethod
    def _expect(answer: Answer, what: str) -> None:
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            text = answer.body.decode(errors="replace")
            raise RuntimeError(f"the Docker Engine would not {what}: {answer.status} {text}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("docker", timeout=timeout_seconds)
        self._path = path
        self._timeout_seconds = timeout_seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_seconds)
        try:
            self.sock.connect(self._path)
        except BaseException:
            self.sock.close()
            raise
