"""What became of an attempt on the link: the one place where link errors and agents' answers get their code."""

from __future__ import annotations

from seawall.core.command import Attempt, Command, Outcome, Source
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.wire.messages import Complaint, Completed

_CODES = {code.value: code for code in CommandErrorCode}
_CIRCUMSTANCES = {circumstance.value: circumstance for circumstance in Circumstance}


def answered(message: Completed) -> Outcome:
    """The outcome that an agent's answer stands for; a word that we don't know makes it an INVALID_RESPONSE."""
    # A ledger that has forgotten the command, or never knew it, will not know more when it is asked again.
    last_word = message.recorded or message.code == CommandErrorCode.OUTCOME_UNKNOWN.value
    source = Source.LEDGER if last_word else Source.AGENT
    if message.code is None:
        return Outcome(None, None, message.response, source=source)
    code, circumstance = _CODES.get(message.code), _CIRCUMSTANCES.get(message.circumstance)
    if code is None or circumstance is None:
        unknown = message.code if code is None else message.circumstance
        text = (
            f"the agent answered {unknown[:64]!r}, which this controller doesn't know; update the controller"
        )
        return Outcome(CommandErrorCode.INVALID_RESPONSE, text, message.response)
    return Outcome(
        code, message.error, message.response, circumstance, source=source, evidence=message.evidence
    )


def unreadable(complaint: Complaint) -> Outcome:
    """The frame that answered could not be read."""
    text = (
        f"the agent's answer can't be read ({complaint.reason}); do the versions of agent and controller fit?"
    )
    return Outcome(CommandErrorCode.INVALID_RESPONSE, text)


def not_sent(agent_id: str, reason: str) -> Outcome:
    """Nothing of the attempt left this process."""
    text = f"Failed to send the command to agent {agent_id}: {reason}"
    return Outcome(CommandErrorCode.NETWORK_ERROR, text, circumstance=Circumstance.NOT_SENT)


def asked_already(command: Command) -> Outcome:
    """Another attempt of the same command awaits its answer in this session."""
    text = f"command {command.command_id} is under way already"
    return Outcome(CommandErrorCode.NETWORK_ERROR, text, circumstance=Circumstance.NOT_SENT)


def unsendable(command: Command, reason: str) -> Outcome:
    """The arguments don't fit into a frame."""
    text = f"the arguments of {command.operation} can't be sent: {reason}"
    return Outcome(CommandErrorCode.INVALID_ARGUMENT, text, circumstance=Circumstance.NOT_SENT)


def cancelled_before_sending() -> Outcome:
    """The attempt was taken back while it still waited here."""
    text = "the command was cancelled before it was sent"
    return Outcome(CommandErrorCode.CANCELLED, text, circumstance=Circumstance.NOT_SENT)


def disconnected(agent_id: str, reason: str, *, first: bool) -> Outcome:
    """The session ended before the answer. However many attempts it takes along, the circuit counts the first."""
    text = f"Agent {agent_id} disconnected before it answered: {reason}"
    circumstance = Circumstance.NONE if first else Circumstance.SAME_DISCONNECT
    return Outcome(CommandErrorCode.AGENT_DISCONNECTED, text, circumstance=circumstance)


def timed_out(agent_id: str, attempt: Attempt, *, sent: bool, heard: bool) -> Outcome:
    """The attempt's time is over; `heard` says whether anything came from the agent after it was sent."""
    seconds = attempt.timeout_seconds
    if not sent:
        circumstance = Circumstance.NOT_SENT
        text = (
            f"Command timeout: agent {agent_id} reads too slowly, nothing could be sent within {seconds:g} s"
        )
    elif heard:
        circumstance = Circumstance.HEARD
        text = f"Command timeout: agent {agent_id} lives, but did not finish within {seconds:g} s"
    else:
        circumstance = Circumstance.SILENT
        text = f"Command timeout: nothing at all was heard from agent {agent_id} within {seconds:g} s"
    return Outcome(CommandErrorCode.TIMEOUT, text, circumstance=circumstance)
