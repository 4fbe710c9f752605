"""Writes what is made from the declarations of operations: the client's methods and tables of the documentation.

`python scripts/generate.py` writes the files, `--check` says which of them aren't as they would be written now.
"""

from __future__ import annotations

import keyword
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer.main

from seawall.cli.arguments import of_command
from seawall.cli.command import SUMMARY
from seawall.cli.main import app
from seawall.cli.nouns import NOUNS
from seawall.operations.operation import Argument, Operation, StreamKind, Upload
from seawall.operations.registry import OPERATIONS
from seawall.operations.uploads import ARCHIVE_NAMES

ROOT = Path(__file__).resolve().parents[1]
CLIENT = "src/seawall/client"
PLURALS = {
    "container": "containers",
    "image": "images",
    "network": "networks",
    "volume": "volumes",
    "system": "system",
    "compose": "compose",
    "command": "commands",
}
_SUMMARIES = {**NOUNS, "command": SUMMARY}
_NOTE = "Made from `operations/{file}.py` by `make generate`: change it there."
_WIDTH = 110
_SOURCES = {
    Upload.FILES: "the file or directory, named as it will be there; a directory's content if it ends with '/.'",
    Upload.IMAGES: "the archive's file",
    Upload.CONTEXT: "the directory of the context; what its .dockerignore names is left out",
}


def main() -> int:
    made = {**clients(), **pages()}
    if "--check" not in sys.argv[1:]:
        for path, text in made.items():
            (ROOT / path).write_text(text, encoding="utf-8")
        return 0
    old = [path for path, text in made.items() if not _is_there(path, text)]
    for path in old:
        print(f"{path} isn't what the declarations say now: run 'make generate'", file=sys.stderr)
    return 1 if old else 0


def _is_there(path: str, text: str) -> bool:
    file = ROOT / path
    return file.is_file() and file.read_text(encoding="utf-8") == text


# The client


def clients() -> dict[str, str]:
    """The modules of both clients, by their paths."""
    raw = {}
    for noun, plural in PLURALS.items():
        raw[f"{CLIENT}/operations/{plural}.py"] = _module(noun, plural, asynchronous=True)
        raw[f"{CLIENT}/sync_operations/{plural}.py"] = _module(noun, plural, asynchronous=False)
    return _formatted(raw)


def _module(noun: str, plural: str, *, asynchronous: bool) -> str:
    room = "operations" if asynchronous else "sync_operations"
    name = plural.capitalize() if asynchronous else f"Sync{plural.capitalize()}"
    own_operations = [each for each in OPERATIONS.values() if each.noun == noun and each.supported]
    commands = [_method(each, asynchronous=asynchronous) for each in own_operations if each.command]
    streams = [
        _stream_method(each, asynchronous=asynchronous)
        for each in own_operations
        if each.stream not in (None, StreamKind.UPLOAD)
    ]
    methods = [*commands, *streams]
    body = "\n".join(methods)
    collections = [kind for kind in ("Mapping", "Sequence") if f"{kind}[" in body]
    imports = f"from collections.abc import {', '.join(collections)}\n" if collections else ""
    own = [f"from seawall.client.{room}.group import Group"]
    if commands:
        imports += "from typing import Unpack\n\n"
        own += [
            "from seawall.client.delivery import Delivery, On",
            "from seawall.client.results import Results",
        ]
    if any(each.upload is not None for each in own_operations):
        own.append("from seawall.client.parcels import Source")
    if streams and asynchronous:
        own.append("from seawall.client.streams import Stream")
    elif streams:
        own.append("from seawall.client.sync_streams import SyncStream")
    return f'''"""{_SUMMARIES[noun]}

{_NOTE.format(file=plural)}
"""

from __future__ import annotations

{imports}{chr(10).join(sorted(own))}


class {name}(Group):
    """{_SUMMARIES[noun]}"""

{body}
'''


