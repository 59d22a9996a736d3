"""Batches, crops, losses and the other parts that trainings share."""

import math
from dataclasses import replace
from itertools import islice
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bench.api import Case, Spec
from bench.testing import ToyRun, toy_view
from methods.config import TrainingConfig
from methods.training import (
    BackboneMethod,
    add_prefix,
    batches,
    crop,
    dice_loss,
    ema_update,
    labelled_batches,
    log_losses,
    optimise,
    optimizer,
    segmentation_loss,
    set_learning_rate,
    strip_prefix,
    train_supervised,
    unlabelled_batches,
)


@given(st.integers(1, 20), st.integers(1, 16), st.integers(0, 1000))
def test_batches_show_every_case_equally_often(count: int, size: int, seed: int) -> None:
    shown = torch.cat(list(islice(batches(count, size, seed), 40)))
    assert shown.shape == (40 * size,)
    times = torch.bincount(shown, minlength=count)
    assert times.max() - times.min() <= 1


def test_batches_follow_their_seed() -> None:
    first, again, other = (torch.cat(list(islice(batches(9, 4, seed), 9))) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(*size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A mask (*S) of voxel numbers from 1, and an image (2 *S) of these and of their negatives."""
    mask = torch.arange(1, 1 + math.prod(size)).view(size)
    return torch.stack([mask, -mask]).float(), mask


sides = st.integers(1, 9)


@given(st.lists(st.tuples(sides, sides), min_size=2, max_size=3), st.integers(0, 999))
def test_a_crop_is_a_true_part_with_zeros_around(pairs: list[tuple[int, int]], seed: int) -> None:
    """Along each axis: a random stretch of a longer side, all of a shorter one in the middle."""
    shape, size = zip(*pairs, strict=True)
    image, mask = numbered(*shape)
    part, part_mask = crop((image, mask), size, generator(seed))
    assert part.shape == (2, *size)
    assert part_mask.shape == size
    assert torch.equal(part[0], part_mask.float())
    assert torch.equal(part[1], -part_mask.float())
    lengths = [min(pair) for pair in pairs]
    inner = stretch(part_mask, [max(0, wanted - side) // 2 for side, wanted in pairs], lengths)
    assert part_mask.count_nonzero() == inner.numel() == math.prod(lengths)
    first = torch.where(mask == inner.flatten()[0])
    assert torch.equal(inner, stretch(mask, [int(start) for start in first], lengths))


def stretch(mask: torch.Tensor, starts: list[int], lengths: list[int]) -> torch.Tensor:
    """The part of a mask (*S) with these starts and lengths along its axes."""
    pairs = zip(starts, lengths, strict=True)
    return mask[tuple(slice(start, start + length) for start, length in pairs)]


def test_crops_start_everywhere_equally_often() -> None:
    case = numbered(6, 4, 5)
    draws = generator()
    corners = torch.stack([crop(case, (4, 4, 4), draws)[1][0, 0, 0] for _ in range(600)])
    starts, times = corners.unique(return_counts=True)
    assert starts.tolist() == [1 + 20 * row + column for row in range(3) for column in range(2)]
    assert times.min() > 65  # 100 each on average; 65 is four standard deviations below


def test_an_odd_gap_is_longer_behind() -> None:
    image, mask = crop(numbered(2, 3), (5, 3), generator())
    assert mask.tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6], [0, 0, 0], [0, 0, 0]]
    assert image[1].tolist() == (-mask).tolist()


def test_a_crop_of_the_whole_draws_nothing() -> None:
    draws = generator(3)
    image, mask = numbered(4, 4)
    same, same_mask = crop((image, mask), (4, 4), draws)
    assert same is image
    assert same_mask is mask
    assert torch.equal(draws.get_state(), generator(3).get_state())


def volume_run(seed: int = 0) -> ToyRun:
    return ToyRun(Spec("segmentation", 3, 1, 3, (16, 16, 16), None, False), seed=seed)


def volumes() -> list[Case]:
    """Volumes of three shapes, the second shorter than a patch along two axes."""
    cases = []
    for number, shape in enumerate([(20, 18, 16), (12, 24, 15), (16, 16, 16)]):
        random = np.random.default_rng(number)
        mask = random.integers(0, 3, shape)
        cases.append(
            Case(f"v{number}", f"v{number}", (mask[None] + 1 + 3 * number).astype(np.float32), mask)
        )
    return cases


class Unreadable:
    """A mask that nobody may look at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a hidden mask was asked for")


def test_volumes_of_any_shape_give_batches_of_patches() -> None:
    x, y = next(labelled_batches(volumes(), 5, volume_run(), "flips"))
    assert (x.shape, x.dtype) == ((5, 1, 16, 16, 16), torch.float32)
    assert (y.shape, y.dtype) == ((5, 16, 16, 16), torch.int64)
    real = x[:, 0] > 0
    assert torch.equal(
        (x[:, 0].long() - 1)[real] % 3, y[real]
    )  # each voxel still carries its own label
    assert y[~real].sum() == 0
    assert sorted(real.flatten(1).sum(1).tolist())[0] == 12 * 16 * 15


def test_unlabelled_volumes_give_batches_of_patches() -> None:
    u = next(unlabelled_batches(volumes(), 4, volume_run(), "ssl4mis"))
    assert (u.shape, u.dtype) == ((4, 1, 16, 16, 16), torch.float32)


@pytest.mark.parametrize("augment", ["none", "flips", "ssl4mis", "nnunet_elastic"])
def test_batches_of_cases_follow_the_seed_of_the_run(augment: str) -> None:
    def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        labelled = list(islice(labelled_batches(volumes(), 2, volume_run(seed), augment), 4))
        unlabelled = list(islice(unlabelled_batches(volumes(), 2, volume_run(seed), augment), 4))
        images, masks = zip(*labelled, strict=True)
        return torch.cat(images), torch.cat(masks), torch.cat(unlabelled)

    torch.manual_seed(1)
    first = drawn(0)
    torch.manual_seed(2)  # the stream of dropout changes nothing
    assert all(map(torch.equal, first, drawn(0)))
    assert not any(map(torch.equal, first, drawn(1)))
    assert not torch.equal(first[0], first[2])


def test_batches_that_are_drawn_under_autocast_are_augmented_in_float32() -> None:
    """Matrix products of the blur would be in bfloat16, as in a step of DTC."""
    with torch.autocast("cpu", torch.bfloat16):
        within = list(islice(unlabelled_batches(volumes(), 4, volume_run(), "nnunet"), 4))
    outside = islice(unlabelled_batches(volumes(), 4, volume_run(), "nnunet"), 4)
    assert all(map(torch.equal, within, outside))


def test_oblong_images_are_rotated_on_their_native_grids() -> None:
    """Which are those that they were resized from; volumes and images without one have none."""
    view = toy_view()
    oblong = [replace(case, native=(16, 48)) for case in view.fit]
    square = [replace(case, native=(48, 48)) for case in view.fit]
    masks = []
    for cases in (view.fit, square, oblong):
        batches = labelled_batches(cases, 8, ToyRun(view.spec), "ssl4mis")
        masks.append(torch.cat([y for _, y in islice(batches, 4)]))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_order_of_cases_follows_the_seed_and_the_role() -> None:
    """Images are not augmented, so that nothing but their order can differ."""
    view = toy_view(labelled=9, unlabelled=0)

    def labelled(seed: int) -> torch.Tensor:
        return torch.cat(
            [
                x
                for x, _ in islice(
                    labelled_batches(view.fit, 3, ToyRun(view.spec, seed=seed), "none"), 3
                )
            ]
        )

    unlabelled = torch.cat(
        list(islice(unlabelled_batches(view.fit, 3, ToyRun(view.spec), "none"), 3))
    )
    assert torch.equal(labelled(0), labelled(0))
    assert not torch.equal(labelled(0), labelled(1))
    assert not torch.equal(labelled(0), unlabelled)


def test_a_hidden_mask_cannot_be_fitted() -> None:
    hidden = [volumes()[0], replace(volumes()[1], mask=None)]
    with pytest.raises(ValueError, match="case v1 has no mask"):
        labelled_batches(hidden, 2, volume_run(), "none")


def test_masks_of_unlabelled_cases_are_never_read() -> None:
    poisoned = [replace(case, mask=cast(Any, Unreadable())) for case in volumes()]
    bare = [replace(case, mask=None) for case in volumes()]
    first, second = (
        unlabelled_batches(cases, 3, volume_run(), "flips") for cases in (poisoned, bare)
    )
    for _ in range(3):
        assert torch.equal(next(first), next(second))


def test_images_pass_through_untouched() -> None:
    view = toy_view(labelled=5, unlabelled=5)
    known = {case.image.tobytes(): case.mask for case in view.fit}
    shown = set()
    for x, y in islice(labelled_batches(view.fit, 2, ToyRun(view.spec), "none"), 5):
        for image, mask in zip(x.numpy(), y.numpy(), strict=True):
            assert np.array_equal(mask, known[image.tobytes()])
            shown.add(image.tobytes())
    assert shown == set(known)
    hidden = {case.image.tobytes() for case in view.unlabelled}
    drawn = torch.cat(
        list(islice(unlabelled_batches(view.unlabelled, 2, ToyRun(view.spec), "none"), 5))
    )
    assert sorted(image.tobytes() for image in drawn.numpy()) == sorted([*hidden, *hidden])


def test_dice_loss_in_closed_form() -> None:
    masks = torch.tensor([[[0, 1], [1, 1]]])
    perfect = nn.functional.one_hot(masks, 2).movedim(-1, 1).float()
    assert dice_loss(perfect, masks).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(1 - perfect, masks).item() == pytest.approx(1, abs=1e-4)
    half = torch.full_like(perfect, 0.5)
    # Class 0 holds 1 pixel of 4, class 1 holds 3: 2 * 0.5 n / (4 * 0.25 + n).
    expected = 1 - (2 * 0.5 * 1 / (1 + 1) + 2 * 0.5 * 3 / (1 + 3)) / 2
    assert dice_loss(half, masks).item() == pytest.approx(expected, abs=1e-4)


def test_segmentation_loss_is_the_mean_of_both_terms() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    masks = torch.tensor([[[0, 1], [1, 1]]])
    expected = 0.5 * (torch.log(torch.tensor(2.0)) + dice_loss(logits.softmax(1), masks))
    assert segmentation_loss(logits, masks).item() == pytest.approx(expected.item())


def test_learning_rate_is_set_for_all_parameters() -> None:
    optimiser = optimizer(nn.Linear(1, 1).parameters(), TrainingConfig())
    set_learning_rate(optimiser, 0.003)
    assert [group["lr"] for group in optimiser.param_groups] == [0.003]


def test_a_step_moves_the_parameters_of_its_optimiser_alone() -> None:
    """Other networks of the loss get no gradient, and gradients of earlier steps do not add up."""
    trained, fixed = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    start = trained.weight.item()
    optimiser = torch.optim.SGD(trained.parameters(), 1.0)
    for _ in range(2):
        optimise(optimiser, fixed(trained(torch.ones(1, 1))).sum(), 0.5)
    assert trained.weight.item() == pytest.approx(start - 2 * 0.5 * fixed.weight.item())
    assert fixed.weight.grad is None


def test_a_step_leaves_frozen_parameters_alone() -> None:
    network = nn.Linear(2, 1)
    network.bias.requires_grad_(False)
    before = network.bias.clone()
    optimise(optimizer(network.parameters(), TrainingConfig()), network(torch.ones(1, 2)).sum(), 1)
    assert torch.equal(network.bias, before)


def test_the_average_moves_parameters_and_leaves_batch_statistics() -> None:
    teacher, student = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(student.weight, 3.0)
    student(torch.rand(4, 2) + 5)
    ema_update(teacher, student, 0.75)
    assert teacher.weight.tolist() == [1.5, 1.5]
    assert teacher.get_buffer("running_mean").tolist() == [0, 0]
    assert teacher.weight.requires_grad


@pytest.mark.parametrize(("steps", "logged"), [(1, [0]), (11, [0, 10]), (25, [0, 10, 20, 24])])
def test_losses_are_logged_every_ten_steps_and_at_the_last(steps: int, logged: list[int]) -> None:
    run = ToyRun(toy_view().spec, steps)
    for step in range(steps):
        log_losses(run, step, loss=torch.tensor(float(step), requires_grad=True), weight=2.0 * step)
    assert run.logged == {"loss": logged, "weight": [2 * step for step in logged]}


def test_a_backbone_method_predicts_and_saves_its_network() -> None:
    class Fitted(BackboneMethod):
        def fit(self, cases: list[Case], run: ToyRun) -> None:
            self.network = run.backbone()
            train_supervised(self.network, cases, run, self.config)

    view = toy_view()
    run = ToyRun(view.spec)
    method, fresh = (Fitted(TrainingConfig(), view.spec) for _ in range(2))
    method.fit(list(view.fit), run)
    fresh.load(method.state(), run)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(method.segment(images), method.network(images).softmax(1))
    assert torch.equal(fresh.segment(images), method.segment(images))
    assert torch.equal(fresh.classify(images), method.segment(images))


def test_prefixes_keep_the_tensors_of_several_networks_apart() -> None:
    first, second = nn.Linear(1, 1).state_dict(), nn.Linear(1, 1).state_dict()
    both = {**add_prefix("a/", first), **add_prefix("ab/", second)}
    assert strip_prefix("a/", both) == first
    assert strip_prefix("ab/", both) == second
