"""What is found out of a change of a Compose project that is in doubt."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from seawall.agent.operations.compose_state import Member
from seawall.agent.operations.compose_verifiers import VERIFIERS
from seawall.agent.operations.verification import Doubt, Verdict

WISHES = {"web": {"fingerprint": "new", "replicas": 2}, "db": {"fingerprint": "db", "replicas": 1}}


def member(identity: str, service: str, fingerprint: str, state: str = "running") -> Member:
    return Member(identity, f"shop_{identity}", service, fingerprint, state, "", "busybox", 1)


OLD = [member("web1", "web", "old"), member("db1", "db", "db")]
NEW = [member("web2", "web", "new"), member("web3", "web", "new"), member("db1", "db", "db")]


def verdict(
    operation: str, before: Mapping[str, object], now: Mapping[str, object], settled: bool
) -> Verdict:
    pre_image = msgspec.to_builtins(before)
    doubt = Doubt({"project": "shop"}, pre_image, now, settled)
    return VERIFIERS[operation].verify(doubt).verdict


def up(digest: str, members: list[Member], *, before: list[Member] = OLD, settled: bool = True) -> Verdict:
    wished = {"digest": "mine", "wishes": WISHES, "members": before}
    return verdict("compose_up", wished, {"digest": digest, "members": members}, settled)


def test_a_project_whose_files_were_not_put_in_place_was_not_brought_up() -> None:
    assert up("earlier", NEW) is Verdict.NOT_APPLIED
    assert up("earlier", OLD, settled=False) is Verdict.UNDECIDED


def test_a_project_with_every_service_as_its_files_say_is_up() -> None:
    assert up("mine", NEW) is Verdict.APPLIED
    assert up("mine", NEW, settled=False) is Verdict.APPLIED


@pytest.mark.parametrize(
    "members",
    [
        OLD,
        NEW[1:],
        [*NEW[1:], member("web2", "web", "new", "created")],
        [*NEW[1:], member("web2", "web", "new", "restarting")],
        [],
    ],
    ids=["as before", "one too few", "one not started", "one restarting", "nothing"],
)
def test_a_project_that_lacks_something_is_brought_up_further(members: list[Member]) -> None:
    assert up("mine", members) is Verdict.PARTIAL
    assert up("mine", members, settled=False) is Verdict.UNDECIDED


def test_a_container_that_has_run_to_its_end_since_is_not_run_again() -> None:
    ended = [*NEW[:2], member("db1", "db", "db", "exited")]
    assert up("mine", ended, before=[]) is Verdict.APPLIED
    assert up("mine", ended, before=[member("db1", "db", "db", "exited")]) is Verdict.PARTIAL


def down(digest: str | None, members: list[Member], *, settled: bool = True) -> Verdict:
    return verdict(
        "compose_down", {"digest": "mine", "members": OLD}, {"digest": digest, "members": members}, settled
    )


def test_a_project_is_down_once_its_files_are_gone() -> None:
    assert down(None, []) is Verdict.APPLIED
    assert down("mine", []) is Verdict.PARTIAL
    assert down("mine", [OLD[0]]) is Verdict.PARTIAL
    assert down("mine", [member("web1", "web", "old", "exited"), OLD[1]]) is Verdict.PARTIAL
    assert down("mine", OLD) is Verdict.NOT_APPLIED
    assert down("mine", OLD, settled=False) is Verdict.UNDECIDED


def restart(started: dict[str, str], left: list[str], *, settled: bool = True) -> Verdict:
    before = {"started": {"a": "1", "b": "1"}, "left": ["a", "b"]}
    return verdict("compose_restart", before, {"started": started, "left": left}, settled)


def test_a_restart_goes_on_with_what_is_left_of_it() -> None:
    assert restart({"a": "2", "b": "2"}, []) is Verdict.APPLIED
    assert restart({"a": "2", "b": "1"}, ["b"]) is Verdict.PARTIAL
    assert restart({"a": "2", "b": "1"}, ["b"], settled=False) is Verdict.UNDECIDED
    assert restart({"a": "1", "b": "1"}, ["a", "b"]) is Verdict.NOT_APPLIED
    assert restart({"a": "2"}, []) is Verdict.UNKNOWABLE
