"""What the attempts of changing commands hear: that the work moves, and answers that are not the last word."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from seawall.agent.answers import completed, unpack_map
from seawall.agent.job import Job
from seawall.agent.ledger import Ledger
from seawall.agent.outputs import Outputs
from seawall.clock import Clock
from seawall.core.command import Outcome
from seawall.wire.messages import Execute, FromAgent, Progress, Started

PROGRESS_SECONDS = 1.0
"""Progress is told at most so often."""


class _Answered(Struct, frozen=True):
    """What an attempt was told in this session."""

    sequence: int
    attempt: int
    outcome: Outcome


class Attempts:
    """Of one agent. `on_late` is called with a job whose latest attempt has no time left."""

    def __init__(
        self,
        clock: Clock,
        ledger: Ledger,
        send: Callable[[FromAgent], None],
        on_late: Callable[[Job], None],
        outputs: Outputs,
    ) -> None:
        self.epoch: int | None = None
        """Of the newest session."""
        self._clock = clock
        self._ledger = ledger
        self._send = send
        self._on_late = on_late
        self._outputs = outputs
        self._answered: dict[str, _Answered] = {}

    def begin_session(self, epoch: int) -> None:
        """Attempts of earlier sessions hear nothing any more."""
        self.epoch = epoch
        self._answered.clear()

    def forget(self, command_id: str) -> None:
        """The last word about a command has been told."""
        self._answered.pop(command_id, None)

    def forget_up_to(self, watermark: int) -> None:
        """These commands are over at the controller."""
        for command_id in [key for key, told in self._answered.items() if told.sequence <= watermark]:
            del self._answered[command_id]

    def earlier_answer(self, message: Execute) -> Outcome | None:
        """What this attempt, or a later one of its command, was told in this session: it is a duplicate then."""
        told = self._answered.get(message.command_id)
        return told.outcome if told is not None and message.attempt <= told.attempt else None

    def watch(self, job: Job) -> None:
        """Call `on_late` when the time of the latest attempt is over, unless progress prolongs it."""
        if job.timer is not None:
            job.timer.cancel()
        job.timer = self._clock.call_at(job.answer_at, lambda: self._expire(job))

    def answer(self, job: Job, outcome: Outcome) -> None:
        """Tell all attempts of a job what is not the last word."""
        waiters, job.waiters = job.waiters, []
        for waiter in waiters:
            if waiter.epoch == self.epoch:
                self._answered[job.command_id] = _Answered(job.sequence, waiter.attempt, outcome)
            self._send(
                completed(outcome, job.command_id, waiter.correlation_id, waiter.epoch, sequence=job.sequence)
            )

    def tell(self, message: Execute, outcome: Outcome) -> None:
        """Answer one attempt that nothing waits for."""
        self._send(
            completed(
                outcome, message.command_id, message.correlation_id, message.epoch, sequence=message.sequence
            )
        )

    def interim(self, job: Job) -> Outcome:
        """What can be said of a command that has begun and has no end yet."""
        if job.case is not None:
            return job.case.interim
        outcome = job.too_late(self._clock.now())
        entry = self._ledger.entry(job.command_id)
        if entry is None:
            return outcome
        evidence: dict[str, object] = {
            "started_at": entry.started_at,
            "pre_image": unpack_map(entry.pre_image),
            "now": None,
            "reason": "it is still under way",
        }
        return Outcome(outcome.code, outcome.error, circumstance=outcome.circumstance, evidence=evidence)

    def say_started(self, job: Job) -> None:
        """Tell the latest attempt that the effect begins, or has begun."""
        if job.waiters:
            waiter = job.waiters[-1]
            self._send(Started(job.command_id, waiter.correlation_id, waiter.epoch, job.sequence))

    def progress(self, job: Job, text: str, detail: Mapping[str, object] | None = None) -> None:
        """The work moves: its latest attempt hears of it, and goes on waiting for as long again."""
        self._outputs.add(job.command_id, text, detail)
        now = self._clock.now()
        if not job.waiters or now < job.progress_at + PROGRESS_SECONDS:
            return
        job.progress_at = now
        job.answer_at = max(job.answer_at, now + job.attempt_seconds)
        self._send(Progress(job.waiters[-1].correlation_id, text, dict(detail) if detail else None))

    def _expire(self, job: Job) -> None:
        job.timer = None
        if self._clock.now() < job.answer_at:
            self.watch(job)
        else:
            self._on_late(job)
