"""What the tree must keep to beyond imports between rooms: a checker of source text, itself under test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "seawall"

PURE_ROOMS = frozenset({"core", "operations", "wire"})

# Everything here decides from its arguments alone. A module that can read a clock, throw dice, wait, log, or touch a
# file or a socket is left out on purpose; `datetime` may carry a moment, but rule "time" forbids asking it for now.
PURE_IMPORTS = frozenset(
    {
        "__future__",
        "abc",
        "array",
        "base64",
        "binascii",
        "collections",
        "collections.abc",
        "copy",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "msgspec",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
    }
)

# Written as they appear after imports are resolved: `from time import monotonic` is `time.monotonic`.
TIME_AND_DICE = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.clock_gettime",
        "time.clock_gettime_ns",
        "time.gmtime",
        "time.localtime",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.sleep",
        "time.time",
        "time.time_ns",
        "uuid.uuid1",
        "uuid.uuid3",
        "uuid.uuid4",
        "uuid.uuid5",
        "uuid.uuid6",
        "uuid.uuid7",
        "uuid.uuid8",
    }
)
LOOPS = frozenset({"loop", "_loop", "event_loop"})
LOOP_GETTERS = frozenset({"asyncio.get_running_loop", "asyncio.get_event_loop"})

CATCH_ALL_NAMES = frozenset(
    {"base", "common", "helper", "helpers", "misc", "shared", "stuff", "util", "utils"}
)
GENERATED = "by `make generate`: change it there."
"""What made modules say of themselves; their size is that of what they are made from."""
CORE_LINES = 250
OTHER_LINES = 400


@dataclass(frozen=True)
class Finding:
    """One broken rule at one place."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def check_tree(source: Path) -> list[Finding]:
    """Every finding in a tree of modules whose root package lies at `source`."""
    return [
        finding
        for path in sorted(source.rglob("*.py"))
        for finding in check_module(path.relative_to(source).as_posix(), path.read_text(encoding="utf-8"))
    ]


def check_module(path: str, text: str) -> list[Finding]:
    """Every finding in one module; `path` is relative to the package root, such as `core/retry.py`."""
    room = path.split("/", 1)[0].removesuffix(".py")
    tree = ast.parse(text, filename=path)
    findings = [*_check_size(path, room, text), *_check_name(path)]
    if room in PURE_ROOMS:
        findings += _check_purity(path, room, tree)
    if path != "clock.py":
        findings += _check_time(path, tree)
    return findings


def _check_size(path: str, room: str, text: str) -> Iterator[Finding]:
    if GENERATED in text:
        return
    limit = CORE_LINES if room == "core" else OTHER_LINES
    lines = len(text.splitlines())
    if lines > limit:
        yield Finding(path, lines, "size", f"{lines} lines, {limit} are allowed: which second idea moved in?")


def _check_name(path: str) -> Iterator[Finding]:
    for part in path.removesuffix(".py").split("/"):
        if part.strip("_") in CATCH_ALL_NAMES:
            yield Finding(path, 1, "name", f"{part} says nothing about what is inside")


def _check_purity(path: str, room: str, tree: ast.AST) -> Iterator[Finding]:
    for line, module in _imported_modules(tree):
        if module in PURE_IMPORTS or module.startswith("msgspec."):
            continue
        own = module.split(".")
        if own[0] == "seawall" and len(own) > 1 and own[1] in {"core", room}:
            continue
        yield Finding(path, line, "purity", f"{module} is not on the list of pure imports")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in {"open", "print", "input", "__import__", "eval", "exec"}:
                yield Finding(path, node.lineno, "purity", f"{node.func.id}() is no business of a pure room")
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield Finding(path, node.lineno, "purity", "a pure room never waits")


def _imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            elif node.module in {"urllib", "seawall"}:
                for alias in node.names:
                    yield node.lineno, f"{node.module}.{alias.name}"
            else:
                yield node.lineno, node.module or ""


def _check_time(path: str, tree: ast.AST) -> Iterator[Finding]:
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield from _forbidden(path, node.lineno, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "random":
                    yield Finding(
                        path, node.lineno, "time", "random belongs to clock.py; take the dice of a Clock"
                    )
        elif isinstance(node, ast.Attribute):
            yield from _forbidden(path, node.lineno, _dotted(node, aliases))


def _forbidden(path: str, line: int, name: str) -> Iterator[Finding]:
    owner, _, attribute = name.rpartition(".")
    if name in TIME_AND_DICE or owner == "random":
        yield Finding(path, line, "time", f"{name} belongs to clock.py; take it from a Clock")
    elif attribute == "time" and (owner in LOOP_GETTERS or owner.rpartition(".")[2] in LOOPS):
        yield Finding(path, line, "time", f"{name}() belongs to clock.py; take now() from a Clock")


def _aliases(tree: ast.AST) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname is not None:
                    aliases[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return aliases


def _dotted(node: ast.expr, aliases: dict[str, str]) -> str:
    """`self._loop.time` for that expression; a call in the middle counts as what it calls."""
    match node:
        case ast.Attribute(value=value, attr=attribute):
            return f"{_dotted(value, aliases)}.{attribute}"
        case ast.Call(func=function):
            return _dotted(function, aliases)
        case ast.Name(id=name):
            return aliases.get(name, name)
        case _:
            return "?"
