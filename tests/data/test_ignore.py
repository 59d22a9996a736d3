"""Pixels without a class: read, stored, and left out of losses and scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import cross_entropy

from bench import registry
from bench.api import IGNORE_INDEX, IGNORED, Dataset
from bench.data import decode, geometry
from bench.data.cache import train_view
from bench.data.decoded_case import Grid
from bench.data.geometry import shrink_mask
from bench.data.raw_case import checked
from bench.errors import DataProblem
from bench.metrics.calibration import METRICS as CALIBRATION
from bench.metrics.overlap import METRICS as OVERLAP
from bench.scoring.score_cell import score_case
from datasets.folder import DATASETS
from methods.losses import dice_loss, known_cross_entropy, segmentation_loss
from methods.masked_losses import foreground_loss, masked_cross_entropy, masked_dice_loss
from methods.sgrs_net.losses import half_dice_loss
from tests.support.entries import LESION
from tests.worker.test_kept_probabilities import ENTRY

MASK = np.array([[0, 1, 1, 255], [0, 0, 1, 255]], np.uint8)


def folder(root: Path, facts: str, mask: np.ndarray = MASK) -> Dataset:
    for part, pixels in (("images", 40 * np.minimum(mask, 2)), ("masks", mask)):
        (root / "own" / part).mkdir(parents=True, exist_ok=True)
        for name in "ab":
            Image.fromarray(pixels.astype(np.uint8)).save(root / "own" / part / f"{name}.png")
    (root / "own" / "dataset.toml").write_text(facts)
    return DATASETS["folder"]("folder:own", root)


def test_a_folder_may_name_it_and_methods_see_it(tmp_path: Path) -> None:
    dataset = folder(tmp_path, "ignore = 255")
    records = dataset.records()
    raw = dataset.read(records[0])
    assert raw.mask is not None
    assert np.array_equal(raw.mask, MASK)
    sides = {"train": records[:1], "test": records[1:]}
    prepared = decode.prepare(dataset, sides, Grid((2, 4)), tmp_path / "cache", "", False)
    assert prepared.index.train[0].classes == (1,)
    assert prepared.index.train[0].area == 3 / 8
    [case] = train_view(prepared.folder, prepared.index, ["a"]).fit
    assert case.mask is not None
    assert np.unique(case.mask).tolist() == [IGNORE_INDEX, 0, 1]


def test_colours_may_have_one(tmp_path: Path) -> None:
    colours = 'classes = ["background", "a"]\ncolours = [[0, 0, 0], [255, 0, 0]]\n'
    dataset = folder(tmp_path, f"{colours}ignore = [255, 255, 255]")
    red = np.zeros((*MASK.shape, 3), np.uint8)
    red[MASK == 1, 0] = 255
    red[MASK == 255] = 255
    for name in "ab":
        Image.fromarray(red).save(tmp_path / "own" / "masks" / f"{name}.png")
    raw = dataset.read(dataset.records()[0])
    assert np.array_equal(raw.mask, MASK)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ("ignore = 1", "ignore = 1, which is also the class 'foreground'"),
        ("values = [0, 128]\nignore = 128", "which is also the class 'foreground'"),
        ("ignore = [1, 2, 3]", "expected a value, as classes have"),
        ("ignore = -1", "expected a value from 0 to 65535"),
    ],
)
def test_one_that_is_also_a_class_is_refused(tmp_path: Path, facts: str, line: str) -> None:
    with pytest.raises(DataProblem, match=line):
        folder(tmp_path, facts)


def test_a_case_without_any_class_is_refused(tmp_path: Path) -> None:
    """It teaches nothing, and a test case cannot be scored."""
    dataset = folder(tmp_path, "ignore = 255", np.full_like(MASK, IGNORED))
    raw = dataset.read(dataset.records()[0])
    with pytest.raises(DataProblem, match="case a: no pixel of the mask has a class"):
        checked(raw, "a", dataset.card)


def test_resampling_looks_at_the_classes_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at all numbers up to that of ignored voxels, of which each takes a pass."""
    passes = []
    resample = geometry._resample

    def counted(channel: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        passes.append(shape)
        return resample(channel, shape)

    monkeypatch.setattr(geometry, "_resample", counted)
    mask = np.zeros((2, 2, 4), np.uint8)
    mask[..., :2] = IGNORED
    assert np.unique(geometry.resample_mask(mask, (1, 1, 2))).tolist() == [0, IGNORED]
    assert len(passes) == 2


def test_shrinking_keeps_it() -> None:
    mask = np.zeros((2, 2, 4), np.uint8)
    mask[..., :2] = IGNORED
    assert shrink_mask(mask, (2, 2, 2)).ravel().tolist() == [IGNORED, 0]


def test_scores_leave_it_out() -> None:
    """Whatever is predicted there, all numbers are those of the pixels that count."""
    metrics = (*OVERLAP, *CALIBRATION)
    right = np.where(MASK == IGNORED, 0, MASK).astype(np.uint8)
    wrong = np.where(MASK == IGNORED, 1, MASK).astype(np.uint8)
    rows = [score_case(ENTRY, g, MASK, LESION, 1.0, metrics, ignore=True) for g in (right, wrong)]
    assert rows[0] == rows[1]
    assert rows[0][0]["dice"] == 1
    assert rows[0][0]["brier"] == 0


def test_losses_are_those_of_the_other_pixels() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5)
    masks = torch.randint(3, (2, 4, 5))
    known = masks.clone()
    known[..., 3:] = IGNORE_INDEX
    cut, cut_masks = logits[..., :3], masks[..., :3]
    p, cut_p = logits.softmax(1), cut.softmax(1)
    whole = torch.ones_like(masks, dtype=torch.bool)
    close = torch.testing.assert_close
    close(segmentation_loss(logits, known), segmentation_loss(cut, cut_masks))
    close(dice_loss(p, known), dice_loss(cut_p, cut_masks))
    close(half_dice_loss(p, known), half_dice_loss(cut_p, cut_masks))
    close(masked_dice_loss(p, known, first_class=1), masked_dice_loss(cut_p, cut_masks, None, 1))
    close(masked_cross_entropy(logits, known, whole), cross_entropy(cut, cut_masks))


