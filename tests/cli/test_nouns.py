"""The other nouns, and what every call ends with."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from seawall.cli.exits import worst
from seawall.cli.token import lifetime_seconds
from tests.cli.conftest import Seawall
from tests.cli.controller_double import TOKEN, ControllerDouble


def test_without_a_controller_it_says_how_to_get_one(seawall: Seawall) -> None:
    call = seawall("agent", "list")
    assert call.code == 2
    assert "seawall up" in call.err


def test_a_controller_that_is_gone_is_a_sentence(
    seawall: Seawall, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SEAWALL_TOKEN", TOKEN)
    call = seawall("agent", "list")
    assert call.code == 1
    assert "no controller can be reached at http://127.0.0.1:9" in call.err
    assert "Traceback" not in call.err


def test_a_token_that_is_not_known_says_where_tokens_are(
    seawall: Seawall, controller: ControllerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_TOKEN", "swt_wrong")
    call = seawall("agent", "list")
    assert call.code == 3
    assert "admin.token" in call.err
    assert "swt_wrong" not in call.both


def test_flags_before_the_noun_name_the_controller(
    seawall: Seawall, controller: ControllerDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEAWALL_URL")
    monkeypatch.delenv("SEAWALL_TOKEN")
    (home / "t").write_text(TOKEN)
    controller.add("local")
    assert seawall("--url", controller.url, "--token-file", str(home / "t"), "agent", "list").code == 0


def test_a_ping_is_a_command_to_one_host(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    controller.add("other")
    call = seawall("agent", "ping", "local", "--json")
    record = call.json
    assert isinstance(record, dict)
    assert (record["operation"], record["state"]) == ("ping", "SUCCEEDED")
    assert "local answered in" in seawall("agent", "ping", "local").out


def test_agents_are_listed_by_label(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("a", env="prod")
    controller.add("b")
    agents = seawall("agent", "list", "--label", "env=prod", "--json").json
    assert isinstance(agents, list)
    assert [agent["name"] for agent in agents] == ["a"]
    assert seawall("agent", "list", "--label", "env").code == 2


def test_a_host_is_shown(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local", env="prod")
    assert "env=prod" in seawall("agent", "show", "local").out
    assert seawall("agent", "show", "nobody").code == 2


def test_a_revocation_wants_a_yes(
    seawall: Seawall, controller: ControllerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller.add("local")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert seawall("agent", "revoke", "local").code == 2
    assert ("POST", "/api/v1/agents/local/revoke") not in controller.requests
    assert seawall("agent", "revoke", "local", "--yes").code == 0
    assert ("POST", "/api/v1/agents/local/revoke") in controller.requests


def test_joining_without_a_token_says_where_tokens_come_from(seawall: Seawall) -> None:
    call = seawall("agent", "join", "https://127.0.0.1:1")
    assert call.code == 2
    assert "seawall token join" in call.err


def test_a_join_token_may_come_on_stdin_and_is_never_quoted(
    seawall: Seawall, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("swj_damaged\n"))
    call = seawall("agent", "join", "https://127.0.0.1:1", "--token", "-", "--data", str(home / "agent"))
    assert call.code == 1
    assert "cut off" in call.err
    assert "swj_damaged" not in call.both


def test_a_join_token_may_come_from_the_environment(
    seawall: Seawall, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_JOIN_TOKEN", "swt_an_api_token")
    call = seawall("agent", "join", "https://127.0.0.1:1", "--data", str(home / "agent"))
    assert call.code == 1
    assert "this is an API token" in call.err


def test_an_agent_that_never_joined_says_what_to_do(seawall: Seawall, home: Path) -> None:
    call = seawall("agent", "run", "--data", str(home / "agent"))
    assert call.code == 1
    assert "seawall agent join" in call.err


def test_commands_are_listed_and_shown(seawall: Seawall, controller: ControllerDouble) -> None:
    script = controller.add("local")
    script.attempts = 2
    seawall("container", "restart", "web")
    assert "container_restart web" in seawall("command", "list").out
    shown = seawall("command", "show", "command-1")
    assert shown.code == 0
    assert "attempt 1 failed after 1.00 s: timeout" in shown.out
    record = seawall("command", "show", "command-1", "--json").json
    assert isinstance(record, dict)
    assert record["total_attempts"] == 2
    assert seawall("command", "show", "nothing").code == 2


def test_a_cancellation_says_the_truth(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    seawall("container", "restart", "web", "--no-wait")
    cancelled = seawall("command", "cancel", "command-1")
    assert cancelled.code == 0
    assert "never started" in cancelled.out
    seawall("container", "restart", "web")
    late = seawall("command", "cancel", "command-2")
    assert late.code == 1
    assert "too late" in late.out


def test_circuits_are_shown_and_overruled(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local")
    assert "closed" in seawall("circuit", "list").out
    shown = seawall("circuit", "show", "local").out
    assert "local, agent: closed" in shown
    assert "local, docker: closed" in shown
    assert "closed -> open: 5 failures" in shown
    assert "open -> closed by ann: reset: it is well" in shown
    assert "open, by hand" in seawall("circuit", "open", "local", "--reason", "maintenance").out
    assert controller.bodies == [{"reason": "maintenance"}]
    assert "by hand" not in seawall("circuit", "reset", "local").out
    both = seawall("circuit", "show", "local", "--json").json
    assert isinstance(both, list)
    assert [circuit["domain"] for circuit in both] == ["agent", "docker"]
    one = seawall("circuit", "close", "local", "--domain", "docker", "--json").json
    assert isinstance(one, dict)
    assert (one["domain"], one["forced"]) == ("docker", True)
    assert one["transitions"][0]["from"] == "closed"


def test_a_new_token_stands_alone_on_stdout(seawall: Seawall, controller: ControllerDouble) -> None:
    call = seawall("token", "create", "bob", "--role", "viewer", "--expires", "2h")
    assert call.out == "swt_new\n"
    assert controller.bodies == [{"name": "bob", "role": "viewer", "expires_in_seconds": 7200.0}]


def test_tokens_are_listed_and_revoked(seawall: Seawall, controller: ControllerDouble) -> None:
    assert "admin" in seawall("token", "list").out
    assert seawall("token", "revoke", "t1").code == 0
    assert ("DELETE", "/api/v1/tokens/t1") in controller.requests


def test_the_join_command_stands_alone_on_stdout(seawall: Seawall, controller: ControllerDouble) -> None:
    assert seawall("token", "join").out == "seawall agent join URL --token swj_x\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2_592_000), ("600s", 600), ("45m", 2700), ("0d", None), ("x", None)]
)
def test_lifetimes_have_a_unit(text: str, seconds: float | None) -> None:
    assert lifetime_seconds(text) == seconds


def test_operations_are_listed(seawall: Seawall, controller: ControllerDouble) -> None:
    assert "ping" in seawall("operation", "list").out


def test_a_word_that_is_no_noun_is_a_usage_error(seawall: Seawall) -> None:
    assert seawall("nonsense").code == 2
    assert seawall("container", "explode", "web").code == 2


def test_help_and_version_end_well(seawall: Seawall) -> None:
    assert seawall("--version").out.startswith("seawall ")
    assert seawall("container", "-h").code == 0


def test_in_doubt_is_the_worst_end() -> None:
    assert worst([0, 3, 1, 4]) == 4
    assert worst([0, 3, 1]) == 1
    assert worst([0, 3]) == 3
    assert worst([]) == 0


def test_the_help_loads_no_heavy_library() -> None:
    heavy = ["fastapi", "sqlalchemy", "aiohttp", "httpx", "pydantic", "cryptography", "uvicorn", "aiodocker"]
    code = f"import sys, seawall.cli.main; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_library_that_is_not_installed_names_its_extra(
    seawall: Seawall, controller: ControllerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "seawall.client.client", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    call = seawall("agent", "list")
    assert call.code == 1
    assert "pip install 'seawall[controller]'" in call.err
