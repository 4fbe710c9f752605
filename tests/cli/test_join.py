"""`seawall agent join`: what the controller may do on this host is said there."""

from __future__ import annotations

import pytest

from seawall.agent.local_policy import Level, LocalPolicy, Rules
from seawall.cli.agent import Allowed, policy_of
from seawall.cli.exits import UsageProblem


@pytest.mark.parametrize(
    ("allow", "may_exec", "images", "policy"),
    [
        (None, False, [], None),
        (None, True, [], LocalPolicy(Level.READ_ONLY, exec=True)),
        (Allowed.OPERATE, False, [], LocalPolicy(Level.OPERATE)),
        (Allowed.MANAGE, False, [], LocalPolicy(Level.MANAGE)),
        (
            Allowed.MANAGE,
            True,
            ["nginx"],
            LocalPolicy(Level.MANAGE, exec=True, rules=Rules(images=("nginx",))),
        ),
    ],
)
def test_the_options_make_the_policy(
    allow: Allowed | None, may_exec: bool, images: list[str], policy: LocalPolicy | None
) -> None:
    assert policy_of(allow, may_exec, images) == policy


@pytest.mark.parametrize("allow", [None, Allowed.READ_ONLY, Allowed.OPERATE])
def test_images_are_only_for_those_who_may_create(allow: Allowed | None) -> None:
    with pytest.raises(UsageProblem, match="--allow manage"):
        policy_of(allow, False, ["nginx"])


def test_the_levels_of_the_option_are_those_of_the_policy() -> None:
    assert [each.value for each in Allowed] == [each.value for each in Level]
