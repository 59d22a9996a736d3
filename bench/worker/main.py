"""The main program of a worker process: fit a method, predict, write the results of a cell."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from bench import store
from bench.api import Augments, Method, Normalises, Synthesises, TrainView
from bench.cell_folder import CellFolder
from bench.cell_records import CellCost, CellJob, CellResult
from bench.data import cache
from bench.data.index import Index, read_index
from bench.files.records import flush_all
from bench.worker import held_out, samples
from bench.worker.checkpoints import Checkpoints
from bench.worker.failures import DISK, MACHINE, MEMORY, describe_failure
from bench.worker.method_run import MethodRun, environment_of, processor_name
from bench.worker.model import build_method, choose_device, predictor_of, spec_of_cell
from bench.worker.predictors import ClassPredictor, Predictor, batch_of
from bench.worker.shared_parts import save_state

log = logging.getLogger("bench.worker.main")
FINISHED, FAILED, BUSY, NO_MEMORY, NO_DISK = 0, 1, 3, 4, 74  # exit codes of a worker
CODES = {MEMORY: NO_MEMORY, DISK: NO_DISK}  # a full disk may take no note of itself
CAP_EVERY_S = 0.5  # between two looks at the size of the log


def main(path: Path) -> None:
    """Run the cell of a folder that holds its cell.json; exits with one of the codes above."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    with suppress(OSError):
        os.setpgid(0, 0)  # what a method starts ends with its worker
    _end_with_parent()
    folder = CellFolder(path.absolute())  # a method may change the working directory
    try:
        with store.claim(folder.path) as mine:
            code = _run_claimed(folder) if mine else BUSY
    except OSError as problem:
        code = _record_failure(folder, problem)
    sys.exit(code)


def _run_claimed(folder: CellFolder) -> int:
    """Run a cell that this process holds; returns an exit code."""
    if folder.has_result:
        return FINISHED
    own = os.getpid()
    try:
        folder.clear(goes_on=folder.snapshot.exists())
        _log_to(folder)
        run_cell(folder)
    except BaseException as problem:
        if os.getpid() != own:
            os._exit(FAILED)  # a process that the method forked off
        return _record_failure(folder, problem)
    return FINISHED


def _record_failure(folder: CellFolder, problem: BaseException) -> int:
    """Write why a cell failed, or why the machine could not finish it; returns an exit code."""
    kind, message = describe_failure(problem)
    with suppress(Exception):  # an exception that cannot say what it is
        if kind != DISK:  # which may be full before there is a log: this goes to the terminal then
            traceback.print_exception(problem)
    if folder.has_result:
        return FINISHED
    folder.cap_log()
    try:
        folder.make()
        if kind in MACHINE:
            folder.write_interruption(kind, message)
        else:
            folder.snapshot.unlink(missing_ok=True)
            folder.write_failure(kind, message)
    except (OSError, MemoryError):
        if kind != DISK:  # the exit code tells of it
            traceback.print_exc()
    return CODES.get(kind, FAILED)


@dataclass(frozen=True)
class Training:
    """One method on one data set, before, during and after its training."""

    job: CellJob
    folder: CellFolder
    decoded: Path  # the folder of the decoded images
    index: Index
    view: TrainView
    method: Method
    run: MethodRun
    predictor: Predictor | ClassPredictor

    @property
    def makes_pseudo_healthy_images(self) -> bool:
        """Whether the cell is of a method that removes lesions, and no trial of tuning."""
        return self.job.pseudo_healthy and not self.job.held_out


def run_cell(folder: CellFolder) -> None:
    """Fit, predict and write; result.json comes last, when all other files are complete."""
    started = time.perf_counter()
    training = prepare(folder)
    import_seconds = time.perf_counter() - started

    run = training.run
    checkpoints = _checkpoints_of(training)
    run.after_step = checkpoints.keep
    _go_on(run, checkpoints)
    fit_seconds = _timed_fit(training)
    predictions, inference_ms = _predict(training)
    state = _copy_state(training.method)
    made = _write_samples(training)
    _write_augmented_predictions(training)
    _write_pseudo_healthy_images(training)
    if training.job.keep_model:
        save_state(state, folder.model)
    if isinstance(training.predictor, Predictor):
        checkpoints.predict(training.predictor, training.decoded, training.index, run)
    folder.write_history(run.history)
    cost = CellCost(
        train_seconds=fit_seconds - run.kept.part_seconds,
        part_seconds=float(sum(run.parts.used.values())),
        part_wait_seconds=run.kept.part_seconds,
        import_seconds=import_seconds,
        cell_seconds=run.kept.seconds_before + time.perf_counter() - started,
        inference_ms=inference_ms,
        peak_memory_mb=_peak_memory_mb(run.device),
        parameters=sum(tensor.numel() for tensor in state.values()),
        segmenter_steps=getattr(training.method, "segmenter_steps", run.steps),
        launches=run.kept.launches,
    )
    _finish(folder, _result_of(training, predictions, made, cost))


def _finish(folder: CellFolder, result: CellResult) -> None:
    """Mark the cell as done, when all that it wrote has reached the disk."""
    if folder.read_job() is None:
        raise RuntimeError("the method removed the folder of its cell")
    folder.remove_links()
    folder.forget_failure()  # that the method wrote itself
    flush_all(folder.path)
    folder.write_result(result)
    folder.snapshot.unlink(missing_ok=True)


