"""The files of Compose projects: what is taken, what is refused, and what becomes of their variables."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from seawall.agent.operations.compose_files import FilesRefused, Sources, fill_in, sources_of
from seawall.agent.operations.compose_yaml import NotPlain, read_yaml
from seawall.operations.compose import COMPOSE_UP
from seawall.operations.operation import InvalidArguments, check_arguments


def sources(
    text: str, environment: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None
) -> Sources:
    return sources_of("shop", {"compose.yml": text, **(more or {})}, [], environment or {})


def service(settings: str, environment: Mapping[str, str] | None = None, **more: str) -> dict[str, object]:
    """The settings of a service as a program will read them."""
    found = sources(f"services: {{web: {settings}}}", environment, more)
    read: dict[str, object] = json.loads(found.files["compose.yml"])["services"]["web"]
    return read


REFUSED = {
    "another file of the host is extended": "services: {web: {extends: {file: /etc/shadow, service: x}}}",
    "a file above the project is extended": "services: {web: {extends: {file: ../other.yml, service: x}}}",
    "a file of the web is extended": "services: {web: {extends: {file: 'https://x/c.yml', service: x}}}",
    "what is extended is hidden in a variable": "services: {web: {extends: {file: '${F:-/etc/x.yml}', service: x}}}",
    "a file of the host is the environment": "services: {web: {image: x, env_file: /etc/environment}}",
    "one of several such files is the host's": "services: {web: {image: x, env_file: [a.env, /root/.profile]}}",
    "such a file is given in the long form": "services: {web: {image: x, env_file: [{path: /etc/passwd}]}}",
    "a file of labels": "services: {web: {image: x, label_file: ./labels}}",
    "another project is included": "include: [/srv/other/compose.yml]\nservices: {}",
    "a secret is a file": "secrets: {key: {file: /etc/shadow}}\nservices: {web: {image: x}}",
    "a config is a file": "configs: {key: {file: /etc/shadow}}\nservices: {web: {image: x}}",
    "a service uses a secret": "services: {web: {image: x, secrets: [key]}}",
    "an image is built": "services: {web: {build: /}}",
    "an image is built of a table": "services: {web: {build: {context: ../..}}}",
    "a program of the host is run": "services: {web: {provider: {type: sh}}}",
    "a credential of the host": "services: {web: {image: x, credential_spec: {file: x}}}",
    "the Docker socket by another name": "services: {web: {image: x, use_api_socket: true}}",
    "something unknown": "models: {llm: {model: x}}\nservices: {web: {image: x}}",
    "another name": "name: other\nservices: {web: {image: x}}",
    "no table": "[1, 2]",
    "nothing": "",
    "services that are none": "services: [web]",
    "a service that is none": "services: {web: 3}",
    "a variable without a value": "services: {web: {image: '${IMAGE}'}}",
    "a variable that must be there": "services: {web: {image: '${IMAGE:?is needed}'}}",
    "a dollar that is no variable": "services: {web: {image: 'a$'}}",
    "an object": "services: {web: !!python/object/apply:os.system ['true']}",
    "a tag of its own": "services: {web: !reset {image: x}}",
    "bytes": "services: {web: {image: !!binary aGVsbG8=}}",
    "two documents": "services: {}\n---\nservices: {}",
    "what is no YAML": "services: {web: {image: x",
    "more than 64 services": "services: {" + ", ".join(f"s{n}: {{image: x}}" for n in range(65)) + "}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_reads_other_files_or_says_nothing_clear_is_refused(text: str) -> None:
    with pytest.raises(FilesRefused):
        sources(text)


def test_files_that_came_along_may_be_used() -> None:
    more = {"base.yml": "services: {base: {image: busybox}}", "web.env": "A=$HOME\n"}
    found = sources(
        "services: {web: {extends: {file: base.yml, service: base}, env_file: [./web.env]}}", more=more
    )
    assert found.use == ["compose.yml"]
    assert found.files["web.env"] == "A=$HOME\n"


def test_a_file_that_is_extended_is_held_to_the_same_rules() -> None:
    more = {"base.yml": "services: {base: {image: x, env_file: /etc/environment}}"}
    with pytest.raises(FilesRefused, match="etc/environment"):
        sources("services: {web: {extends: {file: base.yml, service: base}}}", more=more)


def test_variables_come_from_the_command_alone_and_none_is_left() -> None:
    environment = {"IMAGE": "busybox", "EMPTY": "", "PRICE": "5$ or ${IMAGE}"}
    assert service("{image: '${IMAGE}:${TAG:-latest}'}", environment) == {"image": "busybox:latest"}
    assert service("{command: 'costs $PRICE, $$HOME'}", environment) == {
        "command": "costs 5$$ or $${IMAGE}, $$HOME"
    }
    given = service("{environment: [IMAGE, HOME, A=1]}", environment)
    assert given == {"environment": ["IMAGE=busybox", "A=1"]}
    assert service("{environment: {IMAGE: , HOME: , A: 1}}", environment) == {
        "environment": {"IMAGE": "busybox", "A": 1}
    }


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A", "1"),
        ("${A}b", "1b"),
        ("${E-x}", ""),
        ("${E:-x}", "x"),
        ("${N-x}", "x"),
        ("${A:+y}", "y"),
        ("${E+y}", "y"),
        ("${E:+y}", ""),
        ("${N+y}", ""),
        ("$$A", "$A"),
        ("$$$A", "$1"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert fill_in(text, {"A": "1", "E": ""}, "here") == filled


def test_variables_can_not_make_a_file_grow_without_end() -> None:
    text = "services: {web: {image: x, command: '" + "$A" * 50_000 + "'}}"
    with pytest.raises(FilesRefused, match="longer than"):
        sources(text, {"A": "x" * 30_000})
    each = "services: {web: {image: x, command: [" + ", ".join(["$A"] * 1000) + "]}}"
    with pytest.raises(FilesRefused, match="longer than"):
        sources(each, {"A": "x" * 30_000})


BOMBS = {
    "aliases of aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{c}: &{c} [{', '.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "merges of merges": "a: &a {x: 1, y: 2}\n"
    + "".join(
        f"{c}: &{c} {{<<: [{', '.join(['*' + p] * 9)}]}}\n"
        for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "a long text many times": "a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 1000) + "]",
    "an alias of itself": "a: &a [*a]",
    "a table in itself": "a: &a {b: *a}",
    "a deep nest": "[" * 100_000,
    "many values": "[" + "1," * 30_000 + "1]",
    "a long document": "x" * 2_000_000,
    "a number without end": "a: !!int " + "9" * 10_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_document_that_stands_for_too_much_is_refused(text: str) -> None:
    with pytest.raises(NotPlain):
        read_yaml(text, "it")


def test_texts_that_readers_disagree_about_stay_texts() -> None:
    text = "[yes, 22:22, 2024-01-01, on, 1_000, 0x10, true, 7, 0444, 1.5, null, '1']"
    assert read_yaml(text, "it") == [
        *("yes", "22:22", "2024-01-01", "on", "1_000", "0x10"),
        *(True, 7, 0o444, 1.5, None, "1"),
    ]


def test_anchors_and_merges_of_a_sane_size_are_read() -> None:
    text = "x: &base {a: 1}\nservices: {web: {<<: *base, b: 2}}"
    assert read_yaml(text, "it") == {"x": {"a": 1}, "services": {"web": {"a": 1, "b": 2}}}


def test_the_files_of_a_project_are_found_by_their_usual_names() -> None:
    empty = "services: {}"
    both = {"docker-compose.override.yml": empty, "docker-compose.yml": empty, "other.yml": empty}
    assert sources_of("shop", both, [], {}).use == ["docker-compose.yml", "docker-compose.override.yml"]
    assert sources_of("shop", {"stack.yml": empty, "a.env": "A=1"}, [], {}).use == ["stack.yml"]
    assert sources_of("shop", both, ["other.yml", "docker-compose.yml"], {}).use == [
        "other.yml",
        "docker-compose.yml",
    ]
    with pytest.raises(FilesRefused, match="say with `use`"):
        sources_of("shop", {"a.yml": empty, "b.yml": empty}, [], {})
    with pytest.raises(FilesRefused, match="not among the files"):
        sources_of("shop", {"a.yml": empty}, ["b.yml"], {})


def test_files_that_are_too_large_together_are_refused() -> None:
    with pytest.raises(FilesRefused, match="bytes together"):
        sources_of("shop", {f"{n}.yml": "x" * 100_000 for n in range(3)}, ["0.yml"], {})


@pytest.mark.parametrize(
    "arguments",
    [
        {"project": "--rm"},
        {"project": "Shop"},
        {"project": "../shop"},
        {"project": "shop; rm -rf /"},
        {"project": "x" * 1_000_000},
        {"files": {"../compose.yml": ""}},
        {"files": {"/etc/compose.yml": ""}},
        {"files": {".env": ""}},
        {"files": {"-f.yml": ""}},
        {"files": {"x" * 1_000_000: ""}},
        {"files": {"x" * 200: ""}},
        {"files": {f"{n}.yml": "" for n in range(17)}},
        {"files": {"compose.yml": "x" * (256 * 1024 + 1)}},
        {"files": {"compose.yml": 1}},
        {"services": ["--rm"]},
        {"services": ["a/b"]},
        {"use": ["../x.yml"]},
        {"environment": {"A B": "x"}},
        {"environment": {"A": "x" * 40_000}},
        {"pull": "--privileged"},
        {"grace_seconds": -1},
    ],
    ids=lambda given: str(given)[:50],
)
def test_arguments_that_can_not_be_meant_are_refused_in_few_words(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check_arguments(COMPOSE_UP, {"project": "shop", "files": {"compose.yml": ""}, **arguments})
    assert len(str(caught.value)) < 2000
