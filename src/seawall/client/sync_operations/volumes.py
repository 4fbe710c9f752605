"""Look at volumes, make and remove them.

Made from `operations/volumes.py` by `make generate`: change it there.
"""

from __future__ import annotations

from seawall.client.sync_operations.group import Group


class SyncVolumes(Group):
    """Look at volumes, make and remove them."""
