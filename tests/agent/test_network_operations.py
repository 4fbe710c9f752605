"""Networks and volumes: what may be asked, how it is refused, and what is found out of a change in doubt."""

from __future__ import annotations

import pytest

from seawall.agent.operations.registry import VERIFIERS
from seawall.agent.operations.verification import Doubt, Verdict
from seawall.core.errors import CommandErrorCode
from seawall.operations.operation import InvalidArguments, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.testing.clock import FakeClock
from seawall.testing.docker import FakeDocker, Fault
from tests.agent.network_doubts import NETWORK_CASES, NetworkCase, find_out_networks
from tests.agent.worker_bench import opened, sick

BAD_NAMES = [
    "--rm",
    "-x",
    "a b",
    "$(id)",
    "a;b",
    "`id`",
    "../../etc",
    "a/b",
    "a\nb",
    "",
    "é",
    "n" * 1_000_000,
]


@pytest.mark.asyncio
@pytest.mark.parametrize("case", NETWORK_CASES, ids=str)
async def test_a_change_of_networks_and_volumes_in_doubt_is_found_out(case: NetworkCase) -> None:
    assert await find_out_networks(FakeDocker(FakeClock(), []), [case]) == []


@pytest.mark.parametrize(
    ("operation", "now", "arguments"),
    [
        ("network_create", None, {"name": "net"}),
        ("network_remove", {"Id": "1", "Name": "net"}, {"network": "net"}),
        ("network_connect", {"Container": {"Id": "1"}, "Network": {"Id": "2"}}, {}),
        ("network_prune", {"left": ["1"]}, {"ids": ["1", "2"]}),
        ("volume_create", None, {"name": "vol"}),
        ("volume_remove", {"Name": "vol"}, {"volume": "vol"}),
        ("volume_prune", {"left": ["one"]}, {"names": ["one", "two"]}),
    ],
)
def test_nothing_is_ruled_out_as_long_as_docker_may_be_at_it(
    operation: str, now: dict[str, object] | None, arguments: dict[str, object]
) -> None:
    before = VERIFIERS[operation].pre_image(now) if now is not None else {}
    finding = VERIFIERS[operation].verify(Doubt(arguments, before, now, settled=False))
    assert finding.verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
