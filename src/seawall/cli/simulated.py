"""Simulated hosts: real agents on Docker Engines that exist in memory only."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import uvloop

from seawall.agent.app import LEDGER_FAILED, run_agent
from seawall.agent.identity import AgentIdentity, IdentityError
from seawall.agent.ledger import LedgerDamaged, LedgerFailed
from seawall.agent.link import AgentRevoked
from seawall.cli.exits import DONE, CliProblem
from seawall.clock import SystemClock
from seawall.telemetry.setup import configure
from seawall.telemetry.tracing import open_spans
from seawall.testing.docker import FakeDocker

_logger = logging.getLogger("seawall.agent")


def main(directories: Sequence[Path]) -> int:
    """Run an agent for each identity until SIGTERM or SIGINT; returns the exit code. Raises CliProblem."""
    configure(level="WARNING")
    try:
        identities = [AgentIdentity.load(directory) for directory in directories]
    except IdentityError as error:
        raise CliProblem(str(error)) from error
    failed: list[LedgerFailed] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(list(zip(directories, identities, strict=True))))
    except* LedgerFailed as failures:
        failed += [failure for failure in failures.exceptions if isinstance(failure, LedgerFailed)]
    if failed:
        _logger.critical("the simulated hosts have to end: %s", failed[0])
        return LEDGER_FAILED
    return DONE


async def _run(hosts: Sequence[tuple[Path, AgentIdentity]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    spans = open_spans("seawall-agent", os.environ)

    async def one(directory: Path, identity: AgentIdentity) -> None:
        docker = FakeDocker(clock, hostname=identity.name)
        try:
            while await run_agent(
                identity, directory, docker, clock, simulated=True, stop=stop, spans=spans, restarts=True
            ):
                _logger.info("simulated host %s has its agent started anew", identity.name)
        except (AgentRevoked, LedgerDamaged) as error:
            # The other hosts of this process go on.
            _logger.warning("simulated host %s has ended: %s", identity.name, error)

    async with asyncio.TaskGroup() as group:
        for directory, identity in hosts:
            group.create_task(one(directory, identity))
        await stop.wait()
    if spans is not None:
        await spans.close()
