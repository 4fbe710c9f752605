import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.agent.identity import AgentIdentity, IdentityError, new_private_key
from seawall.controller.authority import CertificateAuthority
from seawall.controller.credentials import verify_hello

NOW = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def ca_pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return CertificateAuthority.open(tmp_path_factory.mktemp("ca"), NOW).ca_pem


@pytest.fixture
def identity(ca_pem: str) -> AgentIdentity:
    return AgentIdentity(
        agent_id="agent-1",
        name="web-1",
        controller_url="https://127.0.0.1:7701",
        controller_id="controller-1",
        labels={"site": "north"},
        ca_pem=ca_pem,
        private_key=new_private_key(),
    )


def test_a_saved_identity_loads_as_the_same(identity: AgentIdentity, tmp_path: Path) -> None:
    identity.save(tmp_path)
    loaded = AgentIdentity.load(tmp_path)
    assert replace(loaded, private_key=identity.private_key) == identity
    assert loaded.public_key == identity.public_key


def test_a_loaded_identity_signs_what_its_public_key_verifies(
    identity: AgentIdentity, tmp_path: Path
) -> None:
    identity.save(tmp_path)
    assert verify_hello(identity.public_key, AgentIdentity.load(tmp_path).sign(b"hello"), b"hello")


def test_the_files_are_for_the_owner_alone(identity: AgentIdentity, tmp_path: Path) -> None:
    identity.save(tmp_path / "agent")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "agent").iterdir()}
    assert modes["identity.json"] == modes["agent.key"] == 0o600
    assert set(modes) == {"identity.json", "agent.key", "ca.pem"}
    assert stat.S_IMODE((tmp_path / "agent").stat().st_mode) == 0o700


def test_the_private_key_is_in_its_own_file_and_nowhere_else(identity: AgentIdentity, tmp_path: Path) -> None:
    identity.save(tmp_path)
    assert "PRIVATE KEY" in (tmp_path / "agent.key").read_text()
    raw = identity.private_key.private_bytes_raw()
    record = (tmp_path / "identity.json").read_bytes()
    assert raw.hex().encode() not in record
    assert "private_key" not in repr(identity)


def test_an_identity_trusts_only_its_own_ca(identity: AgentIdentity) -> None:
    context = identity.ssl_context()
    assert context.check_hostname
    assert context.cert_store_stats()["x509"] == 1


def test_a_host_that_has_not_joined_is_told_how_to(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=r"has not joined.*run 'seawall agent join'"):
        AgentIdentity.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{\n  "agent_id": "a",\n  oops\n}', r"identity\.json, line 3"),
        (b"", r"identity\.json, line 1"),
        (b'{\n"agent_id": "\xff"}', r"identity\.json, line 2"),
        (b'{"agent_id": 7}', r"identity\.json.*agent_id"),
        (b"[]", r"identity\.json.*object"),
        (b"[" * 60_000, r"identity\.json"),
    ],
)
def test_a_damaged_identity_file_is_named_with_the_line(
    identity: AgentIdentity, tmp_path: Path, content: bytes, place: str
) -> None:
    identity.save(tmp_path)
    (tmp_path / "identity.json").write_bytes(content)
    with pytest.raises(IdentityError, match=place + ".*join again"):
        AgentIdentity.load(tmp_path)


@pytest.mark.parametrize("name", ["agent.key", "ca.pem"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_missing_or_damaged_key_or_certificate_is_named(
    identity: AgentIdentity, tmp_path: Path, name: str, content: bytes | None
) -> None:
    identity.save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(IdentityError, match=rf"{name}.*join again"):
        AgentIdentity.load(tmp_path)


@pytest.mark.parametrize("name", ["agent.key", "ca.pem"])
def test_files_of_two_identities_are_never_mixed(identity: AgentIdentity, tmp_path: Path, name: str) -> None:
    identity.save(tmp_path / "a")
    other_ca = CertificateAuthority.open(tmp_path / "ca", NOW).ca_pem
    replace(identity, private_key=new_private_key(), ca_pem=other_ca).save(tmp_path / "b")
    (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    with pytest.raises(IdentityError, match="belong together"):
        AgentIdentity.load(tmp_path / "a")


def test_a_key_that_others_can_read_is_refused(identity: AgentIdentity, tmp_path: Path) -> None:
    identity.save(tmp_path)
    (tmp_path / "agent.key").chmod(0o640)
    with pytest.raises(IdentityError, match=r"chmod 600 .*agent\.key"):
        AgentIdentity.load(tmp_path)


@pytest.mark.parametrize("name", ["identity.json", "ca.pem"])
def test_a_file_that_others_can_change_is_refused(identity: AgentIdentity, tmp_path: Path, name: str) -> None:
    identity.save(tmp_path)
    (tmp_path / name).chmod(0o666)
    with pytest.raises(IdentityError, match=rf"{name} can be changed by other users"):
        AgentIdentity.load(tmp_path)


def test_a_directory_that_others_can_change_is_refused(identity: AgentIdentity, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(IdentityError, match="chmod 700"):
        identity.save(tmp_path)


def test_a_directory_that_can_not_be_made_is_named(identity: AgentIdentity, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IdentityError, match=r"can't be written to .*file"):
        identity.save(tmp_path / "file/agent")
