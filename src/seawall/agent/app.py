"""Puts the agent together, and runs it as a process."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from seawall.agent.docker import AioDocker, Docker, DockerAddressError, DockerFailure
from seawall.agent.identity import AgentIdentity, IdentityError
from seawall.agent.ledger import LEDGER_FILE, Ledger, LedgerDamaged, LedgerFailed
from seawall.agent.link import AgentLink, AgentRevoked
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy
from seawall.agent.local_policy_file import PolicyError, load_policy
from seawall.agent.operations.own_process import OwnProcess
from seawall.agent.operations.registry import RUNNERS, VERIFIERS
from seawall.agent.registries import reaches
from seawall.agent.session import HostFacts
from seawall.agent.spool import Spool
from seawall.agent.worker import Worker
from seawall.clock import Clock, SystemClock
from seawall.memory import settle
from seawall.operations import compose
from seawall.telemetry.setup import LogFormat, configure
from seawall.telemetry.tracing import open_spans

if TYPE_CHECKING:
    from seawall.agent.execution_spans import ExecutionSpans
    from seawall.telemetry.spans import Spans

STOP_GRACE_SECONDS = 5.0
"""How long work that is under way may take to end when the agent is told to stop."""

DOCKER_DATA = Path("/var/lib/docker")
"""Where a Docker Engine keeps its containers unless told otherwise."""

_VERSION_SECONDS = 3.0
_FAILED = 1
COMPOSE_DIRECTORY = "compose"
"""Where the agent keeps what it needs of Compose projects, beside its ledger."""
UPLOADS_DIRECTORY = "uploads"
"""Where the agent keeps what is uploaded for commands, beside its ledger."""
LEDGER_FAILED = 70
"""The exit code of an agent that can't write its ledger any more: whoever supervises it starts it again."""

_logger = logging.getLogger("seawall.agent")


def agent_version() -> str:
    """The version of this installation."""
    try:
        return importlib.metadata.version("seawall")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree that isn't installed
        return "unknown"


def disk_space() -> tuple[int, int]:
    """Free and all bytes of the disk that holds the containers, as far as that can be seen from here; 0 for unknown."""
    where = DOCKER_DATA if DOCKER_DATA.exists() else Path("/")
    try:
        disk = os.statvfs(where)
    except OSError:
        return 0, 0
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


async def run_agent(
    identity: AgentIdentity,
    directory: Path,
    docker: Docker,
    clock: Clock,
    *,
    simulated: bool = False,
    on_connected: Callable[[], object] | None = None,
    stop: asyncio.Event | None = None,
    policy: LocalPolicy = UNRESTRICTED,
    spans: Spans | None = None,
    restarts: bool = False,
) -> bool:
    """Serve the controller until `stop` is set, or until cancelled. Closes `docker` at the end.

    With `restarts` the controller may have the agent end for a new one to follow: then True is returned, and the caller
    has to begin anew.

    The ledger is a file in `directory`, where there is room for what commands print as well; `policy` is what the
    controller may do here. `spans` has a trace go on here, if its controller makes one.
    `on_connected` is called each time a session opens. `stop` gives work under way a few
    seconds and answers it; a cancellation doesn't wait.
    Raises AgentRevoked when the controller has sent this host away for good, LedgerDamaged for a ledger that can't
    be used, and LedgerFailed when nothing can be recorded any more: the process has to end then.
    """
    broken: asyncio.Future[LedgerFailed] = asyncio.get_running_loop().create_future()

    def give_up(failure: LedgerFailed) -> None:
        if not broken.done():
            broken.set_result(failure)

    try:
        ledger = await Ledger.open(directory / LEDGER_FILE, identity.agent_id, clock, on_failure=give_up)
    except BaseException:
        await docker.close()
        raise
    try:
        spool = Spool(directory / UPLOADS_DIRECTORY, clock)
        spool.start()
        try:
            return await _serve(
                identity=identity,
                directory=directory,
                ledger=ledger,
                docker=docker,
                clock=clock,
                simulated=simulated,
                on_connected=on_connected,
                stop=stop,
                broken=broken,
                policy=policy,
                spool=spool,
                traces=_traces(spans, identity.name),
                restarts=restarts,
            )
        finally:
            spool.close()
    finally:
        await ledger.close()
        await docker.close()


