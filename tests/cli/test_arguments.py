"""Commands to hosts are made from the declarations of operations: what is typed becomes arguments."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import typer.main

from seawall.cli.arguments import option_name, parameters
from seawall.cli.main import app
from seawall.cli.nouns import NOUNS
from seawall.operations.operation import Argument, Operation
from seawall.operations.registry import OPERATIONS
from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble

GROUPS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
# A command without arguments has just the options that all have.
SHARED = {name for each in GROUPS["system"].commands["ping"].params for name in each.opts}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda each: each.name)
def test_an_operation_has_a_noun_with_commands_and_no_option_that_every_command_has(
    operation: Operation,
) -> None:
    assert operation.noun in (*NOUNS, "command")
    own = [option_name(each) for each in operation.arguments if not each.positional]
    assert not set(own) & SHARED
    assert len(set(own)) == len(own)
    assert len(parameters(operation)) == len({each.name for each in parameters(operation)})


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("container", "list"), {"all": True}),
        (
            ("container", "exec", "web", "--", "ls", "-l"),
            {"container": "web", "command": ["ls", "-l"], "privileged": False},
        ),
        (
            ("container", "exec", "web", "true", "--env", "A=1", "--env", "B=x=y", "--workdir", "/srv"),
            {
                "container": "web",
                "command": ["true"],
                "env": {"A": "1", "B": "x=y"},
                "working_dir": "/srv",
                "privileged": False,
            },
        ),
        (("network", "create", "back", "--ipv6"), {"name": "back", "enable_ipv6": True}),
        (("network", "connect", "back", "web", "--alias", "a", "--alias", "b"), {"aliases": ["a", "b"]}),
    ],
)
def test_what_is_typed_becomes_the_arguments_of_the_operation(
    seawall: Seawall, controller: ControllerDouble, words: tuple[str, ...], arguments: dict[str, object]
) -> None:
    controller.add("local")
    noun, verb, *rest = words
    assert seawall(noun, verb, "--on", "local", *rest).code == 0
    (body,) = controller.bodies
    sent = body["arguments"]
    assert isinstance(sent, dict)
    assert {name: sent.get(name) for name in arguments} == arguments


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("container", "start", "a b"), "container"),
        (("container", "start", "x" * 200), "128"),
        (("container", "exec", "web", "true", "--env", "nothing"), "--env takes KEY=VALUE"),
        (("container", "exec", "web"), "COMMAND"),
        (("container", "logs", "web", "--tail", "1000000000"), "10000"),
        (("image", "pull", "NOT VALID"), "reference"),
        (("network", "connect", "back"), "CONTAINER"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_sent(
    seawall: Seawall, controller: ControllerDouble, words: tuple[str, ...], told: str
) -> None:
    controller.add("local")
    call = seawall(*words)
    assert call.code == 2
    assert told in call.err
    assert controller.bodies == []


def test_a_secret_is_read_from_a_file(seawall: Seawall, controller: ControllerDouble, home: Path) -> None:
    controller.add("local")
    file = home / "password"
    file.write_text("s3cret\n", encoding="utf-8")
    words = ("image", "pull", "app:1", "--username", "me", "--password-file", str(file))
    assert seawall(*words).code == 0
    assert controller.bodies[0]["arguments"] == {"reference": "app:1", "username": "me", "password": "s3cret"}


def test_a_secret_is_read_from_stdin_or_the_environment(
    seawall: Seawall, controller: ControllerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller.add("local")
    monkeypatch.setattr("sys.stdin", io.StringIO("typed\n"))
    assert seawall("image", "pull", "app:1", "--username", "me", "--password-file", "-").code == 0
    monkeypatch.setenv("SEAWALL_PASSWORD", "exported")
    assert seawall("image", "pull", "app:1", "--username", "me").code == 0
    passwords = [body["arguments"]["password"] for body in controller.bodies]  # type: ignore[index]  # JSON
    assert passwords == ["typed", "exported"]


def test_a_secret_that_is_not_there_is_told_and_none_is_taken_from_the_command_line(
    seawall: Seawall, controller: ControllerDouble, home: Path
) -> None:
    controller.add("local")
    call = seawall("image", "pull", "app:1", "--username", "me", "--password-file", str(home / "none"))
    assert call.code == 2
    assert "the password can't be read" in call.err
    (home / "empty").write_text("\n", encoding="utf-8")
    call = seawall("image", "pull", "app:1", "--username", "me", "--password-file", str(home / "empty"))
    assert (call.code, "it is empty" in call.err) == (2, True)
    assert seawall("image", "pull", "app:1", "--password", "x").code == 2
    assert controller.bodies == []


def test_a_true_bool_without_an_option_of_its_own_is_turned_off_by_no() -> None:
    assert option_name(Argument("wait_for_it", bool, "wait", default=True)) == "--no-wait-for-it"
