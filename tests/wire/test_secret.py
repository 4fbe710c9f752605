import copy
import json
import pickle
from collections.abc import Callable

import msgspec
import pytest

from seawall.wire.secret import Secret

TEXT = "correct-horse-battery-staple"


def test_a_secret_gives_its_text_only_when_revealed() -> None:
    assert Secret(TEXT).reveal() == TEXT


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(TEXT)),
        str(Secret(TEXT)),
        f"{Secret(TEXT)}",
        f"{Secret(TEXT):>40.3}",
        "%s %r" % (Secret(TEXT), Secret(TEXT)),  # noqa: UP031  the old style is the case under test
        repr([Secret(TEXT)]),
        json.dumps({"token": Secret(TEXT)}, default=str),
    ],
)
def test_no_way_of_printing_a_secret_shows_it(shown: str) -> None:
    assert TEXT[:3] not in shown
    assert "[redacted]" in shown


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT + "x")
    assert Secret("ä\udc80") == Secret("ä\udc80")


def test_a_secret_never_equals_a_plain_text() -> None:
    assert Secret(TEXT) != TEXT


def test_a_secret_has_no_hash_that_would_be_a_fingerprint_of_it() -> None:
    with pytest.raises(TypeError):
        hash(Secret(TEXT))


@pytest.mark.parametrize(
    "encode",
    [
        pickle.dumps,
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        copy.deepcopy,
    ],
)
def test_a_secret_is_never_encoded_by_accident(encode: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        encode(Secret(TEXT))
    assert TEXT not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_protocol_takes_a_secret(protocol: int) -> None:
    with pytest.raises(TypeError, match="reveal"):
        pickle.dumps(Secret(TEXT), protocol)


def test_a_secret_has_no_dictionary_of_attributes_to_dump() -> None:
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


def test_a_secret_can_not_be_changed() -> None:
    secret = Secret(TEXT)
    with pytest.raises(AttributeError):
        secret._text = "other"
    assert secret.reveal() == TEXT


def test_only_a_text_can_be_a_secret() -> None:
    with pytest.raises(TypeError) as caught:
        Secret(TEXT.encode())  # type: ignore[arg-type]  # the mistake under test
    assert TEXT not in str(caught.value)
