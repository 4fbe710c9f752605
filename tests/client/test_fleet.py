"""The client of programs: operations by noun, on one host or on many, and what became of them."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from seawall import Seawall, SyncSeawall
from seawall.client.errors import ClientError, ContextError, Unreachable
from seawall.client.results import CommandsFailed
from seawall.client.selector import SelectorProblem
from seawall.core.command import CommandState
from seawall.operations.operation import StreamKind
from seawall.operations.registry import OPERATIONS
from tests.cli.controller_double import TOKEN, ControllerDouble

pytestmark = pytest.mark.asyncio

GROUPS = ("containers", "images", "networks", "volumes", "system", "compose", "commands")


async def test_a_restart_on_one_host_is_a_result_by_its_name(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local").response = {"state": "running"}
    async with Seawall() as fleet:
        results = await fleet.containers.restart("web", on="local", grace_seconds=3)
    assert results.raise_for_failures()["local"].state is CommandState.SUCCEEDED
    assert results.only.command_id == "command-1"
    assert results.responses == {"local": {"state": "running"}}
    (body,) = fleet_controller.bodies
    assert body["operation"] == "container_restart"
    assert body["arguments"] == {"container": "web", "grace_seconds": 3}


async def test_the_only_host_needs_no_name(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local")
    async with Seawall() as fleet:
        assert list(await fleet.system.ping()) == ["local"]


async def test_on_takes_labels_names_and_all(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("a", env="prod")
    fleet_controller.add("b", env="prod")
    fleet_controller.add("c", env="test")
    async with Seawall() as fleet:
        assert list(await fleet.containers.list(on="label=env=prod")) == ["a", "b"]
        assert list(await fleet.containers.list(on=["a", "c"])) == ["a", "c"]
        assert list(await fleet.containers.list(on="all")) == ["a", "b", "c"]
        assert [host.name for host in await fleet.hosts("env=test")] == ["c"]
        with pytest.raises(SelectorProblem, match="there are 3 hosts"):
            await fleet.containers.list()


async def test_a_failure_on_one_host_is_a_result_and_raised_only_when_asked_for(
    fleet_controller: ControllerDouble,
) -> None:
    fleet_controller.add("a")
    script = fleet_controller.add("b")
    script.state, script.error_code, script.error = "FAILED", "docker_error", "no such container"
    async with Seawall() as fleet:
        results = await fleet.containers.start("web", on="all")
    assert list(results.failures) == ["b"]
    with pytest.raises(CommandsFailed, match="b: FAILED docker_error: no such container") as raised:
        results.raise_for_failures()
    assert raised.value.results is results


async def test_a_host_that_takes_no_command_is_an_error_beside_the_others(
    fleet_controller: ControllerDouble,
) -> None:
    fleet_controller.add("a")
    script = fleet_controller.add("b")
    script.refuse, script.error_code, script.error = 403, "forbidden", "an operator is needed"
    async with Seawall() as fleet:
        results = await fleet.containers.start("web", on="all")
    assert list(results) == ["a"]
    assert isinstance(results.errors["b"], ClientError)
    with pytest.raises(CommandsFailed, match="b: an operator is needed"):
        results.raise_for_failures()


async def test_what_no_host_takes_is_raised(fleet_controller: ControllerDouble) -> None:
    script = fleet_controller.add("local")
    script.refuse, script.error_code, script.error = 422, "invalid_argument", "no"
    async with Seawall() as fleet:
        with pytest.raises(ClientError) as raised:
            await fleet.containers.start("-x")
    assert raised.value.error_code == "invalid_argument"


async def test_what_was_turned_away_with_a_record_is_a_result(fleet_controller: ControllerDouble) -> None:
    script = fleet_controller.add("local")
    script.refuse, script.refused_record, script.error_code = 503, True, "circuit_open"
    async with Seawall() as fleet:
        results = await fleet.containers.start("web")
    assert results.only.state is CommandState.REJECTED


async def test_a_lost_answer_makes_no_second_command(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local").lose_answers = 2
    async with Seawall() as fleet:
        (await fleet.containers.restart("web")).raise_for_failures()
    assert len(fleet_controller.bodies) == 3
    assert len(fleet_controller.commands) == 1


async def test_the_same_key_is_the_same_command_on_each_host(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("a")
    fleet_controller.add("b")
    async with Seawall() as fleet:
        for _ in range(2):
            await fleet.containers.restart("web", on="all", idempotency_key="k")
    assert sorted(fleet_controller.by_key) == ["k:id-a", "k:id-b"]
    assert len(fleet_controller.commands) == 2


async def test_how_it_is_to_be_done_is_what_the_api_is_told(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local")
    async with Seawall() as fleet:
        results = await fleet.containers.start(
            "web", timeout=5, deadline=60, retries=0, queue=False, wait=False
        )
    assert results.only.state is CommandState.ACCEPTED
    (body,) = fleet_controller.bodies
    assert {
        name: body[name] for name in ("timeout_seconds", "deadline_seconds", "max_attempts", "queue")
    } == {
        "timeout_seconds": 5,
        "deadline_seconds": 60,
        "max_attempts": 1,
        "queue": False,
    }


async def test_lists_and_tables_may_be_of_any_kind(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local")
    async with Seawall() as fleet:
        await fleet.containers.exec("web", ("ls", "-l"), env={"A": "1"})
    (body,) = fleet_controller.bodies
    assert body["arguments"] == {
        "container": "web",
        "command": ["ls", "-l"],
        "env": {"A": "1"},
        "privileged": False,
    }


async def test_no_more_hosts_at_once_than_allowed(fleet_controller: ControllerDouble) -> None:
    for number in range(8):
        fleet_controller.add(f"h{number}")
    async with Seawall() as fleet:
        assert len(await fleet.containers.start("web", on="all", parallel=2)) == 8
    assert fleet_controller.most_under_way <= 2


async def test_the_controller_may_be_given_by_arguments(
    fleet_controller: ControllerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet_controller.add("local")
    monkeypatch.delenv("SEAWALL_URL")
    monkeypatch.delenv("SEAWALL_TOKEN")
    with pytest.raises(ContextError, match="no controller is known here"):
        Seawall()
    async with Seawall(fleet_controller.url, token=TOKEN) as fleet:
        assert len(await fleet.api.agents()) == 1


async def test_a_controller_that_is_not_there_is_unreachable(fleet_controller: ControllerDouble) -> None:
    async with Seawall("http://127.0.0.1:1", token=TOKEN) as fleet:
        with pytest.raises(Unreachable):
            await fleet.system.ping()


async def test_the_sync_twin_does_the_same_and_inside_of_a_running_loop_too(
    fleet_controller: ControllerDouble,
) -> None:
    fleet_controller.add("local")
    with SyncSeawall() as fleet:
        assert fleet.containers.restart("web").raise_for_failures().only.state is CommandState.SUCCEEDED
        assert await asyncio.to_thread(lambda: list(fleet.system.ping())) == ["local"]
        assert [command.operation for command in fleet.ask(lambda api: api.commands())] == [
            "container_restart",
            "ping",
        ]
        assert [host.name for host in fleet.hosts()] == ["local"]
    fleet.close()
    with pytest.raises(RuntimeError, match="was closed"):
        fleet.system.ping()


async def test_an_error_of_the_sync_twin_is_that_of_the_async_one(fleet_controller: ControllerDouble) -> None:
    with SyncSeawall() as fleet, pytest.raises(SelectorProblem, match="no host has joined"):
        fleet.system.ping()


async def test_every_supported_operation_is_a_method_of_both_with_its_arguments(
    fleet_controller: ControllerDouble,
) -> None:
    with SyncSeawall() as twin:
        async with Seawall() as fleet:
            found = {}
            for noun in GROUPS:
                for group in (getattr(fleet, noun), getattr(twin, noun)):
                    for name, method in inspect.getmembers(group, inspect.ismethod):
                        if not name.startswith("_"):
                            found[type(group).__name__, name] = set(inspect.signature(method).parameters)
    declared = {}
    for operation in OPERATIONS.values():
        if operation.supported:
            noun = operation.noun.capitalize() + ("" if operation.noun in ("system", "compose") else "s")
            own = {argument.name for argument in operation.arguments if not argument.streamed}
            if operation.upload is not None:
                own = own - {"archive", "size"} | {"source"}
            for kind in (noun, f"Sync{noun}"):
                if operation.command:
                    declared[kind, operation.verb] = own | {"on", "delivery"}
                if operation.stream not in (None, StreamKind.UPLOAD):
                    every = {argument.name for argument in operation.arguments}
                    declared[kind, f"stream_{operation.verb}"] = every | {"on"}
    assert found == declared
