"""Real processes that are up in milliseconds: forked from one that has imported everything, and run from the start.

A storm starts hundreds of controllers and agents; most of what a start takes is Python's imports. What is forked runs
the same `main` as `seawall controller` and `seawall agent run`, and can be killed like any process.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["__main__", "seawall.controller.app", "seawall.agent.app", "alembic.command", __name__]
)


def start_controller(log: Path, environment: Mapping[str, str] | None = None, **flags: str) -> BaseProcess:
    """`seawall controller` with these settings; what it says goes to the log."""
    return _start("controller", log, environment, _controller, flags)


def start_agent(
    log: Path, directory: Path, docker: str, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """`seawall agent run` with the identity in this directory; what it says goes to the log."""
    return _start(f"agent {directory.name}", log, environment, _agent, directory, docker)


def _start(
    name: str, log: Path, environment: Mapping[str, str] | None, run: Callable[..., int], *arguments: object
) -> BaseProcess:
    given = (log, dict(environment or {}), run, *arguments)
    process = _context.Process(target=_logged, args=given, name=name, daemon=True)
    process.start()
    return process


def _logged(log: Path, environment: dict[str, str], run: Callable[..., int], *arguments: object) -> None:
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    sys.exit(run(*arguments))


def _controller(flags: dict[str, str]) -> int:
    from seawall.controller.app import main
    from seawall.controller.settings import load_settings

    return main(load_settings(flags))


def _agent(directory: Path, docker: str) -> int:
    from seawall.agent.app import main

    return main(directory, docker)
