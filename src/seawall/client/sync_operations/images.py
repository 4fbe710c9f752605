"""Look at images, pull, tag and remove them, on one host or on many.

Made from `operations/images.py` by `make generate`: change it there.
"""

from __future__ import annotations

from seawall.client.sync_operations.group import Group


class SyncImages(Group):
    """Look at images, pull, tag and remove them, on one host or on many."""
