"""The name of an image, taken apart as the distribution project's reference grammar says."""

from __future__ import annotations

import re

from msgspec import Struct

from seawall.operations.passwords import without_password

DEFAULT_REGISTRY = "docker.io"
"""Where an image comes from whose name tells no registry."""
DEFAULT_TAG = "latest"
LONGEST_REFERENCE = 512
"""Characters of a whole reference: a repository's name and a digest, with room for a tag."""

_LONGEST_NAME = 255
_IMPLIED_FOLDER = "library"  # of docker.io's official images
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_REGISTRY = re.compile(_HOST)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_BARE_ID = re.compile(r"[0-9a-f]{64}")


class InvalidReference(ValueError):
    """A text names no image. The message says which part doesn't fit."""


class ImageReference(Struct, frozen=True):
    """A reference with what Docker fills in: the registry always, a tag unless there is a digest.

    `repository` is the path at the registry, so "library/nginx" for "nginx".
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """Registry and repository: what policies are written about."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """The name as Docker itself shows it: "nginx" for "docker.io/library/nginx"."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        return self.repository.removeprefix(f"{_IMPLIED_FOLDER}/")

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it."""
        return self.familiar_name + self._version

    @property
    def full(self) -> str:
        """The whole reference with nothing left out."""
        return self.name + self._version

    @property
    def _version(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag

    def pinned(self, digest: str) -> ImageReference:
        """The same image by its digest alone: what it means can't change any more."""
        return ImageReference(self.registry, self.repository, None, digest)


def parse_reference(text: str) -> ImageReference:
    """Take a reference apart; raises InvalidReference."""
    if not text:
        raise InvalidReference("an image's reference can't be empty")
    if len(text) > LONGEST_REFERENCE:
        raise InvalidReference(
            f"an image's reference has {len(text)} characters, at most {LONGEST_REFERENCE} are allowed"
        )
    if _BARE_ID.fullmatch(text):
        raise InvalidReference(f"{text} is an image's id, not a reference; write sha256:{text} for an id")
    rest, at, digest = text.partition("@")
    name, tag = _split_tag(rest)
    registry, repository = _split_registry(name)
    problem = (
        (_digest_problem(digest) if at else None) or _tag_problem(tag) or _name_problem(registry, repository)
    )
    if problem is not None:
        raise InvalidReference(without_password(f"{text[:128]!r} is no image reference: {problem}"))
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"{_IMPLIED_FOLDER}/{repository}"
    if tag is None and not digest:
        tag = DEFAULT_TAG
    return ImageReference(registry, repository, tag, digest or None)


def _digest_problem(digest: str) -> str | None:
    if not _DIGEST.fullmatch(digest):
        return f"{digest!r} after the '@' is no digest such as sha256:<64 hexadecimal digits>"
    if digest.startswith("sha256:") and not _SHA256.fullmatch(digest):
        return "a sha256 digest has exactly 64 lower-case hexadecimal digits"
    return None


def _tag_problem(tag: str | None) -> str | None:
    if tag is None or _TAG.fullmatch(tag):
        return None
    return f"{tag!r} is no tag: at most 128 letters, digits, '_', '.' and '-', the first none of '.' and '-'"


def _name_problem(registry: str, repository: str) -> str | None:
    if not _REGISTRY.fullmatch(registry):
        return f"{registry!r} is no registry's host such as registry.example.com:5000"
    if not _PATH.fullmatch(repository):
        if _PATH.fullmatch(repository.lower()):
            return "a repository's name has no capital letters"
        return (
            f"{repository!r} is no repository's name: lower-case letters and digits, in between '.', '_', '__', "
            "'-' or '/'"
        )
    if len(f"{registry}/{repository}") > _LONGEST_NAME:
        return f"its name has more than {_LONGEST_NAME} characters"
    return None


def image_id(text: str) -> str | None:
    """The id, if a text is an image's whole id (sha256:...), which names one image without any registry."""
    return text if _SHA256.fullmatch(text) else None


def _split_tag(text: str) -> tuple[str, str | None]:
    """A colon after the last slash begins a tag; one before it is a registry's port."""
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (text, None)


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    if not is_host:
        return DEFAULT_REGISTRY, name
    return (DEFAULT_REGISTRY if first == "index.docker.io" else first), rest
