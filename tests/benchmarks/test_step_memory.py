"""What `step_memory` counts."""

import torch

from tests.benchmarks.step_memory import MEBIBYTE, peak_bytes


def test_the_peak_is_what_lies_in_memory_at_one_time() -> None:
    def work() -> None:
        kept = torch.zeros(1024, 1024)  # 4 MiB of float32
        for _ in range(3):
            kept = kept + 1  # old and new one at a time

    assert round(peak_bytes(work) / MEBIBYTE) == 8
