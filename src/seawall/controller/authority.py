"""The controller's own certificate authority and its server certificate.

Everything is written so that a crash at any instant leaves something the next start can use:
a key is durable before the certificate that needs it, each file appears whole or not at all, and
what can be made again without a host noticing (the server pair, a CA certificate whose key is
there) is made again. What can't (a CA key) is never replaced silently.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
import stat
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from seawall.files import CHANGING, READING, Exposed, read_small, write_whole
from seawall.wire.join import CONTROLLER_SERVER_NAME

CA_VALIDITY = timedelta(days=3650)
SERVER_VALIDITY = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)

# Hosts whose clock runs a little behind must be able to join at once.
_CLOCK_TOLERANCE = timedelta(hours=1)
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*")
_ALWAYS_COVERED = (CONTROLLER_SERVER_NAME, "localhost", "127.0.0.1", "::1")


class AuthorityError(Exception):
    """The certificate authority can't be used. The message says what, which file, and what to do."""


class CertificateAuthority:
    """The CA and the server certificate of one controller. Make one with `open`.

    The CA's key is read when a certificate must be signed and isn't kept in memory.
    """

    def __init__(self, directory: Path, ca: x509.Certificate, server: x509.Certificate) -> None:
        self._directory = directory
        self._ca = ca
        self._server = server

    @classmethod
    def open(cls, directory: Path, now: datetime, extra_hosts: Iterable[str] = ()) -> CertificateAuthority:
        """Open the authority in `directory`, or make it there at the first start.

        The server certificate is renewed here when fewer than 30 days remain, when it doesn't cover one of
        `extra_hosts` (DNS names or IP addresses), or when its pair of files is incomplete. `now` must be
        aware.

        Raises `AuthorityError` when the files can't be used or written, or a key can be read by others.
        """
        if now.tzinfo is None:
            raise ValueError("now must be an aware datetime")
        names = _alternative_names([*_ALWAYS_COVERED, *extra_hosts])
        try:
            _prepare_directory(directory)
            ca = _open_ca(directory, now)
            server = _usable_server(directory, ca, now, names)
            if server is None:
                server = _issue_server(directory, ca, now, names)
        except OSError as error:
            raise AuthorityError(
                f"the certificate files in {directory} can't be read or written: {error.strerror or error} "
                f"({error.filename or directory}); the controller's user must own this directory"
            ) from error
        return cls(directory, ca, server)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the CA certificate in DER, as 64 lower-case hex digits."""
        return hashlib.sha256(self._ca.public_bytes(serialization.Encoding.DER)).hexdigest()

    @property
    def ca_pem(self) -> str:
        """The CA certificate. It is public."""
        return _to_pem(self._ca).decode("ascii")

    @property
    def not_after(self) -> datetime:
        """When the server certificate expires (aware, UTC)."""
        return self._server.not_valid_after_utc

    @property
    def ca_not_after(self) -> datetime:
        """When the CA itself expires and every host must join again (aware, UTC)."""
        return self._ca.not_valid_after_utc

    @property
    def expiries(self) -> dict[str, datetime]:
        """When which certificate ends."""
        return {"server": self.not_after, "CA": self.ca_not_after}

    def server_context(self) -> ssl.SSLContext:
        """A context for the controller's listeners: TLS 1.2 or later with the server certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._directory / "server.pem", self._directory / "server.key")
        except (OSError, ssl.SSLError) as error:
            raise AuthorityError(
                f"the server certificate in {self._directory} can't be loaded; start the controller again, "
                "which makes a new one"
            ) from error
        return context


# --- the CA


