"""The pages for those who aren't signed in: plain HTML, that nothing of the dashboard behind them is needed for."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

HOME = "/ui/"
STATIC = "/ui/static"
SIGN_IN, SET_UP, SIGN_OUT = "/ui/sign-in", "/ui/set-up", "/ui/sign-out"


def sign_in_page(target: str, name: str = "", problem: str = "", status: int = 200) -> Response:
    """Asks for name and password, and goes on to `target`."""
    fields = (
        f'<input type="hidden" name="next" value="{escape(target)}">'
        + _field("name", "Name", value=name, completion="username", first=not name)
        + _field("password", "Password", kind="password", completion="current-password", first=bool(name))
    )
    return _page("Sign in", SIGN_IN, fields, "Sign in", problem, status)


def set_up_page(name: str = "", problem: str = "", status: int = 200) -> Response:
    """Asks for the set-up code, and makes the first user."""
    intro = (
        "<p>Nobody is a user yet. The controller printed a set-up code when it started: whoever has it makes the first "
        "user, an admin. It works once.</p>"
    )
    fields = (
        intro
        + _field("code", "Set-up code", completion="off", first=True)
        + _field("name", "Your name", value=name, completion="username")
        + _field("password", "Password, 10 characters or more", kind="password", completion="new-password")
        + _field("again", "Password once more", kind="password", completion="new-password")
    )
    return _page("Set up", SET_UP, fields, "Make the first user", problem, status)


def _field(
    name: str, label: str, *, kind: str = "text", value: str = "", completion: str = "", first: bool = False
) -> str:
    return (
        f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="{kind}" '
        f'value="{escape(value)}" autocomplete="{completion}" autocapitalize="none" spellcheck="false" required'
        f"{' autofocus' if first else ''}>"
    )


def _page(title: str, action: str, fields: str, button: str, problem: str, status: int) -> Response:
    said = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} - Seawall</title><link rel="icon" href="{STATIC}/seawall.svg">'
        f'<link rel="stylesheet" href="{STATIC}/seawall.css"><script src="{STATIC}/theme.js"></script></head>'
        f'<body class="plain"><main class="door"><h1><img src="{STATIC}/seawall.svg" alt="" width="28" height="28">'
        f"Seawall</h1><h2>{escape(title)}</h2>{said}"
        f'<form method="post" action="{action}">{fields}<button type="submit" class="act primary">{escape(button)}'
        "</button></form></main></body></html>"
    )
    return Response(text, status, media_type="text/html")
