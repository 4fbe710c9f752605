"""Which pages are open, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass, field

from seawall.controller.api.services import Services
from seawall.controller.sign_ins import SignIn
from seawall.controller.ui.overview import FleetOverview
from seawall.engine.audit_chain import Verdict


@dataclass(slots=True)
class Chain:
    """What was found of the audit log's chain, when somebody had it verified last."""

    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class House:
    """What all pages share."""

    services: Services
    overview: FleetOverview
    visits: Visits
    chain: Chain = field(default_factory=Chain)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who is let in: `secret_hash` is that of the browser's cookie."""

    house: House
    sign_in: SignIn
    secret_hash: str


class Visit:
    """One open page. It belongs to one user for good; the sign-in may expire, and another take its place."""

    def __init__(self, arrival: Arrival) -> None:
        self.house = arrival.house
        self.sign_in = arrival.sign_in
        self.secret_hash = arrival.secret_hash

    async def lives(self, *, used: bool) -> bool:
        """Whether its user is still signed in; takes over what became of the user. `used`: by something it does."""
        found = await self.house.services.sign_ins.find(self.secret_hash, used=used)
        if found is None:
            return False
        self.sign_in = found
        return True


class Visits:
    """All open pages, by NiceGUI's id of the page."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}

    def begin(self, page: str, arrival: Arrival) -> Visit:
        """A page is opened."""
        visit = self._visits[page] = Visit(arrival)
        return visit

    def end(self, page: str) -> None:
        """A page was closed."""
        self._visits.pop(page, None)

    def find(self, page: str) -> Visit | None:
        """The visit of an open page."""
        return self._visits.get(page)

    def renew(self, page: str, sign_in: SignIn, secret_hash: str) -> bool:
        """Let a page, and all others of its browser, go on with another sign-in. False: another user's."""
        visit = self._visits.get(page)
        if visit is None or visit.sign_in.user_id != sign_in.user_id:
            return False
        before = visit.secret_hash
        for each in self._visits.values():
            if each.secret_hash == before:
                each.sign_in, each.secret_hash = sign_in, secret_hash
        return True
