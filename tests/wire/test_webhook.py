"""A receiver can tell that a message is ours, whole and fresh."""

from __future__ import annotations

import pytest

from seawall.wire.webhook import REPLAY_WINDOW_SECONDS, SIGNATURE_HEADER, is_genuine, signed_headers

BODY, NOW = b'{"said":"opened"}', 1_900_000_000
HEADERS = signed_headers("secret", "m-1", NOW, BODY)


def test_a_signature_is_what_the_documentation_says() -> None:
    # openssl dgst -sha256 -hmac secret of '1900000000.{"said":"opened"}'
    assert HEADERS[SIGNATURE_HEADER] == "v1=4771238a2641c8a978474218753469abe4ba0b2d2b96015f7f4b1057e5e2118b"


def test_ours_is_genuine_whatever_the_case_of_its_headers() -> None:
    assert is_genuine("secret", HEADERS, BODY, NOW)
    assert is_genuine("secret", {name.upper(): value for name, value in HEADERS.items()}, BODY, NOW)


@pytest.mark.parametrize(
    ("secret", "changes", "body"),
    [
        ("another", {}, BODY),
        ("secret", {}, BODY + b" "),
        ("secret", {"Seawall-Timestamp": str(NOW + 1)}, BODY),
        ("secret", {"Seawall-Timestamp": f" {NOW}"}, BODY),
        ("secret", {"Seawall-Timestamp": "²"}, BODY),
        ("secret", {"Seawall-Timestamp": "9" * 5000}, BODY),
        ("secret", {"Seawall-Signature": ""}, BODY),
        ("secret", {"Seawall-Signature": "v1=ä"}, BODY),
        ("secret", {"Seawall-Signature": HEADERS[SIGNATURE_HEADER].removeprefix("v1=")}, BODY),
    ],
)
def test_what_was_changed_or_signed_by_another_is_not(
    secret: str, changes: dict[str, str], body: bytes
) -> None:
    assert not is_genuine(secret, HEADERS | changes, body, NOW)


def test_an_old_message_is_not_and_neither_is_one_of_the_future() -> None:
    for seconds, genuine in ((0.0, True), (REPLAY_WINDOW_SECONDS, True), (REPLAY_WINDOW_SECONDS + 1, False)):
        assert is_genuine("secret", HEADERS, BODY, NOW + seconds) is genuine
        assert is_genuine("secret", HEADERS, BODY, NOW - seconds) is genuine


def test_without_headers_nothing_is() -> None:
    assert not is_genuine("secret", {}, BODY, NOW)
