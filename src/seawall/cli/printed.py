"""What a command has printed on its host: bars on a terminal where it is followed, else lines."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
import typer

from seawall.cli.connect import ask
from seawall.cli.live import OneHostReporter
from seawall.cli.output import console, say
from seawall.cli.streams import StreamProblem
from seawall.cli.wording import missing, printed
from seawall.client.errors import StreamFailed
from seawall.client.events import Event
from seawall.client.output import Printed, output_of

if TYPE_CHECKING:
    from seawall.client.client import Client


def print_output(context: typer.Context, command_id: str, *, follow: bool, as_json: bool) -> None:
    """Print it all; a line that the host had no room for is missed in words."""

    async def work(client: Client) -> None:
        screen = console()
        try:
            async with aclosing(output_of(client, command_id, follow=follow)) as lines:
                if follow and screen.is_terminal and not as_json:
                    command = await client.command(command_id)
                    host = await client.agent(command.agent_id)
                    with OneHostReporter(screen, quiet=False) as reporter:
                        async for line in lines:
                            reporter.heard(host, Event("progress", msgspec.structs.asdict(line)))
                    return
                async for line in lines:
                    _print(line, as_json=as_json)
        except StreamFailed as error:
            raise StreamProblem(error) from error

    ask(context, work)


def _print(line: Printed, *, as_json: bool) -> None:
    if as_json:
        say(msgspec.json.encode(line).decode())
        return
    if line.dropped:
        say(missing(line.dropped))
    for text in printed(line.text, line.detail):
        say(text)
