"""What the witness reads off the wire: nothing that a program could hide."""

from __future__ import annotations

from seawall.wire.codec import decode_from_agent, decode_from_controller
from seawall.wire.messages import Acknowledge, Complaint, Completed, Execute, Welcome
from tests.simulation.history import Acknowledged, Rare
from tests.simulation.network import Direction, Line
from tests.simulation.witness import Witness


class WireWatch:
    """Reads each frame when it is sent."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._acknowledged: dict[tuple[str, str], None] = {}

    def __call__(self, line: Line, direction: Direction, frame: bytes) -> None:
        """A frame leaves."""
        if direction is Direction.TO_AGENT:
            self._to_agent(line, frame)
        else:
            self._to_controller(line, frame)

    def _to_agent(self, line: Line, frame: bytes) -> None:
        witness, agent = self._witness, line.agent_id
        match decode_from_controller(frame):
            case Execute() as message:
                forge, line.on_execute = line.on_execute, None
                if forge is not None:
                    forge(message)
                if message.sequence and not message.remaining_seconds > 0:
                    witness.reached(Rare.QUESTION, agent, message.command_id)
                elif message.sequence and message.attempt > 1:
                    witness.reached(Rare.REDELIVERED, agent, message.command_id)
            case Acknowledge() as message:
                for sequence in message.sequences:
                    self._acknowledge(agent, sequence)
            case Welcome() as message:
                line.epoch = message.epoch
            case _:
                pass

    def _acknowledge(self, agent: str, sequence: int) -> None:
        command_id = self._witness.command_at(agent, sequence)
        if command_id is None:
            return
        self._witness.tell(Acknowledged, agent=agent, command_id=command_id)
        if (agent, command_id) in self._acknowledged:
            self._witness.reached(Rare.DUPLICATE_RESULT, agent, command_id)
        self._acknowledged[agent, command_id] = None

    def _to_controller(self, line: Line, frame: bytes) -> None:
        witness, agent = self._witness, line.agent_id
        match decode_from_agent(frame):
            case Completed(origin=origin) as message if origin is not None:
                witness.reached(Rare.RESENT_RESULT, agent, message.command_id)
            case Completed(recorded=False, evidence=evidence) as message if evidence is not None:
                witness.reached(Rare.UNDECIDED, agent, message.command_id)
            case Complaint(about="execute", reason=reason) if "epoch" in reason:
                witness.reached(Rare.STALE_EPOCH, agent)
            case _:
                pass