@pytest.mark.parametrize(
    ("operation", "argument", "others"),
    [
        ("network_create", "name", {}),
        ("network_inspect", "network", {}),
        ("network_remove", "network", {}),
        ("network_connect", "network", {"container": "web"}),
        ("network_connect", "container", {"network": "net"}),
        ("network_disconnect", "network", {"container": "web"}),
        ("volume_create", "name", {}),
        ("volume_inspect", "volume", {}),
        ("volume_remove", "volume", {}),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything_runs(
    operation: str, argument: str, others: dict[str, object], name: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        _ = check_arguments(OPERATIONS[operation], {argument: name, **others})
    assert argument in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        ("network_create", {"subnet": "10.1.0.0/99"}, "is no subnet"),
        ("network_create", {"subnet": "10.1.0.0"}, "the length is missing"),
        ("network_create", {"subnet": "10.1.0.5/24"}, "has host bits set"),
        ("network_create", {"subnet": "all"}, "is no subnet"),
        ("network_create", {"subnet": "1" * 1_000_000}, "characters long"),
        ("network_create", {"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}, "not in the subnet"),
        ("network_create", {"subnet": "10.1.0.0/24", "gateway": "10.1.0"}, "is no IP address"),
        ("network_create", {"subnet": "10.1.0.0/24", "ip_range": "10.2.0.0/25"}, "not in the subnet"),
        ("network_create", {"gateway": "10.1.0.1"}, "give 'subnet' as well"),
        ("network_create", {"ip_range": "10.1.0.0/24"}, "give 'subnet' as well"),
        ("network_create", {"subnet": "fd00::/64"}, "needs 'enable_ipv6'"),
        ("network_create", {"name": "bridge"}, "one of Docker's own"),
        ("network_create", {"labels": {"seawall.command_id": "x"}}, "is the agent's"),
        ("network_create", {"labels": {f"l{n}": "x" for n in range(100_000)}}, "at most 64"),
        ("network_create", {"labels": {"a": "x" * 1_000_000}}, "at most 1024"),
        ("network_create", {"labels": {"a b": "x"}}, "not valid"),
        ("network_create", {"options": {"--x": "1"}}, "not valid"),
        ("network_create", {"driver": "--rm"}, "not a valid value"),
        ("network_connect", {"aliases": ["a b"]}, "not a valid value"),
        ("network_connect", {"address": "10.1.0"}, "is no IP address"),
        ("network_connect", {"address": "fd00::1"}, "only an IPv4 address"),
        ("network_prune", {"ids": ["net"]}, "not a valid value"),
        ("volume_create", {"labels": {"seawall.x": "y"}}, "is the agent's"),
        ("volume_create", {"options": {"o": "x" * 1_000_000}}, "at most 1024"),
        ("volume_prune", {"names": ["../x"]}, "not a valid value"),
    ],
)
def test_bad_input_gets_a_clear_error(operation: str, arguments: dict[str, object], words: str) -> None:
    needed: dict[str, dict[str, object]] = {
        "network_create": {"name": "net"},
        "network_connect": {"network": "net", "container": "web"},
        "volume_create": {"name": "vol"},
    }
    with pytest.raises(InvalidArguments) as caught:
        _ = check_arguments(OPERATIONS[operation], {**needed.get(operation, {}), **arguments})
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.asyncio
async def test_an_address_outside_the_network_is_refused_before_docker_makes_half_an_endpoint() -> None:
    bench = await opened()
    made = bench.give("network_create", name="net", subnet="10.1.0.0/24")
    assert (await bench.answer(made)).code is None
    refused = await bench.answer(
        bench.give("network_connect", network="net", container="web", address="10.2.0.5")
    )
    assert refused.code == CommandErrorCode.DOCKER_ERROR.value
    assert refused.error is not None
    assert "in no subnet of network net" in refused.error
    assert "network_connect" not in bench.docker.calls


@pytest.mark.asyncio
async def test_a_second_connection_with_other_aliases_is_refused_and_the_same_is_fine() -> None:
    bench = await opened()
    _ = await bench.answer(bench.give("network_create", name="net"))
    asked = {"network": "net", "container": "web"}
    first = await bench.answer(bench.give("network_connect", aliases=["www"], **asked))
    assert first.response["changed"] is True
    again = await bench.answer(bench.give("network_connect", aliases=["www"], **asked))
    assert again.response["changed"] is False
    other = await bench.answer(bench.give("network_connect", aliases=["api"], **asked))
    assert other.error is not None
    assert "disconnect it first" in other.error


@pytest.mark.asyncio
async def test_a_network_whose_creation_nobody_heard_of_is_found_and_not_made_twice() -> None:
    bench = await opened(runners=sick("network_create", Fault.BROKEN_AFTER))
    correlation_id = bench.give("network_create", name="net")
    await bench.clock.settle()
    await bench.clock.advance(10.0)
    answer = await bench.answer(correlation_id)
    assert (answer.code, answer.response["verified"]) == (None, True)
    assert bench.docker.calls.count("network_create") == 1


@pytest.mark.asyncio
async def test_a_volume_of_that_name_with_other_options_is_not_taken_for_the_one_that_was_asked_for() -> None:
    bench = await opened()
    _ = await bench.answer(bench.give("volume_create", name="data"))
    same = await bench.answer(bench.give("volume_create", name="data"))
    assert (same.code, same.response["changed"]) == (None, False)
    options = {"type": "tmpfs", "device": "tmpfs"}
    other = await bench.answer(bench.give("volume_create", name="data", options=options))
    assert other.code == CommandErrorCode.DOCKER_ERROR.value


@pytest.mark.asyncio
async def test_a_prune_removes_what_was_confirmed_and_keeps_what_is_used_by_now() -> None:
    bench = await opened()
    for name in ("left", "right", "later"):
        _ = await bench.answer(bench.give("network_create", name=name))
    plan = (await bench.answer(bench.give("network_prune_plan"))).response
    assert [each["name"] for each in plan["networks"]] == ["left", "right", "later"]
    ids = [each["id"] for each in plan["networks"][:2]]
    _ = await bench.answer(bench.give("network_connect", network="left", container="web"))
    done = (await bench.answer(bench.give("network_prune", ids=ids))).response
    assert (done["removed"], [each["id"] for each in done["kept"]]) == ([ids[1]], [ids[0]])
    assert [network.name for network in bench.docker.networks if not network.predefined] == ["left", "later"]
