"""BCP against docs/methods/bcp.md."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import BenchError
from bench.testing import toy_view
from methods.bcp.config import Config
from methods.bcp.mixing import Side, halves, mixed_loss, update_teacher
from methods.training import labelled_batches, segmentation_loss
from methods.views import copy_paste_box, paste
from tests.methods.learners.toy import (
    StillRun,
    check_volumes,
    equal_parameters,
    supervised,
    trained,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_unmixed_with_zero_weight_it_is_supervised_training_bit_for_bit() -> None:
    method, _ = trained("bcp", mix=False, weight=0.0, pretrain=0.0)
    assert equal_parameters(method.network, supervised(rate=lambda progress: 1.0))


def test_its_first_phase_is_supervised_training_on_mixed_labels_bit_for_bit() -> None:
    method, _ = trained("bcp", steps=2, pretrain=0.9)
    run = StillRun(toy_view().spec, 2)
    labelled = labelled_batches(toy_view().fit, 2, run, "flips")
    network = run.backbone().train()
    optimiser = torch.optim.SGD(
        network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, fused=True
    )
    torch.manual_seed(run.seed("dropout"))
    for _ in range(2):
        x, y = next(labelled)
        box = copy_paste_box((32, 32), 2 / 3, run.device)
        logits = network(paste(box, x[1:], x[:1]))
        optimiser.zero_grad()
        mixed_loss(logits, box, Side(y[:1], 1), Side(y[1:], 1)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert equal_parameters(method.network, network)


def test_pseudo_labels_matter_in_the_second_phase() -> None:
    without = trained("bcp", weight=0.0)[0].network
    assert not equal_parameters(trained("bcp")[0].network, without)


def test_each_side_of_a_box_is_compared_with_its_own_targets() -> None:
    box = torch.zeros(1, 8, 8, dtype=torch.bool)
    box[0, 2:6, 2:6] = True
    outer = torch.zeros(2, 8, 8, dtype=torch.long)
    inner = torch.ones(2, 8, 8, dtype=torch.long)
    right = paste(box, inner, outer)
    logits = 40.0 * (nn.functional.one_hot(right, 2).movedim(-1, 1) - 0.5)
    assert mixed_loss(logits, box, Side(outer, 1), Side(inner, 1)) < 1e-4
    swapped = mixed_loss(logits, box, Side(inner, 1), Side(outer, 0.5))
    # cross-entropy 40, and Dice 1 - 0 on each side, but for the class that is absent there
    assert swapped.item() == pytest.approx(1.5 * 0.5 * (40 + 1), rel=0.01)


def test_without_an_inside_it_is_the_common_loss() -> None:
    logits, masks = torch.randn(2, 3, 8, 8), torch.randint(3, (2, 8, 8))
    nowhere = torch.zeros(1, 8, 8, dtype=torch.bool)
    loss = mixed_loss(logits, nowhere, Side(masks, 1), Side(masks, 0))
    assert loss.item() == pytest.approx(segmentation_loss(logits, masks).item(), rel=1e-5)


def test_halves_of_odd_batches_repeat_the_shorter_one() -> None:
    first, second = halves(torch.arange(5), 3)
    assert (first.tolist(), second.tolist()) == ([0, 1, 0], [2, 3, 4])


def test_the_teacher_averages_statistics_where_asked() -> None:
    teacher, student = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    student.running_mean = torch.ones(1)
    nn.init.constant_(student.weight, 2.0)
    update_teacher(teacher, student, 40_000, 68.9676 / 40_000, 0, whole=False)
    assert teacher.running_mean == 0
    assert teacher.weight.item() == pytest.approx(1.01, abs=1e-5)
    update_teacher(teacher, student, 40_000, 68.9676 / 40_000, 0, whole=True)
    assert teacher.running_mean is not None
    assert teacher.running_mean.item() == pytest.approx(0.01, abs=1e-5)


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(BenchError, match="bcp mixes the halves of a batch; give 2 or more"):
        registry.method("bcp").config({"batch_size": 1})
    registry.method("bcp").config({"batch_size": 1, "mix": False})
    with pytest.raises(ValueError, match="1 given; label 2 or more"):
        trained("bcp", toy_view(labelled=1))
    trained("bcp", toy_view(labelled=1), mix=False)


def test_volumes_have_the_recipe_of_la_and_three_classes() -> None:
    config = Config(**registry.method("bcp").config({}, 3))
    assert config.pretrain == pytest.approx(2000 / 17_000)
    check_volumes("bcp", batch_size=4, unlabelled_batch_size=4)


def test_short_runs_let_the_rate_fall() -> None:
    info = registry.method("bcp")
    assert info.config({}, 3, 7999)["learning_rate_schedule"] == "poly"
    assert info.config({}, 3, 17_000)["learning_rate_schedule"] == "steps"
    assert info.config({}, 2, 40_000)["learning_rate_schedule"] == "constant"
    assert info.config({}, 3, 60)["pretrain"] == 0.25
