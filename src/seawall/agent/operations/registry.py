"""Which coroutine performs which operation, what its names mean, and what verifies a change whose end is in doubt."""

from __future__ import annotations

from seawall.agent.operations import container_verifiers, containers, system
from seawall.agent.operations.runner import Resolver, Runner
from seawall.agent.operations.verification import Verifier

RUNNERS: dict[str, Runner] = {**system.RUNNERS, **containers.RUNNERS}

RESOLVERS: dict[str, Resolver] = {**containers.RESOLVERS}
"""A change that has none is about nothing that was there before."""

VERIFIERS: dict[str, Verifier] = {**container_verifiers.VERIFIERS}
"""A change that has none is OPAQUE: once it may have begun, nothing on the host tells what became of it."""
