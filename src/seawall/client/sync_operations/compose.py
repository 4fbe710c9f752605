"""Bring up projects of several containers, look at them and take them down.

Made from `operations/compose.py` by `make generate`: change it there.
"""

from __future__ import annotations

from seawall.client.sync_operations.group import Group


class SyncCompose(Group):
    """Bring up projects of several containers, look at them and take them down."""
