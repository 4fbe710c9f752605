"""The files of a Compose project as they came, before any program reads them: checked, and made self-contained.

A Compose program reads other files wherever its files point to, and fills in variables from whatever environment it
runs in. So nothing is left for it to look up: variables are filled in here, from what the command gave, and a file that
points outside of what came with it is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from seawall.agent.operations.compose_yaml import LONGEST, NotPlain, read_yaml

MOST_BYTES = 256 * 1024
"""What all files of a project may have together."""
MOST_SERVICES = 64

_USUAL = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_ENDINGS = (".yaml", ".yml")
_TOP = frozenset({"version", "name", "services", "networks", "volumes"})
_LATER = "put what it holds into the environment or into a volume"
_NO_TOP = {
    "include": "give the files that it names along with the others",
    "secrets": _LATER,
    "configs": _LATER,
}
_NO_SERVICE = {
    "build": "build the image first, and name it with `image`",
    "label_file": "write the labels out",
    "credential_spec": "it reads a file of the host",
    "secrets": _LATER,
    "configs": _LATER,
    "provider": "it runs a program of the host",
    "use_api_socket": "it gives the container the whole of Docker",
}
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<named>[A-Za-z_][A-Za-z0-9_]*)|"
    r"\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<rule>:?[-?+])(?P<text>[^{}]*))?\}|(?P<bad>))"
)


class FilesRefused(ValueError):
    """The files of a project are not used; the message says which, why, and what to do."""


class Sources(Struct, frozen=True):
    """What a Compose program is given to read: `files` by name, `use` the names of Compose files in their order."""

    files: dict[str, str]
    use: list[str]


def sources_of(
    project: str, files: Mapping[str, str], use: Sequence[str], environment: Mapping[str, str]
) -> Sources:
    """Files that look nothing up but each other. Raises FilesRefused; takes a moment for large ones."""
    size = sum(len(name.encode()) + len(text.encode()) for name, text in files.items())
    if size > MOST_BYTES:
        raise FilesRefused(f"the files have {size} bytes together, at most {MOST_BYTES} are taken")
    chosen = list(use) or _usual(files)
    for name in chosen:
        if name not in files:
            raise FilesRefused(f"{name[:64]} is to be used, and is not among the files")
    ready = dict(files)
    for name in files:
        if name in chosen or name.endswith(_ENDINGS):
            ready[name] = _self_contained(project, name, files, environment)
    return Sources(ready, chosen)


def fill_in(text: str, environment: Mapping[str, str], where: str) -> str:
    """The text with its variables replaced, as Compose replaces them; `$$` is a dollar. Raises FilesRefused."""
    length = 0
    pieces: list[str] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        piece = text[end : match.start()] + _value(match, environment, where)
        length += len(piece)
        if length > LONGEST:
            raise FilesRefused(f"{where}: its variables make it longer than {LONGEST} characters")
        pieces.append(piece)
        end = match.end()
    pieces.append(text[end:])
    return "".join(pieces)


def _usual(files: Mapping[str, str]) -> list[str]:
    for name in _USUAL:
        if name in files:
            stem, _, ending = name.rpartition(".")
            more = [f"{stem}.override.{ending}"]
            return [name, *(override for override in more if override in files)]
    candidates = [name for name in files if name.endswith(_ENDINGS)]
    if len(candidates) == 1:
        return candidates
    raise FilesRefused(
        f"none of the files is called {_USUAL[0]}: say with `use` which of them are the project, in their order"
    )


def _self_contained(project: str, name: str, files: Mapping[str, str], environment: Mapping[str, str]) -> str:
    try:
        content = read_yaml(files[name], name)
    except NotPlain as error:
        raise FilesRefused(str(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("services", {}), dict):
        raise FilesRefused(f"{name} is no Compose file: it is no table with `services` in it")
    filled = _Filling(environment).of(content, name)
    if not isinstance(filled, dict):
        raise TypeError("a table was filled in and is none")
    _check_top(project, name, filled)
    services = filled.get("services", {})
    if len(services) > MOST_SERVICES:
        raise FilesRefused(f"{name} has {len(services)} services, at most {MOST_SERVICES} are taken")
    for service, settings in services.items():
        if not isinstance(settings, dict):
            raise FilesRefused(f"{name}: service {str(service)[:64]} is no table")
        _check_service(f"{name}: service {str(service)[:64]}", settings, files)
        if "environment" in settings:
            settings["environment"] = _environment(settings["environment"], environment)
    # Every program of Compose takes this for granted, and older ones guess less without it.
    kept = {key: value for key, value in filled.items() if key not in ("version", "name")}
    try:
        text = json.dumps(_escaped(kept), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FilesRefused(f"{name}: it holds what is no plain data ({error})") from error
    if len(text) > LONGEST:
        raise FilesRefused(f"{name}: written out it has {len(text)} characters, at most {LONGEST} are taken")
    return text


def _check_top(project: str, name: str, content: Mapping[object, object]) -> None:
    for key in content:
        if key in _NO_TOP:
            raise FilesRefused(f"{name}: `{key}` is not taken: {_NO_TOP[str(key)]}")
        if not isinstance(key, str) or (key not in _TOP and not key.startswith("x-")):
            raise FilesRefused(f"{name}: `{str(key)[:64]}` is nothing that the agent knows of a project")
    if content.get("name", project) != project:
        raise FilesRefused(f"{name} calls its project {str(content['name'])[:64]!r}, the command {project!r}")


def _check_service(where: str, settings: Mapping[object, object], files: Mapping[str, str]) -> None:
    for key, reason in _NO_SERVICE.items():
        if settings.get(key) is not None:
            raise FilesRefused(f"{where}: `{key}` is not taken: {reason}")
    extends = settings.get("extends")
    if isinstance(extends, dict) and extends.get("file") is not None:
        _check_given(f"{where}: `extends`", extends["file"], files)
        if not str(extends["file"]).endswith(_ENDINGS):
            raise FilesRefused(f"{where}: `extends` names a file that ends in neither .yaml nor .yml")
    named = settings.get("env_file")
    for entry in named if isinstance(named, list) else [named]:
        path = entry.get("path") if isinstance(entry, dict) else entry
        if entry is not None:
            _check_given(f"{where}: `env_file`", path, files)


def _check_given(where: str, name: object, files: Mapping[str, str]) -> None:
    if not isinstance(name, str) or name.removeprefix("./") not in files:
        raise FilesRefused(
            f"{where} names {str(name)[:64]!r}, which is not among the files: nothing else is read, give it along"
        )


def _environment(given: object, environment: Mapping[str, str]) -> object:
    """A variable without a value would be the Compose program's own: it is the command's, or left out."""
    if isinstance(given, dict):
        filled = {key: environment.get(str(key)) if value is None else value for key, value in given.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(given, list):
        return list(_entries(given, environment))
    return given


def _entries(given: Iterable[object], environment: Mapping[str, str]) -> Iterable[object]:
    for entry in given:
        if not isinstance(entry, str) or "=" in entry:
            yield entry
        elif entry in environment:
            yield f"{entry}={environment[entry]}"


class _Filling:
    """Fills in the variables of one file, which stays within bounds all together."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._length = 0

    def of(self, value: object, where: str) -> object:
        if isinstance(value, dict):
            return {key: self.of(inner, f"{where}: {str(key)[:64]}") for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner, where) for inner in value]
        if not isinstance(value, str):
            return value
        filled = fill_in(value, self._environment, where[:200])
        self._length += len(filled)
        if self._length > LONGEST:
            raise FilesRefused(
                f"{where[:200]}: the file is longer than {LONGEST} characters by its variables"
            )
        return filled


def _escaped(value: object) -> object:
    """Its dollars doubled, so that a Compose program finds no variables."""
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _value(match: re.Match[str], environment: Mapping[str, str], where: str) -> str:
    if match["escaped"] is not None:
        return "$"
    name = match["named"] or match["braced"]
    if name is None:
        raise FilesRefused(f"{where}: a `$` that begins no variable; write `$$` for the sign itself")
    value, rule, text = environment.get(name), match["rule"], match["text"] or ""
    there = value is not None if rule and not rule.startswith(":") else bool(value)
    if rule in ("+", ":+"):
        return text if there else ""
    if value is not None and (rule is None or there):
        return value
    if rule in ("-", ":-"):
        return text
    raise FilesRefused(f"{where}: the variable {name} has no value: give it in the environment")
