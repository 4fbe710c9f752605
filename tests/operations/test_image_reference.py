"""An image's name is taken apart as Docker does it, and what Docker would refuse is refused before it is asked."""

from __future__ import annotations

import pytest

from seawall.operations.image_reference import InvalidReference, image_id, parse_reference

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
        ("grafana/loki", "docker.io/grafana/loki:latest", "grafana/loki:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("localhost:5000/a:b", "localhost:5000/a:b", "localhost:5000/a:b"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("ghcr.io/a/b__c/d-e:V1", "ghcr.io/a/b__c/d-e:V1", "ghcr.io/a/b__c/d-e:V1"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}", f"nginx:1@{DIGEST}"),
    ],
)
def test_what_is_left_out_is_filled_in_as_docker_does(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert (reference.full, reference.familiar) == (full, familiar)
    assert parse_reference(reference.familiar) == reference


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("--rm", "no repository's name"),
        ("../etc", "no registry"),
        ("a//b", "no repository's name"),
        ("a b", "no repository's name"),
        ("a;rm", "no repository's name"),
        ("Nginx", "no capital letters"),
        ("nginx:", "no tag"),
        ("nginx:.1", "no tag"),
        (f"nginx:{'t' * 129}", "no tag"),
        ("nginx@", "no digest"),
        ("nginx@sha256:ab", "no digest"),
        (f"nginx@sha256:{'A' * 64}", "64 lower-case"),
        (f"nginx@{DIGEST}@{DIGEST}", "no digest"),
        ("-bad.host/a", "no registry"),
        ("a" * 300, "more than 255"),
        ("a" * 1_000_000, "at most 512"),
        ("b" * 64, "an image's id"),
        ("nginx\n", "no repository's name"),
    ],
)
def test_what_is_no_reference_is_told_why(text: str, problem: str) -> None:
    with pytest.raises(InvalidReference, match=problem):
        parse_reference(text)


def test_a_whole_id_names_an_image_without_a_registry() -> None:
    assert image_id(DIGEST) == DIGEST
    assert image_id("nginx") is None


def test_a_pinned_reference_has_its_digest_only() -> None:
    assert parse_reference("nginx:1.27").pinned(DIGEST).familiar == f"nginx@{DIGEST}"
