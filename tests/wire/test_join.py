import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.wire.join import (
    JOIN_TOKEN_LENGTH,
    JoinRequest,
    JoinResponse,
    JoinToken,
    parse_join_token,
    validate_host_name,
    validate_labels,
)
from seawall.wire.secret import Secret

SECRET = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
FINGERPRINT = "0123456789abcdef" * 4
TOKEN = JoinToken(secret=Secret(SECRET), ca_fingerprint=FINGERPRINT).encode()


def join_request(**changes: object) -> JoinRequest:
    fields: dict[str, object] = {"token": SECRET, "public_key": bytes(32), "name": "web-1"}
    return JoinRequest(**(fields | changes))  # type: ignore[arg-type]  # the tests pass wrong values too


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_every_join_token_survives_being_written_and_read(secret: bytes, fingerprint: bytes) -> None:
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    token = JoinToken(secret=Secret(text), ca_fingerprint=fingerprint.hex())
    assert len(token.encode()) == JOIN_TOKEN_LENGTH
    assert parse_join_token(token.encode()) == token


def test_a_join_token_is_written_as_prefix_secret_and_fingerprint() -> None:
    assert f"swj_{SECRET}.{FINGERPRINT}" == TOKEN


def test_white_space_around_a_pasted_token_and_capitals_in_its_fingerprint_do_no_harm() -> None:
    pasted = f"  swj_{SECRET}.{FINGERPRINT.upper()}\n"
    assert parse_join_token(pasted).encode() == TOKEN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("swt_" + SECRET, "API token"),
        (TOKEN[4:], "beginning was cut off"),
        (TOKEN[:-1], "cut off in copying: it has 111 of 112"),
        (TOKEN[:20], "cut off in copying"),
        (TOKEN + "x", "too long"),
        (TOKEN[:60] + "\n" + TOKEN[60:], "line break inside"),
        (TOKEN[:-1] + "g", "damaged"),
        (TOKEN.replace(".", "-"), "damaged"),
        (TOKEN[:10] + "!" + TOKEN[11:], "damaged"),
        (TOKEN[:10] + "ä" + TOKEN[11:], "damaged"),
        # The last character has two bits to spare: another spelling of the same bytes isn't our token.
        (TOKEN.replace(SECRET, SECRET[:-1] + "9"), "damaged"),
    ],
)
def test_a_wrong_join_token_is_refused_with_the_reason_and_never_quoted(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_join_token(text)
    assert SECRET[5:15] not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_either_a_join_token_or_a_value_error(text: str) -> None:
    try:
        token = parse_join_token(text)
    except ValueError:
        return
    assert parse_join_token(token.encode()) == token


def test_a_join_token_does_not_show_its_secret() -> None:
    assert SECRET not in repr(parse_join_token(TOKEN))


def test_a_join_request_does_not_show_its_token() -> None:
    request = join_request()
    assert SECRET not in repr(request)
    assert SECRET not in repr(request.__rich_repr__())
    assert "web-1" in repr(request)


def test_a_join_request_crosses_the_wire_unchanged() -> None:
    request = join_request(labels={"site": "north"}, simulated=True, version="1.2.3")
    assert msgspec.json.decode(msgspec.json.encode(request), type=JoinRequest) == request


def test_unknown_fields_of_a_newer_agent_are_ignored() -> None:
    body = msgspec.to_builtins(join_request()) | {"colour": "blue"}
    assert msgspec.json.decode(msgspec.json.encode(body), type=JoinRequest) == join_request()


@pytest.mark.parametrize(
    "changes",
    [
        {"token": ""},
        {"token": TOKEN},
        {"public_key": bytes(31)},
        {"public_key": bytes(33)},
        {"name": "../etc"},
        {"labels": {"a=b": "c"}},
        {"version": "1\n2"},
        {"version": "1" * 65},
    ],
)
def test_a_malformed_join_request_is_refused_when_it_is_made_and_when_it_is_decoded(
    changes: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match=r"."):
        join_request(**changes)
    body = msgspec.to_builtins(join_request()) | msgspec.to_builtins(changes)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=JoinRequest)


def test_one_host_has_one_spelling() -> None:
    assert join_request(name="Web-1").name == "web-1"
    response = JoinResponse(agent_id="a1", name="WEB", ca_certificate="", controller_id="c1")
    assert response.name == "web"


@pytest.mark.parametrize("agent_id", ["", "a b", "a\nb", "a" * 129])
def test_a_join_response_with_a_malformed_agent_id_is_refused(agent_id: str) -> None:
    with pytest.raises(ValueError, match="agent_id"):
        JoinResponse(agent_id=agent_id, name="web", ca_certificate="", controller_id="c1")


@pytest.mark.parametrize("name", ["a", "0", "web-1", "web_1.example.org", "a" * 63])
def test_a_proper_host_name_is_accepted(name: str) -> None:
    assert validate_host_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "a=b", "\u212a", "web\u0131", "a" * 64, "all", "ALL"]
)
def test_an_improper_host_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a host"):
        validate_host_name(name)


def test_labels_up_to_their_limits_are_accepted() -> None:
    validate_labels({})
    validate_labels({f"{number:063}": "ä" * 255 for number in range(32)})
    validate_labels({"note": ""})


@pytest.mark.parametrize(
    "labels",
    [
        {str(number): "" for number in range(33)},
        {"": "x"},
        {"k" * 64: "x"},
        {"k=v": "x"},
        {"k\t": "x"},
        {"k": "v" * 256},
        {"k": "\x1b[31m"},
    ],
)
def test_labels_beyond_their_limits_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="label"):
        validate_labels(labels)
