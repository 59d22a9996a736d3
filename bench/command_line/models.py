"""Commands that use finished models: masks for other images, and predictions for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.command_line.data_sets import download_display
from bench.command_line.options import (
    Device,
    EnsembleOf,
    ExportTo,
    KeyAndImages,
    Labelled,
    MasksTo,
    Method,
    ModelKey,
    Out,
    Overlays,
    Probabilities,
    Subset,
    Trusted,
    asked_models,
    check_device,
)
from bench.command_line.terminal import say


def predict(
    out: Out,
    words: KeyAndImages,
    method: Method = "",
    labelled: Labelled = None,
    subset: Subset = None,
    ensemble: EnsembleOf = False,
    to: MasksTo = None,
    probabilities: Probabilities = False,
    overlays: Overlays = False,
    device: Device = "auto",
    plugin: Trusted = None,
) -> None:
    """Write masks for a folder of images with the model of a run, or of all draws of a method."""
    from bench import registry
    from bench.execution.prediction import predict as predicting
    from bench.store import Store

    check_device(device)
    asked, images = asked_models(words, method, labelled, subset, ensemble)
    target = to or predicting.default_target(images)
    store = Store(out, plugin or [])
    extras = predicting.Extras(probabilities, overlays)
    count = predicting.predict_as_asked(
        store, asked, images, target, device, registry.image_files().read_image_file, extras
    )
    say(f"{count} masks in {target}")


def export(
    out: Out,
    key: ModelKey = None,
    method: Method = "",
    labelled: Labelled = None,
    subset: Subset = None,
    to: ExportTo = None,
) -> None:
    """Write the test predictions of a run as PNG or NIfTI, on the grid of your own images."""
    from bench.execution.prediction.chosen_models import AskedModels
    from bench.execution.prediction.export import export_predictions
    from bench.store import Store

    asked = AskedModels(key or "", method, labelled, subset)
    for folder in export_predictions(Store(out), asked, to):
        say(f"predictions: {folder}")


def weights(
    network: Annotated[
        str, typer.Argument(metavar="NAME", help="As a suite names it: smp:unet/resnet34, ...")
    ],
    to: Annotated[Path, typer.Option(help="The folder for the file.")] = Path("weights"),
    fetch: Annotated[
        bool, typer.Option("--fetch/--no-fetch", help="Fetch the file, or only say what it is.")
    ] = True,
) -> None:
    """Say which file of weights a network expects, and fetch it, checked by its hash."""
    from bench import registry
    from bench.download.weights import fetch_weights
    from bench.names import file_name

    published = registry.networks().published_weights(network)
    name = file_name(network.replace("/", "_").replace(":", "_"))
    target = to / f"{name}{Path(published.url).suffix}"
    say(f"file: {published.url}")
    say(f"parameters: {published.parameters:,}")
    say(f"mean: {list(published.mean)}, std: {list(published.std)}")
    say(f"licence: {published.licence}")
    say(f"in a suite: {{name: {network}, weights: {target}}}")
    if not fetch:
        return
    if target.exists():
        say(f"{target} is there already")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with download_display() as show:
        digest = fetch_weights(published.url, published.sha256, target, show(target.name))
    say(f"fetched: {target}, sha256 {digest}")
