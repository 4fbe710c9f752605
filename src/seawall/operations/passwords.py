"""What people write before a host, as in `user:password@registry`, and nobody else should read."""

from __future__ import annotations

import re

_BEFORE_HOST = re.compile(r"[^\s/@:]+:[^\s/@]+(?=@(?!sha256:))")


def without_password(text: str) -> str:
    """A text about an address or a reference, as it may be said."""
    return _BEFORE_HOST.sub("***", text)
