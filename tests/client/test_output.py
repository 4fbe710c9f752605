"""What a command printed, for programs: line by line, with a whole detail each."""

from __future__ import annotations

import msgspec
import pytest

from seawall import Seawall, SyncSeawall
from seawall.client.errors import StreamFailed
from seawall.client.output import OutputReader, Printed
from seawall.wire.output import Line
from tests.cli.controller_double import ControllerDouble

pytestmark = pytest.mark.asyncio

LINES = [Line(1, 0.0, "one", {"steps": ["a"], "at": 1}), Line(2, 0.5, "two", {"steps": None})]
PRINTED = b"".join(msgspec.json.encode(line) + b"\n" for line in LINES)
EXPECTED = [Printed(1, 0.0, "one", {"steps": ["a"], "at": 1}), Printed(2, 0.5, "two", {"at": 1})]


async def test_both_clients_give_the_lines_of_a_command(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local").output = PRINTED
    async with Seawall() as fleet:
        command = (await fleet.images.pull("app:1")).only
        assert [line async for line in fleet.output(command.command_id, follow=True)] == EXPECTED
    with SyncSeawall() as twin:
        assert list(twin.output(command.command_id)) == EXPECTED


async def test_a_host_that_keeps_none_is_an_error(fleet_controller: ControllerDouble) -> None:
    fleet_controller.add("local")
    async with Seawall() as fleet:
        command = (await fleet.images.pull("app:1")).only
        with pytest.raises(StreamFailed, match="update it") as caught:
            await anext(fleet.output(command.command_id))
    assert caught.value.code == "unsupported_operation"


@pytest.mark.parametrize("size", range(1, len(PRINTED), 7))
async def test_lines_are_the_same_however_their_bytes_come(size: int) -> None:
    reader = OutputReader()
    pieces = [PRINTED[at : at + size] for at in range(0, len(PRINTED), size)]
    assert [line for piece in pieces for line in reader.feed(piece)] == EXPECTED
