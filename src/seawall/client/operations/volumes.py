"""Look at volumes, make and remove them.

Made from `operations/volumes.py` by `make generate`: change it there.
"""

from __future__ import annotations

from seawall.client.operations.group import Group


class Volumes(Group):
    """Look at volumes, make and remove them."""
