"""From a change that is in doubt to the truth about it: look at its object until the truth shows, or time is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from seawall.agent.answers import described, failed
from seawall.agent.docker import Docker
from seawall.agent.failure import DockerFailure
from seawall.agent.ledger import Entry, Ledger, LedgerFailed
from seawall.agent.local_policy import UNRESTRICTED, LocalPolicy
from seawall.agent.operations.runner import Execution, Report, Target
from seawall.agent.operations.verification import Doubt, Finding, PreImage, Sought, Verdict, Verifier
from seawall.agent.spool import Spool
from seawall.clock import Clock
from seawall.core.command import Outcome
from seawall.core.errors import Circumstance, CommandErrorCode, RetryRule, verdict

QUIET_SECONDS = 5.0
"""How long a call whose end was never seen may still be on its way into the Docker Engine."""
GIVE_UP_SECONDS = 3600.0
"""After so long it is unknown what became of a change."""
LOOK_SECONDS = 5.0
"""How long the Docker Engine may take to show an object."""

_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.2, 15.0

_logger = logging.getLogger("seawall.agent.verification")


class Case(Struct):
    """A change whose end isn't known.

    `failure` is how it ended as far as anybody saw: in the doubt of its own answer, in a bug, or (None) with the
    process. `began` is when the doubt began (monotonic), `timeout_seconds` what each further call may take, `begin_by`
    the command's deadline (monotonic), which a new process doesn't know: then it is over.
    """

    entry: Entry
    about: str
    arguments: Mapping[str, object]
    pre_image: PreImage
    began: float
    failure: Outcome | None
    timeout_seconds: float
    progress: Report
    begin_by: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether Docker is through with the call: it has answered, if only with an error of its own."""
        return self.failure is not None and self.failure.circumstance is Circumstance.DOCKER_ERRED

    @property
    def interim(self) -> Outcome:
        """What an attempt is told whose time is over before the doubt is."""
        outcome = self.failure
        if outcome is None or not verdict(outcome.code, outcome.circumstance).may_have_run:
            outcome = Outcome(
                CommandErrorCode.TIMEOUT,
                f"{self.about} may have been done; the agent finds out, and tells as soon as it knows",
                circumstance=Circumstance.HEARD,
            )
        reason = self.failure.error if self.failure is not None else "the agent ended in the middle of it"
        return Outcome(
            outcome.code,
            outcome.error,
            circumstance=outcome.circumstance,
            evidence=self.evidence(None, reason or ""),
        )

    def evidence(self, now: PreImage | None, reason: str) -> dict[str, object]:
        """What there is to show for not knowing."""
        return {
            "started_at": self.entry.started_at,
            "pre_image": dict(self.pre_image),
            "now": dict(now) if now is not None else None,
            "reason": reason,
        }


