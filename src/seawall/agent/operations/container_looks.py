"""What a container does now: its processes, what it uses, what it has changed, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.agent.operations.containers import resolve
from seawall.agent.operations.runner import Execution, Runner, argument, limited, section

_WAIT_MARGIN_SECONDS = 5.0  # the attempt's own time is over first, and says so in better words
_KINDS = {0: "changed", 1: "added", 2: "deleted"}


async def container_wait(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_WAIT`."""
    name = argument(execution.arguments, "container", str)
    target = await resolve(execution.docker, name, execution.timeout_seconds)
    exit_code = await execution.docker.container_wait(
        target.object_id,
        condition=argument(execution.arguments, "until", str),
        timeout_seconds=execution.timeout_seconds + _WAIT_MARGIN_SECONDS,
    )
    return {"container": target.name, "id": target.object_id, "exit_code": exit_code}


async def container_top(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_TOP`."""
    record = await execution.docker.container_top(
        argument(execution.arguments, "container", str),
        columns=argument(execution.arguments, "columns", str),
        timeout_seconds=execution.timeout_seconds,
    )
    response = {"titles": record.get("Titles") or [], "processes": record.get("Processes") or []}
    return limited(response, "ask for fewer columns")


async def container_stats(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_STATS`."""
    record = await execution.docker.container_stats(
        argument(execution.arguments, "container", str), timeout_seconds=execution.timeout_seconds
    )
    return usage_of(record)


async def container_diff(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_DIFF`."""
    changes = await execution.docker.container_changes(
        argument(execution.arguments, "container", str), timeout_seconds=execution.timeout_seconds
    )
    response = [{"path": each.get("Path"), "kind": _kind(each.get("Kind"))} for each in changes]
    return limited(response, "look into the container with container_exec")


def usage_of(sample: Mapping[str, object]) -> dict[str, object]:
    """What one of Docker's samples says a container uses; zeros for one that doesn't run.

    `cpu_percent` is of one CPU, so that two busy ones are 200. `memory_bytes` is without what the kernel would give
    back at once.
    """
    memory = section(sample, "memory_stats")
    details = section(memory, "stats")
    given_back = _number(details, "inactive_file") or _number(details, "total_inactive_file")
    used = max(_number(memory, "usage") - given_back, 0)
    networks = [each for each in section(sample, "networks").values() if isinstance(each, Mapping)]
    read, written = _blocks(section(sample, "blkio_stats").get("io_service_bytes_recursive"))
    return {
        "container": str(sample.get("name", "")).removeprefix("/"),
        "id": sample.get("id"),
        "time": sample.get("read"),
        "cpu_percent": round(_cpu_percent(sample), 2),
        "memory_bytes": used,
        "memory_limit_bytes": _number(memory, "limit"),
        "processes": _number(section(sample, "pids_stats"), "current"),
        "network_received_bytes": sum(_number(each, "rx_bytes") for each in networks),
        "network_sent_bytes": sum(_number(each, "tx_bytes") for each in networks),
        "blocks_read_bytes": read,
        "blocks_written_bytes": written,
    }


def _cpu_percent(sample: Mapping[str, object]) -> float:
    now, before = section(sample, "cpu_stats"), section(sample, "precpu_stats")
    busy = _number(section(now, "cpu_usage"), "total_usage") - _number(
        section(before, "cpu_usage"), "total_usage"
    )
    all_time = _number(now, "system_cpu_usage") - _number(before, "system_cpu_usage")
    per_cpu = section(now, "cpu_usage").get("percpu_usage")
    cpus = _number(now, "online_cpus") or (len(per_cpu) if isinstance(per_cpu, list) else 1)
    return 100.0 * cpus * busy / all_time if busy > 0 and all_time > 0 else 0.0


def _blocks(entries: object) -> tuple[int, int]:
    read = written = 0
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            kind = str(entry.get("op", "")).lower()
            read += _number(entry, "value") if kind == "read" else 0
            written += _number(entry, "value") if kind == "write" else 0
    return read, written


def _number(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def _kind(number: object) -> str:
    return _KINDS.get(number, str(number)) if isinstance(number, int) else str(number)


RUNNERS: dict[str, Runner] = {
    "container_wait": container_wait,
    "container_top": container_top,
    "container_stats": container_stats,
    "container_diff": container_diff,
}
