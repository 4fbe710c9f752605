"""The public API is exactly what programs depend on: no name less, and none that we would have to keep by accident."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

import seawall

ROOT = Path(__file__).resolve().parents[2]

PUBLIC_NAMES = {
    "CIRCUIT_BREAKER_CONFIG",
    "DEFAULT_RETRY_POLICY",
    "AgentCommandExecutor",
    "CircuitBreaker",
    "CircuitState",
    "CommandErrorCode",
    "CommandResult",
    "CommandStatus",
    "RetryPolicy",
    "Seawall",
    "SyncSeawall",
    "__version__",
}


def test_the_package_exports_exactly_the_public_names() -> None:
    assert sorted(seawall.__all__) == sorted(PUBLIC_NAMES)


def test_nothing_else_of_ours_lies_open_in_the_package() -> None:
    mine = {
        name
        for name, value in vars(seawall).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert mine <= PUBLIC_NAMES


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
def test_a_public_name_can_be_imported(name: str) -> None:
    assert getattr(seawall, name) is not None


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES - {"__version__"}))
def test_a_public_name_is_documented(name: str) -> None:
    value = getattr(seawall, name)
    if inspect.isclass(value):
        # Its own words: a docstring inherited from object, Enum or Struct says nothing about it.
        assert (value.__dict__.get("__doc__") or "").strip()
    else:
        assert _documented_constant(name), f"{name} has no docstring below it"


@pytest.mark.parametrize(
    "method",
    [
        "execute_command",
        "handle_agent_response",
        "handle_agent_disconnect",
        "get_circuit_breaker",
        "is_error_retryable",
        "get_pending_command_count",
        "cleanup_expired_pending_commands",
    ],
)
def test_a_method_of_the_executor_is_documented(method: str) -> None:
    assert (getattr(seawall.AgentCommandExecutor, method).__doc__ or "").strip()


def test_the_package_loads_no_http_client_before_somebody_asks_for_it() -> None:
    look = "import sys, seawall; assert 'httpx' not in sys.modules; seawall.Seawall; assert 'httpx' in sys.modules"
    subprocess.run([sys.executable, "-c", look], check=True)


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Fleet'"):
        _ = seawall.Fleet  # type: ignore[attr-defined]  # that is what is tried


def test_the_version_is_the_one_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert seawall.__version__ == project["version"]


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert resources.files("seawall").joinpath("py.typed").is_file()


def _documented_constant(name: str) -> bool:
    """Whether a string stands right below the assignment, where documentation tools look for it."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, below in pairwise(body):
            match statement, below:
                case (
                    ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)),
                    ast.Expr(value=ast.Constant(value=str())),
                ) if target == name:
                    return True
    return False
