"""Defects that the simulation has to find: if one of them survives, it is the simulation that is broken."""

from __future__ import annotations

from dataclasses import dataclass, field

from seawall.engine.settlement import Settlement
from tests.simulation import sabotage_agent as agent
from tests.simulation import sabotage_controller as controller
from tests.simulation.host import AgentParts
from tests.simulation.plane import Parts
from tests.simulation.world import Outcome, World

_ENDS = frozenset({"controller crash", "agent crash", "host power", "cut", "partition"})
_LINKS = frozenset({"cut", "partition", "one way", "half open", "agent crash"})
_FRAMES = frozenset({"frames", "replay", "cut"})
_DOCKER = frozenset({"docker hangs", "docker fails", "dockerd"})


@dataclass(frozen=True)
class Sabotage:
    """A defect, and the kinds of faults under which it shows; `within` is by which seed it must have been found."""

    name: str
    faults: frozenset[str]
    parts: Parts = field(default_factory=Parts)
    agent: AgentParts = field(default_factory=AgentParts)
    honest_disks: bool = True
    within: int = 60

    def found(self) -> Outcome | None:
        """The first world that shows it, and is good without it. A program that only breaks down shows nothing."""
        for seed in range(self.within):
            outcome = self.world(seed)
            if outcome.violations and not outcome.defects and World(seed, faults=self.faults).run().good:
                return outcome
        return None

    def world(self, seed: int) -> Outcome:
        """A world with the defect."""
        return World(seed, self.parts, self.agent, faults=self.faults, honest_disks=self.honest_disks).run()


def _settles(kind: type[Settlement]) -> Parts:
    return Parts(prepare=controller.with_settlement(kind))


SABOTAGES = (
    Sabotage("skip the fsync", frozenset({"controller power", "host power"}), honest_disks=False),
    Sabotage("answer before the flush", _ENDS, Parts(store=controller.AnswersBeforeTheFlush)),
    Sabotage("ACK before the commit", _ENDS | _LINKS, _settles(controller.AcknowledgesBeforeTheCommit)),
    Sabotage(
        "STARTED after the effect",
        frozenset({"agent crash", "host power"}),
        agent=AgentParts(ledger=agent.StartedAfterTheEffect),
    ),
    Sabotage("DONE after the send", _ENDS, agent=AgentParts(ledger=agent.DoneAfterTheSend)),
    Sabotage(
        "refusals are not recorded", _LINKS | _FRAMES, agent=AgentParts(ledger=agent.RefusalsNotRecorded)
    ),
    Sabotage("a new id per retry", _LINKS, Parts(fleet=controller.NewIdPerRetry)),
    Sabotage("duplicates by time window", _LINKS, agent=AgentParts(ledger=agent.DuplicatesByTimeWindow)),
    Sabotage("duplicates by the last ids", _LINKS, agent=AgentParts(ledger=agent.DuplicatesByLastIds)),
    Sabotage("no epoch check", _FRAMES, agent=AgentParts(link=agent.CarelessLink)),
    Sabotage("teardown by agent id", _LINKS, Parts(fleet=controller.TeardownByAgentId)),
    Sabotage(
        "an answer from any agent counts",
        frozenset({"forgery"}),
        Parts(dispatcher=controller.AnyAgentMayAnswer, prepare=controller.blind_to_owners),
    ),
    Sabotage(
        "deadlines by the time of day",
        _LINKS | {"clock jump"},
        Parts(clock=agent.WallBoundClock),
        AgentParts(clock=agent.WallBoundClock),
    ),
    Sabotage("outbox dropped on reconnect", _LINKS, agent=AgentParts(worker=agent.OutboxDroppedOnReconnect)),
    Sabotage(
        "EXPIRED by the controller for what was sent", _LINKS, _settles(controller.ExpiredByTheController)
    ),
    Sabotage("a doubt is FAILED", _LINKS, _settles(controller.DoubtIsFailure)),
    Sabotage("a doubt is SUCCEEDED", _LINKS, _settles(controller.DoubtIsSuccess)),
    Sabotage("CANCELLED for what runs", _DOCKER, Parts(dispatcher=controller.CancelledWhateverRuns)),
    Sabotage("watermark ignored", _FRAMES, agent=AgentParts(ledger=agent.WatermarkIgnored)),
    Sabotage("watermark too high", _LINKS, _settles(controller.WatermarkTooHigh)),
    Sabotage(
        "rows forgotten before the acknowledgement",
        _LINKS,
        agent=AgentParts(ledger=agent.ForgetsBeforeTheAcknowledgement),
    ),
    Sabotage("no turn per container", _DOCKER | _LINKS, agent=AgentParts(prepare=agent.without_turns)),
    Sabotage(
        "order of a container's commands ignored",
        frozenset({"frames", "cut", "docker fails"}),
        Parts(prepare=controller.without_order),
        within=200,
    ),
    Sabotage("idempotency key ignored", frozenset(), Parts(commands=controller.KeysIgnored)),
    Sabotage(
        "a state is shown before the commit",
        frozenset({"slow disk"}),
        Parts(commands=controller.ShowsBeforeTheCommit),
    ),
    Sabotage(
        "final states may change", _LINKS | {"ledger lost"}, Parts(store=controller.FinalStatesMayChange)
    ),
    Sabotage(
        "verification believes the first look", _DOCKER, agent=AgentParts(prepare=agent.verifies_at_once)
    ),
    Sabotage(
        "AMNESIA unnoticed", frozenset({"ledger lost"}) | _LINKS, Parts(store=controller.AmnesiaUnnoticed)
    ),
    Sabotage(
        "the age of frames ignored", _LINKS | _FRAMES, agent=AgentParts(worker=agent.AgeOfFramesIgnored)
    ),
    Sabotage("nobody asks about an UNKNOWN", _LINKS, _settles(controller.NobodyAsks)),
)
