r"""One command's life: what to do next, given what happened.

    start -> Send -> on_outcome -> Wait -> on_wake -> Send ...
                               \-> Park -> on_wake -> Send ...
                               \-> Finish

`engine.drive` performs the steps. No step starts that can't end before the command's deadline, and no attempt
follows one that may have had an effect, unless the operation is safe to repeat, an explicit policy says so, or the
agent's ledger knows the command: then the next attempt only asks what became of it.
"""

from __future__ import annotations

from msgspec import Struct

from seawall.core.command import (
    Command,
    CommandResult,
    CommandState,
    CommandStatus,
    Outcome,
    SafetyClass,
    Source,
    StoppedBy,
    final_state,
)
from seawall.core.errors import ENDS_THE_LOOP, CommandErrorCode, RetryRule, verdict
from seawall.core.retry import Dice, RetryPolicy, back_off
from seawall.core.retry_gate import RetryGate


class Send(Struct, frozen=True):
    """Make the attempt of this number; it may take `timeout_seconds`."""

    number: int
    timeout_seconds: float


class Wait(Struct, frozen=True):
    """Do nothing until this monotonic time, then wake; `outcome` is why."""

    until: float
    outcome: Outcome


class Park(Struct, frozen=True):
    """Wake when the agent is connected, or at this monotonic time."""

    until: float


class Finish(Struct, frozen=True):
    """The command is over."""

    result: CommandResult


Step = Send | Wait | Park | Finish

_NO_TIME_LEFT = Outcome(
    CommandErrorCode.DEADLINE_EXCEEDED, "the deadline passed before the command could be sent"
)
_NOT_TOLD = Outcome(
    CommandErrorCode.OUTCOME_UNKNOWN,
    "the deadline passed before the agent could tell what became of the command; it is asked as soon as it is there",
)

_NOBODY_KNOWS = Outcome(
    CommandErrorCode.OUTCOME_UNKNOWN,
    "the controller stopped while the command was under way, and no ledger knows it; look at the host before you "
    "repeat it",
)

# Looked up once: an enumeration's member costs more than the rest of a step.
_SUCCESS, _SUCCEEDED = CommandStatus.SUCCESS, CommandState.SUCCEEDED
_LEDGER = Source.LEDGER

_STOPPED = {
    CommandErrorCode.CIRCUIT_OPEN: StoppedBy.CIRCUIT,
    CommandErrorCode.BULKHEAD_FULL: StoppedBy.BULKHEAD,
    CommandErrorCode.DEADLINE_EXCEEDED: StoppedBy.DEADLINE,
}


