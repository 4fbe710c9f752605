"""What was asked for, and what became of it.

Made from `operations/commands.py` by `make generate`: change it there.
"""

from __future__ import annotations

from seawall.client.sync_operations.group import Group
from seawall.client.sync_streams import SyncStream


class SyncCommands(Group):
    """What was asked for, and what became of it."""

    def stream_output(self, command_id: str, *, on: str, follow: bool = False) -> SyncStream:
        """What a command prints while its host works on it, from the beginning, a JSON object a line, as a
        stream of the one host `on`: see `SyncStream`.

        - `command_id`: a command's id
        - `follow`: wait for the command if its host doesn't work on it yet, and go on to its end
        """
        return self._stream("command_output", on, {"command_id": command_id, "follow": follow})
