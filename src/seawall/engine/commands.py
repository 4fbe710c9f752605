"""Accepting commands: the check, the record, and then the dispatcher."""

from __future__ import annotations

import asyncio
import hashlib
import math

import msgspec
from msgspec import Struct, field

from seawall.clock import Clock, wall_of
from seawall.core.command import Command, CommandState, Outcome
from seawall.core.dispatch import Dispatch
from seawall.core.errors import CommandErrorCode
from seawall.core.events import CommandFinished
from seawall.core.guard import Guards
from seawall.core.retry import RetryPolicy, back_off
from seawall.engine.audit import CONTROLLER, Action, Caller, Entry
from seawall.engine.dispatcher import Dispatcher
from seawall.engine.drive import Slot
from seawall.engine.fleet import Fleet
from seawall.engine.policies import MAX_ATTEMPTS, MAX_TIMEOUT_SECONDS
from seawall.engine.ports import Subscriber
from seawall.engine.records import AgentRecord, CommandRecord
from seawall.engine.secrets import SecretLost, Vault, marked, opened, sealed
from seawall.engine.settlement import apply_result
from seawall.engine.store import IdempotencyConflict, RecordingStore
from seawall.operations.host_level import lacks
from seawall.operations.operation import InvalidArguments, Operation, check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.operations.secrets import secrets_of

MAX_OPEN_PER_AGENT = 1_000
_MAX_DEADLINE_SECONDS = 7 * 86_400.0
_MAX_KEY_LENGTH = 255
_MAX_REASON_LENGTH = 1_000
_FULL_RETRY_AFTER_SECONDS = 5.0


class CommandRequest(Struct):
    """What a caller asks for. `agent` is an id or a name; None means the operation's or the plane's default.

    With `queue=False` a command to a host that isn't connected fails at once, else it waits until its deadline.
    `caller` is who asks, for the audit log.
    """

    operation: str
    agent: str
    arguments: dict[str, object] = field(default_factory=dict)
    timeout_seconds: float | None = None
    max_attempts: int | None = None
    deadline_seconds: float | None = None
    queue: bool = True
    idempotency_key: str | None = None
    requested_by: str = ""
    caller: Caller = CONTROLLER


class UnknownOperation(LookupError):
    """No operation has this name."""


class UnknownAgent(LookupError):
    """No agent has this id or name."""


class UnknownCommand(LookupError):
    """No command has this id."""


class NotUnknown(Exception):
    """Only an UNKNOWN command can be verified, resolved or forced; the message says what this one is."""


class InvalidRequest(ValueError):
    """A value of the request can't be meant; the message names it."""


