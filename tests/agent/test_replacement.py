"""What a container's replacement is made of: what was asked for, and not what the old image brought."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from seawall.agent.operations.replacement import replacement_of

ID = "ab12cd34ef56" + "0" * 52


def record(
    config: Mapping[str, object] | None = None,
    host: Mapping[str, object] | None = None,
    networks: Mapping[str, object] | None = None,
    mounts: list[dict[str, object]] | None = None,
) -> dict[str, object]:
    return {
        "Id": ID,
        "Config": {"Hostname": ID[:12], "Image": "app:1", **(config or {})},
        "HostConfig": {"NetworkMode": "default", **(host or {})},
        "NetworkSettings": {"Networks": networks or {}},
        "Mounts": mounts or [],
    }


def spec_of(old: Mapping[str, object], image: Mapping[str, object] | None = None) -> dict[str, object]:
    return replacement_of(old, {"Config": image or {}}, "app:2", "command-1").spec


@pytest.mark.parametrize(
    ("config", "image", "kept"),
    [
        ({"User": "1"}, {"User": "1"}, {}),
        ({"User": "1"}, {"User": "2"}, {"User": "1"}),
        ({"WorkingDir": "/a"}, {"WorkingDir": "/a"}, {}),
        ({"StopSignal": "SIGINT"}, {}, {"StopSignal": "SIGINT"}),
        ({"Env": ["A=1", "B=2"]}, {"Env": ["A=1", "B=1"]}, {"Env": ["B=2"]}),
        ({"Cmd": ["run"]}, {"Cmd": ["run"]}, {"Cmd": None}),
        ({"Cmd": ["mine"]}, {"Cmd": ["run"]}, {"Cmd": ["mine"], "Entrypoint": None}),
        (
            {"Entrypoint": ["mine"], "Cmd": ["run"]},
            {"Entrypoint": ["theirs"], "Cmd": ["run"]},
            {"Entrypoint": ["mine"], "Cmd": ["run"]},
        ),
        ({"Entrypoint": None, "Cmd": ["x"]}, {"Entrypoint": ["e"]}, {"Entrypoint": [], "Cmd": ["x"]}),
        (
            {"ExposedPorts": {"1/tcp": {}, "2/tcp": {}}},
            {"ExposedPorts": {"1/tcp": {}}},
            {"ExposedPorts": {"2/tcp": {}}},
        ),
        ({"Volumes": {"/a": {}, "/b": {}}}, {"Volumes": {"/a": {}}}, {"Volumes": {"/b": {}}}),
        (
            {"Healthcheck": {"Test": ["CMD", "a"], "Interval": 5, "Retries": 3}},
            {"Healthcheck": {"Test": ["CMD", "a"], "Interval": 1}},
            {"Healthcheck": {"Interval": 5, "Retries": 3}},
        ),
        (
            {"Healthcheck": {"Test": ["CMD", "a"]}},
            {"Healthcheck": {"Test": ["CMD", "a"]}},
            {"Healthcheck": None},
        ),
        ({"Hostname": "www"}, {}, {"Hostname": "www"}),
        ({}, {}, {"Hostname": None}),
        ({"MacAddress": "02:42:00:00:00:01"}, {}, {"MacAddress": "02:42:00:00:00:01"}),
        ({"OnBuild": ["RUN x"]}, {}, {"OnBuild": None, "Image": "app:2"}),
    ],
)
def test_what_the_image_brought_follows_the_new_image(
    config: dict[str, object], image: dict[str, object], kept: dict[str, object]
) -> None:
    spec = spec_of(record(config), image)
    assert {name: spec.get(name) for name in kept} == kept
    if "User" in config and not kept:
        assert "User" not in spec


def test_labels_of_the_image_and_of_earlier_updates_stay_behind() -> None:
    labels = {"a": "1", "b": "2", "seawall.command_id": "before", "seawall.replaces": "x"}
    spec = spec_of(record({"Labels": labels}), {"Labels": {"a": "1", "b": "1"}})
    assert spec["Labels"] == {"b": "2", "seawall.command_id": "command-1", "seawall.replaces": ID}


def test_without_the_old_image_everything_is_kept() -> None:
    spec = replacement_of(record({"Env": ["A=1"], "Cmd": ["run"]}), None, "app:2", "c").spec
    assert (spec["Env"], spec["Cmd"]) == (["A=1"], ["run"])


def test_the_restart_policy_waits_until_it_is_proved() -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 3}
    made = replacement_of(record(host={"RestartPolicy": policy}), None, "app:2", "c")
    host = made.spec["HostConfig"]
    assert isinstance(host, dict)
    assert (host["RestartPolicy"], made.restart_policy) == ({"Name": "no"}, policy)


def test_unnamed_volumes_are_kept_by_name_and_the_rest_as_it_was() -> None:
    mounts: list[dict[str, object]] = [
        {"Type": "volume", "Name": "v1", "Destination": "/a", "RW": True},
        {"Type": "volume", "Name": "v2", "Destination": "/b", "RW": False},
        {"Type": "volume", "Name": "v3", "Destination": "/m", "RW": True},
        {"Type": "volume", "Name": "named", "Destination": "/n", "RW": True},
        {"Type": "bind", "Source": "/host", "Destination": "/h", "RW": True},
    ]
    host: dict[str, object] = {
        "Binds": ["/host:/h", "named:/n:ro"],
        "Mounts": [{"Type": "volume", "Target": "/m"}],
    }
    made = spec_of(record(host=host, mounts=mounts))["HostConfig"]
    assert isinstance(made, dict)
    assert made["Binds"] == ["/host:/h", "named:/n:ro", "v1:/a", "v2:/b:ro"]
    assert made["Mounts"] == [{"Type": "volume", "Target": "/m", "Source": "v3"}]


def test_networks_keep_aliases_and_addresses_but_not_what_docker_gave() -> None:
    networks = {
        "front": {
            "Aliases": [ID[:12], "www"],
            "IPAMConfig": {"IPv4Address": "10.1.0.2"},
            "IPAddress": "10.1.0.2",
            "MacAddress": "02:42:0a:01:00:02",
            "NetworkID": "f" * 64,
        },
        "back": {"Aliases": [ID[:12]], "IPAMConfig": None},
    }
    made = replacement_of(record(host={"NetworkMode": "front"}, networks=networks), None, "app:2", "c")
    front = {"Aliases": ["www"], "IPAMConfig": {"IPv4Address": "10.1.0.2"}}
    assert made.spec["NetworkingConfig"] == {"EndpointsConfig": {"front": front}}
    assert made.networks == {"back": {}}
    by_id = replacement_of(record(host={"NetworkMode": "f" * 64}, networks=networks), None, "app:2", "c")
    assert by_id.spec["NetworkingConfig"] == made.spec["NetworkingConfig"]


@pytest.mark.parametrize("mode", ["host", "none", "container:abc"])
def test_a_container_without_a_network_of_its_own_is_connected_to_none(mode: str) -> None:
    old = record({"ExposedPorts": {"1/tcp": {}}}, {"NetworkMode": mode}, {mode: {}})
    made = replacement_of(old, None, "app:2", "c")
    assert "NetworkingConfig" not in made.spec
    assert made.networks == {}
    assert ("ExposedPorts" in made.spec) is not mode.startswith("container:")


def test_links_are_told_as_create_takes_them() -> None:
    made = spec_of(record(host={"Links": ["/db:/web/database"]}))["HostConfig"]
    assert isinstance(made, dict)
    assert made["Links"] == ["db:database"]