async def _serve(
    identity: AgentIdentity,
    directory: Path,
    ledger: Ledger,
    docker: Docker,
    clock: Clock,
    simulated: bool,
    on_connected: Callable[[], object] | None,
    stop: asyncio.Event | None,
    broken: asyncio.Future[LedgerFailed],
    policy: LocalPolicy,
    spool: Spool,
    traces: ExecutionSpans | None,
    restarts: bool,
) -> bool:
    version = agent_version()
    process = OwnProcess(clock, version)

    async def describe() -> HostFacts:
        hostname = identity.name if simulated else socket.gethostname()
        return HostFacts(version, hostname, await _docker_version(docker), simulated)

    link = AgentLink(identity, clock, describe, on_connected)
    worker = Worker(
        docker if traces is None else traces.calling(docker),
        clock,
        link.send if traces is None else traces.telling(link.send),
        ledger=ledger,
        version=version,
        runners=RUNNERS | process.runners if restarts else RUNNERS,
        verifiers=VERIFIERS | process.verifiers,
        disk_space=disk_space,
        absent=() if docker.compose_absent is None else (compose.PROGRAM,),
        policy=policy,
        reach=reaches,
        directory=directory,
        spool=spool,
        within=None if traces is None else traces.execution,
    )
    running = asyncio.create_task(link.run(worker), name=f"agent {identity.name}")
    stop = stop or asyncio.Event()
    stopping = asyncio.create_task(stop.wait(), name="stop")
    leaving = asyncio.create_task(process.leaving.wait(), name="restart")
    try:
        await asyncio.wait((running, stopping, leaving, broken), return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            raise broken.result()
        if not running.done():
            await worker.close(STOP_GRACE_SECONDS)
            await link.say_goodbye(f"the agent was told to {'stop' if stop.is_set() else 'restart'}")
    finally:
        stopping.cancel()
        leaving.cancel()
        running.cancel()
        await worker.close()
        if traces is not None:
            traces.close()
        await asyncio.wait((running, stopping, leaving))
        if broken.done() and not running.cancelled():
            running.exception()  # it may have met the same failure
    if not running.cancelled():
        running.result()
    return process.leaving.is_set() and not stop.is_set()


def main(directory: Path, docker_url: str | None = None, log_format: LogFormat = "console") -> int:
    """Run this host's agent until SIGTERM or SIGINT; returns the process's exit code.

    `directory` holds the identity and the policy that `seawall agent join` made, and the ledger. If the controller
    has it restarted, it replaces itself by the program as it is installed then, with the same command line.
    """
    configure(log_format)
    try:
        identity, policy = AgentIdentity.load(directory), load_policy(directory)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            again = runner.run(_until_told_to_stop(identity, directory, docker_url, policy))
    except (IdentityError, PolicyError, DockerAddressError, LedgerDamaged, AgentRevoked) as error:
        sys.stderr.write(f"the agent can't run: {error}\n")
        return _FAILED
    except LedgerFailed as error:
        sys.stderr.write(f"the agent has to end: {error}\n")
        return LEDGER_FAILED
    return _start_anew() if again else 0


def _start_anew() -> int:
    """Doesn't return unless it fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself
    except OSError as error:
        sys.stderr.write(f"the agent can't start itself anew: {error}; start it again\n")
        return _FAILED


async def _until_told_to_stop(
    identity: AgentIdentity, directory: Path, docker_url: str | None, policy: LocalPolicy
) -> bool:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    docker = AioDocker(docker_url)
    await docker.find_compose(directory / COMPOSE_DIRECTORY, os.environ.get("PATH", os.defpath))
    _logger.info(
        "projects are brought up with %s", docker.compose_version or "nothing: there is no Compose program"
    )
    _logger.info("agent %s serves the Docker Engine at %s", identity.name, docker.address)
    _logger.info(
        "the controller may do this here: %s%s, as %s says",
        policy.level.value,
        ", and exec" if policy.exec else "",
        policy.source,
    )
    settle()
    spans = open_spans("seawall-agent", os.environ)
    try:
        again = await run_agent(
            identity, directory, docker, SystemClock(), stop=stop, policy=policy, spans=spans, restarts=True
        )
    finally:
        if spans is not None:
            await spans.close()
    _logger.info("agent %s %s", identity.name, "starts anew" if again else "has stopped")
    return again


def _traces(spans: Spans | None, agent: str) -> ExecutionSpans | None:
    if spans is None:
        return None
    from seawall.agent.execution_spans import ExecutionSpans

    return ExecutionSpans(spans, agent)


async def _docker_version(docker: Docker) -> str:
    try:
        version = await docker.version(timeout_seconds=_VERSION_SECONDS)
    except DockerFailure as failure:
        _logger.warning("the Docker Engine's version isn't known: %s", failure)
        return ""
    return str(version.get("Version", ""))
