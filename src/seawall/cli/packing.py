"""The archive that a command sends: made once, for all of its hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from seawall.cli.exits import UsageProblem
from seawall.cli.fanout import Work
from seawall.client.parcels import SourceRefused, packed
from seawall.operations.operation import Upload


@contextmanager
def made(kind: Upload, source: str, work: Work) -> Iterator[Work]:
    """The work with the archive that it sends. Raises UsageProblem."""
    dockerfile = str(work.arguments.get("dockerfile") or "Dockerfile")
    try:
        with packed(kind, source, dockerfile=dockerfile) as parcel:
            yield replace(work, parcel=parcel, arguments={**work.arguments, **parcel.arguments})
    except SourceRefused as error:
        raise UsageProblem(str(error)) from error
