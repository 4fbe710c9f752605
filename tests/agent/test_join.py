import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from seawall.agent.identity import AgentIdentity
from seawall.agent.join import JoinError, join, parse_controller_url
from seawall.agent.local_policy import FILE_NAME, Level, LocalPolicy
from seawall.agent.local_policy_file import load_policy
from seawall.controller.authority import CertificateAuthority
from seawall.controller.credentials import new_join_secret
from seawall.wire.join import JoinRequest, JoinResponse, JoinToken

pytestmark = pytest.mark.asyncio


@dataclass
class FakeController:
    """Answers /ca.pem and /join, and keeps every byte that it was sent."""

    ca_pem: str
    status: int = 200
    answer: bytes | None = None
    ca_status: int = 200
    ca_headers: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    requests: list[JoinRequest] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.seen.append(f"{request.method} {request.raw_path} {request.raw_headers!r} {body!r}")
        if (request.method, request.path) == ("GET", "/ca.pem"):
            return web.Response(text=self.ca_pem, status=self.ca_status, headers=self.ca_headers)
        if (request.method, request.path) != ("POST", "/join"):
            return web.Response(status=404)
        joining = msgspec.json.decode(body, type=JoinRequest)
        self.requests.append(joining)
        if self.answer is not None:
            return web.Response(body=self.answer, status=self.status)
        accepted = JoinResponse(
            agent_id="agent-1", name=joining.name, ca_certificate=self.ca_pem, controller_id="controller-1"
        )
        return web.Response(body=msgspec.json.encode(accepted), content_type="application/json")


@asynccontextmanager
async def serving(controller: FakeController, tls: ssl.SSLContext | None) -> AsyncIterator[FakeController]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", controller.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        controller.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield controller
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path_factory.mktemp("authority"), datetime.now(UTC))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority.open(tmp_path_factory.mktemp("stranger"), datetime.now(UTC))


@pytest.fixture
def token(authority: CertificateAuthority) -> JoinToken:
    return JoinToken(secret=new_join_secret(), ca_fingerprint=authority.fingerprint)


async def try_to_join(url: str, token: JoinToken | str, directory: Path, **more: object) -> AgentIdentity:
    text = token if isinstance(token, str) else token.encode()
    options: dict[str, object] = {"name": "web-1", "labels": {"site": "north"}, "version": "1.0"}
    return await join(url, text, directory=directory, **(options | more))  # type: ignore[arg-type]  # free options


