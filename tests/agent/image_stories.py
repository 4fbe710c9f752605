"""What becomes of images, on a fake Docker Engine and on a real one with real registries: the same stories for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pytest

from seawall.agent.docker import Docker, DockerFailure
from seawall.agent.operations.registry import RESOLVERS, RUNNERS, VERIFIERS
from seawall.agent.operations.runner import Execution, Target
from seawall.agent.operations.verification import Doubt, Finding, PreImage, Sought, Verdict
from seawall.core.errors import Circumstance
from seawall.operations.operation import check_arguments
from seawall.operations.registry import OPERATIONS
from seawall.wire.codec import encode_message

SECONDS = 20.0
PASSWORD = "correct horse"


class Place(Protocol):
    """A host with an image `busybox:latest`, and what it can reach.

    `guarded` wants the user "seawall" and PASSWORD, `dead` answers nobody.
    """

    registry: str
    guarded: str
    dead: str

    @property
    def docker(self) -> Docker:
        """The Engine as the agent sees it."""

    async def publish(self, reference: str, content: str) -> None:
        """Have an image of this content at its registry, and not on the host."""

    async def make(self, reference: str, content: str) -> None:
        """Have an image of this content on the host only."""

    async def use(self, image: str, *, running: bool) -> str:
        """A container of an image; its name."""


Heard = list[tuple[str, Mapping[str, object] | None]]


async def perform(place: Place, operation: str, heard: Heard | None = None, **arguments: object) -> object:
    """Do it as the agent does, and return the response as it can be sent."""
    target, checked = await resolved(place, operation, **arguments)
    response = await RUNNERS[operation](_execution(place, checked, target, heard))
    encode_message(response)
    return response


async def run(
    place: Place, operation: str, heard: Heard | None = None, **arguments: object
) -> dict[str, object]:
    response = await perform(place, operation, heard, **arguments)
    assert isinstance(response, dict)
    return response


async def refusal(place: Place, operation: str, **arguments: object) -> DockerFailure:
    with pytest.raises(DockerFailure) as caught:
        await perform(place, operation, **arguments)
    return caught.value


async def resolved(
    place: Place, operation: str, **arguments: object
) -> tuple[Target | None, dict[str, object]]:
    checked = check_arguments(OPERATIONS[operation], arguments)
    resolver = RESOLVERS.get(operation)
    return (await resolver(place.docker, checked, SECONDS) if resolver is not None else None), checked


class Case:
    """A change that has been resolved, and of which something may become known."""

    def __init__(
        self, place: Place, operation: str, target: Target | None, arguments: dict[str, object]
    ) -> None:
        self._place = place
        self._operation = operation
        self._arguments = arguments
        self._target = target
        verifier = VERIFIERS[operation]
        image = verifier.pre_image(target.record) if target is not None else {}
        self._pre_image: PreImage = {**image, "id": target.object_id} if target is not None else image

    @classmethod
    async def of(cls, place: Place, operation: str, **arguments: object) -> Case:
        return cls(place, operation, *await resolved(place, operation, **arguments))

    async def do(self) -> None:
        await RUNNERS[self._operation](_execution(self._place, self._arguments, self._target))

    async def find_out(self, *, settled: bool = True) -> Finding:
        verifier = VERIFIERS[self._operation]
        sought = Sought("command", self._arguments, self._pre_image)
        found = await verifier.find(self._place.docker, sought, SECONDS)
        record = found.record if found is not None else None
        return verifier.verify(Doubt(self._arguments, self._pre_image, record, settled))

    async def resume(self) -> object:
        verifier = VERIFIERS[self._operation]
        found = await verifier.find(
            self._place.docker, Sought("command", self._arguments, self._pre_image), SECONDS
        )
        assert verifier.resume is not None
        assert found is not None
        return await verifier.resume(_execution(self._place, self._arguments, found))


def _execution(
    place: Place, arguments: dict[str, object], target: Target | None, heard: Heard | None = None
) -> Execution:
    def note(text: str, detail: Mapping[str, object] | None = None) -> None:
        if heard is not None:
            heard.append((text, detail))

    return Execution(place.docker, "command", arguments, SECONDS, note, target)


async def tags(place: Place, image: str) -> object:
    return (await place.docker.image_inspect(image, timeout_seconds=SECONDS))["RepoTags"]


async def a_pull_fetches_the_digest_that_the_tag_has_and_names_it(place: Place) -> None:
    reference = f"{place.registry}/team/app:1"
    await place.publish(reference, "first")
    heard: Heard = []
    first = await run(place, "image_pull", heard, reference=reference)
    assert first["held_before"] is False
    assert await tags(place, str(first["id"])) == [reference]
    assert heard[-1][1] is not None
    layers = heard[-1][1]["layers"]
    assert isinstance(layers, dict)
    assert layers
    assert all(layer["done"] for layer in layers.values())
    assert (await run(place, "image_pull", reference=reference))["held_before"] is True


async def a_pull_by_digest_fetches_that_image_though_the_tag_has_moved(place: Place) -> None:
    reference = f"{place.registry}/team/moved:1"
    await place.publish(reference, "old")
    old = await run(place, "image_pull", reference=reference)
    await run(place, "image_remove", image=str(old["id"]))
    await place.publish(reference, "new")
    by_digest = await run(place, "image_pull", reference=f"{place.registry}/team/moved@{old['digest']}")
    assert (by_digest["id"], by_digest["digest"]) == (old["id"], old["digest"])
    assert (await run(place, "image_pull", reference=reference))["id"] != old["id"]


async def what_a_registry_does_not_have_is_refused_and_blames_nobody(place: Place) -> None:
    failure = await refusal(place, "image_pull", reference=f"{place.registry}/team/none:1")
    assert failure.circumstance is Circumstance.DOCKER_REFUSED


async def a_registry_that_wants_a_password_gets_it_and_refuses_a_wrong_one(place: Place) -> None:
    reference = f"{place.guarded}/team/secret:1"
    await place.publish(reference, "secret")
    good = {"username": "seawall", "password": PASSWORD}
    for wrong in ({}, {"username": "seawall", "password": "wrong"}):
        failure = await refusal(place, "image_pull", reference=reference, **wrong)
        assert failure.circumstance is Circumstance.DOCKER_REFUSED
    pulled = await run(place, "image_pull", reference=reference, **good)
    for wrong in ({}, {"username": "seawall", "password": "wrong"}):
        failure = await refusal(place, "image_push", reference=reference, **wrong)
        assert failure.circumstance is Circumstance.DOCKER_REFUSED
    assert (await run(place, "image_push", reference=reference, **good))["digest"] == pulled["digest"]


async def a_dead_registry_is_the_registry_s_failure(place: Place) -> None:
    for arguments in (
        {"reference": f"{place.dead}/team/app:1"},
        {"reference": f"{place.dead}/a@sha256:{'0' * 64}"},
    ):
        failure = await refusal(place, "image_pull", **arguments)
        assert failure.circumstance is Circumstance.REGISTRY_UNREACHABLE
    await run(place, "image_tag", image="busybox:latest", reference=f"{place.dead}/team/app:1")
    failure = await refusal(place, "image_push", reference=f"{place.dead}/team/app:1")
    assert failure.circumstance is Circumstance.REGISTRY_UNREACHABLE


async def a_mirror_stands_in_for_a_dead_registry_and_says_so(place: Place) -> None:
    await place.publish(f"{place.registry}/team/app:2", "mirrored")
    wanted = f"{place.dead}/team/app:2"
    pulled = await run(place, "image_pull", reference=wanted, mirror=place.registry)
    assert await tags(place, str(pulled["id"])) == [wanted]
    fallback = pulled["fallback"]
    assert isinstance(fallback, dict)
    assert (fallback["mirror"], fallback["error_code"], fallback["circumstance"]) == (
        place.registry,
        "docker_error",
        "registry_unreachable",
    )
    assert place.dead in str(fallback["error"])


async def a_mirror_is_not_asked_for_what_the_registry_refuses(place: Place) -> None:
    await place.publish(f"{place.registry}/team/app:3", "mirrored")
    failure = await refusal(
        place, "image_pull", reference=f"{place.guarded}/team/app:3", mirror=place.registry
    )
    assert failure.circumstance is Circumstance.DOCKER_REFUSED


async def where_the_mirror_fails_as_well_both_are_told(place: Place) -> None:
    failure = await refusal(place, "image_pull", reference=f"{place.dead}/team/app:4", mirror=place.dead)
    assert failure.circumstance is Circumstance.REGISTRY_UNREACHABLE
    assert "mirror" in failure.message


async def a_push_sends_what_its_reference_means(place: Place) -> None:
    reference = f"{place.registry}/team/sent:1"
    await run(place, "image_tag", image="busybox:latest", reference=reference)
    heard: Heard = []
    pushed = await run(place, "image_push", heard, reference=reference)
    assert str(pushed["digest"]).startswith("sha256:")
    assert heard
    await run(place, "image_remove", image=reference)
    assert (await run(place, "image_pull", reference=reference))["digest"] == pushed["digest"]


async def a_removal_by_name_takes_the_name_and_the_image_with_its_last(place: Place) -> None:
    await place.make("twice:1", "twice")
    await run(place, "image_tag", image="twice:1", reference="twice:2")
    failure = await refusal(
        place,
        "image_remove",
        image=str((await place.docker.image_inspect("twice:1", timeout_seconds=5))["Id"]),
    )
    assert failure.circumstance is Circumstance.DOCKER_REFUSED
    assert "twice:2" in failure.message
    first = await run(place, "image_remove", image="twice:1")
    assert (first["removed"], first["untagged"], first["remaining"]) == (False, ["twice:1"], ["twice:2"])
    last = await run(place, "image_remove", image="twice:2")
    assert last["removed"] is True
    assert str(last["id"]) in str(last["deleted"])


async def a_removal_with_force_takes_all_names(place: Place) -> None:
    await place.make("forced:1", "forced")
    await run(place, "image_tag", image="forced:1", reference="other/forced:2")
    gone = await run(place, "image_remove", image="forced:1", force=True)
    assert gone["removed"] is True
    assert {"forced:1", "other/forced:2"} <= {*map(str, list(gone["untagged"]))}  # type: ignore[call-overload]


async def an_image_that_a_container_is_made_of_stays(place: Place) -> None:
    await place.make("used:1", "used")
    await place.use("used:1", running=False)
    assert (await refusal(place, "image_remove", image="used:1")).circumstance is Circumstance.DOCKER_REFUSED


async def a_prune_removes_what_was_planned_and_keeps_what_is_used_by_now(place: Place) -> None:
    for name in ("left", "gone", "taken"):
        await place.make(f"{name}:1", name)
    await place.use("left:1", running=False)
    plan = await run(place, "image_prune_plan", all=True)
    images = plan["images"]
    assert isinstance(images, list)
    ids = {image["tags"][0]: image["id"] for image in images if image["tags"]}
    assert "left:1" not in ids
    assert {"gone:1", "taken:1"} <= set(ids)
    assert isinstance(plan["size_bytes"], int)
    await place.use("taken:1", running=False)
    chosen = [ids["gone:1"], ids["taken:1"], f"sha256:{'0' * 64}"]
    pruned = await run(place, "image_prune", images=chosen)
    assert pruned["removed"] == [chosen[0], chosen[2]]
    assert [entry["id"] for entry in list(pruned["kept"])] == [chosen[1]]  # type: ignore[call-overload]


async def images_are_listed_as_the_filters_say(place: Place) -> None:
    await place.make("listed:1", "listed")
    everything = await perform(place, "image_list")
    assert isinstance(everything, list)
    assert {"busybox:latest", "listed:1"} <= {tag for image in everything for tag in image["tags"]}
    named = await perform(place, "image_list", reference=["listed:1"])
    assert isinstance(named, list)
    assert [image["tags"] for image in named] == [["listed:1"]]
    untagged = await perform(place, "image_list", dangling=True)
    assert isinstance(untagged, list)
    assert all(image["tags"] == [] for image in untagged)
    assert (await run(place, "image_inspect", image="listed:1"))["RepoTags"] == ["listed:1"]
    failure = await refusal(place, "image_inspect", image="listed:2")
    assert failure.circumstance is Circumstance.DOCKER_REFUSED


async def a_pull_in_doubt_is_found_out(place: Place) -> None:
    reference = f"{place.registry}/team/doubt:1"
    await place.publish(reference, "doubt")
    case = await Case.of(place, "image_pull", reference=reference)
    assert (await case.find_out()).verdict is Verdict.NOT_APPLIED
    assert (await case.find_out(settled=False)).verdict is Verdict.UNDECIDED
    await place.publish(reference, "a later one")
    await case.do()
    finding = await case.find_out()
    assert finding.verdict is Verdict.APPLIED
    assert isinstance(finding.response, dict)
    assert finding.response["attributed"] == "seawall"
    held = await Case.of(
        place, "image_pull", reference=f"{place.registry}/team/doubt@{finding.response['digest']}"
    )
    finding = await held.find_out()
    assert isinstance(finding.response, dict)
    assert finding.response["attributed"] == "unknown"


async def a_pull_that_ended_before_its_name_was_given_is_finished(place: Place) -> None:
    reference = f"{place.registry}/team/nameless:1"
    await place.publish(reference, "nameless")
    case = await Case.of(place, "image_pull", reference=reference)
    target, _ = await resolved(place, "image_pull", reference=reference)
    assert target is not None
    await place.docker.image_pull(
        target.object_id, credentials=None, progress=lambda event: None, timeout_seconds=SECONDS
    )
    assert (await case.find_out()).verdict is Verdict.PARTIAL
    await case.resume()
    assert (await case.find_out()).verdict is Verdict.APPLIED


async def a_push_in_doubt_is_found_out(place: Place) -> None:
    reference = f"{place.registry}/team/sent-in-doubt:1"
    await place.make(reference, "sent in doubt")
    case = await Case.of(place, "image_push", reference=reference)
    assert (await case.find_out()).verdict is Verdict.NOT_APPLIED
    await case.do()
    assert (await case.find_out()).verdict is Verdict.APPLIED


async def a_tag_in_doubt_is_found_out(place: Place) -> None:
    await place.make("tagged:1", "tagged")
    await place.make("other:1", "other")
    case = await Case.of(place, "image_tag", image="tagged:1", reference="tagged:2")
    assert (await case.find_out()).verdict is Verdict.NOT_APPLIED
    await case.do()
    assert (await case.find_out()).verdict is Verdict.APPLIED
    await run(place, "image_tag", image="other:1", reference="tagged:2")
    assert (await case.find_out()).verdict is Verdict.UNKNOWABLE
    await run(place, "image_remove", image="tagged:1")
    assert (await case.find_out()).verdict is Verdict.UNKNOWABLE


async def a_removal_in_doubt_is_found_out(place: Place) -> None:
    await place.make("doomed:1", "doomed")
    await run(place, "image_tag", image="doomed:1", reference="doomed:2")
    name = await Case.of(place, "image_remove", image="doomed:1")
    whole = await Case.of(place, "image_remove", image="doomed:1", force=True)
    assert (await name.find_out()).verdict is Verdict.NOT_APPLIED
    assert (await whole.find_out()).verdict is Verdict.NOT_APPLIED
    await name.do()
    assert (await name.find_out()).verdict is Verdict.APPLIED
    assert (await whole.find_out()).verdict is Verdict.PARTIAL
    await whole.resume()
    assert (await whole.find_out()).verdict is Verdict.APPLIED
    assert (await name.find_out()).verdict is Verdict.APPLIED


async def a_prune_in_doubt_is_found_out(place: Place) -> None:
    for name in ("one", "two"):
        await place.make(f"{name}:1", name)
    ids = [
        (await place.docker.image_inspect(f"{name}:1", timeout_seconds=5))["Id"] for name in ("one", "two")
    ]
    case = await Case.of(place, "image_prune", images=ids)
    await run(place, "image_remove", image="one:1")
    assert (await case.find_out()).verdict is Verdict.PARTIAL
    await case.resume()
    assert (await case.find_out()).verdict is Verdict.APPLIED


STORIES = [
    a_pull_fetches_the_digest_that_the_tag_has_and_names_it,
    a_pull_by_digest_fetches_that_image_though_the_tag_has_moved,
    what_a_registry_does_not_have_is_refused_and_blames_nobody,
    a_registry_that_wants_a_password_gets_it_and_refuses_a_wrong_one,
    a_dead_registry_is_the_registry_s_failure,
    a_mirror_stands_in_for_a_dead_registry_and_says_so,
    a_mirror_is_not_asked_for_what_the_registry_refuses,
    where_the_mirror_fails_as_well_both_are_told,
    a_push_sends_what_its_reference_means,
    a_removal_by_name_takes_the_name_and_the_image_with_its_last,
    a_removal_with_force_takes_all_names,
    an_image_that_a_container_is_made_of_stays,
    a_prune_removes_what_was_planned_and_keeps_what_is_used_by_now,
    images_are_listed_as_the_filters_say,
    a_pull_in_doubt_is_found_out,
    a_pull_that_ended_before_its_name_was_given_is_finished,
    a_push_in_doubt_is_found_out,
    a_tag_in_doubt_is_found_out,
    a_removal_in_doubt_is_found_out,
    a_prune_in_doubt_is_found_out,
]
