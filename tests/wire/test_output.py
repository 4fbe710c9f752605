"""The detail of a command's output: what has changed is enough to know all of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seawall.wire.output import changed, changes

VALUES = st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=3)
DETAILS = st.dictionaries(
    st.sampled_from("abc"), st.recursive(VALUES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner))
)


@given(st.lists(DETAILS, max_size=6))
def test_a_chain_of_changes_tells_every_detail(details: list[dict[str, object]]) -> None:
    before: dict[str, object] = {}
    for now in details:
        before = changed(before, changes(before, now))
        assert before == now


@given(DETAILS)
def test_what_is_told_twice_is_no_change(detail: dict[str, object]) -> None:
    assert changes(detail, detail) == {}


def test_only_what_has_changed_is_told_and_none_is_as_good_as_nothing() -> None:
    before = {"layers": {"a": {"current": 1, "total": 9}, "b": {"done": True}}, "steps": ["pull"]}
    now = {"layers": {"a": {"current": 2, "total": 9}, "b": {"done": True, "size": None}}, "steps": None}
    assert changes(before, now) == {"layers": {"a": {"current": 2}}, "steps": None}
