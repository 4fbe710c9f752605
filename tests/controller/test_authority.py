import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from seawall.controller.authority import AuthorityError, CertificateAuthority
from seawall.wire.join import CONTROLLER_SERVER_NAME

NOW = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)
FILES = ("ca.key", "ca.pem", "server.key", "server.pem")


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


def certificate(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / name).read_bytes())


def shakes_hands(server: ssl.SSLContext, ca_pem: str, server_name: str) -> bool:
    """Whether a client that trusts only `ca_pem`, strictly, accepts the server: all in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_verify_locations(cadata=ca_pem)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=server_name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
            ends.remove(end)
    return True


def test_the_first_start_makes_both_pairs_of_files(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path / "tls", NOW)
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == sorted(FILES)


def test_keys_and_their_directory_are_for_the_owner_alone(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path / "tls", NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").glob("*.key")}
    assert modes == {"ca.key": 0o600, "server.key": 0o600}
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    first = CertificateAuthority.open(tmp_path, NOW)
    before = contents(tmp_path)
    second = CertificateAuthority.open(tmp_path, NOW + timedelta(days=300))
    assert contents(tmp_path) == before
    assert second.fingerprint == first.fingerprint


def test_the_fingerprint_is_the_sha_256_of_the_ca_certificate_in_der(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path, NOW)
    der = x509.load_pem_x509_certificate(authority.ca_pem.encode()).public_bytes(Encoding.DER)
    assert authority.fingerprint == hashlib.sha256(der).hexdigest()
    assert authority.ca_pem.encode() == (tmp_path / "ca.pem").read_bytes()


def test_the_ca_may_sign_certificates_and_nothing_else(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    ca = certificate(tmp_path, "ca.pem")
    basic = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    key = ca.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_the_server_certificate_may_not_sign_certificates(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    server = certificate(tmp_path, "server.pem")
    assert server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert server.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


def test_the_ca_lives_ten_years_and_the_server_certificate_397_days(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path, NOW)
    assert authority.ca_not_after == NOW + timedelta(days=3650)
    assert authority.not_after == NOW + timedelta(days=397)


@pytest.mark.parametrize(
    "name", [CONTROLLER_SERVER_NAME, "localhost", "127.0.0.1", "::1", "seawall.example.org", "192.0.2.7"]
)
def test_a_strict_client_accepts_the_server_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    # The handshake looks at the real clock of the TLS library, so this certificate must be valid for real.
    authority = CertificateAuthority.open(tmp_path, real_now(), ["Seawall.example.org", "192.0.2.7"])
    assert shakes_hands(authority.server_context(), authority.ca_pem, name)


def test_a_client_refuses_the_server_under_another_name_and_under_another_ca(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "a", real_now())
    other = CertificateAuthority.open(tmp_path / "b", real_now())
    assert not shakes_hands(authority.server_context(), authority.ca_pem, "elsewhere.example.org")
    assert not shakes_hands(authority.server_context(), other.ca_pem, CONTROLLER_SERVER_NAME)


def test_the_server_speaks_tls_1_2_or_later(tmp_path: Path) -> None:
    context = CertificateAuthority.open(tmp_path, NOW).server_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(("days", "renewed"), [(366, False), (368, True), (500, True)])
def test_the_server_certificate_is_renewed_when_fewer_than_30_days_remain(
    tmp_path: Path, days: int, renewed: bool
) -> None:
    first = CertificateAuthority.open(tmp_path, NOW)
    later = NOW + timedelta(days=days)
    second = CertificateAuthority.open(tmp_path, later)
    assert second.fingerprint == first.fingerprint
    assert second.not_after == (later + timedelta(days=397) if renewed else first.not_after)


def test_the_server_certificate_is_renewed_when_a_host_is_not_covered_and_kept_when_it_is(
    tmp_path: Path,
) -> None:
    CertificateAuthority.open(tmp_path, NOW, ["a.example.org"])
    before = contents(tmp_path)
    CertificateAuthority.open(tmp_path, NOW, ["A.example.org"])
    assert contents(tmp_path) == before
    CertificateAuthority.open(tmp_path, NOW, ["b.example.org"])
    after = contents(tmp_path)
    assert after["ca.pem"] == before["ca.pem"]
    assert after["server.pem"] != before["server.pem"]


def test_a_server_certificate_never_outlives_its_ca(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    authority = CertificateAuthority.open(tmp_path, NOW + timedelta(days=3600))
    assert authority.not_after == authority.ca_not_after


@pytest.mark.parametrize("missing", [{"server.key"}, {"server.pem"}, {"server.key", "server.pem"}])
def test_a_half_written_server_pair_is_made_again_under_the_same_ca(
    tmp_path: Path, missing: set[str]
) -> None:
    first = CertificateAuthority.open(tmp_path, NOW)
    for name in missing:
        (tmp_path / name).unlink()
    second = CertificateAuthority.open(tmp_path, NOW)
    assert second.fingerprint == first.fingerprint
    assert certificate(tmp_path, "server.pem").public_key() is not None
    second.server_context()


@pytest.mark.parametrize("name", ["server.key", "server.pem"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_damaged_server_pair_is_made_again(tmp_path: Path, name: str, content: bytes) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    (tmp_path / name).write_bytes(content)
    CertificateAuthority.open(tmp_path, NOW).server_context()


def test_a_new_server_key_beside_the_old_certificate_is_made_good(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path / "a", NOW)
    CertificateAuthority.open(tmp_path / "b", NOW)
    (tmp_path / "a/server.key").write_bytes((tmp_path / "b/server.key").read_bytes())
    CertificateAuthority.open(tmp_path / "a", NOW).server_context()


def test_a_server_pair_of_another_ca_is_replaced(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path / "a", real_now())
    CertificateAuthority.open(tmp_path / "b", real_now())
    for name in ("server.key", "server.pem"):
        (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    authority = CertificateAuthority.open(tmp_path / "a", real_now())
    assert shakes_hands(authority.server_context(), authority.ca_pem, CONTROLLER_SERVER_NAME)


def test_hosts_that_joined_before_still_accept_a_ca_certificate_made_again_from_its_key(
    tmp_path: Path,
) -> None:
    first = CertificateAuthority.open(tmp_path, real_now())
    for name in ("ca.pem", "server.key", "server.pem"):
        (tmp_path / name).unlink()
    second = CertificateAuthority.open(tmp_path, real_now())
    assert second.fingerprint != first.fingerprint
    assert shakes_hands(second.server_context(), first.ca_pem, CONTROLLER_SERVER_NAME)


def test_a_file_left_unfinished_by_a_crash_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ca.key.new").write_bytes(b"half a k")
    CertificateAuthority.open(tmp_path, NOW)
    assert not (tmp_path / "ca.key.new").exists()


def test_a_lost_ca_key_is_never_replaced_silently(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(AuthorityError, match=r"lost its key.*ca\.key.*backup"):
        CertificateAuthority.open(tmp_path, NOW)
    assert not (tmp_path / "ca.key").exists()


def test_a_ca_pair_that_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path / "a", NOW)
    CertificateAuthority.open(tmp_path / "b", NOW)
    (tmp_path / "a/ca.key").write_bytes((tmp_path / "b/ca.key").read_bytes())
    with pytest.raises(AuthorityError, match="belong together"):
        CertificateAuthority.open(tmp_path / "a", NOW)


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_a_damaged_ca_file_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(AuthorityError, match=rf"{name}.*backup"):
        CertificateAuthority.open(tmp_path, NOW)


@pytest.mark.parametrize("name", ["ca.key", "server.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    (tmp_path / name).chmod(mode)
    with pytest.raises(AuthorityError, match=rf"chmod 600 .*{name}"):
        CertificateAuthority.open(tmp_path, NOW)


def test_a_directory_in_which_others_could_replace_the_keys_is_refused(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    tmp_path.chmod(0o770)
    with pytest.raises(AuthorityError, match="chmod 700"):
        CertificateAuthority.open(tmp_path, NOW)


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuthorityError, match="file"):
        CertificateAuthority.open(tmp_path / "file/tls", NOW)


def test_an_expired_ca_says_that_every_host_has_to_join_again(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    with pytest.raises(AuthorityError, match=r"expired.*join again"):
        CertificateAuthority.open(tmp_path, NOW + timedelta(days=3651))


def test_a_clock_before_the_ca_was_made_is_named_as_the_cause(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path, NOW)
    with pytest.raises(AuthorityError, match="clock"):
        CertificateAuthority.open(tmp_path, NOW - timedelta(days=1))


@pytest.mark.parametrize("host", ["", "a b", "host:7701", "[::1]", "bücher.example", "a..b", "a" * 64, "-a"])
def test_a_host_that_no_certificate_can_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(AuthorityError, match="DNS name"):
        CertificateAuthority.open(tmp_path, NOW, [host])


def test_a_naive_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="aware"):
        CertificateAuthority.open(tmp_path, NOW.replace(tzinfo=None))


def real_now() -> datetime:
    return datetime.now(UTC)
