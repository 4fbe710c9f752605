"""What is a sign of trouble, and what isn't."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import msgspec
import pytest

from seawall.core.alert import Sign
from seawall.core.alert_rules import RULES, AlertKind, Silence
from seawall.core.alert_watch import FEWEST_OUTCOMES, AlertWatch, HostLook, certificate_sign
from seawall.core.circuit import CircuitState
from seawall.core.command import Command, CommandResult, CommandState, CommandStatus, Domain
from seawall.core.errors import Circumstance, CommandErrorCode
from seawall.core.events import CircuitChanged, CommandFinished, CommandSettled, MassFailureChanged

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
COMMAND = Command("c-1", "container_restart", "a", {})


def finished(
    code: CommandErrorCode | None = None,
    state: CommandState = CommandState.SUCCEEDED,
    circumstance: Circumstance = Circumstance.NONE,
    at: float = 0.0,
    command_id: str = "c-1",
) -> CommandFinished:
    success = code is None
    status = next(iter(CommandStatus))
    result = CommandResult(
        status, success, error_code=code, state=state, circumstance=circumstance, total_attempts=3
    )
    return CommandFinished(at, msgspec.structs.replace(COMMAND, command_id=command_id), result)


def changed(origin: CircuitState, target: CircuitState, by: str = "") -> CircuitChanged:
    return CircuitChanged(0.0, "a", Domain.DOCKER, origin, target, "5 of 6 failed", by)


@pytest.mark.parametrize(
    ("event", "active"),
    [
        (changed(CLOSED, OPEN), True),
        (changed(HALF_OPEN, OPEN), True),
        (changed(OPEN, HALF_OPEN), None),
        (changed(HALF_OPEN, CLOSED), False),
        (changed(CLOSED, OPEN, by="ada"), None),
        (changed(OPEN, CLOSED, by="ada"), False),
    ],
)
def test_a_circuit_is_open_until_it_is_closed_and_who_opens_one_by_hand_knows_it(
    event: CircuitChanged, active: bool | None
) -> None:
    sign = AlertWatch().observe(event)
    assert (sign.active if sign is not None else None) is active
    assert sign is None or sign.key == "circuit/a/docker"


@pytest.mark.parametrize(
    ("code", "circumstance", "state", "kind"),
    [
        (CommandErrorCode.TIMEOUT, Circumstance.HEARD, CommandState.FAILED, AlertKind.COMMAND_FAILED),
        (
            CommandErrorCode.DOCKER_ERROR,
            Circumstance.DOCKER_UNREACHABLE,
            CommandState.FAILED,
            AlertKind.COMMAND_FAILED,
        ),
        (CommandErrorCode.TIMEOUT, Circumstance.SILENT, CommandState.UNKNOWN, AlertKind.UNKNOWN_OUTCOME),
        (CommandErrorCode.DOCKER_ERROR, Circumstance.DOCKER_REFUSED, CommandState.FAILED, None),
        (CommandErrorCode.PERMISSION_DENIED, Circumstance.NONE, CommandState.FAILED, None),
        (CommandErrorCode.CIRCUIT_OPEN, Circumstance.NONE, CommandState.REJECTED, None),
        (CommandErrorCode.CANCELLED, Circumstance.NONE, CommandState.CANCELLED, None),
    ],
)
def test_what_a_host_is_to_blame_for_is_worth_an_alert_and_what_was_asked_wrongly_is_not(
    code: CommandErrorCode, circumstance: Circumstance, state: CommandState, kind: AlertKind | None
) -> None:
    sign = AlertWatch().observe(finished(code, state, circumstance))
    assert (sign.kind if sign is not None else None) is kind
    if sign is not None:
        assert (sign.active, sign.momentary) == (True, kind is AlertKind.COMMAND_FAILED)
        assert "c-1" in sign.text


def test_an_unknown_outcome_is_over_when_the_last_of_its_host_is_settled() -> None:
    watch = AlertWatch()
    for command_id in ("c-1", "c-2"):
        event = finished(CommandErrorCode.OUTCOME_UNKNOWN, CommandState.UNKNOWN, command_id=command_id)
        sign = watch.observe(event)
        assert sign is not None
        assert sign.active
    assert "2 outcomes" in sign.text
    settled = [
        watch.observe(CommandSettled(1.0, command_id, "a", "ping", CommandState.FAILED))
        for command_id in ("c-1", "c-2", "c-3")
    ]
    assert [sign and sign.active for sign in settled] == [None, False, None]


def looked(watch: AlertWatch, look: HostLook, now: float = 0.0) -> dict[AlertKind, bool]:
    return {sign.kind: sign.active for sign in watch.look(look, RULES, now)}


def test_a_look_at_a_host_tells_of_its_link_its_disk_and_its_clock() -> None:
    watch = AlertWatch()
    assert looked(watch, HostLook("a", connected=False)) == {AlertKind.AGENT_OFFLINE: True}
    well = HostLook("a", connected=True, free_share=0.5, clock_offset_seconds=-4.0)
    ill = HostLook("a", connected=True, free_share=0.01, clock_offset_seconds=-6.0)
    assert set(looked(watch, well).values()) == {False}
    assert looked(watch, ill) == {
        AlertKind.AGENT_OFFLINE: False,
        AlertKind.DISK_LOW: True,
        AlertKind.CLOCK_OFFSET: True,
    }


def test_the_error_rate_needs_enough_outcomes_and_forgets_old_ones() -> None:
    watch, host = AlertWatch(), HostLook("a", connected=True)
    for _ in range(FEWEST_OUTCOMES - 1):
        watch.observe(finished(CommandErrorCode.TIMEOUT, CommandState.FAILED, at=1000.0))
    assert looked(watch, host, 1000.0)[AlertKind.ERROR_RATE] is False
    watch.observe(finished(CommandErrorCode.TIMEOUT, CommandState.FAILED, at=1000.0))
    assert looked(watch, host, 1000.0)[AlertKind.ERROR_RATE] is True
    for _ in range(FEWEST_OUTCOMES + 1):
        watch.observe(finished(at=1000.0))
    assert looked(watch, host, 1000.0)[AlertKind.ERROR_RATE] is False
    assert looked(watch, host, 2000.0)[AlertKind.ERROR_RATE] is False
    assert AlertKind.ERROR_RATE not in looked(watch, host, 2000.0), "nothing is kept of a quiet host"


def test_a_threshold_is_exceeded_or_not_reached_and_not_just_met() -> None:
    disk, clock = RULES[AlertKind.DISK_LOW].threshold, RULES[AlertKind.CLOCK_OFFSET].threshold
    just_met = HostLook("a", connected=True, free_share=disk, clock_offset_seconds=-clock)
    assert set(looked(AlertWatch(), just_met).values()) == {False}
    assert not certificate_sign("CA", RULES[AlertKind.CERTIFICATE_EXPIRY].threshold, RULES).active
    watch = AlertWatch()
    for number in range(FEWEST_OUTCOMES):
        failed = finished(CommandErrorCode.TIMEOUT, CommandState.FAILED, at=1000.0)
        watch.observe(failed if number % 2 else finished(at=1000.0))
    assert looked(watch, just_met, 1000.0)[AlertKind.ERROR_RATE] is True, "half is the share that is meant"


def test_nothing_is_remembered_of_a_host_that_is_forgotten() -> None:
    watch = AlertWatch()
    for _ in range(FEWEST_OUTCOMES):
        watch.observe(finished(CommandErrorCode.OUTCOME_UNKNOWN, CommandState.UNKNOWN, at=1000.0))
    watch.forget("a")
    assert AlertKind.ERROR_RATE not in looked(watch, HostLook("a", connected=True), 1000.0)
    assert watch.observe(CommandSettled(1.0, "c-1", "a", "ping", CommandState.FAILED)) is None


@pytest.mark.parametrize(("attempts", "words"), [(1, "after 1 attempt:"), (3, "after 3 attempts:")])
def test_a_failure_says_how_often_it_was_tried(attempts: int, words: str) -> None:
    event = finished(CommandErrorCode.TIMEOUT, CommandState.FAILED)
    event.result.total_attempts = attempts
    sign = AlertWatch().observe(event)
    assert sign is not None
    assert words in sign.text


def test_a_certificate_that_has_ended_is_not_said_to_end() -> None:
    texts = [certificate_sign("CA", days, RULES).text for days in (3.0, 0.0)]
    assert texts == [
        "the CA certificate of the controller ends in 3 days",
        "the CA certificate of the controller has ended",
    ]


def test_a_mass_failure_and_a_certificate_are_the_planes_own() -> None:
    sign = AlertWatch().observe(MassFailureChanged(0.0, True, 40, 50))
    assert sign is not None
    assert (sign.key, sign.agent_id, sign.active) == ("mass_failure/plane", "", True)
    assert [certificate_sign("CA", days, RULES).active for days in (30.0, 13.0, -1.0)] == [False, True, True]


# Silences

NIGHT = Silence("night", begin=time(22), end=time(6))
BERLIN = timezone(timedelta(hours=2))


def covers(silence: Silence, wall: datetime, host: str = "web-1", now: float = 0.0) -> bool:
    return silence.covers(AlertKind.CIRCUIT, host, now, wall)


@pytest.mark.parametrize(
    ("hour", "quiet"), [(21.99, False), (22.0, True), (23.99, True), (0.0, True), (5.99, True), (6.0, False)]
)
def test_a_silence_over_midnight_begins_in_the_evening_and_ends_in_the_morning(
    hour: float, quiet: bool
) -> None:
    wall = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
    assert covers(NIGHT, wall) is quiet


@pytest.mark.parametrize(("hour", "quiet"), [(8, False), (9, True), (16, True), (17, False), (23, False)])
def test_a_silence_within_a_day_begins_and_ends_on_it(hour: int, quiet: bool) -> None:
    office = Silence("office", begin=time(9), end=time(17), days=frozenset({4}))
    friday = datetime(2030, 1, 4, hour, tzinfo=UTC)
    assert covers(office, friday) is quiet
    assert not covers(office, friday + timedelta(days=1))


def test_a_silence_whose_end_is_its_beginning_lasts_all_day() -> None:
    always = Silence("always", begin=time(9), end=time(9))
    assert all(covers(always, datetime(2030, 1, 4, hour, tzinfo=UTC)) for hour in range(24))


def test_the_morning_belongs_to_the_day_on_which_the_silence_began() -> None:
    friday_night = msgspec.structs.replace(NIGHT, days=frozenset({4}))
    friday = datetime(2030, 1, 4, tzinfo=UTC)
    assert friday.weekday() == 4
    assert not covers(friday_night, friday + timedelta(hours=3)), "that is Thursday's night"
    assert covers(friday_night, friday + timedelta(hours=23))
    assert covers(friday_night, friday + timedelta(hours=27))
    assert not covers(friday_night, friday + timedelta(hours=47))


def test_a_silence_goes_by_the_clock_of_its_zone() -> None:
    there = msgspec.structs.replace(NIGHT, zone=BERLIN)
    assert covers(there, datetime(2030, 1, 1, 20, 30, tzinfo=UTC))
    assert not covers(there, datetime(2030, 1, 1, 4, 30, tzinfo=UTC))


def test_a_silence_of_so_many_hours_is_monotonic_and_the_time_of_day_may_jump() -> None:
    silence = Silence("two hours", until=7200.0)
    for wall in (datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)):
        assert covers(silence, wall, now=7199.0)
        assert not covers(silence, wall, now=7200.0)


def test_a_silence_covers_the_kinds_and_hosts_that_it_names() -> None:
    silence = Silence("some", frozenset({AlertKind.CIRCUIT}), ("web-*", "db"), until=1.0)
    wall = datetime(2030, 1, 1, tzinfo=UTC)
    assert [covers(silence, wall, host) for host in ("web-7", "db", "db-2", "")] == [True, True, False, False]
    assert not silence.covers(AlertKind.DISK_LOW, "db", 0.0, wall)


def test_a_sign_of_the_same_has_the_same_key() -> None:
    assert Sign(AlertKind.CIRCUIT, "a/docker", "a", active=True, text="x").key == "circuit/a/docker"
