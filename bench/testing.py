"""The contract of a method as tests: subclass MethodContract in a test file and name your method.

class TestMine(MethodContract):
    plugin = Path("my_method.py")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from bench import hashing, registry
from bench.api import (
    Build,
    Case,
    Classifies,
    Method,
    Region,
    Segments,
    Spec,
    Task,
    TrainView,
)
from bench.api import Saved as SavedProtocol
from bench.errors import BenchError
from bench.registry import MethodInfo
from bench.tuning.space import check_space, drawn_settings
from bench.worker.snapshots import SnapshotFacts, read_snapshot, write_snapshot

MOST_LAUNCHES = 1000
SPACE_DRAWS = 20  # settings that a search space is asked for
SIDE = 32  # of the toy images


def toy_cases(
    count: int, channels: int, classes: int, prefix: str = "p", task: Task = "segmentation"
) -> list[Case]:
    """Bright or textured discs on noise, one image for each patient; classes take turns.

    In classification the class of the disc is the label, from 0, and there are no masks.
    """
    classifies = task == "classification"
    kinds = classes if classifies else classes - 1
    cases = []
    for number in range(count):
        random = np.random.default_rng([count, channels, number])
        grid = np.indices((SIDE, SIDE)) - random.integers(10, 22, 2)[:, None, None]
        inside = (grid**2).sum(0) < random.integers(25, 64)
        label = 1 + number % kinds
        texture = 0.5 + 0.4 * (label % 2) + 0.1 * (label > 1) * ((grid.sum(0) // 2) % 2)
        image = np.where(inside, texture, 0.3) + random.normal(0, 0.05, (channels, SIDE, SIDE))
        mask = np.where(inside, label, 0).astype(np.int64)
        name = f"{prefix}{number}"
        case = Case(name, name, image.clip(0, 1).astype(np.float32), mask)
        if classifies:
            case = replace(case, mask=None, label=label - 1)
        cases.append(case)
    return cases


def toy_view(
    channels: int = 3,
    classes: int = 3,
    labelled: int = 4,
    unlabelled: int = 8,
    task: Task = "segmentation",
) -> TrainView:
    """A small view; the masks, or labels, of its unlabelled cases are hidden."""
    spec = Spec(task, 2, channels, classes, (SIDE, SIDE), (0.0, 1.0), False)
    cases = toy_cases(labelled + unlabelled, channels, classes, task=task)
    hidden = [replace(case, mask=None, label=None) for case in cases[labelled:]]
    return TrainView(fit=cases[:labelled], unlabelled=hidden, spec=spec)


class Saved:
    """Keeps the state of a build in memory; see `bench.api.Saved`."""

    def __init__(self) -> None:
        self.last: dict[str, torch.Tensor] | None = None

    def is_due(self) -> bool:
        """A toy training is over before it is time to keep anything."""
        return False

    def keep(self, state: dict[str, torch.Tensor]) -> None:
        """Keep a state in place of the one before."""
        self.last = state


class KilledError(BaseException):
    """Ends a toy training as a killed process ends: no method catches it."""


class KillingSaved:
    """Keeps a state in a file, as the harness does, and ends the training there."""

    def __init__(self, file: Path) -> None:
        self.file = file
        kept = read_snapshot(file, "toy")
        self.last = kept[0] if kept else None

    def is_due(self) -> bool:
        """After every step."""
        return True

    def keep(self, state: dict[str, torch.Tensor]) -> None:
        """Write a state in place of the one before. Raises KilledError."""
        write_snapshot(state, SnapshotFacts("toy"), self.file)
        raise KilledError


class ToyRun:
    """A Run without a harness: a small U-Net, seeds from a number, everything kept in memory."""

    def __init__(self, spec: Spec, steps: int = 3, seed: int = 0) -> None:
        self.spec = spec
        self.steps = steps
        self.base = seed
        self.device = torch.device("cpu")
        self.precision = "float32"
        self.logged: dict[str, list[float]] = {}
        self.parts: list[tuple[str, dict[str, Any], list[str]]] = []
        self.last_step = 0

    def seed(self, role: str) -> int:
        """A seed from the base seed and the role."""
        return hashing.seed(self.base, role)

    def log(self, step: int, **scalars: float) -> None:
        """Keep the values, which must be finite."""
        for name, value in scalars.items():
            assert np.isfinite(value), f"{name} is {value} at step {step}"
            self.logged.setdefault(name, []).append(value)

    def progress(self, step: int) -> None:
        """Keep the step."""
        assert step <= self.steps, f"progress says step {step} of {self.steps}"
        self.last_step = step

    def part(
        self,
        name: str,
        config: Mapping[str, Any],
        inputs: Sequence[str],
        build: Build,
    ) -> dict[str, torch.Tensor]:
        """A part that is built anew on each call; `parts` keeps what was asked for."""
        self.parts.append((name, dict(config), list(inputs)))
        seed = hashing.seed(name, dict(config), list(inputs))
        return build(seed, self.saved_of_part(str(seed)))

    def saved(self) -> SavedProtocol:
        """Nothing is kept."""
        return Saved()

    def saved_of_part(self, name: str) -> SavedProtocol:
        """Nothing is kept."""
        return Saved()

    def network(self) -> dict[str, Any]:
        """The network that `backbone` builds, as a suite names it."""
        if self.spec.task == "classification":
            return {"name": "test_resnet"}
        return {"name": "unet", "width": 4}

    def backbone(self) -> torch.nn.Module:
        """The 2D U-Net at width 4, or in classification the smallest network of timm."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            network: torch.nn.Module = registry.networks().build(self.network(), self.spec)
        return network