def test_losses_without_it_are_bit_for_bit_as_before() -> None:
    """Values and gradients: zeros and ones change no bit of a product."""
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    masks = torch.randint(3, (2, 4, 5))
    truth = torch.nn.functional.one_hot(masks, 3).movedim(-1, 1).float()
    p = logits.softmax(1)
    overlap = (p * truth).sum((0, 2, 3))
    total = (p**2).sum((0, 2, 3)) + truth.sum((0, 2, 3))
    plain = (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()
    [expected] = torch.autograd.grad(plain, logits)
    loss = dice_loss(logits.softmax(1), masks)
    [gradient] = torch.autograd.grad(loss, logits)
    assert torch.equal(loss, plain)
    assert torch.equal(gradient, expected)


def test_a_batch_without_any_class_teaches_nothing() -> None:
    """As a patch of a sparsely annotated volume: no NaN, which would fail the run."""
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    masks = torch.full((2, 4, 5), IGNORE_INDEX)
    for loss in (segmentation_loss, foreground_loss):
        value = loss(logits, masks)
        [gradient] = torch.autograd.grad(value, logits)
        assert (value.item(), gradient.abs().max().item()) == (0, 0)


def test_cross_entropy_where_a_class_is_known_is_bit_for_bit_that_of_torch() -> None:
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    masks = torch.randint(-1, 3, (2, 4, 5))
    masks[masks < 0] = IGNORE_INDEX
    plain = cross_entropy(logits, masks)
    loss = known_cross_entropy(logits, masks)
    assert torch.equal(loss, plain)
    [expected] = torch.autograd.grad(plain, logits)
    assert torch.equal(torch.autograd.grad(loss, logits)[0], expected)


@pytest.mark.parametrize("method", ["dtc", "smile", "singan_seg", "ssgnet"])
def test_methods_that_need_every_pixel_say_so(tmp_path: Path, method: str) -> None:
    card = folder(tmp_path, "ignore = 255").card
    refusal = registry.method(method).refusal(card, "segmentation", 2, False, "unet")
    assert refusal is not None and "needs the class of every pixel" in refusal
    assert registry.method("supervised").refusal(card, "segmentation", 2, False, "unet") is None


@pytest.mark.parametrize("role", ["generator", "normaliser"])
def test_plug_ins_that_make_images_are_refused_too(tmp_path: Path, role: str) -> None:
    """Found in a review: without `whole_masks` on its card, ignored pixels counted as a lesion."""
    card = folder(tmp_path, "ignore = 255").card
    info = registry.method("supervised")
    maker = replace(info, card={**info.card, "role": role})
    refusal = maker.refusal(card, "segmentation", 2, False, "unet")
    assert refusal is not None and "needs the class of every pixel" in refusal


def test_classification_takes_no_mask(tmp_path: Path) -> None:
    """Found in a review: SSGNet was refused for masks that its classifier never sees."""
    card = replace(folder(tmp_path, "ignore = 255").card, labels=("benign", "malignant"))
    assert registry.method("ssgnet").refusal(card, "classification", 2, False, "unet") is None
