"""FixMatch against docs/methods/fixmatch.md."""

from __future__ import annotations

from typing import Any

import pytest

from tests.methods.learners.toy import equal_parameters, supervised, trained

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("changes", [{"weight": 0.0, "confidence": 0.1}, {"confidence": 1.1}])
def test_without_sure_labels_it_is_supervised_training_bit_for_bit(changes: Any) -> None:
    method, run = trained("fixmatch", **changes)
    assert run.logged["sure"][-1] == (changes["confidence"] < 1)
    assert equal_parameters(method.network, supervised())


def test_sure_labels_are_learnt() -> None:
    method, run = trained("fixmatch", confidence=0.1)
    assert run.logged["consistency"][-1] > 0
    assert not equal_parameters(method.network, supervised())