def _method(operation: Operation, *, asynchronous: bool) -> str:
    sends = operation.upload is not None
    # What names the archive is found out when it is made.
    arguments = [each for each in of_command(operation) if not (sends and each.name in ARCHIVE_NAMES)]
    leading, named = _ordered(arguments)
    signature = [
        "self",
        *(_parameter(each) for each in leading),
        *(["source: Source"] if sends else []),
        "*",
        *(_parameter(each) for each in named if each.required),
        "on: On = None",
        *(_parameter(each) for each in named if not each.required),
        "**delivery: Unpack[Delivery]",
    ]
    given = f"on, {_given(arguments)}, delivery"
    call = f'self._perform("{operation.name}", {given})'
    more: list[str] = []
    if operation.upload is not None:
        call, more = f'self._send("{operation.name}", source, {given})', [_SOURCES[operation.upload]]
    return (
        f"    {'async ' if asynchronous else ''}def {_identifier(operation.verb)}({', '.join(signature)}) -> Results:\n"
        f"{_docstring(operation.summary, [*leading, *named], more)}"
        f"        return {'await ' if asynchronous else ''}{call}\n"
    )


def _stream_method(operation: Operation, *, asynchronous: bool) -> str:
    leading, named = _ordered(operation.arguments)
    signature = [
        "self",
        *(_parameter(each) for each in leading),
        "*",
        "on: str",
        *(_parameter(each) for each in sorted(named, key=lambda each: not each.required)),
    ]
    kind = "Stream" if asynchronous else "SyncStream"
    summary = f"{operation.summary.removesuffix('.')}, as a stream of the one host `on`: see `{kind}`."
    return (
        f"    def stream_{operation.verb}({', '.join(signature)}) -> {kind}:\n"
        f"{_docstring(summary, [*leading, *named])}"
        f'        return self._stream("{operation.name}", on, {_given(operation.arguments)})\n'
    )


def _ordered(arguments: Iterable[Argument]) -> tuple[list[Argument], list[Argument]]:
    """The positional arguments, and the others with the required ones first."""
    leading = [each for each in arguments if each.positional]
    named = sorted((each for each in arguments if not each.positional), key=lambda each: not each.required)
    return leading, named


def _given(arguments: Iterable[Argument]) -> str:
    """The table of the arguments by their names, as code."""
    return (
        f"{{{', '.join(f'{chr(34)}{each.name}{chr(34)}: {_identifier(each.name)}' for each in arguments)}}}"
    )


def _docstring(summary: str, arguments: Iterable[Argument], more: Iterable[str] = ()) -> str:
    paragraphs = [summary, *(f"- `{_identifier(each.name)}`: {each.summary}" for each in arguments)]
    paragraphs += [f"- `source`: {text}" for text in more]
    first, *rest = (_wrapped(text) for text in paragraphs)
    if not rest:
        return f'        """{first.strip()}"""\n'
    return f'        """{first.strip()}\n\n{chr(10).join(rest)}\n        """\n'


def _wrapped(text: str) -> str:
    indented = "        "
    hanging = indented + ("  " if text.startswith("- ") else "")
    return textwrap.fill(
        text.replace("\\", "\\\\"), _WIDTH, initial_indent=indented, subsequent_indent=hanging
    )


def _parameter(argument: Argument) -> str:
    kind = {list: "Sequence[str]", dict: "Mapping[str, str]"}.get(argument.kind, argument.kind.__name__)
    name = _identifier(argument.name)
    if argument.required:
        return f"{name}: {kind}"
    if argument.default is None:
        return f"{name}: {kind} | None = None"
    return f"{name}: {kind} = {argument.default!r}"


