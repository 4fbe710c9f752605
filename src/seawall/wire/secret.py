"""A type for secrets that can't be printed, logged or serialised by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn

REDACTED = "[redacted]"


class Secret:
    """A secret text. Only `reveal()` gives it out, so every place that does is easy to find.

    `repr`, `str` and every format give `[redacted]`. Pickling, copying and encoding fail with a
    `TypeError`, and so does hashing: a hash of the content would be a fingerprint of the secret.
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]  # unhashable on purpose; object declares a method here

    _text: str

    def __init__(self, text: str) -> None:
        """Wrap `text`. Raises `TypeError` for anything but a `str`, without quoting it."""
        if not isinstance(text, str):
            raise TypeError(f"a Secret wraps a str, not a {type(text).__name__}")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The secret itself. Never pass it to a log, an error text or a URL."""
        return self._text

    def __eq__(self, other: object) -> bool:
        """Compare in a time that doesn't depend on the content; a plain `str` is never equal."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass")
        )

    def __repr__(self) -> str:
        return REDACTED

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, format_spec: str) -> str:
        # The specification is ignored: a width or a precision would tell the length.
        return REDACTED

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret can't be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret can't be changed")

    def __getstate__(self) -> NoReturn:
        # Pickling and copying both come through here.
        raise TypeError("a Secret can't be pickled or copied; call reveal() where the text is really needed")
