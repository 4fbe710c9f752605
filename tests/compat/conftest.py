"""These tests are programs of before Seawall: they import by the old path, mock their connections, use real time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, MagicMock

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "compat"))

if TYPE_CHECKING:
    from agent.command_executor import AgentCommandExecutor


@pytest.fixture
def connections() -> MagicMock:
    """A connection manager that is connected to everybody and sends everything, to agents that never answer."""
    manager = MagicMock()
    manager.is_connected = MagicMock(return_value=True)
    manager.send_command = AsyncMock(return_value=True)
    return manager


@pytest.fixture
def executor(connections: MagicMock) -> AgentCommandExecutor:
    from agent.command_executor import AgentCommandExecutor

    return AgentCommandExecutor(connections)
