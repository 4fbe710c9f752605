"""What the kernel knows about the processes and mounts of an engine, also of one that was killed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def family_of(directory: str) -> list[int]:
    """dockerd, containerd and the shims of one engine, and all their descendants.

    They name its exec-root, whose path is unique, in their arguments; who only talks to its socket does not. A
    container's processes don't name it either: they are the children of a shim.
    """
    processes = living_processes()
    needle = f"{directory}/exec".encode()
    family = {process_id for process_id, process in processes.items() if needle in process.arguments}
    while children := {child for child, process in processes.items() if process.parent in family} - family:
        family |= children
    return sorted(family - {os.getpid()})


@dataclass(frozen=True)
class Process:
    """One living process."""

    parent: int
    arguments: bytes


def living_processes() -> dict[int, Process]:
    """Every process of the machine that is not dead and unburied, by its number."""
    processes: dict[int, Process] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes()
            # The name in parentheses may hold anything, spaces and parentheses included.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # It ended while we looked.
        if state not in {"Z", "X"}:
            processes[int(entry.name)] = Process(int(parent), arguments)
    return processes


def environment_of(process_id: int) -> set[bytes]:
    """The settings, each NAME=VALUE, that a process was started with; none of one that has ended."""
    try:
        return set(Path(f"/proc/{process_id}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def mounts_below(directory: Path) -> list[str]:
    """Mount points in a folder, the deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if Path(point).is_relative_to(directory)), key=len, reverse=True)
