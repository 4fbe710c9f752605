"""Archives on their way from here to a host, before its command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.cli.exits import FAILED, code_of_error
from seawall.cli.gauge import in_megabytes
from seawall.cli.reporters import Ending, Reporter
from seawall.client.errors import ClientError, StreamFailed, Unreachable
from seawall.client.events import Event
from seawall.client.models import Agent
from seawall.client.parcels import Parcel

if TYPE_CHECKING:
    from seawall.client.client import Client

_TOLD_PERCENT = 5


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
