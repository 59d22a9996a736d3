"""The only code that runs in a worker process: fit on the view, then predict, then write."""

from __future__ import annotations

import logging
import os
import platform
import resource
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench import store
from bench.api import Augments, Method, Normalises, Synthesises, TrainView
from bench.cell_folder import CellCost, CellFolder, CellJob, CellResult
from bench.data import cache
from bench.data.index import Index, read_index
from bench.errors import NotFiniteError
from bench.worker import held_out
from bench.worker.checkpoints import Checkpoints
from bench.worker.method_run import MethodRun
from bench.worker.model import build_method, choose_device, predictor_of
from bench.worker.predictors import ClassPredictor, Predictor, batch_of
from bench.worker.shared_parts import save_state

log = logging.getLogger("bench.worker.main")
FINISHED, FAILED, BUSY = 0, 1, 3  # exit codes of a worker


def main(path: Path) -> None:
    """Run one cell whose cell.json lies in a folder; exits with FINISHED, FAILED or BUSY."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it ends its workers
    _end_with_parent()
    folder = CellFolder(path)
    with store.claim(path) as mine:
        if not mine:
            sys.exit(BUSY)
        if folder.has_result:
            sys.exit(FINISHED)
        try:
            folder.clear()
            _log_to(folder.log)
            run_cell(folder)
        except BaseException as problem:
            traceback.print_exc()
            folder.write_failure(*_kind_of_failure(problem))
            sys.exit(FAILED)


@dataclass(frozen=True)
class _Training:
    """One method on one data set, before, during and after its training."""

    job: CellJob
    folder: CellFolder
    decoded: Path
    index: Index
    method: Method
    run: MethodRun
    predictor: Predictor | ClassPredictor


def run_cell(folder: CellFolder) -> None:
    """Fit, predict, write; `result.json` comes last and says that all the rest is there."""
    started = time.perf_counter()
    job = folder.expect_job()
    torch.set_num_threads(job.cell.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    decoded = Path(job.cache)
    index = read_index(decoded)
    view = cache.train_view(decoded, index, job.patients, job.cell.task, job.cell.class_known)
    run = MethodRun(job, folder, view.spec, choose_device(job.device))
    method = build_method(job, view.spec)
    predictor = predictor_of(method, view.spec, job.cell.inference_settings, run.device)
    training = _Training(job, folder, decoded, index, method, run, predictor)
    imported = time.perf_counter()

    checkpoints = Checkpoints(method, job.cell.select, run.steps, folder.checkpoints)
    run.after_step = checkpoints.keep
    fitted = _timed_fit(method, view, run)
    predictions, inference_ms = _predict(training)
    state = {name: tensor.detach().clone() for name, tensor in method.state().items()}
    samples = _write_samples(training)
    if job.pseudo_healthy and not job.held_out:
        _write_pseudo_healthy(training)
    if job.keep_model:
        save_state(state, folder.model)
    if isinstance(predictor, Predictor):
        checkpoints.predict(predictor, decoded, index, run)
    folder.write_history(run.history)
    cost = CellCost(
        train_seconds=fitted - run.parts.spent_s,
        part_seconds=float(sum(run.parts.used.values())),
        part_wait_seconds=run.parts.spent_s,
        import_seconds=imported - started,
        cell_seconds=time.perf_counter() - started,
        inference_ms=inference_ms,
        peak_memory_mb=_peak_memory_mb(run.device),
        parameters=sum(tensor.numel() for tensor in state.values()),
        segmenter_steps=getattr(method, "segmenter_steps", run.steps),
    )
    folder.write_result(
        CellResult(
            key=folder.key,
            predictions=predictions,
            samples=samples,
            parts=run.parts.used,
            facts=getattr(method, "facts", {}),
            cost=cost,
            environment=_environment(run.device),
        )
    )


def _timed_fit(method: Method, view: TrainView, run: MethodRun) -> float:
    log.info("fit on %d labelled and %d unlabelled cases", len(view.fit), len(view.unlabelled))
    started = time.perf_counter()
    method.fit(view, run)
    return time.perf_counter() - started


def _predict(training: _Training) -> tuple[int, float]:
    """Predictions of the final checkpoint; returns their number and milliseconds per image.

    A trial is scored on labelled patients that were held out, whose labels are of the budget.
    """
    predictor = training.predictor
    held = training.job.held_out
    if held:
        return held_out.write(
            predictor, training.decoded, training.index, held, training.folder.held_out_scores
        )
    images = cache.test_images(training.decoded, training.index)
    return predictor.write(images, training.folder.predictions("last"))


def _write_samples(training: _Training) -> int:
    """samples.npz of a generator: 8-bit images (N C H W), masks (N H W), labels (N); returns N.

    A label is -1 where there is none.
    """
    count = training.job.cell.samples
    method = training.method
    if not count or not isinstance(method, Synthesises):
        return 0
    cases = list(method.synthesise(count, training.run.seed("samples")))
    masks = []
    labels = []
    for case in cases:
        mask = case.mask
        if mask is None:
            mask = np.zeros(case.image.shape[1:], np.int64)
        masks.append(mask.astype(np.uint8))
        labels.append(-1 if case.label is None else case.label)
    np.savez_compressed(
        training.folder.samples,
        images=np.stack([_eight_bits(case.image) for case in cases]),
        masks=np.stack(masks),
        labels=np.array(labels),
        ids=[case.id for case in cases],
    )
    return len(cases)


def _write_pseudo_healthy(training: _Training) -> None:
    """Pseudo-healthy test images; label maps of the segmenter that saw synthetic images too."""
    method = training.method
    predictor = training.predictor
    if not isinstance(predictor, Predictor):
        return
    if isinstance(method, Augments):
        augmented = replace(predictor, method=_AugmentedSegmenter(method))
        images = cache.test_images(training.decoded, training.index)
        augmented.write(images, training.folder.predictions("augmented"))
    if isinstance(method, Normalises):
        cases = list(cache.test_images(training.decoded, training.index))
        given = torch.from_numpy(np.concatenate([array for _, array in cases]))
        given = given.to(predictor.device)
        parts = []
        for part in given.split(batch_of(predictor.spec.size)):
            parts.append(method.normalise(part).float().cpu().numpy())
        images_out = np.concatenate(parts)
        if images_out.shape != tuple(given.shape) or not np.isfinite(images_out).all():
            raise NotFiniteError(
                f"normalise returned {images_out.shape} or values that are no numbers; "
                "expected images"
            )
        np.savez_compressed(
            training.folder.pseudo_healthy_images,
            ids=[entry.id for entry, _ in cases],
            images=_eight_bits(images_out),
        )


def _eight_bits(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values in [0, 1] as 0..255."""
    return np.rint(255 * images.clip(0, 1)).astype(np.uint8)


class _AugmentedSegmenter:
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


def _kind_of_failure(problem: BaseException) -> tuple[str, str]:
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
