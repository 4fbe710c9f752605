"""Which policy holds for which operation, and what a policy file may say."""

from __future__ import annotations

import pytest

from seawall.core.command import Lane
from seawall.core.policy import PRESETS
from seawall.core.retry import Jitter
from seawall.engine.policies import Fallback, Policies, read_policies, with_preset
from seawall.operations.registry import OPERATIONS
from seawall.toml_document import InvalidToml

LIST, STOP, KILL = (OPERATIONS[name] for name in ("container_list", "container_stop", "container_kill"))

FILE = """\
preset = "development"

[default]
max_attempts = 5
timeout_seconds = 7
fallback = "stale"

[class.safe_read]
initial_delay = 0.25

[operation.container_stop]
timeout_seconds = 90
max_attempts = 1
jitter = "full"
lane = "default"

[breaker]
failure_threshold = 9

[plane_budget]
capacity = 50
"""


def test_without_a_file_the_production_preset_and_the_declarations_hold() -> None:
    policy = Policies().of(STOP)
    assert policy.retry.max_attempts == PRESETS["production"].retry.max_attempts
    assert (policy.timeout_seconds, policy.lane) == (STOP.timeout_seconds, Lane.CONTROL)
    assert policy.sources["max_attempts"] == "preset production"
    assert policy.sources["timeout_seconds"] == "the operation's declaration"


def test_a_value_of_the_operation_wins_over_its_class_and_the_default() -> None:
    policies = read_policies("policy.toml", FILE)
    stop, read, kill = (policies.of(operation) for operation in (STOP, LIST, KILL))
    assert (stop.timeout_seconds, stop.retry.max_attempts, stop.lane) == (90.0, 1, Lane.DEFAULT)
    assert stop.retry.jitter is Jitter.FULL
    assert (read.retry.max_attempts, read.retry.initial_delay) == (5, 0.25)
    assert kill.retry.initial_delay == PRESETS["development"].retry.initial_delay


def test_every_value_says_which_line_it_comes_from() -> None:
    policies = read_policies("policy.toml", FILE)
    assert policies.of(STOP).sources["timeout_seconds"] == "policy.toml, line 12"
    assert policies.of(LIST).sources["initial_delay"] == "policy.toml, line 9"
    assert policies.of(LIST).sources["max_attempts"] == "policy.toml, line 4"
    assert policies.of(LIST).sources["max_delay"] == "preset development"
    assert policies.plane_sources()["breaker.failure_threshold"] == "policy.toml, line 18"
    assert policies.plane_sources()["breaker.open_seconds"] == "preset development"


def test_what_an_operation_declares_is_not_overruled_by_a_default_for_all() -> None:
    assert read_policies("policy.toml", FILE).of(LIST).timeout_seconds == LIST.timeout_seconds


def test_only_reads_may_be_answered_with_what_was_known_last() -> None:
    policies = read_policies("policy.toml", FILE)
    assert policies.of(LIST).fallback is Fallback.STALE
    assert policies.of(STOP).fallback is Fallback.NONE


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", 'preset = "high-latency"\n'),
        (
            '# mine\npreset = "development"  # for now\n[default]\n',
            '# mine\npreset = "high-latency"\n[default]\n',
        ),
        ("[default]\nmax_attempts = 4\n", 'preset = "high-latency"\n[default]\nmax_attempts = 4\n'),
    ],
)
def test_a_preset_is_exchanged_and_the_rest_of_the_file_stays(text: str, changed: str) -> None:
    assert with_preset(text, "high-latency") == changed
    assert read_policies("p", changed).preset == "high-latency"


def test_the_values_of_the_plane_replace_those_of_the_preset() -> None:
    plane = read_policies("policy.toml", FILE).plane
    assert plane.breaker.failure_threshold == 9
    assert plane.breaker.open_seconds == PRESETS["development"].breaker.open_seconds
    assert plane.budget is not None
    assert plane.budget.plane.capacity == 50


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "preset = 'fast'",
            "p, line 1: preset must be one of development, production, high-latency, not 'fast'",
        ),
        ("\n[defaults]\nx = 1", "p, line 2: defaults isn't known; did you mean 'default'?"),
        (
            "[operation.container_stopp]\nmax_attempts = 1",
            "p, line 1: operation.container_stopp isn't known; did you mean 'container_stop'?",
        ),
        ("[class.reads]\nmax_attempts = 1", "p, line 1: class.reads isn't known"),
        (
            "[default]\nmax_attempts = 0",
            "p, line 2: default.max_attempts must be a whole number from 1 to 20, not 0",
        ),
        ("[default]\nmax_attempts = 2.5", "must be a whole number"),
        ("[default]\ntimeout_seconds = true", "must be a number from 0.001 to 86400, not True"),
        ("[default]\ntimeout_seconds = nan", "must be a number"),
        ("[default]\njitter = 'some'", "must be one of none, proportional, full, equal, decorrelated"),
        ("[breaker]\nshadow = 1", "must be true or false, not 1"),
        ("[default]\nretries = 3", "default.retries isn't known; there are timeout_seconds"),
        ("breaker = 3", "breaker must be a table: write [breaker]"),
        ("[default\n", "p, line 1: this isn't TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line_and_what_would_be_right(
    text: str, complaint: str
) -> None:
    with pytest.raises(InvalidToml) as refused:
        read_policies("p", text)
    assert complaint in str(refused.value)


def test_a_mirror_holds_for_pulls_only_and_must_be_a_registry() -> None:
    policies = read_policies("p.toml", '[default]\nmirror = "mirror.example.com:5000"\n')
    assert policies.of(OPERATIONS["image_pull"]).mirror == "mirror.example.com:5000"
    assert policies.of(LIST).mirror is None
    assert read_policies("p.toml", "").of(OPERATIONS["image_pull"]).mirror is None
    with pytest.raises(InvalidToml, match="must be none, or a registry"):
        read_policies("p.toml", '[operation.image_pull]\nmirror = "https://mirror"\n')
