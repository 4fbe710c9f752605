"""Reads YAML that nobody trusts: plain data only, of bounded size once everything that it repeats is written out."""

from __future__ import annotations

import re

import yaml

LONGEST = 1024 * 1024
"""The most characters that a document may have, and that it may stand for once its aliases are written out."""
_MOST_NODES = 20_000
_DEEPEST = 40

_TRUTH = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_WHOLE = re.compile(r"^[-+]?(?:0|[1-9][0-9]{0,18}|0[0-7]{1,18})$")
_LEFT_OUT = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "timestamp", "value", "yaml"))


class NotPlain(ValueError):
    """A document is no YAML, or more than plain data, or too much. The message says what, and where."""


def read_yaml(text: str, name: str) -> object:
    """The data of a document with one root; `name` is for the words of an error. Raises NotPlain."""
    if len(text) > LONGEST:
        raise NotPlain(f"{name} has {len(text)} characters, at most {LONGEST} are read")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise NotPlain(f"{name}{where}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise NotPlain(f"{name}: {str(error)[:200]}") from error
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """What `yes`, `22:22` and `2024-01-01` are is a matter of taste between readers: here they are texts."""

    depth = 0
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.nodes += 1
        if self.depth > _DEEPEST:
            raise NotPlain(f"it is nested more than {_DEEPEST} levels deep")
        if self.nodes > _MOST_NODES:
            raise NotPlain(f"it has more than {_MOST_NODES} values")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_OUT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _TRUTH, list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _WHOLE, list("-+0123456789"))


def _weigh(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How many characters and values a node stands for, aliases written out. Raises NotPlain if they are too many."""
    weight = known.get(id(node))
    if weight is not None:
        if weight == (0, 0):
            raise NotPlain("an alias stands for something that it is part of")
        return weight
    known[id(node)] = (0, 0)
    if isinstance(node, yaml.ScalarNode):
        characters, nodes = len(node.value) + 1, 1
    else:
        characters, nodes = 1, 1
        children: list[yaml.Node] = []
        for child in node.value:
            children += child if isinstance(child, tuple) else (child,)
        for child in children:
            more = _weigh(child, known)
            characters, nodes = characters + more[0], nodes + more[1]
            if characters > LONGEST or nodes > _MOST_NODES:
                raise NotPlain("its aliases stand for too much: write out what they repeat, and less of it")
    known[id(node)] = (characters, nodes)
    return characters, nodes
