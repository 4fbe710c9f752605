"""The tree keeps to its own rules, and the checker that says so can say no."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.source_rules import CORE_LINES, OTHER_LINES, SOURCE, check_module, check_tree

BAD_MODULES = [
    ("core/retry.py", "import time\n", "purity"),
    ("core/retry.py", "import random\n", "purity"),
    ("core/retry.py", "import asyncio\n", "purity"),
    ("core/retry.py", "import logging\n", "purity"),
    ("core/retry.py", "import os.path\n", "purity"),
    ("core/retry.py", "from urllib import request\n", "purity"),
    ("core/retry.py", "from seawall.clock import Clock\n", "purity"),
    ("core/retry.py", "from seawall.wire import codec\n", "purity"),
    ("core/retry.py", "from seawall import RetryPolicy\n", "purity"),
    ("core/retry.py", "from . import errors\n", "purity"),
    ("core/retry.py", "def late():\n    import socket\n", "purity"),
    ("core/retry.py", "async def wait():\n    pass\n", "purity"),
    ("core/retry.py", "print('decided')\n", "purity"),
    ("core/retry.py", "open('state')\n", "purity"),
    ("operations/containers.py", "import subprocess\n", "purity"),
    ("operations/containers.py", "import aiodocker\n", "purity"),
    ("operations/containers.py", "from seawall.wire import messages\n", "purity"),
    ("wire/codec.py", "import socket\n", "purity"),
    ("wire/codec.py", "from seawall.operations import registry\n", "purity"),
    ("engine/drive.py", "import time\ntime.time()\n", "time"),
    ("engine/drive.py", "import time as clock\nclock.monotonic()\n", "time"),
    ("engine/drive.py", "import time\nnow = time.monotonic_ns\n", "time"),
    ("engine/drive.py", "from time import monotonic\n", "time"),
    ("engine/drive.py", "from time import perf_counter as now\n", "time"),
    ("engine/drive.py", "import datetime\ndatetime.datetime.now()\n", "time"),
    ("engine/drive.py", "from datetime import datetime\ndatetime.now(None)\n", "time"),
    ("engine/drive.py", "from datetime import datetime as moment\nmoment.utcnow()\n", "time"),
    ("engine/drive.py", "from datetime import date\ndate.today()\n", "time"),
    ("engine/drive.py", "import random\n", "time"),
    ("engine/drive.py", "from random import Random\n", "time"),
    ("engine/drive.py", "import uuid\nuuid.uuid4()\n", "time"),
    ("engine/drive.py", "from uuid import uuid1\n", "time"),
    ("engine/drive.py", "def f(loop):\n    return loop.time()\n", "time"),
    ("engine/drive.py", "def f(self):\n    return self._loop.time()\n", "time"),
    ("engine/drive.py", "import asyncio\nasyncio.get_running_loop().time()\n", "time"),
    ("engine/drive.py", "from asyncio import get_running_loop\nget_running_loop().time()\n", "time"),
    ("cli/main.py", "import time\ntime.sleep(1)\n", "time"),
    ("core/retry.py", "\n" * (CORE_LINES + 1), "size"),
    ("engine/drive.py", "\n" * (OTHER_LINES + 1), "size"),
    ("engine/utils.py", "", "name"),
    ("helpers/circuits.py", "", "name"),
    ("core/_common.py", "", "name"),
]

GOOD_MODULES = [
    (
        "core/retry.py",
        "from heapq import heappush\nimport msgspec\nfrom seawall.core.errors import Verdict\n",
    ),
    ("core/retry.py", "\n" * CORE_LINES),
    (
        "wire/codec.py",
        "import msgspec.msgpack\nfrom urllib.parse import urlsplit\nfrom seawall.core import errors\n",
    ),
    ("operations/registry.py", "from seawall.operations import containers\n"),
    ("engine/drive.py", "import asyncio\nasync def wait(clock):\n    return clock.now()\n"),
    ("engine/drive.py", "from datetime import UTC, datetime\nEPOCH = datetime.fromtimestamp(0, UTC)\n"),
    ("engine/drive.py", "import uuid\nuuid.UUID(int=0)\n"),
    ("engine/drive.py", "\n" * OTHER_LINES),
    ("clock.py", "import random, time, uuid\ntime.monotonic()\nrandom.Random()\n"),
    ("controller/credentials.py", "import secrets\nsecrets.token_bytes(32)\n"),
]


def test_the_tree_keeps_to_its_rules() -> None:
    findings = check_tree(SOURCE)
    assert not findings, "\n" + "\n".join(map(str, findings))


def test_the_checker_reads_the_tree_that_is_meant() -> None:
    paths = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")}
    assert {"core/breaker.py", "wire/codec.py", "operations/registry.py", "clock.py"} <= paths


@pytest.mark.parametrize(("path", "text", "rule"), BAD_MODULES)
def test_a_bad_module_is_found(path: str, text: str, rule: str) -> None:
    assert rule in {finding.rule for finding in check_module(path, text)}


@pytest.mark.parametrize(("path", "text"), GOOD_MODULES)
def test_a_good_module_is_left_alone(path: str, text: str) -> None:
    assert check_module(path, text) == []


def test_a_finding_names_file_line_and_rule(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "drive.py").write_text("import asyncio\nimport random\n", encoding="utf-8")
    assert [str(finding) for finding in check_tree(tmp_path)] == [
        "engine/drive.py:2: time: random belongs to clock.py; take the dice of a Clock"
    ]
