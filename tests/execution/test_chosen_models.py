"""Which models `predict` takes: by key, or by method, labelled patients and draw; their mean."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.api import Spec
from bench.errors import BenchError
from bench.execution.prediction import predict
from bench.execution.prediction.chosen_models import AskedModels, MeanOfMethods, as_one, chosen_keys
from bench.store import Store
from bench.worker.predictors import Predictor
from datasets.readers.image_file import read_image_file
from tests.support.command_line import PLUGINS, Command
from tests.support.tiny_bench import planned, run, toy_suite


class Sure:
    """Gives the same probabilities everywhere."""

    def __init__(self, foreground: float) -> None:
        self.foreground = foreground

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        shape = (len(images), 1, *images.shape[2:])
        foreground = torch.full(shape, self.foreground)
        return torch.cat([1 - foreground, foreground], 1)

    def classify(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[1 - self.foreground, self.foreground]]).expand(len(images), -1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two draws at two budgets, those of the smaller one not run."""
    store = Store(tmp_path_factory.mktemp("runs") / "toy")
    run(toy_suite(), store, only=["fraction=1.0"])
    return store


def keys(store: Store, fraction: float) -> list[str]:
    """The keys of both draws of a budget."""
    return [cell.key for cell in planned(store, fraction=fraction)]


def test_a_mean_of_methods_averages_probabilities() -> None:
    mean = MeanOfMethods([Sure(0.2), Sure(0.9), Sure(0.7)])
    images = torch.zeros(2, 1, 4, 4)
    torch.testing.assert_close(mean.segment(images)[:, 1], torch.full((2, 4, 4), 0.6))
    torch.testing.assert_close(mean.classify(images), torch.tensor([[0.4, 0.6]] * 2))


def test_several_models_predict_as_one() -> None:
    spec = Spec("segmentation", 2, 1, 2, (4, 4), (0, 1), False)
    settings = {"largest_component": False}
    models = [Predictor(Sure(p), spec, settings, torch.device("cpu")) for p in (0.4, 0.45, 0.8)]
    assert as_one(models[:1]) is models[0]
    one = as_one(models)
    assert isinstance(one, Predictor)
    probabilities = one.probabilities(np.zeros((1, 1, 4, 4), np.float32))
    assert one.label_map(probabilities, (8, 8), None).min() == 1  # though two of three say 0


def test_methods_budgets_and_draws_name_runs(finished: Store) -> None:
    first, second = keys(finished, 1.0)
    labelled = planned(finished, fraction=1.0)[0].labelled
    asked = AskedModels(method="threshold", labelled=labelled)
    assert chosen_keys(finished, asked) == [first]
    chosen = AskedModels(method="threshold", labelled=labelled, subset=1)
    assert chosen_keys(finished, chosen) == [second]
    every = AskedModels(method="threshold", labelled=labelled, ensemble=True)
    assert chosen_keys(finished, every) == [first, second]
    assert chosen_keys(finished, AskedModels(key=first[:8])) == [first]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (AskedModels(), "no model given; expected the key of a run before the images, or --method"),
        (AskedModels(key="a", method="threshold"), "key a given with --method, .*; drop one"),
        (AskedModels(key="a", subset=0), "key a given with --method, --labelled, --subset"),
        (AskedModels(key="zz"), "cell zz given; 0 cells of .* begin like this; see the page"),
        (AskedModels(method="thresh"), "--method thresh given; .* has threshold; choose one"),
        (AskedModels(method="threshold"), "--labelled none given; threshold was trained on 2, 7"),
        (AskedModels(method="threshold", labelled=3), "--labelled 3 given; .* 2, 7 labelled"),
        (AskedModels(method="threshold", labelled=2), "subset 0 is not finished; run the suite"),
        (AskedModels(method="threshold", labelled=7, subset=9), "--subset 9 given; threshold has"),
        (
            AskedModels(method="threshold", labelled=7, subset=0, ensemble=True),
            "--ensemble given with --subset 0; drop one",
        ),
    ],
)
def test_what_names_no_model_or_several_is_refused(
    finished: Store, asked: AskedModels, words: str
) -> None:
    with pytest.raises(BenchError, match=words):
        chosen_keys(finished, asked)


def test_masks_of_all_draws_together(finished: Store, tmp_path: Path, command: Command) -> None:
    """Both draws of all labels have one model here, so that their mean is that model."""
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.full((40, 60), 40, np.uint8)
    pixels[10:30, 10:30] = 200
    Image.fromarray(pixels).save(images / "a.png")
    predict.predict(
        finished, keys(finished, 1.0)[0], images, tmp_path / "one", "cpu", read_image_file
    )
    words = ["predict", str(finished.out), str(images), "--to", str(tmp_path / "all")]
    named = ["--method", "threshold", "--labelled", "7", "--ensemble"]
    code, text = command([*words, *named, *PLUGINS])
    assert code == 0, text
    assert "1 masks in" in text
    assert (tmp_path / "all" / "a.png").read_bytes() == (tmp_path / "one" / "a.png").read_bytes()
    code, text = command([*words, "one word", "too many", *PLUGINS])
    assert code == 2
    assert "3 words given after OUT; expected a key and a folder of images" in text