class Commands:
    """What every door uses to have something done."""

    def __init__(
        self,
        store: RecordingStore,
        dispatcher: Dispatcher,
        fleet: Fleet,
        guards: Guards[Slot],
        clock: Clock,
        emit: Subscriber,
        vault: Vault | None = None,
    ) -> None:
        """Without a `vault` no command with a secret is accepted."""
        self._store = store
        self._dispatcher = dispatcher
        self._fleet = fleet
        self._guards = guards
        self._clock = clock
        self._emit = emit
        self._vault = vault

    async def accept(self, request: CommandRequest) -> CommandRecord:
        """Check and keep a command, then dispatch it; it is durable when this returns.

        Where a circuit is open or too much is open already, the record comes back REJECTED and nothing is sent.
        Raises UnknownOperation, UnknownAgent, InvalidArguments, InvalidRequest and IdempotencyConflict.
        """
        operation = find_operation(request.operation)
        agent = self._fleet.find(request.agent)
        if agent is None:
            raise UnknownAgent(
                f"no host is named {request.agent!r}; `seawall agent list` shows those that joined"
            )
        record = self._new_record(request, operation, agent)
        refused = self._refusal(record, operation)
        if refused is not None:
            earlier = await self._earlier(record)
            if earlier is not None:
                return earlier
            self._turn_away(record, refused)
        return await self._dispatcher.admit(record, request.caller)

    async def wait(self, command_id: str, timeout_seconds: float) -> CommandRecord | None:
        """The command once it is over, or as it is when the time is; None if it isn't known."""
        dispatcher = self._dispatcher
        result = dispatcher.result_of(command_id)
        if result is None:
            record = await self._store.command(command_id)
            if record is None or record.state.final or timeout_seconds <= 0:
                return record
            # It was left open by an earlier start, and its agent isn't back yet.
            result = dispatcher.result_of(command_id) or dispatcher.backlog.result(command_id)
        if timeout_seconds > 0:
            await asyncio.wait((result,), timeout=timeout_seconds)
            if result.done() and not result.cancelled():
                return result.result()
        return await self._store.command(command_id)

    async def cancel(
        self, command_id: str, requested_by: str, caller: Caller = CONTROLLER
    ) -> CommandRecord | None:
        """Ask for a command's end and return it as it is shortly after; None if it isn't known."""
        if await self._store.command(command_id) is None:
            return None
        await self._store.record(Entry(self._clock.wall(), caller, Action.COMMAND_CANCEL_ASKED, command_id))
        await self._dispatcher.cancel(command_id, requested_by)
        return await self.wait(command_id, 2.0)

    def unknown_count(self, agent_id: str) -> int:
        """How many commands to this agent are UNKNOWN, and may still be told by its ledger."""
        return self._dispatcher.settlement.reconciler.count(agent_id)

    async def verify(self, command_id: str, wait_seconds: float) -> CommandRecord:
        """Ask the host what became of an UNKNOWN command, and return it as it is after that.

        Raises UnknownCommand and NotUnknown.
        """
        record = await self._unknown(command_id)
        if wait_seconds > 0 and not record.settled:
            asking = asyncio.ensure_future(self._dispatcher.settlement.reconciler.ask(command_id))
            try:
                await asyncio.wait((asking,), timeout=wait_seconds)
                if asking.done():
                    asking.result()
            finally:
                asking.cancel()
        return await self._store.command(command_id) or record

    async def resolve(
        self, command_id: str, state: CommandState, by: str, reason: str, caller: Caller = CONTROLLER
    ) -> CommandRecord:
        """Take a person's word for what an UNKNOWN command was.

        Raises UnknownCommand, NotUnknown and InvalidRequest.
        """
        if state not in (CommandState.SUCCEEDED, CommandState.FAILED):
            raise InvalidRequest(f"a command is resolved as SUCCEEDED or FAILED, not as {state.value}")
        if not 1 <= len(reason.strip()) <= _MAX_REASON_LENGTH:
            raise InvalidRequest(f"a reason has between 1 and {_MAX_REASON_LENGTH} characters")
        record = await self._unknown(command_id)
        if not await self._dispatcher.settlement.resolve(record, state, by, reason.strip(), caller):
            record = await self._unknown(command_id)
        return record

    async def force_retry(
        self, command_id: str, by: str, idempotency_key: str | None, caller: Caller = CONTROLLER
    ) -> CommandRecord:
        """Do again what an UNKNOWN command was to do, as a new command.

        Raises UnknownCommand, NotUnknown, and what `accept` raises.
        """
        record = await self._unknown(command_id)
        arguments = record.arguments
        if self._vault is not None:
            try:
                arguments = opened(record.operation, arguments, command_id, self._vault)
            except SecretLost as error:
                raise InvalidRequest(str(error)) from error
        return await self.accept(
            CommandRequest(
                record.operation,
                record.agent_id,
                arguments,
                record.timeout_seconds or None,
                record.max_attempts,
                queue=record.queue,
                idempotency_key=idempotency_key,
                requested_by=by,
                caller=caller,
            )
        )

    async def _unknown(self, command_id: str) -> CommandRecord:
        record = await self._store.command(command_id)
        if record is None:
            raise UnknownCommand(
                f"there is no command {command_id[:64]!r}; `seawall command list` shows the latest"
            )
        if record.state is not CommandState.UNKNOWN:
            raise NotUnknown(
                f"command {command_id} is {record.state.value}: its outcome is known, so there is nothing to verify, "
                "resolve or force"
            )
        return record

    def _new_record(self, request: CommandRequest, operation: Operation, agent: AgentRecord) -> CommandRecord:
        if not operation.command:
            raise InvalidArguments(operation.name, ["it is followed as a stream, and is no command"])
        arguments = check_arguments(operation, request.arguments)
        policy = self._dispatcher.policies.of(operation)
        if policy.mirror is not None:
            arguments.setdefault("mirror", policy.mirror)
        default_timeout = policy.timeout_seconds + operation.grace_seconds(arguments)
        timeout = _within("timeout_seconds", request.timeout_seconds, default_timeout, MAX_TIMEOUT_SECONDS)
        attempts = request.max_attempts if request.max_attempts is not None else policy.retry.max_attempts
        if not 1 <= attempts <= MAX_ATTEMPTS:
            raise InvalidRequest(f"max_attempts must be between 1 and {MAX_ATTEMPTS}, not {attempts}")
        needed = longest_run_seconds(msgspec.structs.replace(policy.retry, max_attempts=attempts), timeout)
        deadline = _within("deadline_seconds", request.deadline_seconds, needed, _MAX_DEADLINE_SECONDS)
        key = request.idempotency_key
        if key is not None and not 1 <= len(key) <= _MAX_KEY_LENGTH:
            raise InvalidRequest(
                f"an idempotency key has between 1 and {_MAX_KEY_LENGTH} characters, not {len(key)}"
            )
        command_id, asked = self._clock.new_id(), request.arguments
        if self._vault is not None:
            arguments = sealed(operation, arguments, command_id, self._vault)
            asked = marked(operation, asked, self._vault)
        elif secrets_of(operation) & set(arguments):
            raise InvalidRequest(f"this controller has no key to keep the secrets of {operation.name} with")
        return CommandRecord(
            command_id=command_id,
            operation=operation.name,
            agent_id=agent.agent_id,
            agent=agent.name,
            arguments=arguments,
            state=CommandState.ACCEPTED,
            accepted_at=self._clock.wall(),
            deadline_at=wall_of(self._clock, self._clock.now() + deadline),
            timeout_seconds=timeout,
            max_attempts=attempts,
            queue=request.queue,
            requested_by=request.requested_by,
            idempotency_key=key,
            fingerprint=fingerprint(msgspec.structs.replace(request, arguments=asked), agent.agent_id),
        )

    async def _earlier(self, record: CommandRecord) -> CommandRecord | None:
        """The command that has the record's idempotency key already: it is answered even while nothing can be sent."""
        if record.idempotency_key is None:
            return None
        earlier = await self._store.command_by_key(record.idempotency_key)
        if earlier is not None and earlier.fingerprint != record.fingerprint:
            raise IdempotencyConflict(earlier.command_id)
        return earlier

    def _refusal(self, record: CommandRecord, operation: Operation) -> Outcome | None:
        """Why nothing could be sent now, if so."""
        forbidden = self._forbidden(record, operation)
        if forbidden is not None:
            return forbidden
        guard = self._guards.get(record.agent_id)
        if guard is not None:
            for change in guard.wake(self._clock.now()):
                self._emit(change)
            refused = guard.refusal(_bare_command(record, operation), self._clock.now())
            if refused is not None:
                return Outcome(
                    CommandErrorCode.CIRCUIT_OPEN,
                    f"the circuit of host {record.agent} ({refused.domain.value}) is open: nothing was sent; "
                    f"it is tried again in {refused.retry_after_seconds:.1f} s. "
                    f"`seawall circuit show {record.agent}` says why",
                    retry_after_seconds=refused.retry_after_seconds,
                )
        if self._dispatcher.open_commands(record.agent_id) >= MAX_OPEN_PER_AGENT:
            return Outcome(
                CommandErrorCode.BULKHEAD_FULL,
                f"host {record.agent} has {MAX_OPEN_PER_AGENT} open commands: nothing was sent",
                retry_after_seconds=_FULL_RETRY_AFTER_SECONDS,
            )
        return None

    def _forbidden(self, record: CommandRecord, operation: Operation) -> Outcome | None:
        """What the host would say of the whole operation, by what it has told of its policy; it judges all the rest."""
        session = self._fleet.session(record.agent_id)
        signs = session.signs if session is not None else None
        if signs is None or signs.level is None:
            return None
        lacking = lacks(operation, signs.level, may_exec=signs.may_exec)
        if lacking is None:
            return None
        rule, reason = lacking
        return Outcome(
            CommandErrorCode.PERMISSION_DENIED,
            f"the policy of host {record.agent} forbids it ({rule}): {reason}. Nothing was sent; the host's owner "
            "changes it in policy.toml in the agent's directory",
        )

    def _turn_away(self, record: CommandRecord, refused: Outcome) -> None:
        """Make the record a REJECTED one; its key stays free for the caller's next try."""
        command = _bare_command(record, OPERATIONS[record.operation])
        now = self._clock.now()
        result = Dispatch(command, None).end(refused, now)
        apply_result(record, result, record.accepted_at)
        record.idempotency_key = None
        last_known = self._dispatcher.last_known_for(record)
        if last_known is not None:
            last_known.serve(record, result.circumstance)
        self._emit(CommandFinished(now, command, result))


