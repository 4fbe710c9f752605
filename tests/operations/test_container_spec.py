"""The arguments of container_create become Docker's own body, and nothing that isn't asked for is in it."""

from __future__ import annotations

import pytest

from seawall.operations.container_spec import limits_of, specification
from seawall.operations.operation import InvalidArguments, check_arguments
from seawall.operations.registry import OPERATIONS

CREATE, RUN = OPERATIONS["container_create"], OPERATIONS["container_run"]


def body(**arguments: object) -> dict[str, object]:
    checked = check_arguments(CREATE, {"image": "nginx", **arguments})
    made = specification(checked, "command-1").body
    host = made.pop("HostConfig")
    assert isinstance(host, dict)
    return {**made, **{f"Host.{key}": value for key, value in host.items()}}


def problems(**arguments: object) -> list[str]:
    with pytest.raises(InvalidArguments) as caught:
        check_arguments(RUN, {"image": "nginx", **arguments})
    return caught.value.problems


def test_a_container_of_nothing_but_an_image_has_its_label_and_nothing_else() -> None:
    assert body() == {"Image": "nginx:latest", "Labels": {"seawall.command_id": "command-1"}}


@pytest.mark.parametrize(
    ("argument", "value", "field", "made"),
    [
        ("command", ["a", ""], "Cmd", ["a", ""]),
        ("env", {"A": "b=c"}, "Env", ["A=b=c"]),
        ("stop_timeout_seconds", 0, "StopTimeout", 0),
        ("volumes", ["/data"], "Volumes", {"/data": {}}),
        ("volumes", ["a:/a"], "Host.Binds", ["a:/a"]),
        ("ports", ["81:80"], "Host.PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": "81"}]}),
        ("ports", ["8080:80"], "ExposedPorts", {"80/tcp": {}}),
        ("network_mode", "container:web", "Host.NetworkMode", "container:web"),
        ("networks", ["name=back,alias=db"], "NetworkingConfig", {"EndpointsConfig": {"back": {"Aliases": ["db"]}}}),
        ("networks", ["back"], "Host.NetworkMode", "back"),
        ("memory", "64m", "Host.MemorySwap", 128 * 1024**2),
        ("cpus", 1.5, "Host.NanoCpus", 1_500_000_000),
        ("pids", -1, "Host.PidsLimit", -1),
        ("privileged", True, "Host.Privileged", True),
        ("no_health_check", True, "Healthcheck", {"Test": ["NONE"]}),
        ("health_retries", 3, "Healthcheck", {"Retries": 3}),
        ("log_options", {"max-size": "1m"}, "Host.LogConfig", {"Config": {"max-size": "1m"}}),
        ("auto_remove", True, "Host.AutoRemove", True),
        ("image", f"sha256:{'a' * 64}", "Image", f"sha256:{'a' * 64}"),
        ("image", "ghcr.io/a/b:c", "Image", "ghcr.io/a/b:c"),
    ],
)  # fmt: skip
def test_an_argument_becomes_a_field(argument: str, value: object, field: str, made: object) -> None:
    assert body(**{argument: value})[field] == made


def test_only_the_first_network_is_joined_at_once() -> None:
    checked = check_arguments(CREATE, {"image": "nginx", "networks": ["a", "name=b,alias=c"]})
    made = specification(checked, "command-1")
    assert made.body["NetworkingConfig"] == {"EndpointsConfig": {"a": {}}}
    assert [(each.network, each.body) for each in made.further] == [("b", {"Aliases": ["c"]})]


@pytest.mark.parametrize(
    "arguments",
    [
        {"image": "--rm"},
        {"image": "a b"},
        {"image": "nginx; rm -rf /"},
        {"image": "x" * 1_000_000},
        {"name": "--rm"},
        {"name": "web; rm -rf /"},
        {"name": "$(id)"},
        {"name": "../web"},
        {"name": "web\n"},
        {"name": "n" * 1_000_000},
        {"labels": {f"label-{n}": "" for n in range(1000)}},
        {"labels": {f"label-{n}": "x" * 4096 for n in range(64)} | {"one": "more"}},
        {"labels": {"big": "x" * 1_000_000}},
        {"labels": {"seawall.command_id": "another"}},
        {"env": {"A=B": "c"}},
        {"env": {"A": "b\0c"}},
        {"env": {f"V{n}": "x" * 32_000 for n in range(20)}},
        {"volumes": ["/srv/../etc:/mnt"]},
        {"working_dir": "/a/../../b"},
        {"ports": ["1-1024", "2000"]},
        {"networks": ["a", "a"]},
        {"networks": ["host"]},
        {"networks": ["a"], "network_mode": "bridge"},
        {"network_mode": "service:web"},
        {"auto_remove": True, "restart": "always"},
        {"memory": "1m"},
        {"memory": "64m", "memory_swap": "32m"},
        {"cpus": 0.0},
        {"pid_mode": "service:web"},
        {"no_health_check": True, "health_command": "true"},
    ],
    ids=lambda arguments: str(arguments)[:60],
)
def test_what_describes_no_container_is_told_before_anything_runs(arguments: dict[str, object]) -> None:
    found = problems(**arguments)
    assert found
    assert all(len(problem) < 2000 for problem in found)


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(ports=["x", "y"], volumes=["../a:/b"], restart="maybe")) == 4


def test_limits_are_named_as_docker_names_them_and_one_is_needed() -> None:
    assert limits_of({"memory": "64m", "memory_swap": "-1", "restart": "no"}) == {
        "Memory": 64 * 1024**2,
        "MemorySwap": -1,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }
    with pytest.raises(InvalidArguments, match="at least one limit"):
        check_arguments(OPERATIONS["container_set_limits"], {"container": "web"})


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("container_exec", {"container": "web", "command": []}),
        ("container_exec", {"container": "--rm", "command": ["true"]}),
        ("container_top", {"container": "web", "columns": "-o pid;id"}),
        ("container_wait", {"container": "web", "until": "never"}),
        ("container_list", {"status": ["sleepy"]}),
        ("container_pause", {"container": "../web"}),
    ],
)
def test_bad_input_to_the_other_operations_is_told_as_well(
    operation: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(InvalidArguments):
        check_arguments(OPERATIONS[operation], arguments)
