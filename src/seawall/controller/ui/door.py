"""The way into the dashboard: who may pass, what everybody is told to refuse, and the API beside it as it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seawall.controller.credentials import hash_secret
from seawall.controller.passwords import UnfitPassword
from seawall.controller.sign_ins import LONGEST, SignIn, TooManyGuesses, WrongPassword
from seawall.controller.ui.forms import HOME, SET_UP, SIGN_IN, SIGN_OUT, STATIC, set_up_page, sign_in_page
from seawall.controller.ui.headers import add_headers
from seawall.controller.ui.visits import Arrival, House
from seawall.controller.users import SetUpRefused, UnfitName
from seawall.engine.audit import Action
from seawall.engine.store import StoreFailed, UserNameTaken
from seawall.wire.secret import Secret

SOCKET = "/ui/_nicegui_ws/"
PAGE_HEADER = "X-Seawall-Page"
"""Which page asks for a new sign-in in its place."""

_BODY_BYTES, _BODY_SECONDS = 8 * 1024, 10.0
_STATIC_FILES: Final = Path(__file__).parent / "static"
_STATIC_KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_UNAVAILABLE = "the controller can't read its database now; its log says why. Try again"


class Door:
    """An ASGI app: everything below /ui is the dashboard's, the rest is the API's."""

    def __init__(self, api: ASGIApp, house: House, pages: ASGIApp, *, tls: bool) -> None:
        self._api = api
        self._house = house
        self._services = house.services
        self._visits = house.visits
        self._pages = pages
        self._tls = tls
        # With this prefix a browser takes the cookie from this host alone, and only over TLS.
        self.cookie = "__Host-seawall" if tls else "seawall"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path = scope.get("path", "")
        if path == "/" and scope["type"] == "http":
            await RedirectResponse(HOME, 303)(scope, receive, send)
        elif path == "/ui" or path.startswith(HOME):
            await self._enter(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        cached = path.startswith(("/ui/_nicegui/", STATIC))

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                kept = Headers(raw=message["headers"]).get("Content-Security-Policy")
                more = {} if kept is None else {"Content-Security-Policy": kept}
                add_headers(message, more=more, cached=cached and message["status"] == 200)
            await send(message)

        try:
            answer = await self._answer(scope, receive)
        except StoreFailed:
            answer = PlainTextResponse(_UNAVAILABLE, 503)
        if isinstance(answer, Response):
            if scope["type"] == "websocket":
                await _deny(answer, send_with_headers)
            else:
                await answer(scope, receive, send_with_headers)
            return
        scope["state"] = {**scope.get("state", {}), "arrival": answer}
        await self._pages(scope, receive, send_with_headers)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | Arrival:
        """What to answer at once, or who may pass."""
        path, websocket = scope["path"], scope["type"] == "websocket"
        if websocket or path.startswith(SOCKET):
            return self._socket(HTTPConnection(scope))
        request = Request(scope, receive)
        posts = request.method == "POST"
        if posts and not is_own_origin(request, missing_is_own=False):
            return PlainTextResponse("this came from a page from elsewhere, so nothing was done", 403)
        if path.startswith(f"{STATIC}/"):
            return _static(path.removeprefix(f"{STATIC}/"))
        if path == SIGN_IN:
            return await (self._sign_in(request) if posts else self._ask_who(request))
        if path == SET_UP:
            return await (self._set_up(request) if posts else self._ask_who(request))
        secret_hash, sign_in = await self._who(request)
        if path == SIGN_OUT and posts:
            if sign_in is not None:
                await self._services.sign_ins.end(sign_in)
            return self._without_cookie(RedirectResponse(SIGN_IN, 303))
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("this path doesn't know this method", 405)
        if sign_in is None:
            target = path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"{SIGN_IN}?next={quote(target, safe='/')}", 303)
        if path == "/ui":
            return RedirectResponse(HOME, 303)
        return Arrival(self._house, sign_in, secret_hash)

    def _socket(self, connection: HTTPConnection) -> Response | Arrival:
        """A page's own socket may pass, in the browser that the page was made for; its sign-in may be renewed there."""
        if connection.scope["type"] != "websocket":
            return PlainTextResponse("pages use WebSockets only", 403)
        if not is_own_origin(connection, missing_is_own=False):
            return PlainTextResponse("sockets aren't for pages from elsewhere", 403)
        secret = connection.cookies.get(self.cookie, "")
        visit = self._visits.find(connection.query_params.get("client_id", ""))
        if visit is None or visit.secret_hash != hash_secret(secret):
            return PlainTextResponse("this page isn't known here; load it again", 403)
        return Arrival(self._house, visit.sign_in, visit.secret_hash)

    async def _who(self, request: Request) -> tuple[str, SignIn | None]:
        secret = request.cookies.get(self.cookie)
        if secret is None:
            return "", None
        secret_hash = hash_secret(secret)
        return secret_hash, await self._services.sign_ins.find(secret_hash)

    async def _ask_who(self, request: Request) -> Response:
        if await self._services.users.needs_set_up():
            return set_up_page()
        return sign_in_page(_target(request.query_params.get("next", "")))

    async def _sign_in(self, request: Request) -> Response:
        given = await _form(request)
        name, target = given.get("name", "").strip().lower()[:64], _target(given.get("next", ""))
        page = request.headers.get(PAGE_HEADER)
        try:
            secret, sign_in = await self._services.sign_ins.begin(
                name, Secret(given.get("password", "")), _address(request)
            )
        except WrongPassword as error:
            return _refused(page, str(error), 401) or sign_in_page(target, name, str(error), 401)
        except TooManyGuesses as error:
            answer = _refused(page, str(error), 429) or sign_in_page(target, name, str(error), 429)
            answer.headers["Retry-After"] = str(max(1, round(error.wait_seconds)))
            return answer
        if page is None:
            return self._with_cookie(RedirectResponse(target, 303), secret)
        if not self._visits.renew(page, sign_in, hash_secret(secret.reveal())):
            await self._services.sign_ins.end(sign_in)
            return PlainTextResponse("another user opened this page: load it again to be somebody else", 409)
        return self._with_cookie(Response(status_code=204), secret)

    async def _set_up(self, request: Request) -> Response:
        given = await _form(request)
        name = given.get("name", "").strip().lower()
        try:
            _check_same(given)
            user = await self._services.users.set_up(
                Secret(given.get("code", "")), name, Secret(given.get("password", "")), _address(request)
            )
        except (SetUpRefused, UnfitName, UnfitPassword, UserNameTaken) as error:
            if isinstance(error, SetUpRefused):
                self._services.door.refused(
                    Action.SIGN_IN_REFUSED, _address(request), "a set-up code was refused"
                )
            if await self._services.users.needs_set_up():
                return set_up_page(name, str(error), 422)
            return sign_in_page(HOME, problem=str(error), status=409)
        secret, _ = await self._services.sign_ins.admit(user, _address(request))
        return self._with_cookie(RedirectResponse(HOME, 303), secret)

    def _with_cookie(self, answer: Response, secret: Secret) -> Response:
        answer.set_cookie(
            self.cookie,
            secret.reveal(),
            max_age=int(LONGEST.total_seconds()),
            path="/",
            secure=self._tls,
            httponly=True,
            samesite="lax",
        )
        return answer

    def _without_cookie(self, answer: Response) -> Response:
        answer.delete_cookie(self.cookie, path="/", secure=self._tls, httponly=True, samesite="lax")
        return answer


