"""What the agent makes of a Docker Engine that can't do with a registry what it should."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from aiohttp import web

from seawall.agent.docker import AioDocker, DockerFailure
from seawall.agent.docker.images import RegistryCredentials
from seawall.core.errors import CircuitVerdict, Circumstance, CommandErrorCode, verdict
from tests.agent.engine_double import EngineDouble, Handler, gives, hangs, says

pytestmark = pytest.mark.asyncio

REFERENCE = "registry.test/app:1"
PULL, LOOK, AUTH = "POST /images/create", "GET /distribution/registry.test/app:1/json", "POST /auth"


def tells(*events: object, end: bytes = b"") -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        text = "".join(f"{json.dumps(event)}\r\n" for event in events)
        return web.Response(body=text.encode() + end, content_type="application/json")

    return handle


async def pull(docker: AioDocker, heard: list[Mapping[str, object]] | None = None) -> None:
    await docker.image_pull(
        REFERENCE,
        credentials=None,
        progress=heard.append if heard is not None else lambda event: None,
        timeout_seconds=0.5,
    )


async def failure_of(docker: AioDocker) -> DockerFailure:
    with pytest.raises(DockerFailure) as caught:
        await pull(docker)
    return caught.value


async def test_events_arrive_in_order_though_they_come_in_any_pieces(
    docker: AioDocker, double: EngineDouble
) -> None:
    events = [{"status": "Downloading", "id": str(number)} for number in range(2000)]
    double.answers[PULL] = tells(*events)
    heard: list[Mapping[str, object]] = []
    await pull(docker, heard)
    assert heard == events


@pytest.mark.parametrize(
    ("handler", "circumstance"),
    [
        (says(404), Circumstance.DOCKER_REFUSED),
        (says(403), Circumstance.DOCKER_REFUSED),
        (says(500), Circumstance.REGISTRY_UNREACHABLE),
        (says(502), Circumstance.REGISTRY_UNREACHABLE),
        (tells({"errorDetail": {"message": "broken"}, "error": "broken"}), Circumstance.REGISTRY_UNREACHABLE),
        (tells({"error": "broken"}), Circumstance.REGISTRY_UNREACHABLE),
        (
            tells({"errorDetail": {"code": 401, "message": "who?"}, "error": "who?"}),
            Circumstance.DOCKER_REFUSED,
        ),
        (tells({"errorDetail": {"code": 1, "message": "what?"}}), Circumstance.REGISTRY_UNREACHABLE),
        (tells({"status": "fine"}, end=b'{"status": "cut'), Circumstance.DOCKER_FAILED),
        (tells(["no object"]), Circumstance.DOCKER_FAILED),
        (tells(end=b"not JSON\n"), Circumstance.DOCKER_FAILED),
        (hangs, Circumstance.REGISTRY_UNREACHABLE),
    ],
    ids=range(12),
)
async def test_each_end_of_a_pull_is_blamed_on_who_is_to_blame(
    docker: AioDocker, double: EngineDouble, handler: Handler, circumstance: Circumstance
) -> None:
    double.answers[PULL] = handler
    failure = await failure_of(docker)
    assert failure.circumstance is circumstance
    ruling = verdict(failure.code, failure.circumstance)
    if circumstance is Circumstance.REGISTRY_UNREACHABLE:
        assert ruling.registry is CircuitVerdict.FAILURE
        assert CircuitVerdict.FAILURE not in (ruling.agent, ruling.docker)
        assert "registry.test" in failure.message
        assert ruling.may_have_run is (failure.code is CommandErrorCode.TIMEOUT)


async def look_up(docker: AioDocker, credentials: RegistryCredentials | None = None) -> DockerFailure:
    with pytest.raises(DockerFailure) as caught:
        await docker.image_resolve(REFERENCE, credentials=credentials, timeout_seconds=2)
    return caught.value


async def test_a_registry_that_lets_nobody_in_is_told_from_one_that_has_failed(
    docker: AioDocker, double: EngineDouble
) -> None:
    async def wants_a_name(request: web.Request) -> web.StreamResponse:
        return await says(401 if "X-Registry-Auth" in request.headers else 500)(request)

    double.answers[LOOK] = wants_a_name
    for anonymous, circumstance in (
        (says(500), Circumstance.DOCKER_REFUSED),
        (gives({"Status": "Login Succeeded"}), Circumstance.REGISTRY_UNREACHABLE),
    ):
        double.answers[AUTH] = anonymous
        assert (await look_up(docker)).circumstance is circumstance


async def test_who_has_a_name_is_not_asked_for_another(docker: AioDocker, double: EngineDouble) -> None:
    double.answers[LOOK] = says(500)
    failure = await look_up(docker, RegistryCredentials("me", "hidden"))
    assert failure.circumstance is Circumstance.REGISTRY_UNREACHABLE
    assert "hidden" not in failure.message
    assert not any(AUTH in request for request in double.requests)


async def test_a_digest_that_is_no_text_is_no_digest(docker: AioDocker, double: EngineDouble) -> None:
    double.answers[LOOK] = gives({"Descriptor": {"digest": 5}})
    assert (await look_up(docker)).circumstance is Circumstance.DOCKER_FAILED