def _identifier(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _formatted(modules: dict[str, str]) -> dict[str, str]:
    """The modules in the one format of the project."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in modules.items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "ruff", "format", "--quiet", "--no-cache", "--config"]
        subprocess.run([*command, str(ROOT / "pyproject.toml"), folder], check=True)  # noqa: S603  # ours alone
        return {path: (Path(folder) / path).read_text(encoding="utf-8") for path in modules}


# The documentation


def pages() -> dict[str, str]:
    """The pages with their generated parts as they should be, by their paths."""
    operations, cli = "docs/reference/operations.md", "docs/reference/cli.md"
    return {
        operations: _with_parts(operations, {"operations": _operations(), "arguments": _arguments()}),
        cli: _with_parts(cli, {"commands of hosts": _commands()}),
    }


def _with_parts(path: str, parts: dict[str, str]) -> str:
    """The page with what stands between each part's two marks replaced."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        head, found, rest = text.partition(begin)
        if not found or end not in rest:
            raise SystemExit(f"{path} has no place for {name}: it needs the lines {begin.strip()} and {end}")
        text = f"{head}{begin}{part}{rest[rest.index(end) :]}"
    return text


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = list(headings)
    lines = [cells, ["---"] * len(cells), *rows]
    return (
        "".join(f"| {' | '.join(line)} |\n" for line in lines)
        .replace("| --- |", "|---|")
        .replace(" --- |", "---|")
    )


def _operations() -> str:
    def row(each: Operation) -> list[str]:
        refused = "" if each.supported else " Not supported: refused with `unsupported_operation`."
        how = [each.safety.value, each.lane.value, each.role.value, f"{each.timeout_seconds:g} s"]
        return [f"`{each.name}`", *how, _cell(each.summary) + refused]

    headings = ("operation", "safety", "lane", "role", "timeout", "what it does")
    return _table(headings, map(row, OPERATIONS.values()))


def _arguments() -> str:
    def row(operation: Operation, each: Argument) -> list[str]:
        meaning = _cell(f"{each.summary[:1].upper()}{each.summary[1:].rstrip('.')}.")
        kind = each.kind.__name__
        return [f"`{operation.name}`", f"`{each.name}`", kind, _default(each), _limits(each), meaning]

    headings = ("of operation", "argument", "type", "default", "limits", "meaning")
    return _table(
        headings, (row(each, argument) for each in OPERATIONS.values() for argument in each.arguments)
    )


def _default(argument: Argument) -> str:
    if argument.required:
        return "required"
    if argument.default is None:
        return "-"
    return f"`{str(argument.default).lower() if argument.kind is bool else argument.default}`"


def _limits(argument: Argument) -> str:
    if argument.choices:
        return ", ".join(argument.choices)
    characters = f"at most {argument.max_length} characters"
    if argument.kind is str:
        return f"{characters}, a secret" if argument.secret else characters
    if argument.kind in (list, dict):
        return f"at most {argument.max_items} of {characters}{', a secret' if argument.secret else ''}"
    match argument.minimum, argument.maximum:
        case None, None:
            return "-"
        case None, maximum:
            return f"at most {maximum}"
        case minimum, None:
            return f"at least {minimum}"
        case minimum, maximum:
            return f"{minimum} to {maximum}"
    raise AssertionError(argument.name)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _commands() -> str:
    """The commands of all nouns, as the application has them."""
    root = typer.main.get_command(app)
    groups = getattr(root, "commands", {})
    # A command without options of its own has just those that all have.
    shared = _options(groups["system"].commands["ping"])
    sections = []
    for noun in NOUNS:
        group = groups.get(noun)
        if not getattr(group, "commands", {}):
            continue
        rows = list(_command_rows(noun, group, shared))
        sections.append(
            f"### {noun.capitalize()}\n\n{_table(('command', 'its options', 'what it does'), rows)}"
        )
    return "\n" + "\n".join(sections) + "\n"


def _command_rows(noun: str, group: object, shared: list[str]) -> Iterator[list[str]]:
    for name, command in getattr(group, "commands", {}).items():
        positional = [each.metavar for each in command.params if each.param_type_name == "argument"]
        options = [f"`{option}`" for option in _options(command) if option not in shared]
        words = " ".join(("seawall", noun, name, *positional))
        yield [f"`{words}`", ", ".join(options) or "-", _cell(" ".join((command.help or "").split()))]


def _options(command: object) -> list[str]:
    shown = [
        each
        for each in getattr(command, "params", ())
        if each.param_type_name == "option" and not each.hidden
    ]
    return [option for each in shown for option in each.opts]


if __name__ == "__main__":
    sys.exit(main())
