"""The host's policy as a file that its owner writes: TOML beside the agent's identity, which nobody else may change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from seawall.agent.local_policy import FILE_NAME, LocalPolicy, Rules, normal_path
from seawall.files import write_whole
from seawall.operations.host_level import Level
from seawall.toml_document import InvalidToml, TomlDocument

_MAX_BYTES = 256 * 1024
_ROOT = 0
_NAMESPACES = ("network", "pid", "ipc", "uts", "userns", "cgroup")
_PATHS = ("binds", "devices")
_HEAD = """\
# What the controller may have the agent on this host do. Only root, or the agent's own user, may own this file.
# level: "read-only", "operate" (the containers that are there) or "manage" (what the rules permit).
# exec: whether processes may be run in containers. An empty list permits nothing.
# The agent reads it when it starts.
"""


class PolicyError(Exception):
    """The host's policy can't be used. The message says what, which file and line, and what to do."""


def load_policy(directory: Path) -> LocalPolicy:
    """The policy of the agent whose identity is in a directory; read-only where there is none. Raises PolicyError."""
    path = directory / FILE_NAME
    content = _read(path)
    if content is not None and directory.stat().st_mode & 0o022:
        raise PolicyError(
            f"other users can replace the policy of this host in {directory}: run 'chmod go-w {directory}'"
        )
    if content is None:
        return LocalPolicy(source=f"{path}, which isn't there, so that everything is read-only")
    try:
        return parse_policy(str(path), content)
    except InvalidToml as error:
        raise PolicyError(f"the policy of this host can't be used: {error}") from None


def parse_policy(name: str, text: str) -> LocalPolicy:
    """The policy that a text describes; `name` is what messages call it. Raises InvalidToml."""
    document = TomlDocument(name, text)
    values = dict(document.values)
    level, may_exec, rules = values.pop("level", None), values.pop("exec", False), values.pop("rules", {})
    for key in values:
        raise document.complaint((key,), "isn't known: there are level, exec and the table rules")
    levels = {each.value: each for each in Level}
    if not isinstance(level, str) or level not in levels:
        found = "is missing: it" if level is None else f"is {level!r}, and"
        raise InvalidToml(
            f"{name}, line {document.line_of('level')}: level {found} has to be one of {', '.join(levels)}"
        )
    if not isinstance(may_exec, bool):
        raise document.complaint(("exec",), "has to be true or false")
    if not isinstance(rules, dict):
        raise document.complaint(("rules",), "has to be a table")
    return LocalPolicy(levels[level], may_exec, _rules(document, rules), name)


def save_policy(directory: Path, policy: LocalPolicy) -> None:
    """Put a policy in place, whole. Raises OSError."""
    write_whole(directory / FILE_NAME, policy_text(policy).encode(), 0o600)


def policy_text(policy: LocalPolicy) -> str:
    """A policy as its file says it; one that forbids nothing can't be written, and raises ValueError."""
    if policy.rules is None:
        raise ValueError("a policy without rules can't be written down")
    lines = [_HEAD, f'level = "{policy.level.value}"', f"exec = {_toml(policy.exec)}", "", "[rules]"]
    lines += [f"{field} = {_toml(getattr(policy.rules, field))}" for field in Rules.__struct_fields__]
    return "\n".join(lines) + "\n"


def _rules(document: TomlDocument, given: dict[str, object]) -> Rules:
    made: dict[str, bool | tuple[str, ...]] = {}
    defaults = Rules()
    for key, value in given.items():
        where = ("rules", key)
        if key not in Rules.__struct_fields__:
            raise document.complaint(where, f"isn't known: there are {', '.join(Rules.__struct_fields__)}")
        if isinstance(getattr(defaults, key), bool):
            if not isinstance(value, bool):
                raise document.complaint(where, "has to be true or false")
            made[key] = value
            continue
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            raise document.complaint(where, "has to be a list of texts")
        problem = _problem(key, value)
        if problem is not None:
            raise document.complaint(where, problem)
        made[key] = tuple(value)
    return Rules(**made)  # type: ignore[arg-type]  # each has just been checked against its field


def _problem(key: str, values: list[str]) -> str | None:
    for value in values:
        if key == "host_namespaces" and value not in ("*", *_NAMESPACES):
            return f"names {value!r}, and there are {', '.join(_NAMESPACES)}"
        if key in _PATHS and ":" not in value and not value.startswith(("b ", "c ", "a ")):
            path = value.removesuffix("**")
            if normal_path(path) is None or "*" in path:
                return f"names {value!r}, which is no absolute path, and none with '/**' at its end"
    return None


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PolicyError(
            f"the policy of this host {path} can't be read ({error.strerror or error}): it has to be a file of root or "
            "of the agent's user, and no link"
        ) from error
    mode, user = stat.S_IMODE(status.st_mode), os.geteuid()
    if status.st_uid not in (_ROOT, user):
        raise PolicyError(
            f"the policy of this host {path} belongs to the user {status.st_uid}, who could change it: run "
            f"'chown root {path}'"
        )
    if mode & 0o022:
        raise PolicyError(
            f"the policy of this host {path} can be changed by other users (mode {mode:04o}): run 'chmod go-w {path}'"
        )
    if len(content) > _MAX_BYTES:
        raise PolicyError(f"the policy of this host {path} is longer than {_MAX_BYTES} bytes: shorten it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyError(f"{path}, line {line}: this isn't UTF-8 text; correct the line") from None


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    items = value if isinstance(value, tuple) else (value,)
    return "[" + ", ".join(_quoted(str(item)) for item in items) + "]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in escaped) + '"'
