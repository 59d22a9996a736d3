"""judged.json of a cell: what the reference model and the extractors say of the images it made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import hashing
from bench.cell_folder import CellFolder
from bench.cell_records import CellJob, Judgement
from bench.errors import BenchError
from bench.scoring import features
from bench.scoring.pseudo_healthy import judge_pseudo_healthy
from bench.scoring.reference_model import ModelFailsError, load_reference
from bench.scoring.score_cell import scoring_code
from bench.scoring.synthetic_images import judge_samples, read_curves, read_samples


def judge_cell(
    folder: CellFolder,
    decoded: Path,
    reference: CellFolder | None,
    extractors: Sequence[str],
    why: str,
    plugins: Sequence[Path] = (),
) -> None:
    """Write judged.json of a finished cell that made images, where that is due.

    `reference` is the cell of the reference model, None where there is none, for the reason `why`;
    its method may be in one of the plug-ins.
    """
    job = folder.expect_job()
    result = folder.read_result()
    has_samples = result is not None and result.samples > 0
    if not has_samples and not job.pseudo_healthy:
        return
    inputs = _inputs(decoded, reference, extractors, why)
    previous = _whole_judgement(folder)
    if previous is not None and previous.inputs == inputs and not _lacks_distances(previous):
        return
    device = _device_here(job)
    try:
        model = load_reference(reference, device, plugins)
    except ModelFailsError as problem:
        model = None
        why = str(problem)
    if has_samples:
        samples = read_samples(folder)
        curves = read_curves(folder)
        judgement = judge_samples(
            samples, decoded, model, extractors, device, curves, why, job.cell.task
        )
    else:
        judgement = judge_pseudo_healthy(folder, job, decoded, model, extractors, device, why)
    made = [folder.pseudo_healthy_images, folder.pseudo_healthy_scores]
    files = folder.digests_of(file for file in made if file.exists())
    folder.write_judgement(replace(judgement, inputs=inputs, files=files))


def _device_here(job: CellJob) -> str:
    from bench.worker.model import device_here  # torch: most cells have nothing to judge

    return device_here(job.device)


def _whole_judgement(folder: CellFolder) -> Judgement | None:
    """What was judged before; None where it, or a file that came of it, is damaged."""
    try:
        judgement = folder.read_judgement()
    except BenchError:
        return None
    if judgement is None or not folder.are_whole(judgement.files):
        return None
    return judgement


def _inputs(
    decoded: Path, reference: CellFolder | None, extractors: Sequence[str], why: str
) -> str:
    """A hash of all that a judgement depends on besides the cell itself."""
    files = [_file_hash(features.parse(text).file) for text in extractors]
    model = why if reference is None else reference.key
    return hashing.digest([decoded.name, model, list(extractors), files, scoring_code()])


def _file_hash(file: Path | None) -> str | None:
    """What tells one weights file from another; None where there is none."""
    if file is None or not file.is_file():
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _lacks_distances(judgement: Judgement) -> bool:
    """Whether some extractor was not available then; it may be now."""
    distances = [*judgement.distances, *judgement.normal]
    return any(distance.reason is not None for distance in distances)
