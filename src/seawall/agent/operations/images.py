"""How the operations about images run on a host."""

from __future__ import annotations

from seawall.agent.operations.runner import Resolver, Runner
from seawall.agent.operations.verification import Verifier

RUNNERS: dict[str, Runner] = {}
RESOLVERS: dict[str, Resolver] = {}
VERIFIERS: dict[str, Verifier] = {}
