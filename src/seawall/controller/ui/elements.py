"""The few elements that pages are made of. All that they show is text, never markup, whatever it holds.

NiceGUI's own inputs, tables and dialogs compile templates in the browser, which takes `eval`; these are plain HTML and
Quasar's components, and the page's policy forbids `eval`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from seawall.controller.ui.drawing import Drawing, Piece, piece

Act = Callable[[], Awaitable[None]]


class Tag(TextElement):
    """An HTML element with a text. What doesn't change isn't sent again."""

    def __init__(self, tag: str, text: str = "", classes: str = "", **attributes: str) -> None:
        super().__init__(tag=tag, text=text)
        self._shown_classes = classes
        if classes:
            self.classes(classes)
        for name, value in attributes.items():
            self.props[name.replace("_", "-").strip("-")] = value

    def show(self, text: str, classes: str | None = None, **attributes: str) -> None:
        """Change what it shows."""
        if self.text != text:
            self.text = text
        if classes is not None and classes != self._shown_classes:
            self._shown_classes = classes
            self.classes(replace=classes)
        changed = False
        for name, value in attributes.items():
            name = name.replace("_", "-").strip("-")
            if self.props.get(name) != value:
                self.props[name] = value
                changed = True
        if changed:
            self.update()

    def reveal(self, visible: bool) -> None:
        """Show it, or hide it."""
        if self.visible != visible:
            self.set_visibility(visible)


def box(classes: str, tag: str = "div", **attributes: str) -> Tag:
    """An element for others to be in."""
    return Tag(tag, "", classes, **attributes)


def heading(text: str, level: int = 2) -> Tag:
    """A heading."""
    return Tag(f"h{level}", text)


def link(text: str, target: str, classes: str = "") -> Tag:
    """A link to another page; `target` is a whole path, with quoted parts."""
    return Tag("a", text, classes, href=target)


class Button(Tag):
    """A button. It is off while what it does is under way."""

    def __init__(self, text: str, act: Act, classes: str = "act", **attributes: str) -> None:
        super().__init__("button", text, classes, type="button", **attributes)
        self._act = act
        self.on("click", self._pressed, [])

    async def _pressed(self) -> None:
        if self.props.get("disabled"):
            return
        self.enable(False)
        try:
            await self._act()
        finally:
            if not self.is_deleted:
                self.enable(True)

    def enable(self, enabled: bool) -> None:
        """Let it be pressed, or not."""
        if bool(self.props.get("disabled")) is enabled:
            if enabled:
                del self.props["disabled"]
            else:
                self.props["disabled"] = True
            self.update()


class Field(ui.element):
    """A line to type into. `value` is what stands in it; `changed` is called when somebody has typed."""

    def __init__(
        self, label: str, value: str = "", changed: Act | None = None, *, kind: str = "text", name: str = ""
    ) -> None:
        super().__init__("q-input")
        self.value = value
        self._changed = changed
        self.classes("field")
        given: dict[str, object] = {
            "model-value": value,
            "label": label,
            "type": kind,
            "dense": True,
            "outlined": True,
            "debounce": 250,
            "maxlength": 500,
            "aria-label": label,
            # What is typed stays as it is until the server says otherwise.
            "loopback": False,
        }
        if name:
            given["name"] = name
        self.props.update(given)
        self.on("update:model-value", self._typed)

    async def _typed(self, event: GenericEventArguments) -> None:
        text: object = event.args
        self.value = text if isinstance(text, str) else ""
        self.props["model-value"] = self.value
        if self._changed is not None:
            await self._changed()

    def put(self, value: str) -> None:
        """Replace what stands in it."""
        self.value = value
        self.props["model-value"] = value
        self.update()


class Choice(Tag):
    """One of a few, as buttons that stand side by side."""

    def __init__(self, label: str, options: Mapping[str, str], value: str, changed: Act) -> None:
        super().__init__("div", "", "choice", role="radiogroup", aria_label=label)
        self.value = value
        self._changed = changed
        self._options: dict[str, Tag] = {}
        with self:
            for key, text in options.items():
                option = Tag("button", text, type="button", role="radio")
                option.on("click", lambda key=key: self._choose(key), [])
                self._options[key] = option
        self._mark()

    async def _choose(self, key: str) -> None:
        self.value = key
        self._mark()
        await self._changed()

    def put(self, key: str) -> None:
        """Choose for the user."""
        if key != self.value:
            self.value = key
            self._mark()

    def label(self, key: str, text: str) -> None:
        """Change an option's text."""
        self._options[key].show(text)

    def _mark(self) -> None:
        for key, option in self._options.items():
            chosen = key == self.value
            option.show(option.text, "chosen" if chosen else "", aria_checked="true" if chosen else "false")


