"""What `precision: auto` stands for: bfloat16 where the machine computes in it, else float32.

It is resolved once, when a folder is planned, so that all cells of a board agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bench.errors import BenchError
from bench.files.records import read_json
from bench.store import Store

Precision = Literal["float32", "bfloat16"]
AUTO = "auto"
PROCESSOR = Path("/proc/cpuinfo")  # on Linux; without it a processor counts as one without bfloat16
# Present where a GPU may be: torch, which takes a second to import, is asked only there.
GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})
FIRST_GPU_WITH_BFLOAT16 = 8  # major compute capability: tensor cores of Ampere and later


def planned_precision(store: Store, device: str) -> Precision:
    """What `auto` stands for in a folder: what its plan says already, or what the device has.

    `device` is auto, cpu, cuda or cuda:N. A folder that another machine goes on with keeps its
    precision, so that finished cells stay what the plan asks for.
    """
    return kept_precision(store) or native_precision(device)


def kept_precision(store: Store) -> Precision | None:
    """What `auto` stood for when the folder was planned last, if its suite said `auto` then."""
    try:
        content = read_json(store.out / "plan.json")
    except BenchError:  # torn: it is written anew
        return None
    if not isinstance(content, dict):
        return None
    kept = content.get("auto_precision")
    return kept if kept in ("float32", "bfloat16") else None


def native_precision(device: str) -> Precision:
    """bfloat16 if the device that trains has units for it, else float32."""
    if device != "cpu" and any(driver.exists() for driver in GPU_DRIVERS):
        import torch

        if torch.cuda.is_available():
            name = "cuda" if device == "auto" else device
            major, _ = torch.cuda.get_device_capability(torch.device(name))
            return "bfloat16" if major >= FIRST_GPU_WITH_BFLOAT16 else "float32"
    try:
        return processor_precision(PROCESSOR.read_text(errors="replace"))
    except OSError:
        return "float32"


def processor_precision(text: str) -> Precision:
    """bfloat16 if the processor that a text in the format of /proc/cpuinfo describes has it.

    That is the case with AMX and with AVX-512 BF16; other processors emulate it, and are slower.
    """
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return "bfloat16" if BFLOAT16_FLAGS & set(flags.split()) else "float32"
    return "float32"
