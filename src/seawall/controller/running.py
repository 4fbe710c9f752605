"""What a controller that is up tells whoever started it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seawall.controller.settings import Address
from seawall.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class Running:
    """A controller that is up, for whoever started it."""

    controller_id: str
    term: int
    data: Path
    api: Address
    agents: Address
    api_url: str
    agents_url: str
    admin_token_file: Path
    ca_file: Path
    ca_fingerprint: str
    set_up_code: Secret | None = None
    """What makes the first user of the dashboard, while there never was one."""
