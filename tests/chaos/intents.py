"""What a storm asks for, and the judgement of what became of it by what the Engines really did.

Every intent has a container of its own, so that an effect on it is this command's effect and nobody else's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

_NEVER_DONE = frozenset({"FAILED", "REJECTED", "EXPIRED", "CANCELLED"})
FINAL = _NEVER_DONE | {"SUCCEEDED", "UNKNOWN"}

_RUNNING_FIRST = {
    "container_restart": True,
    "container_stop": True,
    "container_start": False,
    "container_remove": False,
    "container_rename": True,
    "container_kill": True,
}
OPERATIONS = tuple(_RUNNING_FIRST)
"""Every change that is asked for."""

_MISSING_CHANCE, _HURRY_CHANCE, _REGRET_CHANCE = 0.04, 0.04, 0.05
_HURRY_SECONDS = 1.0

Hold = Callable[[str, str, bool], str]
"""Put a container on a host (host, name, running); its id."""


@dataclass
class Intent:
    """One command that somebody wants done once. `container_id` is empty where there is nothing to act on."""

    key: str
    host: str
    operation: str
    arguments: dict[str, object]
    container_id: str
    timeout_seconds: float = 5.0
    deadline_seconds: float | None = None
    regretted: bool = False
    """Whether its cancellation is asked for, once it is accepted."""
    command_id: str | None = None
    """Of the latest 2xx that the caller has had."""
    renamed: list[str] = field(default_factory=list)
    """Commands that an earlier 2xx gave to this key: the key has to stay with the first."""
    told: list[str] = field(default_factory=list)
    """The final states that callers were shown, in order."""

    @property
    def verifiable(self) -> bool:
        """Whether an agent can see on its host what became of it."""
        return self.operation != "container_kill"

    @property
    def body(self) -> dict[str, object]:
        """What is posted."""
        body: dict[str, object] = {
            "operation": self.operation,
            "agent": self.host,
            "arguments": self.arguments,
            "timeout_seconds": self.timeout_seconds,
        }
        if self.deadline_seconds is not None:
            body["deadline_seconds"] = self.deadline_seconds
        return body


def intent_to(operation: str, name: str, host: str, hold: Hold) -> Intent:
    """A change of a new container of this name."""
    arguments: dict[str, object] = {"container": name}
    if operation == "container_rename":
        arguments["name"] = f"{name}-renamed"
    return Intent(f"key-{name}", host, operation, arguments, hold(host, name, _RUNNING_FIRST[operation]))


def random_intent(dice: random.Random, name: str, host: str, hold: Hold) -> Intent:
    """Any change; a few are of a container that there isn't, some are in a hurry, and some are regretted."""
    missing = dice.random() < _MISSING_CHANCE
    intent = intent_to(dice.choice(OPERATIONS), name, host, _hold_nothing if missing else hold)
    if dice.random() < _HURRY_CHANCE:
        intent.deadline_seconds = _HURRY_SECONDS
    intent.regretted = dice.random() < _REGRET_CHANCE
    return intent


def _hold_nothing(_: str, __: str, ___: bool) -> str:
    return ""


@dataclass
class Judgement:
    """What was found: `lies` says each broken promise in a sentence."""

    lies: list[str]
    states: dict[str, int]
    doubtful: int
    """How many verifiable commands ended UNKNOWN."""
    verifiable: int


def judge(
    intents: Iterable[Intent],
    records: Mapping[str, Mapping[str, object]],
    effects: Callable[[Intent], int | None],
) -> Judgement:
    """Hold the controller's records, by command_id, against how often each was done; None: nobody can tell."""
    found = Judgement([], {}, 0, 0)
    for intent in intents:
        if intent.command_id is None:
            continue
        record = records.get(intent.command_id)
        if record is None:
            found.lies.append(f"{intent.key}: {intent.command_id} was accepted and is gone")
            continue
        found.lies += [
            f"{intent.key} became {intent.command_id} although it was {each}" for each in intent.renamed
        ]
        state, count = str(record["state"]), effects(intent)
        found.states[state] = found.states.get(state, 0) + 1
        found.verifiable += intent.verifiable
        found.doubtful += intent.verifiable and state == "UNKNOWN"
        wrong = _wrong(state, count, intent.told)
        if wrong:
            said = f"{record.get('error_code')}: {record.get('error')}"
            found.lies.append(f"{intent.key} ({intent.operation}, {intent.command_id}): {wrong} ({said})")
    return found


def _wrong(state: str, effects: int | None, told: list[str]) -> str | None:
    if state not in FINAL:
        return f"it never ended, it is {state}"
    if effects is not None and effects > 1:
        return f"it is {state} and was done {effects} times"
    if state == "SUCCEEDED" and effects == 0:
        return "it is SUCCEEDED and was never done"
    if state in _NEVER_DONE and effects:
        return f"it is {state} and was done"
    proved = [each for each in told if each != "UNKNOWN"]
    if any(each != state for each in proved):
        return f"it is {state} and somebody was told {proved}"
    return None
