"""The page of the command line and its tree of commands say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import typer.main

from seawall.cli import exits
from seawall.cli.main import app
from seawall.cli.nouns import NOUNS
from seawall.controller.app import EXIT_STORE_FAILED
from tests.docs.tables import rows


class Parameter(Protocol):
    opts: list[str]
    hidden: bool
    metavar: str | None
    param_type_name: str


class Command(Protocol):
    hidden: bool
    params: list[Parameter]


ROOT = typer.main.get_command(app)


def commands(command: object, words: str) -> Iterator[tuple[str, Command]]:
    """All commands that aren't hidden, each as it is typed without its options."""
    inner: dict[str, Command] | None = getattr(command, "commands", None)
    for name, each in (inner or {}).items():
        if not each.hidden:
            yield from commands(each, f"{words} {name}")
    if inner is None:
        leaf: Command = command  # type: ignore[assignment]  # what isn't a group is a command
        arguments = [each.metavar or "?" for each in leaf.params if each.param_type_name == "argument"]
        yield " ".join((words, *arguments)), leaf


def options(command: Command) -> set[str]:
    # Arguments are always shown.
    shown = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    return {option for each in shown for option in each.opts if option.startswith("--")}


NOUNS_OF_HOSTS = tuple(f"seawall {noun} " for noun in NOUNS)


def shared() -> set[str]:
    """The options that commands to hosts have: all of one that has no others."""
    return next(options(each) for words, each in commands(ROOT, "seawall") if words == "seawall system ping")


def test_every_command_is_documented_with_its_arguments_and_no_other() -> None:
    documented = [row[0] for row in rows("cli.md", "command")]
    assert sorted(documented) == sorted(words for words, _ in commands(ROOT, "seawall"))


def test_every_option_of_every_command_is_documented_and_no_other() -> None:
    documented = {row[0]: sorted(re.findall(r"--[a-z0-9-]+", row[1])) for row in rows("cli.md", "command")}
    declared = {}
    for words, command in commands(ROOT, "seawall"):
        others = shared() if words.startswith(NOUNS_OF_HOSTS) else set()
        declared[words] = sorted(options(command) - others)
    assert documented == declared


def test_the_shared_options_are_those_that_all_commands_to_hosts_have() -> None:
    assert sorted(row[0] for row in rows("cli.md", "shared option")) == sorted(shared())


def test_every_option_before_the_noun_is_documented_and_no_other() -> None:
    root: Command = ROOT  # type: ignore[assignment]  # typer's own click
    added = {"--install-completion", "--show-completion"}
    assert sorted(row[0] for row in rows("cli.md", "root option")) == sorted(options(root) - added)


def test_every_exit_code_is_documented_once_and_no_other() -> None:
    # Private names are thresholds of HTTP.
    public = {name: each for name, each in vars(exits).items() if name.isupper() and name[0] != "_"}
    codes = {each for each in public.values() if isinstance(each, int)}
    documented = [int(row[0]) for row in rows("cli.md", "exit code")]
    assert documented == sorted(codes | {EXIT_STORE_FAILED})
