"""The methods of the client that are about remediation."""

from __future__ import annotations

from seawall.client.answers import decoded
from seawall.client.remediation_models import RemediationDecision, RemediationView
from seawall.client.send import Send


class Remediation:
    """The part of the client that is about remediation: `client.remediation`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def show(self) -> RemediationView:
        """The rules that hold, and whether they are stopped."""
        return decoded(await self._send("GET", "/remediation", repeatable=True), RemediationView)

    async def history(self, *, limit: int = 100) -> list[RemediationDecision]:
        """What was decided, the newest first."""
        params = [("limit", str(limit))]
        answer = await self._send("GET", "/remediation/history", params=params, repeatable=True)
        return decoded(answer, list[RemediationDecision])

    async def stop(self, reason: str) -> RemediationView:
        """Let nothing be done until it is resumed."""
        answer = await self._send("POST", "/remediation/stop", body={"reason": reason}, repeatable=True)
        return decoded(answer, RemediationView)

    async def resume(self) -> RemediationView:
        """Let it go on."""
        return decoded(await self._send("POST", "/remediation/resume", body={}), RemediationView)
