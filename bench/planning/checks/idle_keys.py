"""Keys of a suite that would do nothing, though they have the right form."""

from __future__ import annotations

from bench.errors import BenchError
from bench.planning.suite import Suite


def check_idle_keys(suite: Suite) -> None:
    """Raise BenchError for a checkpoint or a number of draws that no run would come to.

    Plans that were written before are read without this check.
    """
    steps = suite.full_steps or suite.steps
    if suite.select is not None:
        for key in ("every", "start"):
            value = getattr(suite.select, key)
            if value > steps:
                raise BenchError(
                    f"'select: {{{key}: {value}}}' given; runs have {steps} steps, so the last "
                    "checkpoint would be the only one; give less, or drop 'select'"
                )
    if isinstance(suite.subsets, dict):
        budgets = [*suite.budgets, *suite.reference_budgets]
        idle = [budget for budget in suite.subsets if budget not in budgets]
        if idle:
            known = ", ".join(f"{budget:g}" for budget in budgets)
            raise BenchError(
                f"'subsets' names {idle[0]:g}, which is no budget of the suite; "
                f"expected some of {known}; drop it"
            )
