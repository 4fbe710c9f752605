"""The way into the dashboard: who passes, what browsers are told, and what is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from seawall.controller.sign_ins import SignIns
from seawall.controller.ui.dashboard import Dashboard
from seawall.controller.users import Users
from seawall.engine.audit import Action
from seawall.operations.operation import Role
from seawall.wire.secret import Secret
from tests.controller.api_plane import ApiPlane, api_plane
from tests.controller.people import quick_passwords

pytestmark = pytest.mark.asyncio

BASE = "http://seawall.test"
PASSWORD = "correct horse battery"
OWN = {"Origin": BASE}


@asynccontextmanager
async def door(directory: Path, *, tls: bool = False) -> AsyncIterator[tuple[httpx.AsyncClient, ApiPlane]]:
    async with api_plane(directory) as plane:
        passwords, services = quick_passwords(), plane.services
        services.users = Users(services.store, passwords, plane.clock)
        services.sign_ins = SignIns(services.store, services.users, passwords, plane.clock, services.door)
        dashboard = Dashboard(plane.controller.api, plane.services, tls=tls)
        transport = httpx.ASGITransport(dashboard)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=OWN) as client:
            yield client, plane


async def add_ada(plane: ApiPlane) -> None:
    await plane.services.users.add("ada", Secret(PASSWORD), Role.OPERATOR)


async def test_who_is_not_signed_in_is_asked_and_then_goes_where_it_wanted(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        await add_ada(plane)
        asked = await client.get("/ui/commands?state=FAILED")
        assert (asked.status_code, asked.headers["location"]) == (
            303,
            "/ui/sign-in?next=/ui/commands%3Fstate%3DFAILED",
        )
        page = await client.get(asked.headers["location"])
        target = re.search(r'name="next" value="([^"]+)"', page.text)
        assert target is not None
        form = {"name": "Ada", "password": PASSWORD, "next": target[1]}
        done = await client.post("/ui/sign-in", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/ui/commands?state=FAILED")
        out = await client.post("/ui/sign-out")
        assert out.headers["location"] == "/ui/sign-in"
        assert (await client.get("/ui/commands")).status_code == 303


async def test_a_sign_in_goes_on_to_a_page_of_the_dashboard_or_home(tmp_path: Path) -> None:
    elsewhere = (
        "https://evil.test/",
        "//evil.test",
        "/api/v1/tokens",
        "/ui/\\evil",
        "/ui//evil",
        "/ui/\r\nX: y",
    )
    async with door(tmp_path) as (client, plane):
        await add_ada(plane)
        for target in elsewhere:
            form = {"name": "ada", "password": PASSWORD, "next": target}
            done = await client.post("/ui/sign-in", data=form)
            assert (done.status_code, done.headers["location"]) == (303, "/ui/"), target


async def test_who_signs_in_and_out_and_who_is_refused_is_in_the_audit_log(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        code = await plane.services.users.offer_set_up()
        assert code is not None
        first = {"name": "eve", "password": PASSWORD, "again": PASSWORD}
        await client.post("/ui/set-up", data=first | {"code": "canary"})
        await client.post("/ui/set-up", data=first | {"code": code.reveal()})
        await client.post("/ui/sign-out")
        for name in ("eve", "eve", "canary"):
            await client.post("/ui/sign-in", data={"name": name, "password": "canary horse"})
        await plane.services.door.flush()
        wanted = (Action.SET_UP_CODE_USED, Action.SIGNED_IN, Action.SIGNED_OUT, Action.SIGN_IN_REFUSED)
        entries = list(reversed(await plane.services.store.audit(actions=wanted)))
        (user,) = await plane.services.users.all()
    accepted = [(each.action, each.actor) for each in entries if each.action != Action.SIGN_IN_REFUSED]
    assert accepted == [
        ("set_up_code_used", "user:eve"),
        ("signed_in", "user:eve"),
        ("signed_out", "user:eve"),
    ]
    assert {each.source for each in entries} == {"127.0.0.1"}
    refused = [(each.subject, each.detail) for each in entries if each.action == Action.SIGN_IN_REFUSED]
    assert refused == [
        ("", '{"reason":"a set-up code was refused"}'),
        (user.user_id, '{"reason":"it isn\'t the password of eve"}'),
        ("", '{"reason":"there is no such user"}'),
    ]
    assert "canary" not in str(entries)
    assert code.reveal() not in str(entries)


@pytest.mark.parametrize("tls", [False, True])
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path, tls: bool) -> None:
    async with door(tmp_path, tls=tls) as (client, plane):
        await add_ada(plane)
        done = await client.post("/ui/sign-in", data={"name": "ada", "password": PASSWORD})
        name, _, attributes = done.headers["set-cookie"].partition("=")
        assert name == ("__Host-seawall" if tls else "seawall")
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(attributes.split("; "))
        assert ("Secure" in attributes.split("; ")) is tls


async def test_nothing_is_done_for_a_page_from_elsewhere(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        await add_ada(plane)
        del client.headers["Origin"]
        for path in ("/ui/sign-in", "/ui/set-up", "/ui/sign-out"):
            for origin in ("http://evil.test", "null", "http://seawall.test:81", None):
                headers = {} if origin is None else {"Origin": origin}
                form = {"name": "ada", "password": PASSWORD}
                refused = await client.post(path, data=form, headers=headers)
                assert refused.status_code == 403, (path, origin)
                assert "set-cookie" not in refused.headers


async def test_every_answer_forbids_what_a_page_does_not_need(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, _):
        for path in (
            "/ui/",
            "/ui/sign-in",
            "/ui/static/seawall.css",
            "/ui/static/missing.css",
            "/ui/nothing",
        ):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "unsafe-eval" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"


async def test_the_first_user_is_made_with_the_code_and_what_is_typed_stays_text(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        code = await plane.services.users.offer_set_up()
        assert code is not None
        assert "Set-up code" in (await client.get("/ui/sign-in")).text
        form = {"code": "wrong", "name": '"><script>x</script>', "password": PASSWORD, "again": PASSWORD}
        refused = await client.post("/ui/set-up", data=form)
        assert refused.status_code == 422
        assert "<script>x" not in refused.text
        form |= {"code": code.reveal(), "name": "ada"}
        differing = await client.post("/ui/set-up", data=form | {"again": "another one"})
        assert "differ" in differing.text
        done = await client.post("/ui/set-up", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/ui/")
        assert "Set-up code" not in (await client.get("/ui/sign-in")).text
        late = await client.post("/ui/set-up", data=form | {"name": "eve"})
        assert late.status_code == 409
        assert [user.name for user in await plane.services.users.all()] == ["ada"]


async def test_guessing_is_answered_with_when_to_try_again(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        await add_ada(plane)
        wrong = {"name": "ada", "password": "wrong horse"}
        answers = [await client.post("/ui/sign-in", data=wrong) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_the_api_beside_it_is_as_it_was_and_takes_no_cookie(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        await add_ada(plane)
        await client.post("/ui/sign-in", data={"name": "ada", "password": PASSWORD})
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        refused = await client.get("/api/v1/agents")
        assert (refused.status_code, refused.json()["error_code"]) == (401, "unauthenticated")
        missing = await client.get("/uix")
        assert missing.headers["content-type"] == "application/problem+json"


async def test_a_form_that_is_too_long_or_no_form_is_no_sign_in(tmp_path: Path) -> None:
    async with door(tmp_path) as (client, plane):
        await add_ada(plane)
        long = {"name": "ada", "password": PASSWORD, "next": "/ui/" + "x" * 10_000}
        assert (await client.post("/ui/sign-in", data=long)).status_code == 401
        assert (await client.post("/ui/sign-in", content=b"\xff\x00")).status_code == 401
