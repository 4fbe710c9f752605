"""The remediation file: what it may say, and how it is said what is wrong with it."""

from __future__ import annotations

import pytest

from seawall.core.alert_rules import AlertKind
from seawall.core.remediation import Budget, Remedy
from seawall.engine.remediation_settings import read_remediation_settings
from seawall.toml_document import InvalidToml

RULE = '[rule.r]\nalert = "disk_low"\noperation = "container_restart"\narguments = { container = "web" }\n'


def test_without_a_rule_nothing_is_done_and_a_rule_rehearses_unless_it_is_told_to_act() -> None:
    assert read_remediation_settings("f", "").remedies == ()
    (remedy,) = read_remediation_settings("f", RULE).remedies
    assert remedy == Remedy("r", AlertKind.DISK_LOW, "container_restart", {"container": "web"})
    assert not remedy.acts
    assert read_remediation_settings("f", 'mode = "act"\n' + RULE).remedies[0].acts
    assert not read_remediation_settings("f", 'mode = "act"\n' + RULE + 'mode = "dry-run"\n').remedies[0].acts


def test_the_budget_and_the_times_are_taken_over() -> None:
    settings = read_remediation_settings("f", "budget = 2\nbudget_seconds = 60\n" + RULE + "tries = 5\n")
    assert settings.budget == Budget(2, 60.0)
    assert settings.remedies[0].tries == 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("speed = 1\n" + RULE, "line 1: speed isn't known; there are mode, budget, budget_seconds, rule"),
        (RULE.replace("disk_low", "mass_failure"), "line 2: rule.r.alert must be one of circuit"),
        (RULE.replace("disk_low", "agent_offline"), "line 2: rule.r.alert must be one of circuit"),
        (RULE.replace("[rule.r]", "[rule.R]"), "line 1: rule.R must have a name of 1 to 40 small letters"),
        (RULE.replace("container_restart", "container_restat"), "line 3: .*did you mean 'container_restart'"),
        (
            RULE.replace("container_restart", "image_load"),
            "line 3: .*can't be image_load: it needs an upload",
        ),
        (RULE.replace("container_restart", "image_save"), "line 3: .*can't be image_save: it is no command"),
        (
            RULE.replace("web", "a b"),
            "line 4: rule.r.arguments don't fit: container_restart: argument 'contai",
        ),
        (RULE.replace('{ container = "web" }', "7"), "line 4: rule.r.arguments must be a table"),
        (RULE + 'about = ["docker"]\n', "line 5: rule.r.about means nothing for disk_low"),
        (RULE.replace("disk_low", "command_failed"), "line 1: rule.r needs the operations whose failure"),
        (
            RULE.replace("disk_low", "command_failed") + 'about = ["container_restat"]\n',
            "line 5: rule.r.about has what isn't known: did you mean 'container_restart'",
        ),
        (
            RULE.replace("disk_low", "circuit") + 'about = ["dokcer"]\n',
            "line 5: rule.r.about has what isn't known: did you mean 'docker'",
        ),
        (
            '[rule.r]\nalert = "command_failed"\nabout = ["image_prune_plan"]\noperation = "image_prune"\n',
            r"line 1: rule.r would never end: .*\(image_prune_plan -> image_prune_plan\)",
        ),
        (RULE.replace('alert = "disk_low"\n', ""), "line 1: rule.r needs 'alert'"),
        (RULE + "tries = 0\n", "line 5: rule.r.tries must be a whole number from 1 to 20"),
        ("rule = 7\n", "line 1: rule must hold tables"),
        ("[rule]\nr = 7\n", "line 2: rule.r must be a table"),
        (
            RULE.replace("container_restart", "image_pull").replace(
                'container = "web"', 'reference = "a:1", password = "canary"'
            ),
            "line 4: rule.r.arguments can't hold password: a secret would lie open",
        ),
        (
            RULE.replace("disk_low", "command_failed") + 'about = ["container_restart"]\n',
            r"would never end: .*\(container_restart -> container_restart\)",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(InvalidToml, match=complaint) as refused:
        read_remediation_settings("f", text)
    assert "canary" not in str(refused.value)


def test_a_prune_that_is_not_told_what_to_remove_takes_the_arguments_of_its_plan() -> None:
    prune = RULE.replace("container_restart", "image_prune").replace(
        '{ container = "web" }', "{ all = true }"
    )
    assert read_remediation_settings("f", prune).remedies[0].arguments == {"all": True}
    with pytest.raises(InvalidToml, match="image_prune_plan: unknown argument 'every'"):
        read_remediation_settings("f", prune.replace("all", "every"))