def is_own_origin(connection: HTTPConnection, *, missing_is_own: bool) -> bool:
    """Whether the page that a browser sends this for is one of ours."""
    origin = connection.headers.get("Origin")
    if origin is None:
        return missing_is_own
    return urlsplit(origin).netloc == connection.headers.get("Host")


def _target(given: str) -> str:
    """Where to go on: a path of the dashboard, never anywhere else."""
    fits = given.startswith(HOME) and given.isprintable() and "\\" not in given and "//" not in given
    return given if fits and len(given) <= 2_000 else HOME


def _check_same(given: dict[str, str]) -> None:
    if given.get("password") != given.get("again"):
        raise UnfitPassword("the two passwords differ")


def _refused(page: str | None, text: str, status: int) -> Response | None:
    return None if page is None else PlainTextResponse(text, status)


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form; none of what is too long, too slow or malformed."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _BODY_BYTES:
                    return {}
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=16)
    except (TimeoutError, ClientDisconnect, ValueError):
        return {}
    return {name: values[0] for name, values in fields.items()}


def _static(name: str) -> Response:
    file = _STATIC_FILES / name
    kind = _STATIC_KINDS.get(file.suffix)
    if "/" in name or kind is None or not file.is_file():
        return PlainTextResponse("there is nothing at this path", 404)
    return FileResponse(file, media_type=kind, headers={"Cache-Control": "no-cache"})


async def _deny(answer: Response, send: Send) -> None:
    await send(
        {
            "type": "websocket.http.response.start",
            "status": answer.status_code,
            "headers": answer.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": answer.body})
