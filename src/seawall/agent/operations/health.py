"""Whether a container that was just started is well, by its health check or by its running on."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.runner import section
from seawall.agent.operations.saga import StepFailed
from seawall.agent.operations.snapshot import snapshot_of

_LONGEST_WORDS = 200


def is_well(record: Mapping[str, object], *, steady: bool) -> bool:
    """Whether the new container is proved. Raises StepFailed if it never will be."""
    seen = snapshot_of(record)
    if not seen.running:
        raise StepFailed(f"the new container ended at once, with the exit code {seen.exit_code}")
    health = health_of(record)
    if health == "unhealthy":
        raise StepFailed(f"the new container is unhealthy{last_check(record)}")
    if health is None:
        return steady and seen.up
    return health == "healthy"


def health_of(record: Mapping[str, object]) -> str | None:
    """Docker's word for the health; None without a health check."""
    status = section(section(record, "State"), "Health").get("Status")
    return status if isinstance(status, str) and status not in ("", "none") else None


def last_check(record: Mapping[str, object]) -> str:
    """What its health check said last, for the end of a sentence."""
    log = section(section(record, "State"), "Health").get("Log")
    last = log[-1] if isinstance(log, list) and log else None
    if not isinstance(last, dict):
        return ""
    words = " ".join(str(last.get("Output", "")).split())[:_LONGEST_WORDS]
    return f": its health check ended with {last.get('ExitCode')} ({words or 'it said nothing'})"
