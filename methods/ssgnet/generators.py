"""The generators of SSGNet as parts that runs share, and images drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn.functional import interpolate

from bench.api import Case, Run, Saved
from methods.resume import State
from methods.ssgnet.config import Config, FastGANConfig, generator_settings
from methods.ssgnet.fastgan import training as fastgan
from methods.ssgnet.stylegan3 import training as stylegan3

# Images kept at each point of the training curve: as many as there are to compare them with, but
# within these bounds.
FEWEST, MOST = 64, 200
POINTS = 8  # of the curve, besides the untrained generator
Report = Callable[[int, State], None]  # given the images shown and a snapshot


def shared_generator(cases: Sequence[Case], config: Config, run: Run, label: int | None) -> State:
    """The generator of these images, a part that all runs with the same images share.

    `label` is the label of all of them, None where they are mixed. The state also holds a curve:
    pictures drawn while the generator was trained.
    """
    cases = sorted(cases, key=lambda case: case.id)

    def build(seed: int, saved: Saved) -> State:
        state = _build_generator(cases, config, seed, saved, run)
        if label is not None:
            state["label"] = torch.tensor(label)
        return state

    settings = {**generator_settings(config), "spec": run.spec.identity, "label": label}
    name = f"ssgnet {config.generator.kind}"
    return run.part(name, settings, [case.id for case in cases], build)


def _build_generator(
    cases: Sequence[Case], config: Config, seed: int, saved: Saved, run: Run
) -> State:
    """Train a generator, or continue at the snapshot that an interrupted build has left."""
    square = (config.resolution, config.resolution)
    images = torch.stack([_resize_case(case, square) for case in cases])
    batch = config.generator.batch_size
    steps = max(1, round(1000 * config.kimg / batch))
    every = max(batch, round(1000 * config.kimg / POINTS))
    points = min(max(FEWEST, len(images)), MOST)
    recorder = CurveRecorder(saved, run, points)
    snapshot: State | None = None
    if saved.last is None:
        untrained = train_pictures(images, config, 0, seed, run.device)
        recorder.record(0, untrained)
    else:
        snapshot = without_curve(saved.last)
    dtype = getattr(torch, run.precision)  # float32 or bfloat16
    state = train_pictures(
        images, config, steps, seed, run.device, snapshot, every, recorder, dtype
    )
    if f"curve/{steps * batch}" not in recorder.curve:
        recorder.record(steps * batch, state)
    return {**fastgan.drawing_part(state), **recorder.curve}


class CurveRecorder:
    """Draws pictures during the training and keeps them with each snapshot."""

    def __init__(self, saved: Saved, run: Run, images: int) -> None:
        self.images = images  # of each point
        self.saved = saved
        self.last = saved.last
        self.size = run.spec.size
        self.device = run.device
        self.curve: State = {}
        for name, value in (saved.last or {}).items():
            if name.startswith("curve/"):
                self.curve[name] = value

    def record(self, shown: int, state: State) -> None:
        """Add a point of the curve after `shown` images, and save what resuming needs."""
        drawn = torch.cat(list(draw_pictures(state, self.images, 0, 1.0, self.device)))
        pictures = resize_images(drawn, self.size)
        self.curve[f"curve/{shown}"] = (255 * pictures).round().to(torch.uint8)
        self.keep(state)

    def is_due(self) -> bool:
        """Whether it is time for another snapshot."""
        return self.saved.is_due()

    def keep(self, state: State) -> None:
        """Save what resuming needs, with the curve so far."""
        self.saved.keep({**state, **self.curve})


def train_pictures(
    images: torch.Tensor,
    config: Config,
    steps: int,
    seed: int,
    device: torch.device,
    snapshot: State | None = None,
    every: int = 0,
    recorder: CurveRecorder | None = None,
    dtype: torch.dtype = torch.float32,
) -> State:
    """Train the generator that is set on images (N C R R) in [0, 1] for `steps` batches.

    Begins at `snapshot` if one is given; the recorder gets one each time that `every` more images
    were shown, and whenever one is due. `dtype` is that of StyleGAN3's convolutions, or of
    FastGAN's forward passes. Returns the last snapshot.
    """
    report = recorder.record if recorder else None
    settings = config.generator
    if isinstance(settings, FastGANConfig):
        return fastgan.train_generator(
            images, settings, steps, seed, device, snapshot, every, report, recorder, dtype
        )
    return stylegan3.train_generator(
        images, settings, steps, seed, device, snapshot, every, report, recorder, dtype
    )


def draw_pictures(
    state: State, n: int, seed: int, psi: float, device: torch.device
) -> Iterator[torch.Tensor]:
    """n pictures in [0, 1] of the averaged generator of a snapshot, in parts (B C R R)."""
    if fastgan.is_snapshot(state):
        yield from fastgan.draw_pictures(state, n, seed, device)
    else:
        yield from stylegan3.draw_pictures(state, n, seed, psi, device)


def draw_images(
    generator: State, n: int, seed: int, config: Config, size: tuple[int, ...], device: torch.device
) -> Iterator[torch.Tensor]:
    """n images (C H W) on the training grid."""
    for images in draw_pictures(without_curve(generator), n, seed, config.psi, device):
        yield from resize_images(images, size)


def averaged_part(generator: State) -> State:
    """What drawing needs of a generator: its average and its settings."""
    part: State = {}
    for name, value in generator.items():
        if name in ("config", "shape") or name.startswith("average."):
            part[name] = value
    return part


def resize_images(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Resize images (B C H W) bilinearly, antialiased where the result is smaller."""
    if images.shape[2:] == torch.Size(size):
        return images
    resized = interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.clamp(0, 1)


def _resize_case(case: Case, size: tuple[int, ...]) -> torch.Tensor:
    return resize_images(torch.from_numpy(case.image)[None], size)[0]


def without_curve(state: State) -> State:
    """The snapshot alone."""
    snapshot: State = {}
    for name, value in state.items():
        if not name.startswith("curve/") and name != "label":
            snapshot[name] = value
    return snapshot
