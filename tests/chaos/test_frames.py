from __future__ import annotations

import random

import pytest

from tests.chaos.frames import Frame, FrameReader, MessageReader, Opcode

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 70_001)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
def test_a_frame_of_every_length_comes_back_as_it_was(size: int, masked: bool) -> None:
    frame = Frame(Opcode.BINARY, random.Random(size).randbytes(size))
    assert FrameReader().feed(frame.encode(masked=masked)) == [frame]


def test_a_frame_looks_as_in_the_examples_of_the_rfc() -> None:
    hello = Frame(Opcode.TEXT, b"Hello")
    assert hello.encode(masked=False) == bytes.fromhex("81 05 48 65 6c 6c 6f")
    masked = bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    assert FrameReader().feed(masked) == [hello]
    assert Frame(Opcode.BINARY, b"x" * 256).encode(masked=False)[:4] == bytes.fromhex("82 7e 01 00")
    assert Frame(Opcode.BINARY, b"x" * 65_536).encode(masked=False)[:10] == bytes.fromhex(
        "82 7f 00 00 00 00 00 01 00 00"
    )


@pytest.mark.parametrize("seed", range(20))
def test_frames_come_whole_however_the_bytes_are_cut(seed: int) -> None:
    dice = random.Random(seed)
    frames = [Frame(Opcode.BINARY, dice.randbytes(dice.choice(SIZES[:5]))) for _ in range(20)]
    stream = b"".join(frame.encode(masked=dice.random() < 0.5) for frame in frames)
    reader, found = FrameReader(), []
    while stream:
        cut = dice.randint(1, 200)
        found += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert found == frames


def test_fragments_become_one_message_and_a_ping_passes_between_them() -> None:
    ping = Frame(Opcode.PING, b"?")
    sent = [
        Frame(Opcode.BINARY, b"one ", final=False),
        Frame(Opcode.CONTINUATION, b"two ", final=False),
        ping,
        Frame(Opcode.CONTINUATION, b"three"),
        Frame(Opcode.TEXT, b"four"),
    ]
    found = MessageReader().feed(b"".join(frame.encode(masked=True) for frame in sent))
    assert found == [ping, Frame(Opcode.BINARY, b"one two three"), Frame(Opcode.TEXT, b"four")]
