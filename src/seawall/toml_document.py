"""TOML that people write by hand: read strictly, and every complaint says which line is meant."""

from __future__ import annotations

import re
import tomllib

_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class InvalidToml(ValueError):
    """The text can't be used. The message begins with the document's name and the line."""


class TomlDocument:
    """A parsed text. `name` is what messages call it, usually the file's path. Raises InvalidToml."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines = text.splitlines()
        try:
            self.values: dict[str, object] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            said = str(error)
            found = _LINE.search(said)
            line = int(found[1]) if found else text.count("\n") + 1
            what = _LINE.sub("", said).removesuffix("(at end of document)").strip()
            raise InvalidToml(f"{name}, line {line}: this isn't TOML ({what}); correct the line") from None
        except RecursionError:
            raise InvalidToml(f"{name}: its values are nested too deeply; correct the file") from None

    def line_of(self, *path: str) -> int:
        """The line of a key, or of its table's head; what was parsed has one or the other."""
        head = 1
        table: list[str] = []
        for number, line in enumerate(self._lines, 1):
            stripped = line.strip()
            if stripped.startswith("["):
                table = [part.strip(" \"'") for part in stripped.strip("[] ").split("]")[0].split(".")]
                if tuple(table) == path[: len(table)]:
                    head = number
            key = [part.strip(" \"'") for part in stripped.partition("=")[0].split(".")]
            if (*table, *key) == path or (not table and len(path) > 1 and key == [path[0]]):
                return number
        return head

    def complaint(self, path: tuple[str, ...], text: str) -> InvalidToml:
        """What is wrong with the value at this path."""
        return InvalidToml(f"{self.name}, line {self.line_of(*path)}: {'.'.join(path)} {text}")
