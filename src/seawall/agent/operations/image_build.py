"""Images that are built on this host. Each has the label of its command, so that it can be told from all others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.docker.archives import BuildOptions
from seawall.agent.operations.image_records import bytes_of, id_of, tags_of
from seawall.agent.operations.runner import Execution, Report, Runner, Target, argument, target_of
from seawall.agent.operations.uploads import archive_of
from seawall.agent.operations.verification import (
    Doubt,
    Finding,
    Sought,
    Verdict,
    Verifier,
    applied,
    nothing_before,
    settles_in,
)
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.operations.container_spec import COMMAND_LABEL
from seawall.operations.image_reference import parse_reference
from seawall.operations.secrets import HIDDEN

SETTLE_SECONDS = 15.0
"""How long a build may go on in the Docker Engine after its client is gone."""

_LAST_LINES, _LONGEST_LINE = 10, 512
_SHORTEST_SECRET = 6


async def image_build(execution: Execution) -> object:
    """See `operations.image_build.IMAGE_BUILD`."""
    archive, _ = await archive_of(execution)
    given, docker, seconds = execution.arguments, execution.docker, execution.timeout_seconds
    secrets = argument(given, "build_args", dict[str, str]) if given.get("build_args") else {}
    output = Output(execution.progress, secrets.values())
    options = BuildOptions(
        argument(given, "dockerfile", str),
        _tags(given),
        {**_table(given, "labels"), COMMAND_LABEL: execution.command_id},
        secrets,
        argument(given, "target", str) if given.get("target") else None,
        argument(given, "no_cache", bool),
        argument(given, "pull", bool),
        argument(given, "network", str),
    )
    try:
        await docker.image_build(archive, options=options, progress=output, timeout_seconds=seconds)
    except DockerFailure as failure:
        raise output.explained(failure) from failure
    built = await _find(docker, Sought(execution.command_id, given, {}), seconds)
    if built is None:
        text = "Docker said that the build had succeeded, and the host has no image of it"
        raise DockerFailure(CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_ERRED, text)
    return {**_built(built.record), "output_lines": output.count}


class Output:
    """What a build writes, line by line, without the secrets that are known; the last lines are kept."""

    def __init__(self, report: Report, secrets: Iterable[str]) -> None:
        self.count = 0
        self._report = report
        # The longest first: one may be a part of another. Short ones are words like any others.
        self._secrets = sorted((each for each in secrets if len(each) >= _SHORTEST_SECRET), key=len)[::-1]
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._begun = ""

    def __call__(self, event: Mapping[str, object]) -> None:
        """See `agent.docker.transfers.OnEvent`."""
        text, status = event.get("stream"), event.get("status")
        if isinstance(text, str):
            *lines, self._begun = (self._begun + text).split("\n")
            if len(self._begun) > _LONGEST_LINE:
                lines, self._begun = [*lines, self._begun], ""
        elif isinstance(status, str) and "progressDetail" not in event:
            lines = [status]
        else:
            return
        for line in lines:
            self._add(line)

    def explained(self, failure: DockerFailure) -> DockerFailure:
        """The failure, with the last lines before it."""
        if self._begun:
            self._add(self._begun)
        message = self._clean(failure.message)
        if self._last:
            message += ". The last lines were: " + " | ".join(self._last)
        return DockerFailure(failure.code, failure.circumstance, message, failure.status)

    def _add(self, line: str) -> None:
        shown = self._clean(line.rstrip("\r"))[:_LONGEST_LINE]
        if not shown.strip():
            return
        self.count += 1
        self._last.append(shown)
        self._report(shown, {})

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _tags(arguments: Mapping[str, object]) -> list[str]:
    tags = argument(arguments, "tags", list[str]) if arguments.get("tags") else []
    return [parse_reference(tag).familiar for tag in tags]


def _table(arguments: Mapping[str, object], name: str) -> dict[str, str]:
    return argument(arguments, name, dict[str, str]) if arguments.get(name) else {}


def _built(record: Mapping[str, object]) -> dict[str, object]:
    return {"id": id_of(record), "tags": tags_of(record), "size_bytes": bytes_of(record)}


# What became of a build that is in doubt


async def _find(docker: Docker, sought: Sought, timeout_seconds: float) -> Target | None:
    """The image with the command's label."""
    records = await docker.image_list(
        intermediate=False,
        filters={"label": [f"{COMMAND_LABEL}={sought.command_id}"]},
        timeout_seconds=timeout_seconds,
    )
    # What was built on it later has inherited the label.
    first = min(records, key=lambda record: int(str(record.get("Created") or 0)), default=None)
    return Target(id_of(first), id_of(first), first) if first is not None else None


def _verify(doubt: Doubt) -> Finding:
    if doubt.now is None:
        return doubt.once_settled(Verdict.NOT_APPLIED, "the host has no image with the label of this command")
    missing = {*_tags(doubt.arguments)} - {*tags_of(doubt.now)}
    if missing:
        return doubt.once_settled(
            Verdict.PARTIAL, f"it was built, and isn't named {', '.join(sorted(missing))}"
        )
    return applied("the host has it", _built(doubt.now), satisfied=True, ours=True)


async def _tag_only(execution: Execution) -> object:
    """What a build lacks whose image is there: its names."""
    target, seconds = target_of(execution), execution.timeout_seconds
    for tag in _tags(execution.arguments):
        await execution.docker.image_tag(target.object_id, reference=tag, timeout_seconds=seconds)
    return _built(await execution.docker.image_inspect(target.object_id, timeout_seconds=seconds))


RUNNERS: dict[str, Runner] = {"image_build": image_build}
VERIFIERS = {
    "image_build": Verifier(nothing_before, _verify, settles_in(SETTLE_SECONDS), _find, resume=_tag_only)
}
