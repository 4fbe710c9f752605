import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.wire.signature import hello_signing_bytes

Fields = tuple[bytes, str, str, int]
TERMS = st.integers(min_value=0, max_value=2**64 - 1)
# A small alphabet makes fields that differ only in where they are split likely.
FIELDS = st.tuples(
    st.binary(min_size=1, max_size=4) | st.sampled_from([b"a", b"ab", b"\x00", b"\x00\x00\x00\x01"]),
    st.text(alphabet="ab\x00\x01", max_size=4),
    st.text(alphabet="ab\x00\x01", max_size=4),
    st.sampled_from([0, 1, 256]) | TERMS,
)


def encode(fields: Fields) -> bytes:
    nonce, controller_id, agent_id, term = fields
    return hello_signing_bytes(nonce=nonce, controller_id=controller_id, agent_id=agent_id, term=term)


@given(FIELDS, FIELDS)
def test_different_hellos_never_give_the_same_bytes(one: Fields, other: Fields) -> None:
    assert (encode(one) == encode(other)) == (one == other)


@given(FIELDS, st.integers(min_value=0, max_value=8))
def test_moving_the_border_between_two_ids_changes_the_bytes(fields: Fields, border: int) -> None:
    nonce, controller_id, agent_id, term = fields
    joined = controller_id + agent_id
    moved = (nonce, joined[:border], joined[border:], term)
    assert (encode(moved) == encode(fields)) == (moved == fields)


def test_the_encoding_is_fixed_because_both_ends_must_agree_across_versions() -> None:
    assert encode((b"nn", "c", "ag", 258)) == (
        b"\x00\x00\x00\x1eseawall agent hello, version 1"
        b"\x00\x00\x00\x02nn\x00\x00\x00\x01c\x00\x00\x00\x02ag"
        b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x01\x02"
    )


def test_an_empty_nonce_is_refused_because_the_signature_would_be_over_a_constant() -> None:
    with pytest.raises(ValueError, match="nonce"):
        encode((b"", "c", "a", 1))


@pytest.mark.parametrize("term", [-1, 2**64])
def test_a_term_outside_its_range_is_refused(term: int) -> None:
    with pytest.raises(ValueError, match="term"):
        encode((b"n", "c", "a", term))
