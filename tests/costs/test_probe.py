"""`--dry-run --probe` measures a few real steps, and leaves nothing in the folder."""

from __future__ import annotations

import pytest

from bench import stages
from bench.costs.request import DryRunRequest
from bench.dry_run import forecast
from bench.stages import RunOptions
from bench.store import Store
from tests.support.tiny_bench import PLUGINS, toy_suite

SLOW = {"method": "faulty", "variant": "slow", "config": {"fault": "slow"}}  # 0.2 s a step
BROKEN = {"method": "faulty", "variant": "broken", "config": {"fault": "raise"}}
ASKED = DryRunRequest(probe=True)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of a dry run of a method that takes its time, and of one that fails."""
    store = Store(tmp_path_factory.mktemp("probe") / "toy")
    suite = toy_suite(methods=["threshold", SLOW, BROKEN], fractions=[1.0], subsets=1, steps=1000)
    options = RunOptions(plugins=PLUGINS, device="cpu")
    bench = stages.plan_bench(suite, None, store, options, None, ASKED)
    text = forecast(bench, ASKED)
    assert list(store.out.rglob("*")) == [store.out / "cells"]
    return text.splitlines()


def columns_of(row: str, lines: list[str]) -> list[str]:
    """What the table says of one method behind its label."""
    [line] = [line for line in lines if line.startswith(row)]
    return [text.strip() for text in line.removeprefix(row).split("  ") if text]


def test_a_probe_measures_the_steps_of_each_method(said: list[str]) -> None:
    a_step = next(text for text in columns_of("faulty (slow)", said) if text.endswith(" s"))
    assert 0.2 <= float(a_step.removesuffix(" s")) < 2


def test_a_method_whose_probe_fails_has_no_time(said: list[str]) -> None:
    assert "unknown" in columns_of("faulty (broken)", said)
    assert said[-1] == "3 runs to do; time unknown: faulty, a test run did not finish"
