"""What became of one call on all its hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Self

from seawall.client.errors import ClientError, StreamFailed, Unreachable
from seawall.client.models import Command
from seawall.core.command import CommandState


class Results(Mapping[str, Command]):
    """The commands of one call by the names of their hosts, however many these are.

    `errors` says for which hosts a request failed: those without a command, and those whose command was accepted but
    whose end could not be waited for.
    """

    def __init__(
        self,
        commands: Mapping[str, Command],
        errors: Mapping[str, ClientError | Unreachable | StreamFailed] | None = None,
    ) -> None:
        self._commands = dict(commands)
        self.errors = dict(errors or {})

    def __getitem__(self, host: str) -> Command:
        return self._commands[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def __repr__(self) -> str:
        return f"<Results: {self._summary()}>"

    @property
    def responses(self) -> dict[str, object]:
        """What the hosts answered where the command SUCCEEDED."""
        return {
            host: command.response
            for host, command in self._commands.items()
            if command.state is CommandState.SUCCEEDED
        }

    @property
    def failures(self) -> dict[str, Command]:
        """The commands that are over and didn't succeed; an UNKNOWN one may have happened."""
        return {
            host: command
            for host, command in self._commands.items()
            if command.state.final and command.state is not CommandState.SUCCEEDED
        }

    @property
    def only(self) -> Command:
        """The command of the only host. Raises ValueError where there isn't exactly one."""
        if len(self._commands) != 1:
            raise ValueError(f"there are commands on {len(self._commands)} hosts: take them by their names")
        return next(iter(self._commands.values()))

    def raise_for_failures(self) -> Self:
        """Return itself if nothing failed and no request did. Raises CommandsFailed."""
        if self.failures or self.errors:
            raise CommandsFailed(self)
        return self

    def _summary(self) -> str:
        states = Counter(command.state.value for command in self._commands.values())
        without = len(self.errors.keys() - self._commands.keys())
        counted = [f"{count} {state}" for state, count in states.most_common()]
        return ", ".join([*counted, *([f"{without} NOT ACCEPTED"] if without else [])]) or "no hosts"


class CommandsFailed(Exception):
    """Not everything succeeded. `results` has it all; the message names what failed where, and why."""

    def __init__(self, results: Results) -> None:
        self.results = results
        reasons = [
            f"{host}: {command.state.value} {command.error_code or ''}: {command.error or 'no reason was given'}"
            for host, command in results.failures.items()
        ]
        reasons += [f"{host}: {error}" for host, error in results.errors.items()]
        super().__init__("; ".join(reasons))
