"""Archives on their way from here to hosts: made once, sent to each host before its command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from seawall.cli.exits import FAILED, UsageProblem, code_of_error
from seawall.cli.gauge import in_megabytes
from seawall.cli.reporters import Ending, Reporter
from seawall.client.errors import ClientError, StreamFailed, Unreachable
from seawall.client.events import Event
from seawall.client.models import Agent
from seawall.client.parcels import Parcel, SourceRefused, packed
from seawall.operations.operation import Upload

if TYPE_CHECKING:
    from seawall.cli.fanout import Work
    from seawall.client.client import Client

_TOLD_PERCENT = 5


@contextmanager
def made(kind: Upload, source: str, work: Work) -> Iterator[Work]:
    """The work with the archive that it sends. Raises UsageProblem."""
    dockerfile = str(work.arguments.get("dockerfile") or "Dockerfile")
    try:
        with packed(kind, source, dockerfile=dockerfile) as parcel:
            yield replace(work, parcel=parcel, arguments={**work.arguments, **parcel.arguments})
    except SourceRefused as error:
        raise UsageProblem(str(error)) from error


async def send(
    client: Client, host: Agent, purpose: str, parcel: Parcel, reporter: Reporter
) -> Ending | None:
    """Send the archive to a host; how it ended there if that isn't possible."""
    told = -1

    def tell(done: int) -> None:
        nonlocal told
        percent = 100 * done // parcel.size
        if percent < told + _TOLD_PERCENT and done < parcel.size:
            return
        told = percent
        text = f"sending: {in_megabytes(done)} of {in_megabytes(parcel.size)}"
        layer = {"status": "sending", "current": done, "total": parcel.size, "done": done == parcel.size}
        content: dict[str, object] = {"text": text, "detail": {"layers": {"archive": layer}}}
        reporter.heard(host, Event("progress", content))

    try:
        await client.upload(host.agent_id, purpose, parcel, tell).run()
    except StreamFailed as error:
        return Ending(host, FAILED, problem=f"the archive was not sent: {error}", error_code=error.code)
    except (ClientError, Unreachable) as error:
        code = error.error_code if isinstance(error, ClientError) else "unreachable"
        return Ending(
            host, code_of_error(error), problem=f"the archive was not sent: {error}", error_code=code
        )
    return None
