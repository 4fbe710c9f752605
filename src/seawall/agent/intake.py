"""The check of what the controller asks for, before anything waits or works."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from seawall.agent.ledger import Ledger, State
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy, judge_operation
from seawall.agent.operations.registry import RESOLVERS
from seawall.agent.operations.runner import Resolver, Runner
from seawall.agent.spool import Spool
from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.operation import InvalidArguments, Operation, check_arguments
from seawall.wire.messages import Execute


class Order(Struct, frozen=True):
    """What is to be done: an operation that this agent performs, and arguments that fit it."""

    operation: Operation
    runner: Runner
    arguments: dict[str, object]
    resolver: Resolver | None = None


class Intake:
    """What this agent performs. Nothing begins that `check` has not let in: here the host's policy is kept."""

    def __init__(
        self,
        runners: Mapping[str, Runner],
        operations: Mapping[str, Operation],
        version: str,
        resolvers: Mapping[str, Resolver] = RESOLVERS,
        policy: LocalPolicy = UNRESTRICTED,
        absent: Collection[str] = (),
        spool: Spool | None = None,
    ) -> None:
        """`policy` is the host's own; `absent` has what operations need (`Operation.needs`) and it hasn't got."""
        self.policy = policy
        self.spool = spool
        self._runners = runners
        self._operations = operations
        self._version = version
        self._resolvers = resolvers
        self._absent = absent

    @property
    def operations(self) -> list[str]:
        """The names of it: what the host's policy forbids is none of them."""
        known = [self._operations[name] for name in self._runners if name in self._operations]
        return sorted(
            each.name
            for each in known
            if each.supported
            and judge_operation(self.policy, each) is None
            and each.needs not in self._absent
        )

    def operation(self, name: str) -> Operation | None:
        """The declaration of an operation, if there is one."""
        return self._operations.get(name)

    def hold(self, command_id: str, arguments: Mapping[str, object]) -> None:
        """A command of an earlier process isn't over: what was uploaded for it stays."""
        archive = arguments.get("archive")
        if self.spool is not None and isinstance(archive, str):
            self.spool.hold(archive, command_id)

    def over(self, command_id: str, arguments: Mapping[str, object]) -> None:
        """A command is over for good: what was uploaded for it goes."""
        archive = arguments.get("archive")
        if self.spool is not None and isinstance(archive, str):
            self.spool.over(archive, command_id)

    def check(self, message: Execute) -> Order | Outcome:
        """What is to be done, or why it never will be."""
        operation = self._operations.get(message.operation)
        runner = self._runners.get(message.operation)
        if operation is not None and not operation.supported:
            return Outcome(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                f"{operation.name} is not supported yet: this agent is version {self._version}; nothing was done",
            )
        if operation is None or runner is None:
            return Outcome(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                f"this agent is version {self._version} and doesn't know the operation {message.operation[:64]!r}: "
                "update it; nothing was done",
            )
        refusal = judge_operation(self.policy, operation)
        if refusal is not None:
            return Outcome(CommandErrorCode.PERMISSION_DENIED, refusal.message)
        if operation.needs is not None and operation.needs in self._absent:
            return Outcome(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                f"{operation.name} needs {operation.needs}, and the agent found none on this host when it started: "
                "install it, then restart the agent; nothing was done",
            )
        if operation.changes and message.sequence <= 0:
            return Outcome(
                CommandErrorCode.UNSUPPORTED_OPERATION,
                f"{operation.name} came without its place in the ledger, and this agent (version {self._version}) "
                "changes nothing that it doesn't record: update the controller; nothing was done",
            )
        try:
            arguments = check_arguments(operation, message.arguments)
        except InvalidArguments as error:
            return Outcome(CommandErrorCode.INVALID_ARGUMENT, str(error))
        return Order(operation, runner, arguments, self._resolvers.get(operation.name))


def forbidden(message: Execute, ledger: Ledger) -> Outcome | None:
    """Why the ledger forbids that a command begins, or begins again; it isn't DONE, and nobody works on it."""
    entry = ledger.entry(message.command_id)
    if entry is not None:
        if entry.state is State.VOID:
            return None
        text = f"{message.operation[:64]} was under way, and the agent stops: its end is told when the agent is back"
        return Outcome(CommandErrorCode.AGENT_DISCONNECTED, text)
    if ledger.at(message.sequence) is not None:
        return Outcome(
            CommandErrorCode.AGENT_ERROR,
            f"this agent's ledger holds another command under the sequence {message.sequence}: nothing was done. Was "
            "the controller restored from an old backup? Give the command again",
        )
    if message.sequence <= ledger.watermark:
        return Outcome(
            CommandErrorCode.OUTCOME_UNKNOWN,
            f"{message.operation[:64]} has the sequence {message.sequence}, and this agent has forgotten everything up "
            f"to {ledger.watermark} after it was acknowledged: it was not begun again",
        )
    return None


def no_room(message: Execute) -> Outcome:
    """The disk is so full that the end of what begins might not be recorded; it may begin later."""
    return Outcome(
        CommandErrorCode.AGENT_ERROR,
        f"the disk of this host is full, and what can't be recorded isn't begun ({message.operation}): nothing was "
        "done. Make room where the agent keeps its ledger",
        circumstance=Circumstance.NOT_APPLIED,
    )