def prepare(folder: CellFolder) -> Training:
    """Read the job, open the data and import the method."""
    job = folder.expect_job()
    cell = job.cell
    torch.set_num_threads(cell.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    decoded = (folder.path / job.cache).resolve()  # a method may remove the folder of its cell
    index = read_index(decoded)
    view = cache.train_view(decoded, index, job.patients, cell.task, cell.class_known)
    view = replace(view, spec=spec_of_cell(cell, index.spec, index.card))
    run = MethodRun(job, folder, view.spec, choose_device(job.device))
    plugins = [(folder.path / file).resolve() for file in job.plugins]
    method = build_method(job, view.spec, plugins)
    predictor = predictor_of(method, view.spec, cell.inference_settings, run.device)
    return Training(job, folder, decoded, index, view, method, run, predictor)


def _checkpoints_of(training: Training) -> Checkpoints:
    folder = training.folder
    select = training.job.cell.select
    return Checkpoints(training.method, select, training.run.steps, folder.checkpoints, folder.key)


def _go_on(run: MethodRun, checkpoints: Checkpoints) -> None:
    """Take up what an earlier launch kept, if it kept all that a selection needs too."""
    run.kept.load()
    if run.kept.before is not None and not checkpoints.are_whole(run.kept.before.step):
        log.warning("a state to select from is damaged: the training starts over")
        run.kept.forget()


def _copy_state(method: Method) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in method.state().items()}


def _result_of(training: Training, predictions: int, made: int, cost: CellCost) -> CellResult:
    return CellResult(
        key=training.folder.key,
        predictions=predictions,
        samples=made,
        parts=training.run.parts.used,
        facts=getattr(training.method, "facts", {}),
        cost=cost,
        environment={
            **environment_of(training.run.device),
            "processor": processor_name(),
            "finished": datetime.now(UTC).date().isoformat(),
        },
    )


def _timed_fit(training: Training) -> float:
    """Fit the method; returns the seconds, with those of launches that were killed."""
    view = training.view
    log.info("fit on %d labelled and %d unlabelled cases", len(view.fit), len(view.unlabelled))
    kept = training.run.kept
    kept.started = time.perf_counter()
    own = os.getpid()
    training.method.fit(view, training.run)
    if os.getpid() != own:
        os._exit(FINISHED)  # a process that the method forked off
    return kept.seconds()


def _predict(training: Training) -> tuple[int, float]:
    """Predict with the final checkpoint; returns the number of cases and milliseconds per image.

    A trial of tuning is scored on labelled patients that were held out of its training instead.
    """
    predictor = training.predictor
    held = training.job.held_out
    if held:
        return held_out.write(
            predictor, training.decoded, training.index, held, training.folder.held_out_scores
        )
    images = cache.test_images(training.decoded, training.index)
    return predictor.write(images, training.folder.predictions("last"))


def _write_samples(training: Training) -> int:
    """Write the images of a generator; returns their number."""
    count = training.job.cell.samples
    method = training.method
    if not count or not isinstance(method, Synthesises):
        return 0
    # One more than asked for: a generator may never end.
    cases = list(islice(method.synthesise(count, training.run.seed("samples")), count + 1))
    card = training.index.card
    samples.check(cases, count, training.view.spec, len(card.classes), len(card.labels))
    samples.write(cases, training.folder.samples)
    return count


def _write_augmented_predictions(training: Training) -> None:
    """Write label maps of the shared segmenter that was trained on synthetic images too."""
    predictor = training.predictor
    method = training.method
    if not training.makes_pseudo_healthy_images:
        return
    if not isinstance(predictor, Predictor) or not isinstance(method, Augments):
        return
    augmented = replace(predictor, method=_AugmentedSegmenter(method))
    images = cache.test_images(training.decoded, training.index)
    augmented.write(images, training.folder.predictions("augmented"))


def _write_pseudo_healthy_images(training: Training) -> None:
    """Write the test images (N C H W) without their lesions, in 8 bits."""
    predictor = training.predictor
    method = training.method
    if not training.makes_pseudo_healthy_images:
        return
    if not isinstance(predictor, Predictor) or not isinstance(method, Normalises):
        return
    cases = list(cache.test_images(training.decoded, training.index))
    given = torch.from_numpy(np.concatenate([array for _, array in cases]))
    given = given.to(predictor.device)
    batches = []
    for batch in given.split(batch_of(predictor.spec.size)):
        batches.append(method.normalise(batch).float().cpu().numpy())
    images = np.concatenate(batches)
    if images.shape != tuple(given.shape):
        raise ValueError(
            f"normalise returned shape {images.shape}; expected {tuple(given.shape)} (B C H W)"
        )
    samples.check_values(images, "normalise returned images")
    ids = [entry.id for entry, _ in cases]
    pixels = samples.eight_bits(images)
    np.savez_compressed(training.folder.pseudo_healthy_images, ids=ids, images=pixels)


class _AugmentedSegmenter:
    """Presents the shared segmenter of a method that augments as a method that segments."""

    def __init__(self, method: Augments) -> None:
        self.method = method

    def segment(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (B K H W) for images (B C H W)."""
        return self.method.segment_augmented(images)


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _log_to(folder: CellFolder) -> None:
    """Send all output of this process to the cell's log, including that of native code."""
    with folder.log.open("a") as target:
        os.dup2(target.fileno(), 1)
        os.dup2(target.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)

    def cap() -> None:
        while True:
            time.sleep(CAP_EVERY_S)
            with suppress(OSError):
                folder.cap_log()

    threading.Thread(target=cap, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent ends, so that another launch can take over its cell."""
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        with suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)  # with all that the method started
        os._exit(FAILED)

    threading.Thread(target=watch, daemon=True).start()
