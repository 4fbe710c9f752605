"""`seawall doctor`: is this machine fit to run Seawall, and if not, what to do."""

from __future__ import annotations

import os
import sqlite3
import ssl
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from seawall.cli.agent import Docker
from seawall.cli.connect import Target, run
from seawall.cli.controller import Data
from seawall.cli.exits import FAILED
from seawall.cli.output import print_json, say
from seawall.cli.wording import safe
from seawall.client.context import (
    URL_VARIABLE,
    Connection,
    context_path,
    data_path,
    is_loopback,
    resolve,
)
from seawall.client.errors import ContextError
from seawall.clock import Clock, SystemClock
from seawall.storage.diagnosis import (
    Finding,
    Verdict,
    check_file_system,
    check_sqlite,
    diagnose_free_space,
    diagnose_permissions,
    diagnose_sync,
    nearest_directory,
)
from seawall.storage.mounts import file_system

LARGEST_OFFSET_SECONDS = 2.0

_ANSWER_SECONDS = 5.0
_OLDEST_PYTHON, _FIRST_UNTRIED_PYTHON = (3, 11), (3, 14)
_OK = 200
_MARKS = {Verdict.OK: "+", Verdict.WARNING: "!", Verdict.FAILED: "x", Verdict.SKIPPED: "-"}


def doctor(
    context: typer.Context,
    data: Data = None,
    docker: Docker = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check whether this machine is fit to run Seawall, and say what to do where it isn't."""
    path = (data if data is not None else data_path(os.environ)).absolute()
    target = context.find_object(Target) or Target()
    findings = list(_examine(path, docker, target, SystemClock()))
    healthy = all(finding.verdict is not Verdict.FAILED for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "data": str(path), "checks": findings})
    else:
        for finding in findings:
            say(_line(finding))
    if not healthy:
        raise typer.Exit(FAILED)


def check_python(version: tuple[int, int]) -> Finding:
    """Whether Seawall was written for this version of Python."""
    text = f"version {version[0]}.{version[1]}"
    if _OLDEST_PYTHON <= version < _FIRST_UNTRIED_PYTHON:
        return Finding("Python", Verdict.OK, text)
    return Finding("Python", Verdict.WARNING, text, "use Python 3.11, 3.12 or 3.13")


def clock_offset_seconds(date: str, before: datetime, after: datetime) -> float:
    """How far a server's clock is ahead of ours, to a second; `date` is its Date header, the moments are ours.

    Servers cut that header to the second, and renew it once a second. Raises ValueError.
    """
    theirs = parsedate_to_datetime(date)
    if theirs.tzinfo is None:
        raise ValueError("a date without a zone")
    return (theirs + timedelta(seconds=1) - before - (after - before) / 2).total_seconds()


def check_offset(seconds: float) -> Finding:
    """Whether the controller's clock may be so far ahead of ours."""
    if abs(seconds) <= LARGEST_OFFSET_SECONDS:
        return Finding("clock", Verdict.OK, "agrees with the controller's")
    side = "ahead of" if seconds > 0 else "behind"
    found = f"the controller's is {abs(seconds):.0f} s {side} this machine's"
    advice = "let both follow a time server ('timedatectl set-ntp true'), or times will read wrong"
    return Finding("clock", Verdict.WARNING, found, advice)


def _examine(path: Path, docker: str | None, target: Target, clock: Clock) -> Iterator[Finding]:
    yield check_python(sys.version_info[:2])
    yield check_sqlite(sqlite3.sqlite_version_info)
    existing = nearest_directory(path)
    yield check_file_system(file_system(path))
    yield diagnose_sync(existing, clock)
    yield diagnose_free_space(existing)
    yield diagnose_permissions(path)
    yield _docker(docker)
    yield _agent(path)
    yield from _controller(target, clock)


def _docker(given: str | None) -> Finding:
    name = "Docker"
    try:
        # Not where just the controller is installed.
        from seawall.agent.docker import AioDocker, DockerAddressError, DockerFailure
    except ModuleNotFoundError as error:
        return Finding(
            name, Verdict.SKIPPED, f"this needs {error.name}", "run pip install 'seawall[agent]' on a host"
        )

    async def version(engine: AioDocker) -> dict[str, object]:
        try:
            return await engine.version(timeout_seconds=_ANSWER_SECONDS)
        finally:
            await engine.close()

    try:
        engine = AioDocker(given)
        answer = run(version(engine))
    except DockerAddressError as error:
        return Finding(name, Verdict.FAILED, "its address can't be used", str(error))
    except DockerFailure as error:
        return Finding(name, Verdict.FAILED, f"no answer ({error.code.value})", safe(error.message))
    found = f"version {answer.get('Version')}, API {answer.get('ApiVersion')}, at {engine.address}"
    return Finding(name, Verdict.OK, safe(found))


def _agent(path: Path) -> Finding:
    try:
        # Not where just the controller is installed.
        from seawall.cli.agent_check import CHECK, agent_home, diagnose_agent
    except ModuleNotFoundError as error:
        return Finding(
            "agent", Verdict.SKIPPED, f"this needs {error.name}", "run pip install 'seawall[agent]' on a host"
        )
    home = agent_home(path)
    if home is None:
        return Finding(CHECK, Verdict.SKIPPED, "none has joined from here", "see 'seawall agent join --help'")
    return diagnose_agent(home)


def _controller(target: Target, clock: Clock) -> Iterator[Finding]:
    name = "controller"
    known = target.url or os.environ.get(URL_VARIABLE) or context_path(os.environ).exists()
    if not known:
        yield Finding(
            name, Verdict.SKIPPED, "none is known here", "start one with 'seawall up', or give --url"
        )
        return
    try:
        connection = resolve(os.environ, url=target.url, token_file=target.token_file, ca_file=target.ca_file)
    except ContextError as error:
        yield Finding(name, Verdict.FAILED, str(error), "correct that, then ask again")
        return
    try:
        yield from _ask(connection, clock)
    except ModuleNotFoundError as error:
        yield Finding(
            name, Verdict.SKIPPED, f"this needs {error.name}", "run pip install 'seawall[controller]'"
        )


def _ask(connection: Connection, clock: Clock) -> Iterator[Finding]:
    import httpx

    name = "controller"
    advice = "start it with 'seawall up' or 'seawall controller', or name another one with --url (and --ca)"
    loopback = is_loopback(urlsplit(connection.url).hostname or "")
    try:
        trust = ssl.create_default_context(cafile=connection.ca_file) if connection.ca_file else True
        before = clock.wall()
        answer = httpx.get(
            f"{connection.url}/healthz", timeout=_ANSWER_SECONDS, verify=trust, trust_env=not loopback
        )
        after = clock.wall()
    except (httpx.HTTPError, OSError) as error:
        reason = safe(str(error)) or type(error).__name__
        yield Finding(name, Verdict.FAILED, f"{connection.url} can't be reached ({reason})", advice)
        return
    if answer.status_code != _OK:
        found = f"{connection.url} answers {answer.status_code} and not as a controller does"
        yield Finding(name, Verdict.FAILED, found, advice)
        return
    yield Finding(name, Verdict.OK, f"answers at {connection.url}")
    try:
        yield check_offset(clock_offset_seconds(answer.headers.get("Date", ""), before, after))
    except ValueError:
        yield Finding("clock", Verdict.SKIPPED, "the controller doesn't tell the time")


def _line(finding: Finding) -> str:
    advice = f": {finding.advice}" if finding.advice else ""
    return f"{_MARKS[finding.verdict]} {finding.verdict:<8} {finding.check:<12} {finding.found}{advice}"
