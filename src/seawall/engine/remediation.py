"""Does something about alerts of the controller's own accord: decides by the rules, keeps that, and only then acts.

A decision to act is durable before its command is asked for, and its command has a key that the decision gives. So an
earlier run's decision whose command isn't known here is asked for again, and is the same command if it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from seawall.clock import Clock, moment_of, wall_of
from seawall.core.alert import Alert, Sign
from seawall.core.alert_rules import AlertKind
from seawall.core.command import CommandState
from seawall.core.events import RemedyDecided
from seawall.core.remediation import Refusal, Remedy, Ruling, Try, Verdict, World, judge, rule_on
from seawall.engine.alerts import AlertKeeper
from seawall.engine.audit import CONTROLLER, Caller
from seawall.engine.commands import CommandRequest, InvalidRequest, UnknownAgent, UnknownOperation
from seawall.engine.ports import Subscriber
from seawall.engine.records import CommandRecord
from seawall.engine.remediation_records import RemediationRecord, StopRecord
from seawall.engine.remediation_settings import LONGEST_COOL_DOWN_SECONDS, RemediationSettings, plan_for
from seawall.engine.store import IdempotencyConflict, Store, StoreFailed, StoreFull
from seawall.operations.operation import InvalidArguments, Operation
from seawall.operations.prunes import chosen, chosen_argument
from seawall.operations.registry import OPERATIONS

_TURN_EVERY_SECONDS = 1.0
_MOST_RESUMED = 10_000

NOT_ACCEPTED = (
    UnknownAgent,
    UnknownOperation,
    InvalidArguments,
    InvalidRequest,
    IdempotencyConflict,
    StoreFull,
)
"""What no further asking would change, or what isn't worth it."""

Accept = Callable[[CommandRequest], Awaitable[CommandRecord]]

_logger = logging.getLogger("seawall.remediation")


