"""The processes that are run in a fake Docker Engine's containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seawall.agent.docker import Output
from seawall.clock import Clock
from seawall.testing import faults
from seawall.testing.containers import FakeContainer
from seawall.testing.docker.containers import FakeContainers
from seawall.testing.effects import Work
from seawall.testing.faults import Latency

_NOT_FOUND, _CONFLICT = 404, 409


@dataclass
class FakeProcess:
    """One of them; `exit_code` is None until it has ended."""

    exec_id: str
    container_id: str
    spec: dict[str, object]
    began: bool = False
    exit_code: int | None = None
    size: tuple[int, int] | None = None
    """Columns and rows of its terminal, as it was told last."""

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        command = self.spec.get("Cmd")
        return [str(word) for word in command] if isinstance(command, list) else []


def echoes(command: list[str]) -> tuple[int, bytes, bytes]:
    """What a process does unless a test says otherwise: `echo` echoes, `false` fails, everything else is quiet."""
    program, *words = command
    if program == "echo":
        return 0, f"{' '.join(words)}\n".encode(), b""
    return (1 if program == "false" else 0), b"", b""


class FakeExecutions(FakeContainers):
    """`agent.docker.executions.Executions` in memory.

    `perform` says what a command does: its exit code, its output and its errors.
    """

    def __init__(
        self,
        clock: Clock,
        containers: list[FakeContainer] | None = None,
        *,
        hostname: str = "simulated",
        latency: Callable[[str], Latency] | None = None,
        live_restore: bool = True,
    ) -> None:
        super().__init__(clock, containers, hostname=hostname, latency=latency, live_restore=live_restore)
        self.perform: Callable[[list[str]], tuple[int, bytes, bytes]] = echoes
        self.processes: dict[str, FakeProcess] = {}
        """All of them, by their ids."""

    async def exec_create(self, container: str, *, spec: Mapping[str, object], timeout_seconds: float) -> str:
        """See `Executions.exec_create`."""

        async def create(_: Work) -> str:
            found, known = self._running(container), self.processes
            if found.paused:
                raise faults.refused(_CONFLICT, f"Container {found.container_id} is paused, unpause it first")
            exec_id = f"{len(known) + 1:064x}"
            known[exec_id] = FakeProcess(exec_id, found.container_id, dict(spec))
            return exec_id

        return await self._change("exec_create", create, timeout_seconds)

    async def exec_start(self, exec_id: str, *, timeout_seconds: float) -> Output:
        """See `Executions.exec_start`."""

        async def start(work: Work) -> Output:
            process = self._process(exec_id)
            if process.began:
                raise faults.refused(_CONFLICT, f"exec {exec_id} has already run")
            _ = self._running(process.container_id)
            process.began = True
            process.exit_code, stdout, stderr = self.perform(process.command)
            work.done("exec", process.container_id)
            return Output(stdout, stderr, truncated=False)

        return await self._change("exec_start", start, timeout_seconds)

    async def exec_inspect(self, exec_id: str, *, timeout_seconds: float) -> dict[str, object]:
        """See `Executions.exec_inspect`."""

        def read() -> dict[str, object]:
            process = self._process(exec_id)
            return {
                "ID": exec_id,
                "ContainerID": process.container_id,
                "Running": process.began and process.exit_code is None,
                "ExitCode": process.exit_code,
                "Pid": 100 if process.began else 0,
            }

        return await self._look("exec_inspect", read, timeout_seconds)

    def _process(self, exec_id: str) -> FakeProcess:
        process = self.processes.get(exec_id)
        if process is None:
            raise faults.refused(_NOT_FOUND, f"No such exec instance: {exec_id}")
        return process