class Dispatch(Struct, eq=False):
    """The state of one command's life. `policy=None` allows one attempt.

    With `explicit=True` the policy's own `retryable_error_codes` decide what is retried, and nothing is parked; else
    the verdict table decides, by the command's safety class. `attempts` is how many were made; it starts above 0 if
    an earlier process made some. `in_doubt` says that one of them may have had an effect. The `gate` has a say in every
    retry, if there is one.
    """

    command: Command
    policy: RetryPolicy | None
    explicit: bool = False
    attempts: int = 0
    in_doubt: bool = False
    gate: RetryGate | None = None
    _started_at: float | None = None
    _last: Outcome | None = None
    _previous_delay: float | None = None

    @property
    def max_attempts(self) -> int:
        """How many attempts may be made."""
        return self.policy.max_attempts if self.policy is not None else 1

    def start(self, now: float) -> Step:
        """The first step."""
        self._started_at = now
        if self.in_doubt and not self.command.redeliverable:
            return self._finish(_NOBODY_KNOWS, now)
        return self._send(now)

    def end(self, outcome: Outcome, now: float) -> CommandResult:
        """The result if this outcome is the last, whatever else could have followed."""
        return self._finish(outcome, now).result

    def on_wake(self, now: float) -> Step:
        """After a Wait or a Park."""
        return self._send(now)

    def on_outcome(self, outcome: Outcome, now: float, dice: Dice) -> Step:
        """After a Send."""
        code = outcome.code
        if self.gate is not None:
            self._tell_gate(self.gate, outcome, now)
        if code is None or outcome.source is _LEDGER:
            self.attempts += 1
            return self._finish(outcome, now)
        if code in ENDS_THE_LOOP:
            return self._on_refusal(outcome, now)
        if code is CommandErrorCode.AGENT_NOT_CONNECTED and not self.explicit:
            return self._on_absence(outcome, now)
        self.attempts += 1
        self._last = outcome
        ruling = verdict(code, outcome.circumstance)
        if ruling.may_have_run:
            self.in_doubt = self.command.safety is not SafetyClass.SAFE_READ
        elif outcome.source is Source.AGENT:
            # It speaks for all attempts so far: with its ledger at hand it knows that none had an effect.
            self.in_doubt = False
        rule = self._rule(outcome)
        if rule is RetryRule.NO:
            return self._finish(outcome, now)
        if self.attempts >= self.max_attempts:
            return self._finish(outcome, now, StoppedBy.ATTEMPTS)
        if rule is RetryRule.ONCE and self.attempts > 1:
            return self._finish(outcome, now)
        return self._wait(outcome, now, dice)

    def _tell_gate(self, gate: RetryGate, outcome: Outcome, now: float) -> None:
        if outcome.code is None:
            gate.succeeded(self.command.agent_id, now)
        if self._last is not None and outcome.code not in ENDS_THE_LOOP:
            gate.retried(self.command, self._last, succeeded=outcome.code is None)

    def _on_refusal(self, outcome: Outcome, now: float) -> Step:
        if outcome.code is CommandErrorCode.CANCELLED:
            # Under way when it was cancelled: whether the effect came first is not known.
            sent = verdict(outcome.code, outcome.circumstance).may_have_run
            self.attempts += sent
            self.in_doubt = self.in_doubt or sent
            return self._finish(outcome, now, StoppedBy.CANCELLED)
        # The refusal of a later attempt doesn't hide why the earlier one failed.
        if self._last is None:
            return self._finish(outcome, now)
        return self._finish(self._last, now, _STOPPED.get(outcome.code) if outcome.code is not None else None)

    def _on_absence(self, outcome: Outcome, now: float) -> Step:
        self._last = outcome if self._last is None else self._last
        if self.command.waits_for_agent and now < self.command.deadline:
            return Park(self.command.deadline)
        return self._finish(self._last, now)

    def _rule(self, outcome: Outcome) -> RetryRule:
        if outcome.code is None or self.policy is None:
            return RetryRule.NO
        if self.explicit:
            return RetryRule.YES if outcome.code in self.policy.retryable_error_codes else RetryRule.NO
        ruling = verdict(outcome.code, outcome.circumstance)
        return ruling.safe if self.command.redeliverable else ruling.unsafe

    def _wait(self, outcome: Outcome, now: float, dice: Dice) -> Step:
        if self.policy is None:
            return self._finish(outcome, now)
        if outcome.retry_after_seconds is not None:
            delay = outcome.retry_after_seconds
        else:
            delay = back_off(self.policy, self.attempts, dice, self._previous_delay)
        self._previous_delay = delay
        if now + delay >= self.command.deadline:
            return self._finish(outcome, now, StoppedBy.DEADLINE)
        if self.gate is not None:
            refused = self.gate.refusal(self.command, outcome, now, dice)
            if refused is not None:
                return self._finish(outcome, now, refused)
        return Wait(now + delay, outcome)

    def _send(self, now: float) -> Step:
        timeout_seconds = self.command.timeout_seconds
        left = self.command.deadline - now
        if left < timeout_seconds:
            if left <= 0:
                last = self._last
                if last is None:
                    last = _NOT_TOLD if self.in_doubt else _NO_TIME_LEFT
                return self._finish(last, now, expired=True)
            timeout_seconds = left
        return Send(self.attempts + 1, timeout_seconds)

    def _finish(
        self, outcome: Outcome, now: float, stopped_by: StoppedBy | None = None, *, expired: bool = False
    ) -> Finish:
        code = outcome.code
        if code is None:
            status, state = _SUCCESS, _SUCCEEDED
        else:
            status = CommandStatus.TIMEOUT if code is CommandErrorCode.TIMEOUT else CommandStatus.ERROR
            in_doubt = self.in_doubt and outcome.source is not _LEDGER
            state = final_state(outcome, self.command.safety, in_doubt=in_doubt)
            if expired and self.attempts == 0 and not in_doubt:
                state = CommandState.EXPIRED
        attempts = self.attempts or 1
        return Finish(
            CommandResult(
                status,
                code is None,
                outcome.response,
                outcome.error,
                code,
                0.0 if self._started_at is None else now - self._started_at,
                attempts,
                attempts,
                attempts > 1,
                self.command.command_id,
                state,
                outcome.retry_after_seconds,
                outcome.circumstance,
                outcome.source is _LEDGER,
                outcome.evidence,
                stopped_by,
            )
        )
