"""Which addresses a message may go to, and which it may not, however they are written."""

from __future__ import annotations

import pytest

from seawall.core.reach import Reach

OF_THE_WORLD = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"]
NOT_OF_THE_WORLD = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104 - what is tested
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", OF_THE_WORLD)
def test_the_open_internet_can_be_reached(address: str) -> None:
    assert Reach().permits(address)


@pytest.mark.parametrize("address", NOT_OF_THE_WORLD)
def test_nothing_else_can_be_reached_and_no_way_of_writing_changes_that(address: str) -> None:
    assert not Reach().permits(address)


def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    refusal = Reach().refusal("hooks.example.com", ["1.1.1.1", "127.0.0.1"])
    assert refusal is not None
    assert "stands for 127.0.0.1" in refusal
    assert Reach().refusal("hooks.example.com", ["1.1.1.1", "::ffff:1.0.0.1"]) is None
    assert Reach().refusal("hooks.example.com", []) == "hooks.example.com has no address"


def test_what_the_operator_allows_by_network_can_be_reached_and_its_neighbours_cannot() -> None:
    reach = Reach(["10.1.0.0/16", "fd00::/8", "192.0.2.7"])
    assert [reach.permits(a) for a in ("10.1.255.1", "::ffff:10.1.0.1", "fd12::1", "192.0.2.7")] == [True] * 4
    assert [reach.permits(a) for a in ("10.2.0.1", "192.0.2.8", "127.0.0.1")] == [False] * 3


def test_what_the_operator_allows_by_name_can_be_reached_whatever_it_stands_for_and_no_other_name() -> None:
    reach = Reach(["Hooks.LAN."])
    assert reach.refusal("hooks.lan", ["10.0.0.1"]) is None
    assert reach.refusal("hooks.lan.example.com", ["10.0.0.1"]) is not None
    assert reach.refusal("other.lan", ["10.0.0.1"]) is not None


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/40", "1.2.3", "::1::"])
def test_what_is_neither_a_host_nor_a_network_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|has host bits"):
        Reach([text])
