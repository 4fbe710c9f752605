"""Everything durable that is put under power loss."""

from __future__ import annotations

from tests.chaos.power_ledger import LEDGER
from tests.chaos.power_store import STORE

KINDS = {kind.name: kind for kind in (STORE, LEDGER)}