class Dialog(ui.element):
    """A window over the page; what is made within `with` is in it. Escape closes it unless it is `firm`."""

    def __init__(self, title: str, *, firm: bool = False) -> None:
        super().__init__("q-dialog")
        self.props["model-value"] = False
        self.props["persistent"] = firm
        self.props["aria-label"] = title
        self.on("hide", self._hidden, [])
        with self:
            self.body = box("dialog")
            with self.body:
                self.title = heading(title)

    def _hidden(self) -> None:
        self.props["model-value"] = False

    @property
    def shown(self) -> bool:
        """Whether it is open."""
        return bool(self.props["model-value"])

    def reveal(self, shown: bool) -> None:
        """Open or close it."""
        if self.shown is not shown:
            self.props["model-value"] = shown
            self.update()


class Row(Protocol):
    """What a keyed row must have."""

    @property
    def root(self) -> Tag:
        """The element that holds it."""


Key = TypeVar("Key", bound=Hashable)
AnyRow = TypeVar("AnyRow", bound=Row)


class KeyedRows(Generic[Key, AnyRow]):
    """Rows with buttons. A row belongs to its key for good: what is pressed is what the browser shows beside it."""

    def __init__(self, parent: Tag, make: Callable[[Key], AnyRow]) -> None:
        self._parent = parent
        self._make = make
        self._rows: dict[Key, AnyRow] = {}

    def fill(self, keys: Sequence[Key]) -> list[AnyRow]:
        """Have a row for each of these keys, in this order; they are returned."""
        for gone in self._rows.keys() - set(keys):
            self._rows.pop(gone).root.delete()
        for index, key in enumerate(keys):
            if key not in self._rows:
                with self._parent:
                    self._rows[key] = self._make(key)
            root = self._rows[key].root
            if self._parent.default_slot.children[index] is not root:
                root.move(target_index=index)
        return [self._rows[key] for key in keys]


class Table:
    """A table with headings, of which those with a key sort. `sorted_by` is the key, with `-` before it downwards."""

    def __init__(
        self,
        columns: Sequence[tuple[str, str]],
        *,
        sorted_by: str = "",
        changed: Act | None = None,
        label: str = "",
    ) -> None:
        self.sorted_by = sorted_by
        self._changed = changed
        self._headings: dict[str, Tag] = {}
        with box("scroll"):
            self.root = Tag("table", aria_label=label)
        with self.root:
            with Tag("thead"), Tag("tr"):
                for key, text in columns:
                    if not key:
                        Tag("th", text, scope="col")
                        continue
                    with Tag("th", scope="col"):
                        button = Tag("button", text, "sort", type="button")
                    button.on("click", lambda key=key: self._sort(key), [])
                    self._headings[key] = button
            self._body = Drawing("tbody")
        self.empty = Tag("p", "", "empty")
        self.empty.reveal(False)
        self._mark()

    def fill(self, rows: Sequence[Sequence[Piece]], empty: str = "nothing here") -> None:
        """Show these rows of cells, or that there are none."""
        self._body.show([piece("tr", cells) for cells in rows])
        self.empty.show(empty)
        self.empty.reveal(not rows)
        self.root.reveal(bool(rows))

    async def _sort(self, key: str) -> None:
        self.sorted_by = f"-{key}" if self.sorted_by == key else key
        self._mark()
        if self._changed is not None:
            await self._changed()

    def _mark(self) -> None:
        for key, button in self._headings.items():
            arrow = {key: "up", f"-{key}": "down"}.get(self.sorted_by, "")
            button.show(button.text, f"sort {arrow}".strip())


class Pager:
    """Which page of a long list is shown."""

    def __init__(self, size: int, changed: Act) -> None:
        self.size = size
        self.page = 0
        self._changed = changed
        with box("pager", aria_label="pages"):
            self._back = Button("Back", lambda: self._turn(-1))
            self._where = Tag("span", "", "muted")
            self._next = Button("Next", lambda: self._turn(1))

    def cut(self, total: int) -> slice:
        """The part of a list of so many that is to be shown."""
        self.page = max(0, min(self.page, (total - 1) // self.size))
        begin = self.page * self.size
        self._where.show(f"{begin + 1}-{min(begin + self.size, total)} of {total:,}" if total else "none")
        self._back.enable(self.page > 0)
        self._next.enable(begin + self.size < total)
        return slice(begin, begin + self.size)

    async def _turn(self, by: int) -> None:
        self.page += by
        await self._changed()
