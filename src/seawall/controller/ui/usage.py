"""What a container uses, from Docker's own record of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct


class Usage(Struct, frozen=True):
    """What a container uses now; `cpu_percent` is of one CPU."""

    cpu_percent: float
    memory_bytes: float
    memory_limit_bytes: float
    processes: float
    received_bytes: float
    sent_bytes: float


def usage_of(line: bytes) -> Usage | None:
    """What a line of the stream says; None if it says something else."""
    try:
        sample = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    if not isinstance(sample, dict) or "cpu_stats" not in sample:
        return None
    memory = _part(sample, "memory_stats")
    given_back = _number(_part(memory, "stats"), "inactive_file")
    networks = [each for each in _part(sample, "networks").values() if isinstance(each, dict)]
    return Usage(
        _cpu_percent(sample),
        max(0.0, _number(memory, "usage") - given_back),
        _number(memory, "limit"),
        _number(_part(sample, "pids_stats"), "current"),
        sum(_number(each, "rx_bytes") for each in networks),
        sum(_number(each, "tx_bytes") for each in networks),
    )


def _cpu_percent(sample: Mapping[str, object]) -> float:
    now, before = _part(sample, "cpu_stats"), _part(sample, "precpu_stats")
    used = _number(_part(now, "cpu_usage"), "total_usage") - _number(
        _part(before, "cpu_usage"), "total_usage"
    )
    passed = _number(now, "system_cpu_usage") - _number(before, "system_cpu_usage")
    return used / passed * _number(now, "online_cpus") * 100 if passed > 0 and used > 0 else 0.0


def _part(of: Mapping[str, object], name: str) -> dict[str, object]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _number(of: Mapping[str, object], name: str) -> float:
    found = of.get(name)
    return float(found) if isinstance(found, int | float) else 0.0
