"""The only code that runs in a worker: fit on the view, then predict, then write."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import hashing, registry, store
from bench.api import (
    Augments,
    Build,
    Classifies,
    Method,
    Normalises,
    Segments,
    Spec,
    Synthesises,
    TrainView,
)
from bench.data import cache
from bench.errors import NotFiniteError
from bench.scoring import pseudo_healthy
from bench.worker import held_out
from bench.worker.class_predictor import ClassPredictor
from bench.worker.predictors import Predictor, batch_of
from bench.worker.shared_parts import Parts, save_state

log = logging.getLogger("bench.worker.main")
FINISHED, FAILED, BUSY = 0, 1, 3  # exit codes of a worker


class CellRun:
    """What a method is lent for one training; see `bench.api.Run`."""

    def __init__(self, job: dict[str, Any], folder: Path, spec: Spec, device: torch.device) -> None:
        self.job, self.folder, self.spec, self.device = job, folder, spec, device
        self.precision: str = job["cell"]["precision"]
        self.steps: int = job["cell"]["steps"]
        self.history: dict[str, list[tuple[int, float]]] = {}
        self.told = 0.0
        self.snapshot: Snapshots | None = None
        cell = job["cell"]
        shared = ("task", "dataset", "data", "size", "code", "seed", "threads", "precision")
        self.parts = Parts(folder.parent.parent / "parts", {name: cell[name] for name in shared})

    def seed(self, role: str) -> int:
        """From dataset, budget and subset, not from the method: methods share draws, data order and start."""
        cell = self.job["cell"]
        return hashing.seed(cell["seed"], cell["dataset"], cell["labelled"], cell["subset"], role)

    def log(self, step: int, **scalars: float) -> None:
        """Keep scalars for history.json. Raises NotFiniteError."""
        for name, value in scalars.items():
            if not math.isfinite(value):
                raise NotFiniteError(f"{name} is {value} at step {step}")
            self.history.setdefault(name, []).append((step, float(value)))

    def progress(self, step: int) -> None:
        """Tell the parent at most once a second, through a file; keep the state where a suite asks for it."""
        if self.snapshot:
            self.snapshot.take(step)
        if time.monotonic() - self.told >= 1 or step == self.steps:
            self.told = time.monotonic()
            store.write_text(
                self.folder / "progress.json", json.dumps({"step": step, "steps": self.steps})
            )

    def part(
        self,
        name: str,
        config: Mapping[str, Any],
        inputs: Sequence[str],
        build: Build,
    ) -> dict[str, torch.Tensor]:
        """A component that other cells of the folder share; its seconds are charged to each of them."""
        return self.parts.get(name, config, inputs, build)

    def backbone(self) -> torch.nn.Module:
        """The suite's network; the same start for every method of a subset."""
        networks = registry.networks()
        weights = Path(self.job["weights"]) if self.job["weights"] else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed("backbone"))
            network: torch.nn.Module = networks.build(
                self.job["cell"]["backbone"], self.spec, weights
            )
        # Channels innermost: the same sums in another order, faster on CPUs (volumes 3 times) and on GPUs.
        innermost = torch.channels_last if self.spec.ndim == 2 else torch.channels_last_3d
        return network.to(memory_format=innermost)  # type: ignore[call-overload, no-any-return]


