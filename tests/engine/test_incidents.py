"""Failures of comparable systems that concern the engine as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import seawall
from seawall.core.command import CommandState
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import RetryScheduled
from tests.engine.dispatch_plane import READ, first_fails, running

SOURCE = Path(seawall.__file__).parent


@pytest.mark.asyncio
async def test_incident_30_a_command_is_retried_without_anybody_passing_a_policy(tmp_path: Path) -> None:
    async with running(tmp_path) as plane:
        session = plane.attach(first_fails(CommandErrorCode.NETWORK_ERROR, Circumstance.NOT_SENT))
        record = await plane.finished(await plane.commands.accept(READ))
        assert record.state is CommandState.SUCCEEDED
        assert [number for _, number in session.reached] == [1, 2]
        assert RetryScheduled in {type(event) for event in plane.events}


def made_codes(source: str) -> set[str]:
    """The codes that this source gives to somebody, and doesn't only compare with or look up."""
    tree = ast.parse(source)
    asked = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.MatchValue | ast.Subscript | ast.Set)
        for part in ast.walk(node)
    }
    keys = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Dict) for part in node.keys}
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "CommandErrorCode"
        and id(node) not in asked | keys
    }


def test_incident_35_every_code_is_made_by_the_agent_or_by_the_way_to_it() -> None:
    made: set[str] = set()
    for room in ("agent", "engine", "controller"):
        for path in (SOURCE / room).rglob("*.py"):
            if path.name != "problems.py":  # it only words what others have made
                made |= made_codes(path.read_text())
    never = {code.name for code in CommandErrorCode} - made
    assert never == set(), "nothing ever ends with these codes"


def test_incident_35_a_code_that_is_only_looked_up_is_not_made() -> None:
    assert made_codes("x = {CommandErrorCode.TIMEOUT: 1}[code]") == set()
    assert made_codes("y = code is CommandErrorCode.TIMEOUT") == set()
    assert made_codes("z = Outcome(CommandErrorCode.TIMEOUT)") == {"TIMEOUT"}
