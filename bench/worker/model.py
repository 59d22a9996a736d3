"""Methods ready to predict: new ones for a training, or with the state that a cell saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench import registry
from bench.api import Card, Classifies, Method, Segments, Spec
from bench.cell_folder import CellFolder
from bench.cell_records import REGIONS, TARGETS, CellJob, CellKey
from bench.data.index import spec_of_task
from bench.errors import BenchError
from bench.plugin_files import named_plugin
from bench.worker.method_run import MethodRun
from bench.worker.predictors import ClassPredictor, Predictor


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_here(name: str) -> str:
    """The name of a device; auto where this machine lacks it: a folder may be from elsewhere."""
    device = choose_device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return "auto"
    return name


def build_method(job: CellJob, spec: Spec, plugins: Sequence[Path]) -> Method:
    """The method of a cell, ready to fit; it is looked for in these plug-ins alone."""
    info = registry.method(job.cell.method, plugins)
    return info.build(dict(job.cell.config), spec)


def spec_of_cell(cell: CellKey, spec: Spec, card: Card) -> Spec:
    """What the method of a cell is told about a data set: regions only if it is trained on them."""
    of_task = spec_of_task(spec, card, cell.task)
    if cell.inference_settings.get(TARGETS) == REGIONS:
        return replace(of_task, regions=card.regions)
    return of_task


def _named_plugins(job: CellJob, plugins: Sequence[Path]) -> list[Path]:
    """The plug-in that brings the method of a cell, if one does, of those that the user named.

    Raises BenchError if it is not among them: what a result folder names is never imported.
    """
    if job.plugin_code is None:
        return []
    return [named_plugin(f"{job.cell.method}.py", job.plugin_code, plugins)]


def predictor_of(
    method: Method, spec: Spec, settings: Mapping[str, Any], device: torch.device
) -> Predictor | ClassPredictor:
    """What predicts with a method. Raises TypeError if it lacks the capability for the task."""
    name = type(method).__name__
    if spec.task == "segmentation":
        if not isinstance(method, Segments):
            raise TypeError(f"method {name} has no segment(images); segmentation needs it")
        return Predictor(method, spec, settings, device)
    if not isinstance(method, Classifies):
        raise TypeError(f"method {name} has no classify(images); classification needs it")
    return ClassPredictor(method, spec, device)


def load_model(
    folder: CellFolder, device: str, plugins: Sequence[Path] = ()
) -> Predictor | ClassPredictor:
    """The saved model of a cell, ready to predict.

    Raises BenchError if it was not kept or was changed, or if its method is in a plug-in that is
    not among `plugins`.
    """
    if not folder.model.exists():
        raise BenchError(f"cell {folder.key} has no model; run it with 'keep_models: true'")
    from safetensors.torch import load_file

    file = folder.work.check(folder.model)
    # Its state replaces all weights, so that the file that the suite named need not be there any
    # more. The cell still has its hash: images are scaled as in training.
    job = replace(folder.expect_job(), weights=None)
    assert job.spec is not None  # every cell that was trained has one
    assert job.card is not None
    spec = spec_of_cell(job.cell, job.spec, job.card)
    run = MethodRun(job, folder, spec, choose_device(device))
    method = build_method(job, spec, _named_plugins(job, plugins))
    method.load(load_file(file), run)
    return predictor_of(method, spec, job.cell.inference_settings, run.device)