def main(folder: Path) -> None:
    """Run one cell whose `cell.json` lies in `folder`; exits with FINISHED, FAILED or BUSY."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it ends its workers
    _end_with_parent()
    with store.claim(folder) as mine:
        if not mine:
            sys.exit(BUSY)
        if (folder / "result.json").exists():
            sys.exit(FINISHED)
        try:
            store.clear(folder)
            _log_to(folder / "log.txt")
            run_cell(folder)
        except BaseException as problem:
            traceback.print_exc()
            store.write_failure(folder, *_kind(problem))
            sys.exit(FAILED)


def run_cell(folder: Path) -> None:
    """Fit, predict, write; `result.json` comes last and says that all the rest is there."""
    started = time.perf_counter()
    job = store.read_json(folder / "cell.json")
    cell = job["cell"]
    torch.set_num_threads(cell["threads"])
    torch.use_deterministic_algorithms(True, warn_only=True)
    source = Path(job["cache"])
    index = cache.load_index(source)
    view = cache.train_view(source, index, job["patients"], cell["task"], cell["class_known"])
    run = CellRun(job, folder, view.spec, choose_device(job["device"]))
    method = registry.method(cell["method"], [Path(file) for file in job["plugins"]]).build(
        cell["config"], view.spec
    )
    predictor = predictor_of(method, view.spec, cell["layout"], run.device)
    imported = time.perf_counter()

    run.snapshot = Snapshots(method, cell["select"], run.steps, folder / "checkpoints")
    fitted = _timed_fit(method, view, run)
    if job[
        "held"
    ]:  # a trial: scored on labelled patients that were held out, whose labels are of the budget
        predicted, inference_ms = held_out.write(
            predictor, source, index, job["held"], folder / "selection.csv"
        )
    else:
        predicted, inference_ms = predictor.write(
            cache.test_images(source, index), folder / "predictions"
        )
    state = {name: tensor.detach().clone() for name, tensor in method.state().items()}
    samples = 0
    if cell["samples"] and isinstance(method, Synthesises):
        samples = _write_samples(method, cell["samples"], run.seed("samples"), folder)
    if job["normaliser"] and not job["held"] and isinstance(predictor, Predictor):
        _write_more(method, predictor, source, index, folder)
    if job["keep_model"]:
        save_state(state, folder / "model.safetensors")
    if isinstance(predictor, Predictor):
        run.snapshot.predict(predictor, source, index, run)
    store.write_json(folder / "history.json", run.history)
    cost = {
        "train_seconds": fitted - run.parts.spent_s,
        "part_seconds": sum(run.parts.used.values()),
        "part_wait_seconds": run.parts.spent_s,
        "import_seconds": imported - started,
        "cell_seconds": time.perf_counter() - started,
        "inference_ms": inference_ms,
        "peak_memory_mb": _peak_memory_mb(run.device),
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "segmenter_steps": getattr(method, "segmenter_steps", run.steps),
    }
    store.write_json(
        folder / "result.json",
        {
            "key": folder.name,
            "predictions": predicted,
            "samples": samples,
            "parts": run.parts.used,
            "facts": getattr(method, "facts", {}),
            "cost": cost,
            "environment": _environment(run.device),
        },
    )


def predictor_of(
    method: Method, spec: Spec, layout: Mapping[str, Any], device: torch.device
) -> Predictor | ClassPredictor:
    """What predicts for a task. Raises TypeError where the method lacks the capability."""
    if spec.task == "segmentation":
        if not isinstance(method, Segments):
            raise TypeError(
                f"method {type(method).__name__} has no segment(images); segmentation needs it"
            )
        return Predictor(method, spec, layout, device)
    if not isinstance(method, Classifies):
        raise TypeError(
            f"method {type(method).__name__} has no classify(images); classification needs it"
        )
    return ClassPredictor(method, spec, device)


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` takes a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _timed_fit(method: Method, view: TrainView, run: CellRun) -> float:
    log.info("fit on %d labelled and %d unlabelled cases", len(view.fit), len(view.unlabelled))
    started = time.perf_counter()
    method.fit(view, run)
    return time.perf_counter() - started


class Snapshots:
    """States on the way, for suites that select a checkpoint as a paper did; scoring chooses among them."""

    def __init__(
        self, method: Method, select: dict[str, Any] | None, steps: int, folder: Path
    ) -> None:
        self.method, self.select, self.folder = method, select, folder
        # The last iterate is a candidate too.
        self.due = {*range(select["every"], steps, select["every"]), steps} if select else set()
        self.due = {step for step in self.due if select and step >= min(select["start"], steps)}

    def take(self, step: int) -> None:
        """Save the state, if it is due; of a method that trains several times, the last one stays."""
        if step in self.due:
            (self.folder / str(step)).mkdir(parents=True, exist_ok=True)
            save_state(self.method.state(), self.folder / str(step) / "model.safetensors")

    def predict(
        self, predictor: Predictor, source: Path, index: dict[str, Any], run: CellRun
    ) -> None:
        """Label maps of each state; states themselves are not kept. Leaves the method at its last state."""
        from safetensors.torch import load_file

        for step in sorted(self.due):
            place = self.folder / str(step)
            self.method.load(load_file(place / "model.safetensors"), run)
            predictor.write(cache.test_images(source, index), place / "predictions")
            if self.select and self.select["by"] == "validation":
                predictor.write(
                    cache.test_images(source, index, "validation"), place / "validation"
                )
            (place / "model.safetensors").unlink()


def _write_samples(method: Synthesises, count: int, seed: int, folder: Path) -> int:
    """`samples.npz` with 8-bit images (N C H W), masks (N H W), labels (N), -1 for none; returns N."""
    cases = list(method.synthesise(count, seed))
    images = np.stack([np.rint(255 * case.image.clip(0, 1)).astype(np.uint8) for case in cases])
    masks = np.stack(
        [np.zeros(c.image.shape[1:]) if c.mask is None else c.mask for c in cases]
    ).astype(np.uint8)
    labels = np.array([-1 if case.label is None else case.label for case in cases])
    np.savez_compressed(
        folder / "samples.npz",
        images=images,
        masks=masks,
        labels=labels,
        ids=[case.id for case in cases],
    )
    return len(cases)


def _write_more(
    method: Method, predictor: Predictor, source: Path, index: dict[str, Any], folder: Path
) -> None:
    """Label maps of the segmenter that saw synthetic images too; pseudo-normal test images."""
    if isinstance(method, Augments):
        other = replace(predictor, method=Augmented(method))
        other.write(cache.test_images(source, index), folder / "augmented")
    if isinstance(method, Normalises):
        cases = list(cache.test_images(source, index))
        images = torch.from_numpy(np.concatenate([array for _, array in cases])).to(
            predictor.device
        )
        normals = [
            method.normalise(part).float().cpu().numpy()
            for part in images.split(batch_of(predictor.spec.size))
        ]
        found = np.concatenate(normals)
        if found.shape != tuple(images.shape) or not np.isfinite(found).all():
            raise NotFiniteError(
                f"normalise returned {found.shape} or values that are no numbers; expected images"
            )
        pseudo_healthy.write(folder, [entry["id"] for entry, _ in cases], found)


class Augmented:
    """The shared segmenter of a method that augments, seen as a method that segments."""

    def __init__(self, method: Augments) -> None:
        self.method = method

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) of images (B C H W)."""
        return self.method.segment_augmented(images)


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _environment(device: torch.device) -> dict[str, str]:
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine() + " CPU"
    )
    return {
        "device": name,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _kind(problem: BaseException) -> tuple[str, str]:
    """A failure in a word and in a line."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    if isinstance(problem, NotFiniteError):
        return "not finite", text
    if isinstance(problem, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return "out of memory", text
    return "error", f"{type(problem).__name__}: {text}"


def _log_to(file: Path) -> None:
    """Send all output of this process to the cell's log, that of native code too."""
    with file.open("a") as target:
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on: another launch may want its cell."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(FAILED)

    threading.Thread(target=watch, daemon=True).start()
