"""Which hosts are meant: `--on NAME | label=value | all`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from seawall.client.models import Agent

_MOST_NAMED = 20


class SelectorProblem(ValueError):
    """The words mean nothing, or no host. The message says what there is."""


class Selector(Struct, frozen=True):
    """The union of what several `--on` say. `names` are hosts' names or ids, `labels` pairs of key and value."""

    everyone: bool = False
    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def plural(self) -> bool:
        """Whether the words may mean several hosts, however many there are today: it decides the form of answers."""
        return self.everyone or bool(self.labels) or len(set(self.names)) > 1

    @property
    def by_name(self) -> bool:
        """Whether hosts are named one by one."""
        return not self.everyone and not self.labels


def parse_selector(words: Sequence[str]) -> Selector:
    """Read the words of all `--on`; `env=prod` and `label=env=prod` mean the same. Raises SelectorProblem."""
    everyone = False
    names: dict[str, None] = {}
    labels: dict[tuple[str, str], None] = {}
    for word in words:
        text = word.strip()
        key, equals, value = text.partition("=")
        if key == "label" and "=" in value:
            key, _, value = value.partition("=")
        if not text or (equals and not key.strip()):
            raise SelectorProblem(
                f"--on {word!r} names no host: give a host's name, a label such as env=prod, or all"
            )
        if equals:
            labels[key.strip(), value.strip()] = None
        elif text.lower() == "all":
            everyone = True
        else:
            names[text.lower()] = None
    return Selector(everyone, tuple(names), tuple(labels))


def select(agents: Iterable[Agent], selector: Selector) -> list[Agent]:
    """The hosts that are meant, by name, each once. Raises SelectorProblem, which says what there is instead.

    A selector without any word means the only host, if there is just one.
    """
    known = [agent for agent in agents if agent.state != "revoked"]
    if not known:
        raise SelectorProblem("no host has joined yet: 'seawall token join' prints how one does")
    if selector == Selector():
        if len(known) > 1:
            raise SelectorProblem(
                f"there are {len(known)} hosts: say which with --on: {_names(known)}, or all"
            )
        return known
    found: dict[str, Agent] = {}
    for name in selector.names:
        named = [agent for agent in known if name in (agent.name, agent.agent_id)]
        if not named:
            raise SelectorProblem(f"no host is named {name!r}; there are {_names(known)}")
        found.update((agent.agent_id, agent) for agent in named)
    for key, value in selector.labels:
        labelled = [agent for agent in known if agent.labels.get(key) == value]
        if not labelled:
            raise SelectorProblem(f"no host has the label {key}={value}; there are {_labels(known)}")
        found.update((agent.agent_id, agent) for agent in labelled)
    if selector.everyone:
        found.update((agent.agent_id, agent) for agent in known)
    return sorted(found.values(), key=lambda agent: agent.name)


def _names(agents: Iterable[Agent]) -> str:
    return _some(sorted(agent.name for agent in agents))


def _labels(agents: Iterable[Agent]) -> str:
    labels = {f"{key}={value}" for agent in agents for key, value in agent.labels.items()}
    return _some(sorted(labels)) if labels else "no labels at all"


def _some(words: Sequence[str]) -> str:
    more = len(words) - _MOST_NAMED
    shown = ", ".join(words[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
