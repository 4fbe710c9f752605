"""Look at networks, make and remove them, put containers into them.

Made from `operations/networks.py` by `make generate`: change it there.
"""

from __future__ import annotations

from seawall.client.sync_operations.group import Group


class SyncNetworks(Group):
    """Look at networks, make and remove them, put containers into them."""
