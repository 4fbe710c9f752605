"""`seawall up`: what it refuses, and how it deals with processes that end."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.agent.identity import AgentIdentity, new_private_key
from seawall.cli.children import Children
from seawall.cli.controller import save_context_or_say
from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.launched import end_with_launcher
from seawall.cli.rising import Rising
from seawall.cli.up import Plan, launch, plan_of
from seawall.client.context import Context, context_path, load_context
from seawall.controller.authority import CertificateAuthority
from seawall.controller.settings import load_settings
from tests.cli.conftest import Seawall
from tests.cli.controller_double import TOKEN, ControllerDouble

AGENTS_URL = "https://127.0.0.1:7701"


def plan(directory: Path) -> Plan:
    return Plan(
        data=directory,
        api_url="http://127.0.0.1:9",
        agents_url=AGENTS_URL,
        ca_file=None,
        agents_on_loopback=True,
        controller_flags=("--data", str(directory)),
        simulate=1,
    )


def pretender(directory: Path, code: str) -> tuple[str, ...]:
    """A program that stands in for ours; it leaves its process id and arguments in `directory`."""
    script = directory / "pretender.py"
    noted = f"open({str(directory / 'pid')!r}, 'w').write(f'{{os.getpid()}} {{sys.argv[1:]}}')"
    script.write_text(f"import os, signal, sys, time\n{noted}\n{code}\n")
    return (sys.executable, str(script))


def launched(directory: Path, code: str) -> None:
    async def run() -> None:
        await launch(plan(directory), children=Children(pretender(directory, code), stop_seconds=0.2))

    asyncio.run(run())


def is_gone(directory: Path) -> bool:
    process_id = (directory / "pid").read_text().split()[0]
    return not Path(f"/proc/{process_id}").exists()


def test_a_controller_that_ends_is_named_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(CliProblem, match="the controller has ended with exit code 7") as end:
        launched(tmp_path, "sys.exit(7)")
    assert end.value.exit_code == 1


def test_a_controller_that_is_killed_is_named_with_the_signal(tmp_path: Path) -> None:
    with pytest.raises(CliProblem, match="the controller was killed by SIGKILL"):
        launched(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")


def test_sigterm_stops_everything_and_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launched(tmp_path, "os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    assert is_gone(tmp_path)
    assert "stopping" in capsys.readouterr().err


def test_who_does_not_stop_is_killed(tmp_path: Path) -> None:
    ignores = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"{ignores}; os.kill(os.getppid(), signal.SIGINT)\nwhile True: signal.pause()"
    launched(tmp_path, code)
    assert is_gone(tmp_path)


def test_the_controller_is_told_where_and_by_whom(tmp_path: Path) -> None:
    launched(tmp_path, "os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    arguments = (tmp_path / "pid").read_text()
    assert f"['controller', '--data', '{tmp_path}', '--launcher', '{os.getpid()}']" in arguments


def test_of_two_that_run_the_one_that_ended_is_named(tmp_path: Path) -> None:
    async def run() -> str:
        code = "signal.pause() if sys.argv[1] == 'stays' else sys.exit(3)"
        async with Children(pretender(tmp_path, code), stop_seconds=5) as children:
            await children.start("controller", "stays")
            await children.start("agent", "ends")
            return await children.first_end()

    assert asyncio.run(run()) == "the agent has ended with exit code 3"


def test_a_process_whose_launcher_is_another_one_does_not_start() -> None:
    with pytest.raises(SystemExit):
        end_with_launcher(os.getpid())


@pytest.mark.parametrize("engine", ["unix://{home}/no.sock", "tcp://127.0.0.1:9", "unix://{home}/stale.sock"])
def test_without_docker_both_ways_on_are_named(seawall: Seawall, home: Path, engine: str) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(home / "stale.sock"))
    call = seawall("up", "--data", str(home / "data"), "--docker", engine.format(home=home))
    assert call.code == 1
    assert "start Docker" in call.err
    assert "make up SIMULATE=3" in call.err
    assert len(call.err.splitlines()) == 1
    assert not (home / "data").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--docker", "ssh://host"),
        ("--simulate", "-1"),
        ("--simulate", "3", "--name", "no spaces"),
        ("--simulate", "3", "--name", "all"),
        ("--simulate", "3", "--api", "7700"),
        ("--simulate", "3", "--api", "127.0.0.1:0"),
        ("--simulate", "3", "--agents", "127.0.0.1:0"),
    ],
)
def test_flags_that_cannot_be_meant_are_usage_errors(
    seawall: Seawall, home: Path, flags: tuple[str, ...]
) -> None:
    call = seawall("up", "--data", str(home / "data"), *flags)
    assert call.code == 2
    assert "Traceback" not in call.err


@pytest.mark.parametrize("words", [("up", "--simulate", "1"), ("controller",)])
def test_a_corrupt_config_file_is_named_with_its_line(
    seawall: Seawall, home: Path, words: tuple[str, ...]
) -> None:
    (home / "bad.toml").write_text('api = "127.0.0.1:7700"\nagents = \n')
    call = seawall(*words, "--data", str(home / "data"), "--config", str(home / "bad.toml"))
    assert call.code == 2
    assert f"{home}/bad.toml, line 2" in call.err


def test_beyond_loopback_the_api_is_dialled_with_tls(home: Path) -> None:
    settings = load_settings({"data": home, "api": "0.0.0.0:7700", "agents": "[::]:7701"})
    made = plan_of(settings, None)
    assert made.api_url == "https://127.0.0.1:7700"
    assert made.agents_url == "https://[::1]:7701"
    assert made.ca_file == home / "authority" / "ca.pem"
    assert not made.agents_on_loopback


def test_the_local_agent_and_simulated_hosts_have_their_own_identities(home: Path) -> None:
    settings = load_settings({"data": home})
    assert plan_of(settings, None, name="lab").identities() == {"lab": home / "agent"}
    assert list(plan_of(settings, None, simulate=2).identities()) == ["sim-1", "sim-2"]


def test_a_port_of_zero_is_refused_where_it_has_to_be_told(home: Path) -> None:
    with pytest.raises(UsageProblem, match="--agents"):
        plan_of(load_settings({"data": home, "agents": "127.0.0.1:0"}), None)


def test_the_context_is_saved_for_the_cli_beside_it(home: Path) -> None:
    context = Context("http://127.0.0.1:7700", str(home / "admin.token"))
    save_context_or_say(context)
    assert load_context(context_path(os.environ)) == context


def test_a_context_that_cannot_be_saved_says_what_to_type(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".config").write_text("a file where a folder should be")
    save_context_or_say(Context("http://127.0.0.1:7700", "/data/admin.token"))
    assert "seawall --url http://127.0.0.1:7700 --token-file /data/admin.token" in capsys.readouterr().err


def identity(directory: Path, agent_id: str, controller_url: str = AGENTS_URL) -> Path:
    authority = CertificateAuthority.open(directory / "authority", datetime.now(UTC))
    made = AgentIdentity(agent_id, "local", controller_url, "c", {}, authority.ca_pem, new_private_key())
    made.save(directory / "agent")
    return directory / "agent"


def rising(controller: ControllerDouble, home: Path, token: str = TOKEN) -> Rising:
    (home / "admin.token").write_text(token)
    return Rising(controller.url, home / "admin.token", None)


def test_it_waits_for_the_agent_that_it_started(controller: ControllerDouble, home: Path) -> None:
    controller.add("local")
    controller.add("other")

    async def run() -> list[str]:
        async with rising(controller, home) as up:
            await up.ready()
            return await up.connected({"local": identity(home, "id-local")})

    assert asyncio.run(run()) == ["local"]


def test_another_controller_on_the_same_port_is_not_taken_for_ours(
    controller: ControllerDouble, home: Path
) -> None:
    async def run() -> None:
        async with rising(controller, home, "swt_of_ours") as up:
            await up.ready()

    with pytest.raises(CliProblem, match="isn't the controller of"):
        asyncio.run(run())


def test_an_identity_that_the_controller_does_not_know_is_not_replaced_silently(
    controller: ControllerDouble, home: Path
) -> None:
    async def run() -> None:
        async with rising(controller, home) as up:
            await up.ready()
            await up.join({"local": identity(home, "id-unknown")}, AGENTS_URL, simulated=False)

    with pytest.raises(CliProblem, match=r"remove .*identity\.json"):
        asyncio.run(run())
    assert ("POST", "/api/v1/join-tokens") not in controller.requests


def test_a_host_that_joined_keeps_its_identity_when_the_controller_listens_elsewhere(
    controller: ControllerDouble, home: Path
) -> None:
    controller.add("local")
    directory = identity(home, "id-local", "https://127.0.0.1:1")
    before = AgentIdentity.load(directory)

    async def run() -> None:
        async with rising(controller, home) as up:
            await up.ready()
            await up.join({"local": directory}, AGENTS_URL, simulated=False)

    asyncio.run(run())
    after = AgentIdentity.load(directory)
    assert after.controller_url == AGENTS_URL
    assert (after.agent_id, after.public_key) == (before.agent_id, before.public_key)
    assert ("POST", "/api/v1/join-tokens") not in controller.requests
