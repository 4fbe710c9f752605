import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from seawall.controller.credentials import hash_secret, new_api_token, new_join_secret, verify_hello
from seawall.operations.operation import Role
from seawall.wire.join import JoinToken, parse_join_token
from seawall.wire.signature import hello_signing_bytes

MESSAGE = hello_signing_bytes(nonce=b"n" * 32, controller_id="c1", agent_id="a1", term=1)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes_raw()


def test_an_api_token_has_its_prefix_and_256_bits() -> None:
    text = new_api_token().reveal()
    assert text.startswith("swt_")
    assert len(text) == len("swt_") + 43


def test_no_two_new_tokens_are_equal() -> None:
    assert len({new_api_token().reveal() for _ in range(100)}) == 100
    assert len({new_join_secret().reveal() for _ in range(100)}) == 100


def test_a_new_join_secret_makes_a_join_token() -> None:
    token = JoinToken(secret=new_join_secret(), ca_fingerprint="ab" * 32)
    assert parse_join_token(token.encode()) == token


def test_only_the_sha_256_of_a_token_is_stored() -> None:
    assert hash_secret("swt_x") == hashlib.sha256(b"swt_x").hexdigest()


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {Role.VIEWER}),
        (Role.OPERATOR, {Role.VIEWER, Role.OPERATOR}),
        (Role.ADMIN, {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ],
)
def test_each_role_allows_itself_and_what_is_below(role: Role, allowed: set[Role]) -> None:
    assert {required for required in Role if role.allows(required)} == allowed


def test_a_hello_signed_by_the_right_key_is_accepted() -> None:
    assert verify_hello(PUBLIC_KEY, KEY.sign(MESSAGE), MESSAGE)


def test_a_hello_signed_by_another_key_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert not verify_hello(PUBLIC_KEY, other.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize(
    "changed",
    [
        hello_signing_bytes(nonce=b"m" * 32, controller_id="c1", agent_id="a1", term=1),
        hello_signing_bytes(nonce=b"n" * 32, controller_id="c2", agent_id="a1", term=1),
        hello_signing_bytes(nonce=b"n" * 32, controller_id="c1", agent_id="a2", term=1),
        hello_signing_bytes(nonce=b"n" * 32, controller_id="c1", agent_id="a1", term=2),
    ],
)
def test_a_replayed_hello_is_refused_when_anything_it_covers_differs(changed: bytes) -> None:
    assert not verify_hello(PUBLIC_KEY, KEY.sign(MESSAGE), changed)


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_a_malformed_public_key_is_refused_without_an_exception(public_key: bytes) -> None:
    assert not verify_hello(public_key, KEY.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_malformed_signature_is_refused_without_an_exception(signature: bytes) -> None:
    assert not verify_hello(PUBLIC_KEY, signature, MESSAGE)
