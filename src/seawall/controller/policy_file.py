"""The policy file of a controller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seawall.clock import Clock
from seawall.controller.toml_file import TomlFile
from seawall.engine.policies import Policies, read_policies

POLICY_FILE = "policy.toml"


class PolicyFile(TomlFile[Policies]):
    """Keeps the policies that hold now; without a file, those of the default preset."""

    def __init__(self, path: Path, clock: Clock, apply: Callable[[Policies], object]) -> None:
        """See `TomlFile`."""
        super().__init__(path, clock, read_policies, Policies(), apply, "policy")
