"""What `seawall up` does with a controller that has just been started: wait, join hosts, wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from seawall.agent.app import agent_version
from seawall.agent.identity import IDENTITY_FILE, AgentIdentity, IdentityError
from seawall.agent.join import JoinError, join
from seawall.agent.local_policy import FILE_NAME, LocalPolicy, Rules
from seawall.agent.local_policy_file import save_policy
from seawall.cli.exits import CliProblem
from seawall.client.client import Client
from seawall.client.context import Connection, read_token_file
from seawall.client.errors import ClientError, ContextError, Unreachable
from seawall.clock import Clock, SystemClock
from seawall.operations.host_level import Level

_READY_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.1
_JOINS_AT_ONCE = 8
_NOT_FOUND = 404


OWN_POLICY = LocalPolicy(Level.MANAGE, exec=True, rules=Rules(images=("*",), local_images=True))
"""What `seawall up` lets its own controller do on its own host: any image, and nothing of the host in a container."""


class Rising:
    """A controller that comes up. An async context manager; all methods raise CliProblem when they give up."""

    def __init__(self, url: str, token_file: Path, ca_file: Path | None, clock: Clock | None = None) -> None:
        self._url = url
        self._token_file = token_file
        self._ca_file = ca_file
        self._clock = clock if clock is not None else SystemClock()
        self._open: Client | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open is not None:
            await self._open.close()

    async def ready(self) -> None:
        """Wait until the controller takes requests, and is the one whose token this is."""
        end = self._clock.now() + _READY_SECONDS
        while not await self._is_ready():
            if self._clock.now() >= end:
                raise CliProblem(
                    f"the controller at {self._url} isn't ready after {_READY_SECONDS:g} s; see its log"
                )
            await self._pause()
        await self._close()
        self._open = Client(Connection(self._url, read_token_file(self._token_file), self._ca_file))
        try:
            await self._open.operations()
        except (ClientError, Unreachable) as error:
            raise CliProblem(
                f"what answers at {self._url} isn't the controller of {self._token_file.parent} ({error}); stop the "
                "other one, or choose another port with --api"
            ) from error

    async def join(self, hosts: Mapping[str, Path], agents_url: str, *, simulated: bool) -> None:
        """Make each of these hosts one of the fleet, unless it is; `hosts` maps names to identities' directories."""
        turns = asyncio.Semaphore(_JOINS_AT_ONCE)

        async def one(name: str, directory: Path) -> None:
            async with turns:
                await self._join_host(name, directory, agents_url, simulated=simulated)

        problems = await asyncio.gather(*(one(*host) for host in hosts.items()), return_exceptions=True)
        for problem in problems:
            if isinstance(problem, JoinError | IdentityError | ClientError | Unreachable):
                raise CliProblem(str(problem)) from problem
            if problem is not None:
                raise problem

    async def connected(self, hosts: Mapping[str, Path]) -> list[str]:
        """Wait until the agents of these hosts are connected; their names."""
        wanted = {(await asyncio.to_thread(AgentIdentity.load, each)).agent_id for each in hosts.values()}
        end = self._clock.now() + _READY_SECONDS
        while True:
            agents = [agent for agent in await self._client.agents() if agent.agent_id in wanted]
            missing = [agent.name for agent in agents if agent.state != "connected"]
            if len(agents) == len(wanted) and not missing:
                return [agent.name for agent in agents]
            if self._clock.now() >= end:
                raise CliProblem(
                    f"not connected after {_READY_SECONDS:g} s: {', '.join(missing[:10]) or 'the agent'}; see the log "
                    "above"
                )
            await self._pause()

    async def join_command(self) -> str:
        """What to run on a further host."""
        return (await self._client.new_join_token()).command

    @property
    def _client(self) -> Client:
        if self._open is None:
            raise AssertionError("the controller isn't ready yet")
        return self._open

    async def _is_ready(self) -> bool:
        if self._open is None:
            try:
                self._open = Client(Connection(self._url, None, self._ca_file))
            except ContextError:
                # At its first start the controller has yet to make its certificate.
                return False
        return await self._open.ready()

    async def _join_host(self, name: str, directory: Path, agents_url: str, *, simulated: bool) -> None:
        if (directory / IDENTITY_FILE).exists():
            if not (directory / FILE_NAME).exists():
                await asyncio.to_thread(save_policy, directory, OWN_POLICY)
            identity = await asyncio.to_thread(AgentIdentity.load, directory)
            if await self._is_known(identity):
                if identity.controller_url != agents_url:
                    # The controller listens elsewhere since; it is still the one that this key is known to.
                    await asyncio.to_thread(replace(identity, controller_url=agents_url).save, directory)
                return
            if not simulated:
                raise CliProblem(
                    f"the controller doesn't know this host's identity in {directory}, or has revoked it; to join "
                    f"anew, remove {directory / IDENTITY_FILE} and start again"
                )
        token = await self._client.new_join_token()
        await join(
            agents_url,
            token.token,
            name=name,
            labels={},
            directory=directory,
            simulated=simulated,
            version=agent_version(),
            replace_existing=simulated,
            policy=OWN_POLICY,
        )

    async def _is_known(self, identity: AgentIdentity) -> bool:
        try:
            return (await self._client.agent(identity.agent_id)).state != "revoked"
        except ClientError as error:
            if error.status == _NOT_FOUND:
                return False
            raise

    async def _close(self) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def _pause(self) -> None:
        await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN_SECONDS)