class Verification:
    """Finds out what became of changes."""

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        ledger: Ledger,
        verifiers: Mapping[str, Verifier],
        policy: LocalPolicy = UNRESTRICTED,
        spool: Spool | None = None,
    ) -> None:
        self._docker = docker
        self._policy = policy
        self._spool = spool
        self._clock = clock
        self._ledger = ledger
        self._verifiers = verifiers

    def pre_image(self, operation: str, target: Target | None) -> PreImage:
        """What has to be remembered of the object of a change before it begins."""
        if target is None:
            return {}
        verifier = self._verifiers.get(operation)
        image = verifier.pre_image(target.record) if verifier is not None else {}
        return {**image, "id": target.object_id}

    def execution(
        self,
        entry: Entry,
        arguments: Mapping[str, object],
        timeout_seconds: float,
        progress: Report,
        target: Target | None,
        pre_image: PreImage,
    ) -> Execution:
        """What the runner of a change is given that is in the ledger."""
        return Execution(
            self._docker,
            entry.command_id,
            arguments,
            timeout_seconds,
            progress,
            target,
            self._ledger.journal(entry.command_id),
            self._policy,
            pre_image,
            self._clock,
            self._spool,
        )

    async def decide(self, case: Case) -> Outcome:
        """Wait for the truth. NOT_APPLIED as the circumstance says that there was no effect; else it is the last word.

        Raises LedgerFailed.
        """
        verifier = self._verifiers.get(case.entry.operation)
        try:
            return await self._decide(case, verifier)
        except LedgerFailed:
            raise
        except Exception as error:  # a bug costs its case, not the agent
            _logger.exception("%s can't be verified", case.about)
            return self._unknown(
                case, None, None, f"its verification met a bug of the agent: {described(error)}"
            )

    async def _decide(self, case: Case, verifier: Verifier | None) -> Outcome:
        give_up_at = case.began + GIVE_UP_SECONDS
        delay = _FIRST_DELAY_SECONDS
        while True:
            finding, target = await self._look(case, verifier)
            outcome = self._concluded(case, finding)
            if outcome is None and finding.verdict is Verdict.PARTIAL and verifier and target:
                outcome = await self._resume(case, verifier, target, finding)
            if outcome is not None:
                return outcome
            now = self._clock.now()
            if finding.verdict is not Verdict.UNDECIDED and finding.verdict is not Verdict.PARTIAL:
                return self._unknown(case, verifier, target, finding.reason)
            if now >= give_up_at:
                reason = f"after {GIVE_UP_SECONDS:g} s it still can't be told: {finding.reason}"
                return self._unknown(case, verifier, target, reason)
            marks = (case.began + QUIET_SECONDS, self._settled_at(case, verifier), give_up_at)
            await self._clock.sleep_until(min([now + delay, *(mark for mark in marks if mark > now)]))
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)

    async def _look(self, case: Case, verifier: Verifier | None) -> tuple[Finding, Target | None]:
        if verifier is None:
            return Finding(Verdict.UNKNOWABLE, "nothing on the host tells what became of it"), None
        step = self._ledger.journal(case.entry.command_id).step
        sought = Sought(case.entry.command_id, case.arguments, case.pre_image, step)
        try:
            target = await verifier.find(self._docker, sought, LOOK_SECONDS)
        except DockerFailure as failure:
            return Finding(Verdict.UNDECIDED, failure.message), None
        settled = self._clock.now() >= self._settled_at(case, verifier)
        record = target.record if target is not None else None
        doubt = Doubt(case.arguments, case.pre_image, record, settled, step, case.entry.command_id)
        finding = verifier.verify(doubt)
        quiet = case.answered or self._clock.now() >= case.began + QUIET_SECONDS
        if finding.verdict is Verdict.APPLIED and not quiet:
            # What is seen may be another's doing, while our own call is still on its way: it must not come later.
            return Finding(Verdict.UNDECIDED, f"{finding.reason}, but Docker may still be at it"), target
        if finding.verdict is Verdict.PARTIAL and verifier.in_time and self._clock.now() >= case.begin_by:
            return Finding(Verdict.FAILED, f"{finding.reason}, and the command's time is over"), target
        return finding, target

    def _settled_at(self, case: Case, verifier: Verifier | None) -> float:
        if case.answered:
            return case.began
        return case.began + (verifier.settle_seconds(case.arguments, case.pre_image) if verifier else 0.0)

    def _concluded(self, case: Case, finding: Finding) -> Outcome | None:
        """The outcome that a finding makes by itself."""
        if finding.verdict is Verdict.APPLIED:
            _logger.info("%s was done: %s", case.about, finding.reason)
            return Outcome(response=_verified(finding.response))
        if finding.verdict is Verdict.FAILED:
            return Outcome(
                CommandErrorCode.DOCKER_ERROR,
                f"{case.about} failed: {finding.reason}",
                circumstance=Circumstance.DOCKER_REFUSED,
            )
        if finding.verdict is Verdict.NOT_APPLIED and case.answered and case.failure is not None:
            return replace(case.failure, circumstance=Circumstance.DOCKER_REFUSED)
        if finding.verdict is Verdict.NOT_APPLIED:
            failure = case.failure
            if failure is not None and failure.circumstance is Circumstance.REGISTRY_UNREACHABLE:
                # Now it is sure that nothing was changed, which a timeout alone can't say.
                return replace(failure, code=CommandErrorCode.DOCKER_ERROR)
            by_docker = failure is not None and failure.code is not CommandErrorCode.AGENT_ERROR
            before = failure.error if failure is not None else "the agent ended in the middle of it"
            return Outcome(
                CommandErrorCode.DOCKER_ERROR if by_docker else CommandErrorCode.AGENT_ERROR,
                f"{case.about} was not done ({finding.reason}); before that: {before}",
                circumstance=Circumstance.NOT_APPLIED,
            )
        return None

    async def _resume(
        self, case: Case, verifier: Verifier, target: Target, finding: Finding
    ) -> Outcome | None:
        """Do what is left; None if that leaves a doubt again."""
        if verifier.resume is None:
            return self._unknown(case, verifier, target, finding.reason)
        if not verifier.journaled:
            case.entry = await self._ledger.step(case.entry, finding.reason)
        _logger.info("%s goes on where it ended: %s", case.about, finding.reason)
        try:
            execution = self.execution(
                case.entry, case.arguments, case.timeout_seconds, case.progress, target, case.pre_image
            )
            return Outcome(response=_verified(await verifier.resume(execution)))
        except DockerFailure as failure:
            ruling = verdict(failure.code, failure.circumstance)
            if ruling.may_have_run or ruling.unsafe is not RetryRule.NO:
                case.began = self._clock.now()
                return None
            return failed(failure)

    def _unknown(self, case: Case, verifier: Verifier | None, target: Target | None, reason: str) -> Outcome:
        now: PreImage | None = None
        if target is not None:
            now = verifier.pre_image(target.record) if verifier is not None else {"id": target.object_id}
        return Outcome(
            CommandErrorCode.OUTCOME_UNKNOWN,
            f"{case.about} may have been done: {reason}. Look at the host before you repeat it",
            evidence=case.evidence(now, reason),
        )


def _verified(response: object) -> object:
    return {**response, "verified": True} if isinstance(response, dict) else {"verified": True}
