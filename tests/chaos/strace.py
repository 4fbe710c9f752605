"""Debian's strace: what a program asked of its disk, in order and in full, and faults put into its system calls."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.system.packages import NotInstallable, find_or_install

_TRACED = (
    "open,openat,close,write,pwrite64,ftruncate,fallocate,fsync,fdatasync,"
    "unlink,unlinkat,rename,renameat,renameat2"
)
_LONGEST_DATA = 1 << 24

_LINE = re.compile(r"(\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_RETURNED = re.compile(r"\) += (-?\d+)")


class Call(NamedTuple):
    """One system call that succeeded, where it stands among the others: a write as it began, all else as it ended.

    `began` is the number of calls that stand before its beginning. `path` is what it is about, `offset` where a write
    begins, or the new size of a truncation; `data` is what was written, `target` the new name of a rename.
    """

    name: str
    path: str
    began: int
    descriptor: int = -1
    offset: int = 0
    data: bytes = b""
    target: str = ""


@cache
def strace() -> str:
    """Where strace is; a test that needs it is skipped where it can't be had (and fails if CI is true)."""
    try:
        return str(find_or_install("strace", "strace"))
    except NotInstallable as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI has to run the tests under strace, but: {error}", pytrace=False)
        pytest.skip(f"no strace: {error}")


def traced(command: Sequence[str], paths: Iterable[Path], output: Path) -> list[Call]:
    """Run a program to its end, and say what it asked of these files. `output` is where the trace is kept."""
    watched = [word for path in paths for word in ("-P", str(path))]
    words = [
        strace(),
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-xx",
        "-s",
        str(_LONGEST_DATA),
        "-e",
        f"trace={_TRACED}",
    ]
    done = subprocess.run(
        [*words, *watched, "-o", str(output), *command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command} under strace ended with {done.returncode}: {done.stderr[-2000:]}"
    with output.open(encoding="ascii") as lines:
        return list(parse(lines))


def parse(lines: Iterable[str]) -> Iterator[Call]:
    """The calls of one process and its threads, out of what strace wrote."""
    paths: dict[int, str] = {}
    begun: dict[str, tuple[str, str, int]] = {}
    count = 0
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue  # a signal, or an exit
        thread, rest = match[1], match["rest"].rstrip("\n")
        if match["resumed"]:
            name, first, began = begun.pop(thread)
            rest = first + rest
            if name in _WRITES:
                continue  # it stands where it began
        elif rest.endswith(_UNFINISHED):
            name, rest, began = match["name"], rest.removesuffix(_UNFINISHED), count
            begun[thread] = (name, rest, began)
            if name not in _WRITES:
                continue
        else:
            name, began = match["name"], count
        call = _call(name, rest, began, paths)
        if call is not None:
            count += 1
            yield call


_WRITES = {"write", "pwrite64", "ftruncate", "fallocate"}


def _call(name: str, rest: str, began: int, paths: dict[int, str]) -> Call | None:
    returned = _RETURNED.search(rest)
    if returned is not None and int(returned[1]) < 0:
        return None
    strings = [_bytes(found) for found in _STRING.finditer(rest)]
    if name in ("open", "openat"):
        assert returned is not None
        descriptor, path = int(returned[1]), strings[0].decode()
        paths[descriptor] = path
        # Only a new name matters, and whether it is new the reader of the trace knows.
        return Call("open", path, began, descriptor)
    if name.startswith("unlink"):
        return Call("unlink", strings[0].decode(), began)
    if name.startswith("rename"):
        return Call("rename", strings[0].decode(), began, target=strings[1].decode())
    descriptor = int(re.split(r"[,)]", rest, maxsplit=1)[0])
    path = paths[descriptor]
    if name == "close":
        del paths[descriptor]
        return Call("close", path, began, descriptor)
    if name in ("fsync", "fdatasync"):
        return Call("flush", path, began, descriptor)
    if name == "write":
        return Call("append", path, began, descriptor, data=strings[0])
    numbers = [int(number) for number in re.findall(r", (\d+)", _STRING.sub("", rest))]
    if name == "pwrite64":
        return Call("write", path, began, descriptor, numbers[1], strings[0])
    if name == "ftruncate":
        return Call("truncate", path, began, descriptor, numbers[0])
    raise AssertionError(f"{name} is traced, and nobody knows what it means for a disk: {rest[:200]}")


def _bytes(found: re.Match[str]) -> bytes:
    assert not found[2], "strace cut data short"
    return bytes.fromhex(found[1].replace("\\x", ""))