class Remediation:
    """A task that decides, and what it remembers. `accept` is the door that every command comes through."""

    def __init__(
        self, store: Store, alerts: AlertKeeper, accept: Accept, clock: Clock, emit: Subscriber
    ) -> None:
        self._store = store
        self._alerts = alerts
        self._accept = accept
        self._clock = clock
        self._emit = emit
        self.settings = RemediationSettings()
        self.stopped: StopRecord | None = None
        self._tries: dict[str, list[Try]] = {}
        self._unjudged: dict[str, tuple[RemediationRecord, Try]] = {}
        self._plans: dict[str, str] = {}
        self._said: dict[tuple[str, str], set[tuple[int, str]]] = {}
        self._given_up: dict[tuple[str, str], Sign] = {}
        self._stirred = asyncio.Event()
        self._turning = asyncio.Lock()

    def hold(self, settings: RemediationSettings) -> None:
        """Let new rules hold."""
        self.settings = settings
        self._stirred.set()

    async def stop(self, reason: str, by: str, caller: Caller = CONTROLLER) -> StopRecord:
        """Let nothing be done until `resume`; nothing is, once this returns. Raises StoreFailed."""
        async with self._turning:
            stop = StopRecord(reason, by, self._clock.wall())
            await self._store.stop_remediation(stop, caller)
            self.stopped = stop
            return stop

    async def resume(self, caller: Caller = CONTROLLER) -> bool:
        """End the stop; False if there is none. Raises StoreFailed."""
        async with self._turning:
            ended = await self._store.resume_remediation(self._clock.wall(), caller)
            self.stopped = None
            for said in self._said.values():
                said -= {saying for saying in said if saying[1] == Refusal.STOPPED.value}
            return ended

    async def run(self) -> None:
        """Decide and act, until cancelled."""
        await self._alerts.ready.wait()
        async with self._turning:
            # Whoever stops it meanwhile has the last word.
            await self._take_up()
        while True:
            self._stirred.clear()
            if not (self.settings.remedies or self._unjudged or self._given_up):
                await self._stirred.wait()
            try:
                await self.turn()
            except StoreFailed as error:
                _logger.warning("remediation waits for the database: %s", error)
            timer = self._clock.call_at(self._clock.now() + _TURN_EVERY_SECONDS, self._stirred.set)
            try:
                await self._stirred.wait()
            finally:
                timer.cancel()

    async def turn(self) -> None:
        """Ask for what was decided, judge what was done, and decide what is due. Raises StoreFailed."""
        async with self._turning:
            standing = {alert.alert_id: alert for alert in self._alerts.standing()}
            for record, tried in list(self._unjudged.values()):
                if not record.command_id:
                    await self._carry_out(record, tried, standing.get(record.alert_id))
                if record.command_id:
                    await self._judge(record, tried, standing.get(record.alert_id))
            for alert in standing.values():
                for remedy in self.settings.remedies:
                    if remedy.is_for(alert):
                        await self._decide(remedy, alert)
            self._forget(standing)

    # Decisions

    def _world(self, alert: Alert | None) -> World:
        stop = self.stopped
        return World(
            alert is not None and self._alerts.reaches(alert.agent_id),
            f"{stop.by} ({stop.reason})" if stop is not None else "",
            self._alerts.mass_failure,
            alert is not None and self._alerts.hushed(alert),
        )

    async def _decide(self, remedy: Remedy, alert: Alert) -> None:
        now, tries = self._clock.now(), self._tries.get(alert.agent_id, [])
        ruling = rule_on(remedy, alert, tries, self._world(alert), self.settings.budget, now)
        verdict = ruling.verdict
        if verdict is Verdict.WAIT:
            return
        own = [each for each in tries if (each.remedy, each.alert_id) == (remedy.name, alert.alert_id)]
        tried = verdict in (Verdict.ACTED, Verdict.DRY_RUN)
        number = len(own) + tried
        # What isn't done is said once for each try, and not each second.
        said = self._said.setdefault((remedy.name, alert.alert_id), set())
        saying = (number, ruling.refusal.value if ruling.refusal is not None else verdict.value)
        if not tried and saying in said:
            return
        record = self._record(remedy, alert, ruling, number)
        await self._store.add_remediation(record)
        said.add(saying)
        self._emit(RemedyDecided(now, remedy.name, alert.host, verdict, ruling.reason))
        if tried:
            attempt = Try(remedy.name, alert.alert_id, alert.agent_id, now, verdict is Verdict.ACTED)
            self._tries.setdefault(alert.agent_id, []).append(attempt)
            attempt.over = not attempt.acted
            if attempt.acted:
                await self._supersede(record)
                self._unjudged[record.remediation_id] = record, attempt
                await self._carry_out(record, attempt, alert)
        elif verdict is Verdict.GAVE_UP and remedy.acts:
            self._give_up(record)

    def _record(self, remedy: Remedy, alert: Alert, ruling: Ruling, number: int) -> RemediationRecord:
        acted = ruling.verdict is Verdict.ACTED
        now = self._clock.now()
        return RemediationRecord(
            remediation_id=self._clock.new_id(),
            at=self._clock.wall(),
            decision=ruling.verdict.value,
            reason=ruling.reason,
            rule=remedy.name,
            number=number,
            alert_id=alert.alert_id,
            alert=alert.kind.value,
            agent_id=alert.agent_id,
            host=alert.host,
            operation=remedy.operation,
            arguments=remedy.arguments,
            refusal=ruling.refusal.value if ruling.refusal is not None else "",
            timeout_seconds=remedy.timeout_seconds,
            judge_by=wall_of(self._clock, now + remedy.helped_within_seconds) if acted else None,
        )

    def _give_up(self, record: RemediationRecord) -> None:
        sign = Sign(
            AlertKind.REMEDIATION_GAVE_UP,
            f"{record.agent_id}/{record.rule}",
            record.agent_id,
            active=True,
            text=f"the rule {record.rule} gave up: {record.reason}",
        )
        self._given_up[record.rule, record.alert_id] = sign
        self._alerts.take(sign)

    # What follows of them

    async def _carry_out(self, record: RemediationRecord, tried: Try, alert: Alert | None) -> None:
        """Have it done, once and for all. What an earlier run decided is only done if that would still be right."""
        found = await self._store.command_by_key(record.key)
        if found is None:
            asked = await self._ask(record, alert)
            if isinstance(asked, str):
                await self._conclude(record, tried, helped=False, outcome=f"nothing was sent: {asked}")
                return
            found = asked
        if found is not None:
            await self._store.note_remedy(record, found.command_id, self._clock.wall())
            record.command_id = found.command_id

    async def _ask(self, record: RemediationRecord, alert: Alert | None) -> CommandRecord | str | None:
        """Ask for its command; None while that has to wait, or why nothing comes of it."""
        operation = OPERATIONS.get(record.operation)
        hindrance = self._hindrance(alert) if operation is not None else "there is no such operation any more"
        if operation is None or hindrance:
            return hindrance
        if not self._alerts.reaches(record.agent_id):
            return None
        arguments = dict(record.arguments)
        plan = plan_for(operation, arguments)
        try:
            if plan is not None:
                planned = await self._planned(record, plan)
                if not planned.state.final:
                    return None
                if planned.state is not CommandState.SUCCEEDED:
                    return f"what could go isn't known: {planned.error}"
                names = chosen(operation, planned.response)
                if not names:
                    return f"there are no {operation.noun}s to remove"
                arguments = {chosen_argument(operation).name: names}
            return await self._accept(self._request(record, record.operation, arguments, record.key))
        except NOT_ACCEPTED as error:
            return str(error)

    async def _planned(self, record: RemediationRecord, plan: Operation) -> CommandRecord:
        """The read that says what could go: asked for once for each try."""
        key = f"{record.key}/plan"
        known = self._plans.get(record.remediation_id)
        found = await (self._store.command(known) if known else self._store.command_by_key(key))
        if found is None:
            found = await self._accept(self._request(record, plan.name, dict(record.arguments), key))
        self._plans[record.remediation_id] = found.command_id
        return found

    def _request(
        self, record: RemediationRecord, operation: str, arguments: dict[str, object], key: str
    ) -> CommandRequest:
        return CommandRequest(
            operation,
            record.agent_id,
            arguments,
            record.timeout_seconds,
            # An hour later it would be something else.
            queue=False,
            idempotency_key=key,
            requested_by=record.caller.actor,
            caller=record.caller,
        )

    def _hindrance(self, alert: Alert | None) -> str:
        if alert is None:
            return "the alert was over before"
        world = self._world(alert)
        if world.stopped:
            return f"remediation is stopped by {world.stopped}"
        return "much fails at once" if world.mass_failure else "a silence covers it" if world.silenced else ""

    async def _judge(self, record: RemediationRecord, tried: Try, alert: Alert | None) -> None:
        command = await self._store.command(record.command_id)
        state = command.state if command is not None and command.state.final else None
        tried.over = state is not None
        over_at = None
        if alert is None:
            kept = await self._store.alert(record.alert_id)
            ended = kept.resolved_at if kept is not None else None
            over_at = moment_of(self._clock, ended) if ended is not None else self._clock.now()
        within = (record.judge_by - record.at).total_seconds() if record.judge_by is not None else 0.0
        judgement = judge(tried, state, over_at, within, self._clock.now())
        if judgement is not None and state is not None:
            await self._conclude(
                record, tried, helped=judgement.helped, outcome=judgement.reason, state=state
            )

    async def _supersede(self, record: RemediationRecord) -> None:
        """A further try says of the one before that it hasn't helped."""
        for earlier, tried in list(self._unjudged.values()):
            if (earlier.rule, earlier.alert_id) == (record.rule, record.alert_id):
                command = await self._store.command(earlier.command_id)
                outcome = "the alert was still open at the next try"
                state = command.state if command is not None else None
                await self._conclude(earlier, tried, helped=False, outcome=outcome, state=state)

    async def _conclude(
        self,
        record: RemediationRecord,
        tried: Try,
        *,
        helped: bool,
        outcome: str,
        state: CommandState | None = None,
    ) -> None:
        record.helped, record.outcome, record.judged_at = helped, outcome, self._clock.wall()
        record.state = state.value if state is not None else ""
        await self._store.judge_remediation(record)
        tried.over = True
        del self._unjudged[record.remediation_id]
        self._plans.pop(record.remediation_id, None)

    def _forget(self, standing: dict[str, Alert]) -> None:
        """What can decide nothing any more."""
        since = self._clock.now() - max(LONGEST_COOL_DOWN_SECONDS, self.settings.budget.seconds)
        for agent_id, tries in list(self._tries.items()):
            left = [each for each in tries if each.at >= since or each.alert_id in standing or not each.over]
            self._tries[agent_id] = left
            if not left:
                del self._tries[agent_id]
        for key in [key for key in self._said if key[1] not in standing]:
            del self._said[key]
        for key in [key for key in self._given_up if key[1] not in standing]:
            sign = self._given_up.pop(key)
            self._alerts.take(Sign(sign.kind, f"{sign.agent_id}/{key[0]}", sign.agent_id, active=False))

    # What an earlier run has left

    async def _take_up(self) -> None:
        self.stopped = await self._store.remediation_stop()
        since = self._clock.wall() - timedelta(seconds=LONGEST_COOL_DOWN_SECONDS)
        for record in await self._store.recent_remediations(since, _MOST_RESUMED):
            saying = (record.number, record.refusal or record.decision)
            self._said.setdefault((record.rule, record.alert_id), set()).add(saying)
            acted = record.decision == Verdict.ACTED.value
            if acted or record.decision == Verdict.DRY_RUN.value:
                # The clock may have been set back since: nothing has happened in the future.
                at = min(moment_of(self._clock, record.at), self._clock.now())
                tried = Try(record.rule, record.alert_id, record.agent_id, at, acted, over=True)
                self._tries.setdefault(record.agent_id, []).append(tried)
                if acted and record.judged_at is None:
                    tried.over = False
                    self._unjudged[record.remediation_id] = record, tried
            elif record.decision == Verdict.GAVE_UP.value and any(
                each.acted and (each.remedy, each.alert_id) == (record.rule, record.alert_id)
                for each in self._tries.get(record.agent_id, ())
            ):
                self._give_up(record)