def _open_ca(directory: Path, now: datetime) -> x509.Certificate:
    certificate_path, key_path = directory / "ca.pem", directory / "ca.key"
    key = _read_key(key_path)
    certificate_bytes = read_small(certificate_path)
    if certificate_bytes is None:
        if key is None:
            key = ec.generate_private_key(ec.SECP256R1())
            write_whole(key_path, _key_to_pem(key), 0o600)
        # A key without a certificate is a crash at the first start, or a deleted certificate. A new
        # certificate of the same key and name is one that hosts which joined before still accept.
        certificate = _make_ca(key, now)
        write_whole(certificate_path, _to_pem(certificate), 0o644)
        return certificate
    restore = (
        "restore both files from a backup; or remove both, and then every host has to join again "
        "with a new token"
    )
    try:
        certificate = x509.load_pem_x509_certificate(certificate_bytes)
    except ValueError as error:
        raise AuthorityError(
            f"{certificate_path} isn't a certificate in PEM format. If {key_path} is intact, remove "
            f"{certificate_path.name}: it is made again and no host notices; otherwise {restore}"
        ) from error
    if key is None:
        raise AuthorityError(f"{certificate_path} has lost its key {key_path}: {restore}")
    if certificate.public_key() != key.public_key():
        raise AuthorityError(f"{certificate_path} and {key_path} don't belong together: {restore}")
    if now >= certificate.not_valid_after_utc:
        raise AuthorityError(
            f"the CA certificate {certificate_path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: "
            "check "
            f"this machine's clock; if it is right, remove {certificate_path} and {key_path}, start again, "
            "and "
            "let every host join again with a new token"
        )
    if now < certificate.not_valid_before_utc:
        raise AuthorityError(
            f"the CA certificate {certificate_path} is only valid from "
            f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: this machine's clock is wrong now, or "
            "it was "
            "when the certificate was made; set the clock and start again"
        )
    return certificate


def _make_ca(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Derived from the key, so that a certificate made again from the same key has the same name.
    name = _common_name(f"Seawall authority {key_id.digest.hex()[:16]}")
    # No name constraints: the addresses of a controller change during the CA's ten years, and nobody but
    # this controller's own hosts and users trusts the CA.
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_TOLERANCE)
        .not_valid_after(now + CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(key_id, critical=False)
        .sign(key, hashes.SHA256())
    )


# --- the server certificate


def _usable_server(
    directory: Path, ca: x509.Certificate, now: datetime, names: list[x509.GeneralName]
) -> x509.Certificate | None:
    """The server certificate on disk, or None when a new one has to be issued."""
    certificate_bytes = read_small(directory / "server.pem")
    try:
        key = _read_key(directory / "server.key")
        if certificate_bytes is None or key is None:
            return None
        certificate = x509.load_pem_x509_certificate(certificate_bytes)
        certificate.verify_directly_issued_by(ca)
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (_UnreadableKeyError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        # Whatever is wrong with its content, the server pair can be made again at no cost. A key that others
        # can read, or a disk that fails, is for the operator to see.
        return None
    fresh = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
    paired = certificate.public_key() == key.public_key()
    return certificate if fresh and paired and set(names) <= set(covered) else None


def _issue_server(
    directory: Path, ca: x509.Certificate, now: datetime, names: list[x509.GeneralName]
) -> x509.Certificate:
    ca_key = _read_key(directory / "ca.key")
    if ca_key is None:
        raise AuthorityError(f"{directory / 'ca.key'} vanished while the controller started; start it again")
    key = ec.generate_private_key(ec.SECP256R1())
    ca_key_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_common_name(CONTROLLER_SERVER_NAME))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - _CLOCK_TOLERANCE, ca.not_valid_before_utc))
        .not_valid_after(min(now + SERVER_VALIDITY, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_key_id), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    write_whole(directory / "server.key", _key_to_pem(key), 0o600)
    write_whole(directory / "server.pem", _to_pem(certificate), 0o644)
    return certificate


def _alternative_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    names: dict[x509.GeneralName, None] = {}
    for host in hosts:
        try:
            names[x509.IPAddress(ipaddress.ip_address(host))] = None
            continue
        except ValueError:
            pass
        lowered = host.lower()
        if not _DNS_NAME.fullmatch(lowered):
            raise AuthorityError(
                f"{host!r} can't be in the server certificate: give an IP address or a DNS name, without a "
                "port "
                "and in its ASCII form"
            )
        names[x509.DNSName(lowered)] = None
    return list(names)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


# --- files


class _UnreadableKeyError(AuthorityError):
    """The content of a key file isn't a key of ours."""


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        content = read_small(path, kept_from=READING)
    except Exposed as error:
        raise AuthorityError(
            f"the private key {error}; if others have had access to this machine, treat the key as stolen"
        ) from error
    if content is None:
        return None
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise _UnreadableKeyError(
            f"{path} isn't a private key in PEM format; restore it from a backup"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _UnreadableKeyError(f"{path} isn't an ECDSA key; restore the right one from a backup")
    return key


def _prepare_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & CHANGING:
        raise AuthorityError(
            f"other users can replace the keys in {directory} (mode {mode:04o}): run 'chmod 700 {directory}'"
        )


def _to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
