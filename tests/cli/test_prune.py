"""Prunes: the plan is shown, and exactly what it found is removed once somebody says so."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Seawall
from tests.cli.controller_double import ControllerDouble

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def plan(*ids: str) -> dict[str, object]:
    images = [{"id": each, "tags": [f"app:{each[7]}"], "size_bytes": 2_000_000} for each in ids]
    return {"images": images, "ids": list(ids), "size_bytes": 0, "more": False}


def asked(controller: ControllerDouble) -> list[tuple[object, object, object]]:
    return [(body["operation"], body["agent"], body.get("arguments")) for body in controller.bodies]


def test_exactly_what_the_plan_found_on_each_host_is_removed_there(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("a").responses["image_prune_plan"] = plan(ONE, OTHER)
    controller.add("b").responses["image_prune_plan"] = plan()
    controller.add("c").responses["image_prune_plan"] = plan(OTHER)
    call = seawall("image", "prune", "--on", "all", "--all", "--yes")
    assert call.code == 0
    assert sorted(map(str, asked(controller)[:3])) == sorted(
        str(("image_prune_plan", f"id-{host}", {"all": True})) for host in "abc"
    )
    assert sorted(map(str, asked(controller)[3:])) == sorted(
        map(
            str,
            [
                ("image_prune", "id-a", {"images": [ONE, OTHER]}),
                ("image_prune", "id-c", {"images": [OTHER]}),
            ],
        )
    )
    assert "app:1" in call.out
    assert "2.0 MB" in call.out


def test_without_a_terminal_and_without_yes_nothing_is_removed(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("local").responses["image_prune_plan"] = plan(ONE)
    call = seawall("image", "prune")
    assert call.code == 2
    assert "app:1" in call.out
    assert "say --yes" in call.err
    assert [operation for operation, *_ in asked(controller)] == ["image_prune_plan"]


def test_where_nothing_is_unused_nothing_is_asked(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").responses["volume_prune_plan"] = {"volumes": []}
    call = seawall("volume", "prune")
    assert call.code == 0
    assert "there are no volumes to remove" in call.err
    assert len(controller.bodies) == 1


def test_volumes_go_by_their_names(seawall: Seawall, controller: ControllerDouble) -> None:
    controller.add("local").responses["volume_prune_plan"] = {"volumes": [{"name": "data"}]}
    assert seawall("volume", "prune", "--yes").code == 0
    assert controller.bodies[-1]["arguments"] == {"names": ["data"]}


def test_a_plan_that_fails_on_a_host_removes_nothing_anywhere(
    seawall: Seawall, controller: ControllerDouble
) -> None:
    controller.add("a").responses["image_prune_plan"] = plan(ONE)
    script = controller.add("b")
    script.state, script.error_code = "FAILED", "docker_error"
    assert seawall("image", "prune", "--on", "all", "--yes").code == 1
    assert {operation for operation, *_ in asked(controller)} == {"image_prune_plan"}


@pytest.mark.parametrize("noun", ["image", "network", "volume"])
def test_a_plan_is_no_command_of_its_own(seawall: Seawall, controller: ControllerDouble, noun: str) -> None:
    assert seawall(noun, "prune-plan").code == 2