class KillingRun(ToyRun):
    """A launch that is killed after its next step; the one after it finds what it kept."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        super().__init__(spec)
        self.folder = folder
        self.loops = 0

    def saved(self) -> SavedProtocol:
        """What earlier launches kept of the next loop over steps."""
        self.loops += 1
        return KillingSaved(self.folder / f"loop {self.loops}")

    def saved_of_part(self, name: str) -> SavedProtocol:
        """What earlier launches kept of a shared part."""
        return KillingSaved(self.folder / name)


class MethodContract:
    """Subclass this and set `method` (a name) or `plugin` (a file), and `config` where needed."""

    method: ClassVar[str] = ""
    plugin: ClassVar[Path | None] = None
    config: ClassVar[dict[str, Any]] = {"batch_size": 2, "unlabelled_batch_size": 2}
    # (channels, classes) of data that the method must take
    shapes: ClassVar[Sequence[tuple[int, int]]] = ((3, 3), (1, 2))

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Any:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @property
    def tasks(self) -> list[str]:
        """The tasks that the card names."""
        tasks: list[str] = self.info().card.get("requires", {}).get("tasks", ["segmentation"])
        return tasks

    def info(self) -> MethodInfo:
        """The method under test."""
        if self.plugin is None:
            return registry.method(self.method)
        return registry.method(self.method or self.plugin.stem, [self.plugin])

    def fitted(self, view: TrainView, seed: int = 0) -> tuple[Method, ToyRun]:
        """The method after three steps on a view, and the run that it was lent."""
        method = self._built(view)
        run = ToyRun(view.spec, seed=seed)
        method.fit(view, run)
        return method, run

    def _built(self, view: TrainView) -> Method:
        info = self.info()
        known = {key: value for key, value in self.config.items() if key in info.config_keys()}
        return info.build(info.config(known), view.spec)

    def test_card_says_what_it_is(self) -> None:
        assert self.info().card["summary"]

    def test_config_refuses_unknown_keys(self) -> None:
        with pytest.raises(BenchError, match="no_such_key"):
            self.info().config({"no_such_key": 1})

    def test_its_search_space_gives_settings_of_its_config(self) -> None:
        """Where a method declares a `space`: at its defaults, and at values that Optuna draws."""
        info = self.info()
        if not info.has_space:
            return
        config = info.config({})
        check_space(info, config, {})
        for drawn in drawn_settings(info, config, SPACE_DRAWS):
            assert drawn, "space(trial) asks for no setting; ask for one, or leave it out"
            info.config({**config, **drawn})

    def test_probabilities_for_every_shape_of_data(self) -> None:
        for channels, classes in self.shapes:
            view = toy_view(channels, classes)
            method, _ = self.fitted(view)
            assert isinstance(method, Segments), "a method must offer segment(images)"
            result = method.segment(_images(view))
            assert result.shape == (4, classes, SIDE, SIDE)
            assert torch.isfinite(result).all()
            assert result.min() >= 0
            assert torch.allclose(result.sum(1), torch.ones(4, SIDE, SIDE), atol=1e-4)

    def test_regions_have_a_probability_each_if_its_card_names_them(self) -> None:
        """A whole and its part: they overlap, and need not sum to 1."""
        info = self.info()
        if not info.takes_regions:
            return
        regions = (Region("whole", (1, 2), 1), Region("part", (2,), 2))
        view = toy_view(classes=3)
        view = replace(view, spec=replace(view.spec, regions=regions))
        method, _ = self.fitted(view)
        assert isinstance(method, Segments), "a method must offer segment(images)"
        result = method.segment(_images(view))
        assert result.shape == (4, len(regions), SIDE, SIDE)
        assert result.min() >= 0
        assert result.max() <= 1

    def test_it_classifies_if_its_card_says_so(self) -> None:
        """It gives probabilities for two and three labels, and its state fills a fresh object."""
        if "classification" not in self.tasks:
            return
        for channels, classes in self.shapes:
            view = toy_view(channels, classes, task="classification")
            method, run = self.fitted(view)
            assert isinstance(method, Classifies), (
                "a method whose card names classification must offer classify(images)"
            )
            with torch.no_grad():
                result = method.classify(_images(view))
            assert result.shape == (4, classes)
            assert torch.allclose(result.sum(1), torch.ones(4), atol=1e-4)
            fresh: Any = self._built(view)
            fresh.load(_copy(method.state()), run)
            with torch.no_grad():
                assert torch.equal(fresh.classify(_images(view)), result)

    def test_same_seed_same_model(self) -> None:
        view = toy_view()
        first = self.fitted(view)[0].state()
        again = self.fitted(view)[0].state()
        assert _equal(first, again)

    def test_a_training_killed_after_every_step_ends_with_the_same_bytes(
        self, tmp_path: Path
    ) -> None:
        """Shared parts are killed too; a method that keeps nothing starts over."""
        view = toy_view()
        undisturbed = self.fitted(view)[0].state()
        for _ in range(MOST_LAUNCHES):
            method = self._built(view)
            with suppress(KilledError):
                method.fit(view, KillingRun(view.spec, tmp_path))
                break
        assert _equal(method.state(), undisturbed)

    def test_hidden_masks_change_nothing(self) -> None:
        """Wrong masks and labels on unlabelled cases give the same model."""
        view = toy_view()
        poison = [replace(case, mask=np.full((SIDE, SIDE), 2), label=1) for case in view.unlabelled]
        poisoned = replace(view, unlabelled=poison)
        assert _equal(self.fitted(view)[0].state(), self.fitted(poisoned)[0].state())

    def test_masks_of_the_budget_are_used(self) -> None:
        view = toy_view()
        shifted = []
        for case in view.fit:
            assert case.mask is not None
            shifted.append(replace(case, mask=np.roll(case.mask, 9, 0)))
        other = replace(view, fit=shifted)
        assert not _equal(self.fitted(view)[0].state(), self.fitted(other)[0].state())

    def test_state_goes_into_a_fresh_object(self) -> None:
        view = toy_view()
        method, run = self.fitted(view)
        fresh = self._built(view)
        fresh.load(_copy(method.state()), run)
        assert torch.equal(_segment(fresh, _images(view)), _segment(method, _images(view)))

    def test_an_image_does_not_depend_on_its_batch(self) -> None:
        view = toy_view()
        method, _ = self.fitted(view)
        images = _images(view)
        alone = torch.cat([_segment(method, images[i : i + 1]) for i in range(len(images))])
        assert torch.allclose(_segment(method, images), alone, atol=1e-5)

    def test_inputs_are_left_as_they_were(self) -> None:
        view = toy_view()
        before = [case.image.copy() for case in (*view.fit, *view.unlabelled)]
        self.fitted(view)
        after = [case.image for case in (*view.fit, *view.unlabelled)]
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))

    def test_budgets_smaller_than_a_batch_can_be_trained(self) -> None:
        view = toy_view(classes=2, labelled=1, unlabelled=1)
        _segment(self.fitted(view)[0], _images(view))

    def test_without_unlabelled_cases_it_works_or_says_so(self) -> None:
        view = toy_view(unlabelled=0)
        if not self.info().card.get("requires", {}).get("unlabelled"):
            _segment(self.fitted(view)[0], _images(view))
            return
        with pytest.raises(ValueError, match="unlabelled"):
            self.fitted(view)

    def test_it_reports_its_last_step(self) -> None:
        _, run = self.fitted(toy_view())
        assert run.last_step == run.steps


def _images(view: TrainView) -> torch.Tensor:
    """The labelled images (B C H W)."""
    return torch.from_numpy(np.stack([case.image for case in view.fit]))


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


@torch.no_grad()
def _segment(method: Method, images: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = method.segment(images)  # type: ignore[attr-defined]
    return result


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    if first.keys() != second.keys():
        return False
    return all(torch.equal(first[name], second[name]) for name in first)
