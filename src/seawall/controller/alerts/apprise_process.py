"""The process in which Apprise runs: it sends one message, and can reach nothing that the controller wouldn't.

Started by `apprise_channel`, with an order on standard input and the result on standard output. Apprise has two hundred
services, whose code opens connections as it likes. So before it is loaded, this process binds itself by an audit hook,
which can't be taken off again: each address is judged at the moment of the connection, when it is a number and no name
can change its meaning any more. There are limits to memory and files, no other program can be started, and what lies in
the controller's data directory can't be opened.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from seawall.core.reach import Reach

_MEMORY_BYTES = 1024**3
_CONNECTING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_STARTING = ("subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork")

# They speak to this machine's desktop, log or devices, or to a service by other means than a connection.
LOCAL_SERVICES = frozenset(
    {"dbus", "kde", "qt", "glib", "gnome", "macosx", "windows", "syslog", "blink1", "deltachat"}
)
# What would undo what is guaranteed: following redirects, trusting any certificate.
FORBIDDEN_PARAMETERS = frozenset({"redirect", "verify"})


class Order(Struct):
    """What to send. Without a title the address is only looked at."""

    url: str
    title: str = ""
    body: str = ""
    kind: str = "info"
    allow: list[str] = msgspec.field(default_factory=list)
    keep_out_of: str = ""


class Answer(Struct):
    """What became of it; `said` is what Apprise has logged, and may hold parts of the address."""

    sent: bool
    said: str = ""


class _Refused(OSError):
    """Apprise tried what it mustn't."""


class _Said(logging.Handler):
    """Keeps what Apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def bind(reach: Reach, keep_out_of: str) -> list[str]:
    """From now on this process connects to what is within reach only. Returns where refusals are noted."""
    refusals: list[str] = []
    forbidden = Path(keep_out_of).resolve() if keep_out_of else None

    def refuse(text: str) -> None:
        refusals.append(text)
        raise _Refused(text)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _CONNECTING:
            address = arguments[1]
            if not isinstance(address, tuple):
                refuse("only internet addresses can be reached")
            elif not reach.permits(str(address[0])):
                refuse(
                    f"{address[0]} isn't an address of the open internet; if messages should go there, add it or its "
                    "network to 'allow' in the alert file"
                )
        elif event == "open" and forbidden is not None:
            path = arguments[0]
            if isinstance(path, str) and Path(path).resolve().is_relative_to(forbidden):
                refuse("the controller's data directory stays closed")
        elif event.startswith(_STARTING):
            refuse("no other program is started")

    sys.addaudithook(hook)
    return refusals


def perform(order: Order) -> Answer:
    """Send it, or look at its address."""
    refusals = bind(_reach(order.allow), order.keep_out_of)
    from apprise import Apprise, AppriseAsset
    from apprise.logger import logger

    said = _Said()
    logger.addHandler(said)
    logger.setLevel(logging.WARNING)
    asset = AppriseAsset(
        app_id="Seawall",
        app_desc="Seawall alerts",
        app_url="",
        async_mode=False,
        http_redirects=False,
        storage_mode="memory",
        service_timeout=0,
    )
    sender = Apprise(asset=asset)
    try:
        understood = sender.add(order.url)
        if not understood or len(sender) != 1:
            return Answer(False, "; ".join(said.lines) or "Apprise doesn't understand the address")
        if not order.title:
            return Answer(True)
        sent = sender.notify(title=order.title, body=order.body, notify_type=order.kind)
    except Exception as error:  # noqa: BLE001 - whatever one of two hundred services does, the sender hears of it
        return Answer(False, "; ".join(refusals) or f"{type(error).__name__}: {error}")
    return Answer(bool(sent), "" if sent else "; ".join(refusals or said.lines))


def _reach(allow: list[str]) -> Reach:
    """With the addresses of the hosts that are allowed by name: a connection shows no name."""
    addresses: set[str] = set()
    for host in Reach(allow).hosts:
        with contextlib.suppress(OSError):
            addresses |= {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
    return Reach([*allow, *addresses])


def main() -> None:
    """Take the order and give the answer."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(perform(order)))


if __name__ == "__main__":
    main()