async def test_a_host_joins_and_its_identity_is_on_disk(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:
        identity = await try_to_join(controller.url + "/", token, tmp_path, simulated=True)
    loaded = AgentIdentity.load(tmp_path)
    assert (loaded.agent_id, loaded.name, loaded.controller_id) == ("agent-1", "web-1", "controller-1")
    assert (loaded.controller_url, loaded.ca_pem) == (controller.url, authority.ca_pem)
    assert loaded.public_key == identity.public_key
    assert controller.requests == [
        JoinRequest(
            token=token.secret.reveal(),
            public_key=identity.public_key,
            name="web-1",
            labels={"site": "north"},
            simulated=True,
            version="1.0",
        )
    ]


async def test_a_controller_may_only_look_unless_the_join_says_otherwise(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:

        async def join_again(policy: LocalPolicy | None) -> LocalPolicy:
            token = JoinToken(secret=new_join_secret(), ca_fingerprint=authority.fingerprint)
            await try_to_join(controller.url, token, tmp_path, policy=policy, replace_existing=True)
            return load_policy(tmp_path)

        assert (await join_again(None)).level is Level.READ_ONLY
        assert (await join_again(LocalPolicy(Level.OPERATE, exec=True))).exec
        kept = await join_again(None)
    assert (kept.level, kept.exec) == (Level.OPERATE, True)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


async def test_an_address_without_a_scheme_means_https(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:
        identity = await try_to_join(controller.url.removeprefix("https://"), token, tmp_path)
    assert identity.controller_url == controller.url


async def test_nothing_secret_is_sent_before_the_certificate_is_proved(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:
        await try_to_join(controller.url, token, tmp_path)
    assert token.secret.reveal() not in controller.seen[0]
    assert token.secret.reveal() in controller.seen[1]


async def assert_refused_unseen(
    man_in_the_middle: FakeController, tls: ssl.SSLContext, token: JoinToken, directory: Path
) -> None:
    async with serving(man_in_the_middle, tls):
        with pytest.raises(JoinError, match=r"may be in between.*The token was not sent") as caught:
            await try_to_join(man_in_the_middle.url, token, directory)
    assert man_in_the_middle.seen, "the man in the middle was never asked, so this test proves nothing"
    assert token.secret.reveal() not in "".join(man_in_the_middle.seen)
    assert token.secret.reveal() not in str(caught.value)
    assert not (directory / "identity.json").exists()


async def test_a_man_in_the_middle_with_his_own_ca_is_refused_and_never_sees_the_token(
    stranger: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    await assert_refused_unseen(FakeController(stranger.ca_pem), stranger.server_context(), token, tmp_path)


async def test_a_man_in_the_middle_who_shows_the_true_ca_certificate_is_refused_by_his_own(
    authority: CertificateAuthority, stranger: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    await assert_refused_unseen(FakeController(authority.ca_pem), stranger.server_context(), token, tmp_path)


async def test_a_second_certificate_smuggled_in_behind_the_true_one_is_not_trusted(
    authority: CertificateAuthority, stranger: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    smuggled = FakeController(authority.ca_pem + stranger.ca_pem)
    await assert_refused_unseen(smuggled, stranger.server_context(), token, tmp_path)


async def test_a_redirect_is_not_followed(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    redirecting = FakeController("", ca_status=302, ca_headers={"Location": "/elsewhere"})
    async with serving(redirecting, authority.server_context()):
        with pytest.raises(JoinError, match="answered 302"):
            await try_to_join(redirecting.url, token, tmp_path)
    assert len(redirecting.seen) == 1


@pytest.mark.parametrize(
    ("ca_pem", "reason"),
    [
        ("", "isn't a certificate"),
        ("nonsense", "isn't a certificate"),
        ("x" * 65_537, "longer than 65536 bytes"),
    ],
)
async def test_what_is_no_certificate_or_too_long_is_refused(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path, ca_pem: str, reason: str
) -> None:
    async with serving(FakeController(ca_pem), authority.server_context()) as controller:
        with pytest.raises(JoinError, match=reason):
            await try_to_join(controller.url, token, tmp_path)
    assert controller.requests == []


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (403, b'{"detail": "expired 3 minutes ago"}', r"expired 3 minutes ago.*'seawall token join'"),
        (403, b"not json", r"already used.*expired.*'seawall token join'"),
        (409, b'{"title": "web-1 exists"}', r"web-1 exists.*--name"),
        (422, b'{"detail": "bad\\u001b[31m label"}', r"refused this host \(422\).*bad \[31m label"),
        (503, b"", "again in a minute"),
    ],
)
async def test_a_refusal_says_why_and_what_to_do(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path, status: int, answer: bytes, said: str
) -> None:
    refusing = FakeController(authority.ca_pem, status=status, answer=answer)
    async with serving(refusing, authority.server_context()):
        with pytest.raises(JoinError, match=said):
            await try_to_join(refusing.url, token, tmp_path)
    assert not (tmp_path / "identity.json").exists()


async def test_a_controller_that_echoes_the_token_does_not_get_it_printed(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    echo = msgspec.json.encode({"detail": f"bad token {token.secret.reveal()}"})
    async with serving(FakeController(authority.ca_pem, 403, echo), authority.server_context()) as controller:
        with pytest.raises(JoinError) as caught:
            await try_to_join(controller.url, token, tmp_path)
    assert token.secret.reveal() not in str(caught.value)
    assert "[redacted]" in str(caught.value)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"agent_id": ""}', b"\xff"])
async def test_an_answer_that_can_not_be_read_says_that_the_token_is_used_up(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path, answer: bytes
) -> None:
    async with serving(
        FakeController(authority.ca_pem, 200, answer), authority.server_context()
    ) as controller:
        with pytest.raises(JoinError, match="token is used up"):
            await try_to_join(controller.url, token, tmp_path)


async def test_an_answer_with_another_ca_certificate_is_refused(
    authority: CertificateAuthority, stranger: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    answer = msgspec.json.encode(JoinResponse("agent-1", "web-1", stranger.ca_pem, "controller-1"))
    async with serving(
        FakeController(authority.ca_pem, 200, answer), authority.server_context()
    ) as controller:
        with pytest.raises(JoinError, match="another certificate"):
            await try_to_join(controller.url, token, tmp_path)
    assert not (tmp_path / "identity.json").exists()


async def test_a_port_without_tls_is_named_as_such(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), None) as controller:
        with pytest.raises(JoinError, match="doesn't speak TLS"):
            await try_to_join(controller.url, token, tmp_path)
    assert controller.seen == []


async def test_a_controller_that_can_not_be_reached_is_named(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), None) as controller:
        pass
    with pytest.raises(JoinError, match=r"127\.0\.0\.1.*can't be reached.*firewall"):
        await try_to_join(controller.url, token, tmp_path)


async def test_a_controller_that_never_answers_ends_in_a_timeout_with_advice(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:
        with pytest.raises(JoinError, match=r"did not answer within 1e-06 seconds.*not sent"):
            await try_to_join(controller.url, token, tmp_path, timeout_seconds=0.000001)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "not a name"}, "name of a host"),
        ({"labels": {"": "x"}}, "label"),
        ({"timeout_seconds": 0.0}, "more than 0"),
        ({"timeout_seconds": float("nan")}, "more than 0"),
    ],
)
async def test_what_is_wrong_here_is_said_before_anyone_is_asked(
    token: JoinToken, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(JoinError, match=reason):
        await try_to_join("https://127.0.0.1:1", token, tmp_path, **changes)


async def test_a_cut_off_token_is_refused_before_anyone_is_asked(token: JoinToken, tmp_path: Path) -> None:
    with pytest.raises(JoinError, match="cut off"):
        await try_to_join("https://127.0.0.1:1", token.encode()[:-3], tmp_path)


async def test_a_directory_that_can_not_be_written_costs_no_token(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:
        with pytest.raises(JoinError, match=r"can't be written.*token was not used"):
            await try_to_join(controller.url, token, tmp_path / "file/agent")
    assert controller.seen == []


async def test_a_host_that_has_joined_keeps_its_identity_unless_told_otherwise(
    authority: CertificateAuthority, token: JoinToken, tmp_path: Path
) -> None:
    async with serving(FakeController(authority.ca_pem), authority.server_context()) as controller:
        first = await try_to_join(controller.url, token, tmp_path)
        with pytest.raises(JoinError, match="already joined"):
            await try_to_join(controller.url, token, tmp_path)
        assert len(controller.requests) == 1
        assert AgentIdentity.load(tmp_path).public_key == first.public_key
        put_a_ledger(tmp_path)
        second = await try_to_join(controller.url, token, tmp_path, replace_existing=True)
    assert AgentIdentity.load(tmp_path).public_key == second.public_key
    assert ledgers(tmp_path) == ["old-ledger.db", "old-ledger.db-wal"]


def ledgers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.db*"))


def put_a_ledger(directory: Path) -> None:
    for name in ("ledger.db", "ledger.db-wal"):
        (directory / name).touch()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://c.example:7701", "https://c.example:7701"),
        (" https://c.example/ ", "https://c.example"),
        ("c.example:7701", "https://c.example:7701"),
        ("[::1]:7701", "https://[::1]:7701"),
        ("https://c.example/seawall/", "https://c.example/seawall"),
    ],
)
async def test_a_proper_address_is_understood(text: str, url: str) -> None:
    assert parse_controller_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://c.example:7701",
        "ws://c.example:7701",
        "c.example",
        "https://",
        "https://user:secret@c.example:7701",
        "https://c.example:99999",
        "https://c.example:7701?x=1",
        "https://c.example:7701#x",
        "https://c .example:7701",
        "https://[::1",
    ],
)
async def test_an_improper_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(JoinError, match="give it like https://") as caught:
        parse_controller_url(text)
    assert "secret" not in str(caught.value)
