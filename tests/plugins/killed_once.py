"""The supervised baseline, killed in the middle of its first launch."""

import os
import signal
from typing import Any

from bench.api import TrainView
from methods.config import TrainingConfig
from methods.training import BackboneMethod, train_supervised


class Config(TrainingConfig):
    damage: bool = False  # what was kept


class KilledOnce(BackboneMethod):
    config: Config

    def fit(self, view: TrainView, run: Any) -> None:
        mark = run.folder.parts.parent / f"launched {self.config.damage}"
        report = run.progress

        def progress(step: int) -> None:
            report(step)
            if step == 6 and not mark.exists():
                mark.touch()
                if self.config.damage:
                    with run.folder.snapshot.open("r+b") as file:
                        file.seek(500)
                        file.write(b"x")
                os.kill(os.getpid(), signal.SIGKILL)

        run.progress = progress
        self.network = run.backbone()
        train_supervised(self.network, view.fit, run, self.config)


METHOD = KilledOnce
CARD = {"summary": "Killed once."}
