"""Callers of the API who don't give up: each intent is posted under its key until it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

import httpx

from tests.chaos.intents import FINAL, Intent

_AGAIN_SECONDS, _LOOK_AGAIN_SECONDS = 0.05, 0.3
_WAIT_SECONDS = 5
_PAGE = 1_000


class Callers:
    """One HTTP client for many callers of one controller, which may die at any moment."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=httpx.Timeout(30.0)
        )
        self.refusals = 0
        """How often an answer was 503: nothing was accepted."""

    async def aclose(self) -> None:
        """No more requests."""
        await self._http.aclose()

    async def have_done(self, intent: Intent) -> None:
        """Post it until a 2xx says that it is accepted, and once more; ask for its end if it is regretted."""
        await self._post(intent)
        if intent.regretted:
            await self._request("POST", f"/api/v1/commands/{intent.command_id}/cancel")
        # Whoever has lost the answer asks again, under the same key, and must learn of the same command.
        await self._post(intent)

    async def watch(self, intent: Intent) -> None:
        """Note the first final state that the controller shows."""
        while True:
            answer = await self._request("GET", f"/api/v1/commands/{intent.command_id}?wait={_WAIT_SECONDS}")
            if answer.status_code == HTTPStatus.OK:
                state = str(answer.json()["state"])
                if state in FINAL:
                    intent.told.append(state)
                    return

    async def records(self) -> dict[str, dict[str, object]]:
        """Every command that the controller has, by its id."""
        found: dict[str, dict[str, object]] = {}
        before = ""
        while True:
            answer = await self._request("GET", f"/api/v1/commands?limit={_PAGE}{before}")
            page: list[dict[str, object]] = answer.json()
            found |= {str(record["command_id"]): record for record in page}
            if len(page) < _PAGE:
                return found
            before = f"&before={page[-1]['command_id']}"

    async def agents(self) -> dict[str, str]:
        """The state of each host, by name."""
        answer = await self._request("GET", "/api/v1/agents")
        return {str(agent["name"]): str(agent["state"]) for agent in answer.json()}

    async def all_final(
        self, intents: Iterable[Intent], within_seconds: float
    ) -> dict[str, dict[str, object]]:
        """The records once every command has ended, and every one in doubt has been verified, or the time is over."""
        last_moment = asyncio.get_running_loop().time() + within_seconds
        wanted = {intent.command_id: intent for intent in intents}
        while True:
            records = await self.records()
            open_ones = [
                each for key, each in records.items() if key in wanted and not _over(wanted[key], each)
            ]
            if not open_ones or asyncio.get_running_loop().time() > last_moment:
                return records
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _post(self, intent: Intent) -> None:
        while True:
            headers = {"Idempotency-Key": intent.key}
            answer = await self._request("POST", "/api/v1/commands", intent.body, headers)
            if answer.status_code in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                break
            assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE, answer.text
            self.refusals += 1
            await asyncio.sleep(_AGAIN_SECONDS)
        command_id = str(answer.json()["command_id"])
        if intent.command_id not in (None, command_id):
            intent.renamed.append(intent.command_id)
        intent.command_id = command_id

    async def _request(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """One answer, however often the controller has to be asked for it."""
        while True:
            try:
                return await self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(_AGAIN_SECONDS)


def _over(intent: Intent, record: dict[str, object]) -> bool:
    """Whether nothing more is to be learnt of it."""
    state = record["state"]
    return state in FINAL and (state != "UNKNOWN" or not intent.verifiable)
