"""A command that is run in a container beside its program, to its end."""

from __future__ import annotations

from seawall.agent.docker import OUTPUT_LIMIT_BYTES, Docker, DockerFailure
from seawall.agent.local_policy import judge_process
from seawall.agent.operations.containers import resolve_container
from seawall.agent.operations.runner import (
    Arguments,
    Execution,
    Resolver,
    Runner,
    Target,
    argument,
    if_there,
    permit,
    target_of,
)
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    PreImage,
    Record,
    Sought,
    Verdict,
    Verifier,
    at_once,
)


async def container_exec(execution: Execution) -> object:
    """See `operations.containers.CONTAINER_EXEC`."""
    target, body = target_of(execution), process_body(execution.arguments)
    permit(judge_process(execution.policy, body))
    docker, seconds = execution.docker, execution.timeout_seconds
    exec_id = await docker.exec_create(target.object_id, spec=body, timeout_seconds=seconds)
    if execution.journal is not None:
        await execution.journal.record(exec_id)
    output = await docker.exec_start(exec_id, timeout_seconds=seconds)
    try:
        exit_code = (await docker.exec_inspect(exec_id, timeout_seconds=seconds)).get("ExitCode")
    except DockerFailure:
        exit_code = None  # it has run, whatever became of it
    stdout, cut_stdout = _text(output.stdout)
    stderr, cut_stderr = _text(output.stderr)
    return {
        "container": target.name,
        "id": target.object_id,
        "exec_id": exec_id,
        "exit_code": exit_code,
        "stdout": stdout,
        "stderr": stderr,
        "truncated": output.truncated or cut_stdout or cut_stderr,
    }


def process_body(given: Arguments) -> dict[str, object]:
    """Docker's body for the process that the arguments describe; it has no input."""
    body: dict[str, object] = {
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": argument(given, "command", list[str]),
        "Privileged": argument(given, "privileged", bool),
    }
    if given.get("env"):
        body["Env"] = [f"{key}={value}" for key, value in argument(given, "env", dict[str, str]).items()]
    for name, field in (("user", "User"), ("working_dir", "WorkingDir")):
        if given.get(name) is not None:
            body[field] = given[name]
    return body


def _text(data: bytes) -> tuple[str, bool]:
    """Bytes as text that is no longer than the limit, and whether something had to go."""
    text = data.decode("utf-8", "replace")
    encoded = text.encode()
    if len(encoded) <= OUTPUT_LIMIT_BYTES:
        return text, False
    return encoded[:OUTPUT_LIMIT_BYTES].decode("utf-8", "ignore"), True


def _verify(doubt: Doubt) -> Finding:
    if doubt.step is None:
        return Finding(Verdict.NOT_APPLIED, "its process was not even prepared")
    if doubt.now is None:
        return Finding(Verdict.UNKNOWABLE, "Docker has forgotten its process: nothing tells whether it ran")
    exit_code = doubt.now.get("ExitCode")
    if doubt.now.get("Running") is True:
        return Finding(Verdict.UNDECIDED, "its process still runs")
    if isinstance(exit_code, int) and doubt.now.get("Pid"):
        response = {
            "id": doubt.now.get("ContainerID"),
            "exec_id": doubt.step,
            "exit_code": exit_code,
            "stdout": None,
            "stderr": None,
            "truncated": True,
            "state_satisfied": True,
            "attributed": "seawall",
        }
        return Finding(Verdict.APPLIED, "its process has run; what it wrote is lost", response)
    if not doubt.settled:
        return Finding(Verdict.UNDECIDED, "its process has not begun, but Docker may still be at it")
    return Finding(Verdict.NOT_APPLIED, "its process was prepared and never begun")


async def _find(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    if sought.step is None:
        return None
    record = await if_there(docker.exec_inspect(sought.step, timeout_seconds=timeout_seconds))
    if record is None:
        return None
    return Target(str(record.get("ContainerID") or sought.step), sought.step, record)


def _pre_image(record: Record) -> PreImage:
    kept = ("Name", "Running", "ExitCode", "Pid")
    return {key.lower(): record[key] for key in kept if key in record}


RUNNERS: dict[str, Runner] = {"container_exec": container_exec}
RESOLVERS: dict[str, Resolver] = {"container_exec": resolve_container}
VERIFIERS = {"container_exec": Verifier(_pre_image, _verify, at_once, _find, journaled=True)}
