"""Which coroutine performs which operation, what its names mean, and what verifies a change whose end is in doubt."""

from __future__ import annotations

from seawall.agent.operations import (
    archives,
    compose,
    compose_verifiers,
    container_creation,
    container_creation_verifiers,
    container_looks,
    container_update,
    container_verifiers,
    containers,
    executions,
    image_build,
    images,
    network_verifiers,
    networks,
    system,
    volume_verifiers,
    volumes,
)
from seawall.agent.operations.command_output import command_output
from seawall.agent.operations.runner import Resolver, Runner
from seawall.agent.operations.shells import container_exec
from seawall.agent.operations.streaming import (
    Streamer,
    container_copy_out,
    container_logs,
    container_stats,
    image_save,
)
from seawall.agent.operations.system_events import system_events
from seawall.agent.operations.uploads import system_upload
from seawall.agent.operations.verification import Verifier

RUNNERS: dict[str, Runner] = {
    **system.RUNNERS,
    **containers.RUNNERS,
    **container_creation.RUNNERS,
    **container_looks.RUNNERS,
    **executions.RUNNERS,
    **container_update.RUNNERS,
    **images.RUNNERS,
    **archives.RUNNERS,
    **image_build.RUNNERS,
    **networks.RUNNERS,
    **volumes.RUNNERS,
    **compose.RUNNERS,
}

STREAMERS: dict[str, Streamer] = {
    "system_upload": system_upload,
    "container_logs": container_logs,
    "container_stats": container_stats,
    "container_copy_out": container_copy_out,
    "container_exec": container_exec,
    "image_save": image_save,
    "system_events": system_events,
    "command_output": command_output,
}

RESOLVERS: dict[str, Resolver] = {
    **containers.RESOLVERS,
    **executions.RESOLVERS,
    **container_update.RESOLVERS,
    **images.RESOLVERS,
    **archives.RESOLVERS,
    **networks.RESOLVERS,
    **volumes.RESOLVERS,
    **compose.RESOLVERS,
}
"""A change that has none is about nothing that was there before."""

VERIFIERS: dict[str, Verifier] = {
    **container_verifiers.VERIFIERS,
    **container_creation_verifiers.VERIFIERS,
    **executions.VERIFIERS,
    **container_update.VERIFIERS,
    **images.VERIFIERS,
    **archives.VERIFIERS,
    **image_build.VERIFIERS,
    **network_verifiers.VERIFIERS,
    **volume_verifiers.VERIFIERS,
    **compose_verifiers.VERIFIERS,
}
"""A change that has none is OPAQUE: once it may have begun, nothing on the host tells what became of it."""