def _bare_command(record: CommandRecord, operation: Operation) -> Command:
    return Command(
        record.command_id,
        operation.name,
        record.agent_id,
        {},
        operation.safety,
        operation.touches_docker,
        touches_registry=operation.touches_registry,
    )


def find_operation(name: str) -> Operation:
    """The operation of this name; raises UnknownOperation, which lists those that there are."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise UnknownOperation(
            f"no operation is named {name[:64]!r}; there are {', '.join(sorted(OPERATIONS))}"
        )
    return operation


def longest_run_seconds(policy: RetryPolicy, timeout_seconds: float) -> float:
    """How long a command may take when every attempt times out and every delay is the longest."""
    longest = sum(back_off(policy, failed, lambda: 1.0) for failed in range(1, policy.max_attempts))
    return policy.max_attempts * timeout_seconds + longest


def fingerprint(request: CommandRequest, agent_id: str) -> str:
    """What two requests must share to be the same one: everything that changes what is done, and nothing else."""
    asked = (
        request.operation,
        agent_id,
        request.arguments,
        request.timeout_seconds,
        request.max_attempts,
        request.deadline_seconds,
        request.queue,
    )
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()


def _within(name: str, given: float | None, default: float, highest: float) -> float:
    if given is None:
        return min(default, highest)
    if not math.isfinite(given) or not 0 < given <= highest:
        raise InvalidRequest(f"{name} must be more than 0 and at most {highest:g} seconds, not {given}")
    return given
