"""Mail, Slack, ntfy and all else that Apprise knows, from a process of its own that reaches no further than allowed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec

from seawall.controller.alerts.apprise_process import FORBIDDEN_PARAMETERS, LOCAL_SERVICES, Answer, Order
from seawall.controller.alerts.delivery import DeliveryFailed, Destination, without_address
from seawall.core.alert import Said
from seawall.engine.alert_records import MessageRecord

SECONDS = 60.0
"""Some services take several requests, and Apprise waits between them."""

_MODULE = "seawall.controller.alerts.apprise_process"
_ANSWER_BYTES = 64 * 1024
# No proxy of the environment: it would choose the address.
_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "TZ")


class AppriseSender:
    """Sends messages by Apprise. `data` is the directory that stays closed to it."""

    def __init__(self, data: Path) -> None:
        self._data = str(data)

    async def check(self, url: str) -> None:
        """Whether Apprise understands the address; nothing is connected. Raises DeliveryFailed."""
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        if scheme in LOCAL_SERVICES:
            raise DeliveryFailed(f"{scheme}:// speaks to this machine only, so it is no channel for alerts")
        found = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        for parameter in sorted(FORBIDDEN_PARAMETERS & found):
            raise DeliveryFailed(
                f"the address mustn't have {parameter!r}: redirects aren't followed, certificates are verified"
            )
        await self._perform(url, Order(url))

    async def send(self, destination: Destination, message: MessageRecord, allow: Sequence[str]) -> None:
        """Deliver it: the service has taken it. Raises DeliveryFailed."""
        order = Order(
            destination.url,
            title=f"[Seawall] {message.title}",
            body=f"{message.body}\n\n{message.message_id}",
            kind=_kind(message),
            allow=list(allow),
        )
        await self._perform(destination.url, order)

    async def _perform(self, url: str, order: Order) -> None:
        order.keep_out_of = self._data
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-B", "-m", _MODULE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            cwd="/",
        )
        try:
            async with asyncio.timeout(SECONDS):
                output, _ = await process.communicate(msgspec.json.encode(order))
            answer = msgspec.json.decode(output[:_ANSWER_BYTES], type=Answer)
        except TimeoutError:
            raise DeliveryFailed(f"the service took longer than {SECONDS:g} s") from None
        except msgspec.MsgspecError:
            raise DeliveryFailed(
                f"Apprise ended without an answer (exit code {process.returncode}); is it installed?"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not answer.sent:
            raise DeliveryFailed(
                without_address(answer.said, url) or "the service didn't take it, and doesn't say why"
            )


def _kind(message: MessageRecord) -> str:
    """As Apprise calls it, for colours and pictures."""
    if message.said == Said.RECOVERED.value:
        return "success"
    return {"critical": "failure", "warning": "warning"}.get(message.severity, "info")
