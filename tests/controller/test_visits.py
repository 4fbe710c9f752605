"""Open pages: each belongs to a user, and a new sign-in of that user takes them all along."""

from __future__ import annotations

from seawall.controller.auth import Principal
from seawall.controller.sign_ins import SignIn
from seawall.controller.ui.visits import Arrival, Visits
from seawall.operations.operation import Role


def arrival(user_id: str, secret_hash: str) -> Arrival:
    signed = SignIn(f"sign-in of {secret_hash}", user_id, Principal(user_id, Role.VIEWER, secret_hash))
    return Arrival(None, signed, secret_hash)  # type: ignore[arg-type]  # the house isn't asked


def test_a_new_sign_in_takes_all_pages_of_the_same_browser_along_and_no_other() -> None:
    visits = Visits()
    for page, secret in (("one", "old"), ("two", "old"), ("elsewhere", "other")):
        visits.begin(page, arrival("ada", secret))
    new = arrival("ada", "new")
    assert visits.renew("one", new.sign_in, new.secret_hash)
    found = {page: visits.find(page) for page in ("one", "two", "elsewhere")}
    assert {page: visit and visit.secret_hash for page, visit in found.items()} == {
        "one": "new",
        "two": "new",
        "elsewhere": "other",
    }


def test_nobody_goes_on_with_a_page_of_another_user_or_with_one_that_is_closed() -> None:
    visits = Visits()
    visits.begin("one", arrival("ada", "old"))
    eve = arrival("eve", "new")
    assert not visits.renew("one", eve.sign_in, eve.secret_hash)
    visit = visits.find("one")
    assert visit is not None
    assert visit.secret_hash == "old"
    visits.end("one")
    assert not visits.renew("one", arrival("ada", "new").sign_in, "new")
    assert visits.find("one") is None
