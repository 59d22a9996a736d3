"""Schedules at the published T: golden values of docs/methods/common.md#schedules."""

import pytest

from methods.schedules import (
    LEAST_HALF_LIFE,
    ema_decay,
    late_ema_decay,
    polynomial_decay,
    sigmoid_ramp,
    step_decay,
)


@pytest.mark.parametrize(
    ("t", "value"), [(0, 0.00674), (1500, 0.06005), (3000, 0.2865), (4500, 0.7316), (6000, 1)]
)
def test_ramp_of_ss_net_on_la(t: int, value: float) -> None:
    assert sigmoid_ramp(t / 15_000, end=0.4, stairs=40) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(("t", "value"), [(0, 6.74e-4), (15_000, 0.02865), (30_000, 0.1)])
def test_ramp_of_ss_net_on_acdc(t: int, value: float) -> None:
    assert 0.1 * sigmoid_ramp(t / 30_000, end=1.0, stairs=200) == pytest.approx(value, rel=1e-3)


def test_ramp_is_a_staircase_of_150_iterations() -> None:
    stairs = {t: sigmoid_ramp(t / 30_000, end=1.0, stairs=200) for t in range(0, 3001)}
    assert stairs[150] > stairs[149] == stairs[0]
    assert len(set(stairs.values())) == 21


def test_ramp_that_ends_where_it_starts_is_none() -> None:
    assert [sigmoid_ramp(t / 10, end=0.0, stairs=200) for t in range(10)] == [1.0] * 10


def test_ramp_is_zero_before_its_start() -> None:
    assert sigmoid_ramp(999 / 30_000, 1.0, 200, start=1 / 30) == 0
    assert sigmoid_ramp(1000 / 30_000, 1.0, 200, start=1 / 30) > 0


@pytest.mark.parametrize(("t", "rate"), [(0, 1e-2), (2499, 1e-2), (2500, 1e-3), (5000, 1e-4)])
def test_steps_of_ss_net_on_la(t: int, rate: float) -> None:
    assert 0.01 * step_decay(t / 15_000, every=2_500 / 15_000, factor=0.1) == pytest.approx(rate)


@pytest.mark.parametrize(("progress", "share"), [(0, 1), (0.5, 0.5**0.9), (1, 0)])
def test_polynomial_decay(progress: float, share: float) -> None:
    assert polynomial_decay(progress) == pytest.approx(share)


def test_ema_at_the_published_length_is_the_published_one() -> None:
    half_life = 68.9676 / 30_000  # 0.99^68.9676 = 0.5
    assert [ema_decay(t, 30_000, half_life) for t in (0, 1, 3)] == [0, 0.5, 0.75]
    assert ema_decay(5000, 30_000, half_life) == pytest.approx(0.99, abs=1e-6)


def test_ema_forgets_the_same_share_of_a_shorter_run() -> None:
    assert (
        ema_decay(100, 300, 0.1) ** 30
        == pytest.approx(ema_decay(1000, 3000, 0.1) ** 300)
        == pytest.approx(0.5)
    )


def test_ema_never_keeps_less_than_the_floor() -> None:
    """In a late step 0.99^5 = 0.951, however short the run; from 6,000 steps on the share of T."""
    half_life = 68.9676 / 30_000
    assert pytest.approx(6_000 * half_life) == LEAST_HALF_LIFE
    for steps in (8, 60, 100, 150, 3_000, 6_000):
        assert late_ema_decay(steps, half_life) == pytest.approx(0.99**5, abs=1e-6)
    for steps in (6_001, 12_000, 30_000, 60_000):
        assert late_ema_decay(steps, half_life) == 0.5 ** (1 / (half_life * steps))
        assert late_ema_decay(steps, half_life) == late_ema_decay(steps, half_life, floor=0)


def test_ema_begins_as_without_a_floor() -> None:
    assert [ema_decay(t, 100, 68.9676 / 30_000) for t in (0, 1, 3)] == [0, 0.5, 0.75]
