"""The window's arithmetic: whatever breaks, the receiver has every byte once, and nobody keeps more than a window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.wire.stream import CREDIT_BYTES, Inflow, OffsetError, Outflow

WINDOW = 40

steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 30)),
        st.tuples(st.just("send"), st.integers(1, 25)),
        st.tuples(st.just("arrive"), st.integers(1, 4)),
        st.tuples(st.just("credit"), st.just(0)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("rewind"), st.just(0)),
    ),
    max_size=120,
)


@given(steps)
def test_any_cuts_resumptions_and_credits_leave_the_bytes_as_they_were_sent(
    plan: list[tuple[str, int]],
) -> None:
    source = bytes(range(256)) * 40
    out, inflow = Outflow(WINDOW), Inflow()
    under_way: list[tuple[int, bytes]] = []
    received = bytearray()
    for what, number in plan:
        match what:
            case "add":
                size = min(number, out.room)
                out.add(source[out.end : out.end + size])
            case "send":
                chunk = out.take(number)
                if chunk is not None:
                    under_way.append(chunk)
            case "arrive":
                for chunk in under_way[:number]:
                    received += inflow.take(*chunk)
                del under_way[:number]
            case "credit":
                up_to = inflow.credit(now=True)
                if up_to is not None:
                    out.credit(up_to)
            case "cut":
                # The connection's end loses what is under way; the next one begins where the receiver is.
                under_way.clear()
                out.rewind(inflow.position)
            case "rewind":
                # A receiver that comes back over the same link of the sender: what is under way still comes.
                out.rewind(inflow.position)
        assert out.end - out.start <= WINDOW
        assert out.start <= inflow.position <= out.end
    out.rewind(inflow.position)
    while (chunk := out.take(7)) is not None:
        received += inflow.take(*chunk)
    assert bytes(received) == source[: out.end]


def test_nothing_is_sent_beyond_the_credit_and_the_window() -> None:
    out = Outflow(10)
    out.add(b"0123456789")
    assert out.take(100) == (0, b"0123456789")
    assert out.room == 0
    assert out.take(100) is None
    with pytest.raises(ValueError, match="there is room for 0"):
        out.add(b"x")
    out.credit(4)
    out.add(b"abcd")
    assert out.take(100) == (10, b"abcd")


def test_a_sender_goes_on_only_from_what_it_keeps() -> None:
    out = Outflow(10)
    out.add(b"0123456789")
    out.take()
    out.credit(6)
    out.rewind(7)
    assert out.take() == (7, b"789")
    with pytest.raises(OffsetError, match="it holds 7 to 10"):
        out.rewind(6)
    with pytest.raises(OffsetError, match="it holds 7 to 10"):
        out.rewind(11)


def test_credit_for_what_was_never_there_is_refused_and_old_credit_is_no_news() -> None:
    out = Outflow(10)
    out.add(b"0123")
    with pytest.raises(OffsetError, match="only 4 bytes"):
        out.credit(5)
    assert out.credit(3)
    assert not out.credit(2)


def test_a_receiver_takes_what_is_new_and_leaves_what_follows_a_gap() -> None:
    inflow = Inflow(5)
    assert inflow.take(7, b"xx") == b""
    assert inflow.take(3, b"abcd") == b"cd"
    assert inflow.take(3, b"abcd") == b""
    assert inflow.position == 7


def test_credit_is_given_when_it_is_worth_a_message() -> None:
    inflow = Inflow()
    inflow.take(0, bytes(CREDIT_BYTES - 1))
    assert inflow.credit() is None
    inflow.take(CREDIT_BYTES - 1, b"x")
    assert inflow.credit() == CREDIT_BYTES
    assert inflow.credit(now=True) is None


def test_many_small_pieces_make_few_chunks() -> None:
    out = Outflow(100_000)
    for _ in range(50_000):
        out.add(b"x")
    assert len(out._chunks) < 10
    assert out.take(60_000) == (0, b"x" * 50_000)
