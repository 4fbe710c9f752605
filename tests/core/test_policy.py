"""The presets keep within what they are for."""

from __future__ import annotations

from seawall.core.policy import DEVELOPMENT, HIGH_LATENCY, PRESETS, PRODUCTION


def test_development_gives_up_soon_and_is_back_soon() -> None:
    assert 2 <= DEVELOPMENT.retry.max_attempts <= 3
    assert 10 <= DEVELOPMENT.breaker.open_seconds <= DEVELOPMENT.breaker.max_open_seconds <= 15


def test_production_tries_longer_and_stays_away_longer() -> None:
    assert 3 <= PRODUCTION.retry.max_attempts <= 5
    assert 30 <= PRODUCTION.breaker.open_seconds <= PRODUCTION.breaker.max_open_seconds <= 60


def test_high_latency_is_patient() -> None:
    assert 2 <= HIGH_LATENCY.retry.initial_delay <= 5
    assert 60 <= HIGH_LATENCY.retry.max_delay <= 120
    assert HIGH_LATENCY.retry.jitter is True


def test_every_preset_has_a_budget() -> None:
    assert all(policy.budget is not None for policy in PRESETS.values())
