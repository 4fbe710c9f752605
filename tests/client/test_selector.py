"""Which hosts are meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.client.models import Agent
from seawall.client.selector import Selector, SelectorProblem, parse_selector, select

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True).filter(lambda name: name != "all")
KEYS = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda key: key != "label")
VALUES = st.from_regex(r"[a-z0-9=]{0,8}", fullmatch=True)


def agent(name: str, state: str = "connected", **labels: str) -> Agent:
    return Agent(agent_id=f"id-{name}", name=name, state=state, labels=labels)


FLEET = [agent("web-2", env="prod"), agent("web-1", env="prod", zone="a"), agent("db", env="test")]


def names(*words: str) -> list[str]:
    return [each.name for each in select(FLEET, parse_selector(words))]


@given(KEYS, VALUES)
def test_a_label_is_the_same_with_and_without_the_word_label(key: str, value: str) -> None:
    expected = Selector(labels=((key, value),))
    assert parse_selector([f"{key}={value}"]) == expected
    assert parse_selector([f"label={key}={value}"]) == expected


@given(st.lists(st.one_of(NAMES, st.builds("{}={}".format, KEYS, VALUES), st.just("all")), max_size=6))
def test_saying_something_twice_changes_nothing(words: list[str]) -> None:
    assert parse_selector(words + words) == parse_selector(words)


@given(st.lists(NAMES, unique=True, min_size=1, max_size=8), st.data())
def test_the_hosts_come_by_name_each_once_and_only_those_asked_for(
    fleet: list[str], data: st.DataObject
) -> None:
    wanted = data.draw(st.lists(st.sampled_from(fleet), min_size=1))
    found = select([agent(name) for name in fleet], parse_selector(wanted))
    assert [each.name for each in found] == sorted(set(wanted))


@given(st.lists(NAMES, unique=True, min_size=1, max_size=8))
def test_all_means_every_host(fleet: list[str]) -> None:
    found = select([agent(name) for name in fleet], parse_selector(["all"]))
    assert [each.name for each in found] == sorted(fleet)


def test_several_words_mean_all_that_any_of_them_means() -> None:
    assert names("db", "zone=a") == ["db", "web-1"]
    assert names("env=prod") == ["web-1", "web-2"]


def test_a_host_is_named_in_any_spelling_or_by_its_id() -> None:
    assert names("WEB-1") == ["web-1"]
    assert names("id-db") == ["db"]


def test_a_label_named_label_can_be_asked_for() -> None:
    assert parse_selector(["label=x"]) == Selector(labels=(("label", "x"),))


@pytest.mark.parametrize("word", ["", "  ", "=prod", "label==x"])
def test_an_empty_selector_is_refused(word: str) -> None:
    with pytest.raises(SelectorProblem, match="names no host"):
        parse_selector([word])


def test_no_words_mean_the_only_host() -> None:
    assert [each.name for each in select([agent("local")], parse_selector([]))] == ["local"]


def test_no_words_among_several_hosts_list_them() -> None:
    with pytest.raises(SelectorProblem, match="db, web-1, web-2, or all"):
        names()


def test_a_name_that_nobody_has_lists_those_that_there_are() -> None:
    with pytest.raises(SelectorProblem, match="no host is named 'web'; there are db, web-1, web-2"):
        names("web")


def test_a_label_that_nobody_has_lists_those_that_there_are() -> None:
    with pytest.raises(SelectorProblem, match="env=dev; there are env=prod, env=test, zone=a"):
        names("env=dev")


def test_one_word_that_means_nothing_spoils_the_selection() -> None:
    with pytest.raises(SelectorProblem):
        names("db", "nobody")


def test_a_revoked_host_is_never_meant() -> None:
    fleet = [agent("old", state="revoked"), agent("new")]
    assert [each.name for each in select(fleet, parse_selector(["all"]))] == ["new"]
    with pytest.raises(SelectorProblem):
        select(fleet, parse_selector(["old"]))


def test_an_empty_fleet_says_how_hosts_join() -> None:
    with pytest.raises(SelectorProblem, match="seawall token join"):
        select([], parse_selector(["all"]))


def test_a_large_fleet_is_not_listed_whole() -> None:
    with pytest.raises(SelectorProblem, match="and 80 more"):
        select([agent(f"h{n:03}") for n in range(100)], parse_selector([]))


def test_the_words_alone_decide_whether_many_are_meant() -> None:
    assert not parse_selector(["db"]).plural
    assert not parse_selector(["db", "DB"]).plural
    assert not parse_selector([]).plural
    assert parse_selector(["all"]).plural
    assert parse_selector(["env=prod"]).plural
    assert parse_selector(["db", "web-1"]).plural
