"""One alert's life: what is said of a cause, when, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.alert import Alert, Message, Said, Sign, Turn
from seawall.core.alert_rules import RULES, AlertKind, AlertRule
from seawall.core.alert_text import MOST_LINES, body_of, title_of
from seawall.core.alerts import Alerts

OPENED, ESCALATED, RECOVERED = Said.OPENED, Said.ESCALATED, Said.RECOVERED


class Book:
    """Alerts, what was said of them, and the time."""

    def __init__(self, rules: dict[AlertKind, AlertRule] | None = None) -> None:
        ids = count(1)
        self.alerts = Alerts({**RULES, **(rules or {})}, lambda: f"alert-{next(ids)}")
        self.now = 0.0
        self.hushed: set[AlertKind] = set()
        self.said: list[tuple[float, Message]] = []
        self.kept: dict[str, Alert] = {}

    def sign(
        self, kind: AlertKind = AlertKind.CIRCUIT, subject: str = "a", *, active: bool = True, **more: object
    ) -> None:
        sign = Sign(kind, subject, subject, active, f"{kind.value} of {subject}", **more)  # type: ignore[arg-type]
        self.alerts.take(sign, f"host-{subject}", self.now)
        self.turn()

    def turn(self) -> Turn:
        turn = self.alerts.turn(self.now, lambda alert: alert.kind in self.hushed)
        self.kept |= {alert_id: msgspec.structs.replace(alert) for alert_id, alert in turn.changed.items()}
        self.said += [(self.now, message) for message in turn.messages]
        return turn

    def wait(self, seconds: int, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            self.now += step
            self.turn()

    @property
    def words(self) -> list[tuple[Said, AlertKind]]:
        return [(message.said, message.kind) for _, message in self.said]


@pytest.fixture
def book() -> Book:
    return Book()


def test_a_flapping_circuit_is_one_message_and_one_recovery(book: Book) -> None:
    for _ in range(20):
        book.sign(active=True)
        book.wait(30)
        book.sign(active=False)
        book.wait(30)
    book.wait(600)
    assert book.words == [(OPENED, AlertKind.CIRCUIT), (RECOVERED, AlertKind.CIRCUIT)]
    (alert,) = book.said[-1][1].alerts
    assert (alert.flapping, alert.openings) == (True, 20)
    assert "it came 20 times" in body_of(book.said[-1][1])


def test_a_cause_that_does_not_last_opens_nothing(book: Book) -> None:
    book.sign(AlertKind.AGENT_OFFLINE)
    book.wait(100)
    book.sign(AlertKind.AGENT_OFFLINE, active=False)
    book.wait(1000)
    assert (book.words, book.kept, book.alerts.idle) == ([], {}, True)


def test_a_cause_that_is_told_again_lasts_from_its_beginning(book: Book) -> None:
    for _ in range(13):
        book.sign(AlertKind.AGENT_OFFLINE)
        book.wait(10)
    assert book.words == [(OPENED, AlertKind.AGENT_OFFLINE)]


def test_what_opens_within_moments_is_said_together_and_so_is_its_end(book: Book) -> None:
    for number in range(100):
        book.sign(subject=f"{number}")
    book.wait(10)
    for number in range(100):
        book.sign(subject=f"{number}", active=False)
    book.wait(200)
    assert [(said, len(message.alerts)) for _, message in book.said for said in [message.said]] == [
        (OPENED, 100),
        (RECOVERED, 100),
    ]
    assert title_of(book.said[0][1]) == "circuit open on 100 hosts"
    assert body_of(book.said[0][1]).splitlines()[-1] == f"and {100 - MOST_LINES} more"


def test_a_mass_failure_is_one_message_instead_of_a_flood_and_what_stays_after_it_is_said(book: Book) -> None:
    for number in range(50):
        book.sign(subject=f"{number}")
    book.sign(AlertKind.MASS_FAILURE, "plane")
    book.wait(300)
    assert book.words == [(OPENED, AlertKind.MASS_FAILURE)]
    for number in range(49):
        book.sign(subject=f"{number}", active=False)
    book.wait(150)
    book.sign(AlertKind.MASS_FAILURE, "plane", active=False)
    book.wait(100)
    assert book.words == [
        (OPENED, AlertKind.MASS_FAILURE),
        (OPENED, AlertKind.CIRCUIT),
        (RECOVERED, AlertKind.MASS_FAILURE),
    ]
    opened = next(message for _, message in book.said if message.kind is AlertKind.CIRCUIT)
    assert [alert.host for alert in opened.alerts] == ["host-49"]


def test_a_full_disk_is_said_during_a_mass_failure_too(book: Book) -> None:
    book.sign(AlertKind.MASS_FAILURE, "plane")
    book.sign(AlertKind.DISK_LOW)
    book.wait(100)
    assert (OPENED, AlertKind.DISK_LOW) in book.words


def test_in_a_silence_nothing_opens_out_loud_and_what_is_still_there_after_it_is_said(book: Book) -> None:
    book.hushed = {AlertKind.CIRCUIT}
    book.sign(subject="gone")
    book.sign(subject="stays")
    book.wait(60)
    book.sign(subject="gone", active=False)
    book.wait(300)
    assert book.words == []
    assert {alert.key: alert.resolved_at is not None for alert in book.kept.values()} == {
        "circuit/gone": True,
        "circuit/stays": False,
    }
    book.hushed = set()
    book.wait(1)
    assert [alert.key for alert in book.said[0][1].alerts] == ["circuit/stays"]


def test_a_recovery_comes_through_a_silence_since_it_ends_what_was_said(book: Book) -> None:
    book.sign()
    book.wait(10)
    book.hushed = {AlertKind.CIRCUIT}
    book.sign(active=False)
    book.wait(200)
    assert [said for said, _ in book.words] == [OPENED, RECOVERED]


def test_what_opens_again_within_the_cool_down_is_said_when_that_is_over(book: Book) -> None:
    book.sign()
    book.wait(10)
    book.sign(active=False)
    book.wait(200)
    book.sign()
    book.wait(600)
    assert [said for said, _ in book.words] == [OPENED, RECOVERED]
    book.wait(200)
    assert [said for said, _ in book.words] == [OPENED, RECOVERED, OPENED]
    assert book.said[2][0] - book.said[0][0] >= RULES[AlertKind.CIRCUIT].cool_down_seconds


def test_what_nobody_acknowledges_is_escalated_once(book: Book) -> None:
    book.alerts.rules = {**RULES, AlertKind.CIRCUIT: AlertRule(escalate_after_seconds=60)}
    book.sign(subject="seen")
    book.sign(subject="unseen")
    book.wait(10)
    seen = book.alerts.open["circuit/seen"]
    assert book.alerts.acknowledge(seen.alert_id, "ada", "I look") is seen
    book.wait(1000)
    assert [said for said, _ in book.words] == [OPENED, ESCALATED]
    assert [alert.key for alert in book.said[1][1].alerts] == ["circuit/unseen"]
    assert book.alerts.acknowledge("nobody's", "ada", "") is None


def test_what_is_told_once_and_not_watched_is_over_after_a_quiet_while(book: Book) -> None:
    for _ in range(3):
        book.sign(AlertKind.COMMAND_FAILED, momentary=True)
        book.wait(300)
    assert [said for said, _ in book.words] == [OPENED]
    book.wait(400)
    assert [said for said, _ in book.words] == [OPENED, RECOVERED]


def test_a_rule_that_is_off_opens_nothing_and_ends_what_it_had_opened(book: Book) -> None:
    book.sign()
    book.wait(10)
    book.alerts.rules = {**RULES, AlertKind.CIRCUIT: AlertRule(enabled=False)}
    book.wait(200)
    book.sign(subject="another")
    book.wait(200)
    assert [said for said, _ in book.words] == [OPENED, RECOVERED]
    assert len(book.kept) == 1


def test_what_comes_back_before_its_recovery_was_said_goes_on(book: Book) -> None:
    book.sign()
    book.wait(10)
    book.sign(active=False)
    book.wait(122)  # it is over, and waits for others that are
    assert book.alerts.open == {}
    book.sign()
    (alert,) = book.kept.values()
    assert (alert.resolved_at, alert.active) == (None, True)
    book.wait(2000)
    assert [said for said, _ in book.words] == [OPENED]
    book.sign(active=False)
    book.wait(200)
    assert [(said, len(message.alerts)) for _, message in book.said for said in [message.said]] == [
        (OPENED, 1),
        (RECOVERED, 1),
    ]


def test_an_alert_of_an_earlier_run_that_was_not_said_is_said_now(book: Book) -> None:
    left = Alert("left", "circuit/a", AlertKind.CIRCUIT, "a", "host-a", "text", -1, active=True, since=-1)
    told = msgspec.structs.replace(left, alert_id="told", key="circuit/b", told_at=-20.0)
    for alert in (left, told):
        book.alerts.resume(alert, book.now)
    book.wait(400)
    assert book.words == [(OPENED, AlertKind.CIRCUIT), (RECOVERED, AlertKind.CIRCUIT)]
    assert [alert.alert_id for alert in book.said[0][1].alerts] == ["left"]
    assert {alert.alert_id for alert in book.said[1][1].alerts} == {"left", "told"}


def test_however_short_a_cause_was_it_had_the_time_to_be_said(book: Book) -> None:
    book.sign(AlertKind.UNKNOWN_OUTCOME)
    book.wait(1)
    book.sign(AlertKind.UNKNOWN_OUTCOME, active=False)
    book.wait(20)
    assert [said for said, _ in book.words] == [OPENED, RECOVERED]


def test_what_is_told_is_kept_as_told_also_if_it_ends_at_that_moment(book: Book) -> None:
    book.sign(AlertKind.UNKNOWN_OUTCOME)
    book.sign(AlertKind.UNKNOWN_OUTCOME, active=False)
    book.wait(6)
    (alert,) = book.kept.values()
    assert [said for said, _ in book.words] == [OPENED]
    assert (alert.told_at, alert.resolved_at) == (5, None)


def test_each_thing_happens_at_its_second_and_not_later(book: Book) -> None:
    rule = AlertRule(for_seconds=3, calm_seconds=20, escalate_after_seconds=30)
    book.alerts.rules = {**RULES, AlertKind.CIRCUIT: rule}
    book.sign()
    book.wait(60)
    gone_at = book.now
    book.sign(active=False)
    book.wait(60)
    assert [at for at, _ in book.said] == [3 + 5, 3 + 5 + 30, gone_at + 20 + 5]
    (alert,) = book.kept.values()
    assert (alert.opened_at, alert.resolved_at, alert.active) == (3, gone_at + 20, False)


def test_only_what_is_open_or_about_to_be_waits_for_its_end(book: Book) -> None:
    assert book.alerts.idle
    book.sign(AlertKind.AGENT_OFFLINE, "pending")
    book.sign(AlertKind.CIRCUIT, "open")
    keys = ("agent_offline/pending", "circuit/open", "circuit/another")
    assert [book.alerts.knows(key) for key in keys] == [True, True, False]
    assert not book.alerts.idle


def test_an_alert_says_what_was_found_last(book: Book) -> None:
    book.sign()
    book.alerts.take(Sign(AlertKind.CIRCUIT, "a", "a", active=True, text="worse now"), "host-a", book.now)
    book.wait(10)
    assert body_of(book.said[0][1]) == "host-a: worse now"


def test_after_a_restart_what_is_looked_for_is_as_it_was_and_the_rest_has_to_come_again(book: Book) -> None:
    for kind in (AlertKind.AGENT_OFFLINE, AlertKind.CIRCUIT):
        key = f"{kind.value}/a"
        alert = Alert(
            kind.value, key, kind, "a", "host-a", "text", -9.0, active=True, since=-9.0, told_at=-1.0
        )
        book.alerts.resume(alert, book.now)
    book.sign(AlertKind.AGENT_OFFLINE)
    book.wait(300)
    assert book.words == [(RECOVERED, AlertKind.CIRCUIT)]
    assert book.alerts.open["agent_offline/a"].openings == 1


def test_an_end_is_kept_with_what_is_said_of_it_so_that_no_crash_comes_between(book: Book) -> None:
    book.sign()
    book.wait(10)
    book.sign(active=False)
    while book.alerts.open:
        book.wait(1)
    (alert_id,) = book.kept
    assert book.kept[alert_id].resolved_at is None
    while len(book.said) == 1:
        assert book.kept[alert_id].resolved_at is None
        book.wait(1)
    assert book.kept[alert_id].resolved_at is not None


def test_what_hosts_say_cannot_steer_whoever_shows_it() -> None:
    text = "\x1b[2Jgone\nand a second line\u202e" + "x" * 1000
    alert = Alert("id", "circuit/a", AlertKind.CIRCUIT, "a", "we\x07b", text, 0, active=True, since=0)
    shown = body_of(Message(OPENED, AlertKind.CIRCUIT, (alert,)))
    assert shown.isprintable()
    assert len(shown) <= 300


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([AlertKind.CIRCUIT, AlertKind.MASS_FAILURE, AlertKind.AGENT_OFFLINE]),
        st.sampled_from(["on", "off", "moment", "hush", "speak", "resume"]),
        st.sampled_from([0, 2, 10, 40, 160]),
    ),
    max_size=40,
)


def told_of(book: Book, key: str) -> Iterator[tuple[float, Said]]:
    for at, message in book.said:
        if any(alert.key == key for alert in message.alerts):
            yield at, message.said


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_no_key_opens_twice_in_its_cool_down_and_whatever_was_said_to_open_recovers_once(
    steps: list[tuple[str, AlertKind, str, int]],
) -> None:
    rule = AlertRule(for_seconds=3, calm_seconds=20, cool_down_seconds=150, escalate_after_seconds=90)
    book = Book({**RULES, **dict.fromkeys(AlertKind, rule)})
    for subject, kind, what, seconds in steps:
        match what:
            case "hush":
                book.hushed.add(kind)
            case "speak":
                book.hushed.discard(kind)
            case "resume":  # the controller dies, and another one takes up what was kept
                rules, book.alerts = book.alerts.rules, Alerts(RULES, book.alerts._new_id)
                book.alerts.rules = rules
                for alert in list(book.kept.values()):
                    book.alerts.resume(msgspec.structs.replace(alert), book.now)
            case _:
                book.sign(kind, subject, active=what != "off", momentary=what == "moment")
        book.wait(seconds, step=max(1, seconds // 5))
    for subject in ("a", "b", "c"):
        for kind in AlertKind:
            book.sign(kind, subject, active=False)
    book.wait(400, step=10)
    for key in {alert.key for alert in book.kept.values()}:
        told = [(at, said) for at, said in told_of(book, key) if said is not ESCALATED]
        assert [said for _, said in told] == [OPENED, RECOVERED] * (len(told) // 2)
        opened = [at for at, said in told if said is OPENED]
        assert all(later - earlier >= 150 for earlier, later in pairwise(opened))
    assert book.alerts.idle
