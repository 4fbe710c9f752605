"""Drawings: what is only looked at, as one element that is sent again when it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from nicegui import Client, ui

from seawall.controller.ui.drawing import Drawing, cell, piece

pytestmark = pytest.mark.asyncio


@contextmanager
def drawn() -> Iterator[Drawing]:
    """A drawing on a page of its own, which the browser has."""
    with Client(ui.page("/drawn")) as client:
        drawing = Drawing("tbody")
        client.outbox.updates.clear()
        yield drawing
    client.delete()


async def test_what_is_drawn_again_as_it_was_is_not_sent_again() -> None:
    with drawn() as drawing:
        outbox = drawing.client.outbox
        drawing.show([piece("tr", [cell("web-1", "strong", "/ui/hosts/web-1")])])
        assert list(outbox.updates) == [drawing.id]
        outbox.updates.clear()
        drawing.show([piece("tr", [cell("web-1", "strong", "/ui/hosts/web-1")])])
        assert not outbox.updates
        drawing.show([piece("tr", [cell("web-2", "strong", "/ui/hosts/web-2")])])
        assert list(outbox.updates) == [drawing.id]


async def test_a_row_that_is_gone_is_drawn_no_more() -> None:
    rows = [piece("tr", [cell(name)]) for name in ("web-1", "web-2")]
    with drawn() as drawing:
        drawing.show(rows)
        drawing.show(rows[1:])
        assert drawing.props["pieces"] == (("tr", {}, [("td", {}, (("a", {}, "web-2"),))]),)


async def test_an_attribute_that_says_nothing_is_left_out() -> None:
    assert piece("a", "●", "cell good", href="/ui/", title="", aria_label="web-1: healthy") == (
        "a",
        {"href": "/ui/", "aria-label": "web-1: healthy", "class": "cell good"},
        "●",
    )
