"""The places on a machine where cells run: on its GPUs, one or more a card, and on its cores."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, cut
from bench.execution.executor import Needs

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVERS = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")  # files of GPUs, on Linux
NO_CARD = ""  # what a process that is to see no GPU gets as VISIBLE


@dataclass(frozen=True)
class Devices:
    """What `--device` and `--per-device` mean on this machine."""

    cards: tuple[str, ...] = ()  # as CUDA_VISIBLE_DEVICES names them
    per_device: int = 1
    by_name: bool = False  # the job of a cell names its one GPU, and the cell sees all

    @property
    def places(self) -> int:
        """How many cells the cards take at once."""
        return len(self.cards) * self.per_device


NO_DEVICES = Devices()


def job_device(text: str) -> str:
    """The device that the job of a cell names: of several, each cell sees but one."""
    return text if "," not in text else "cuda"


def parse_devices(text: str) -> list[str]:
    """The names in auto, cpu, cuda, cuda:N, or a list such as cuda:0,cuda:1.

    Raises BenchError for anything else.
    """
    names = text.split(",")
    is_list = len(names) > 1
    for name in names:
        if not DEVICE.fullmatch(name) or (is_list and ":" not in name):
            raise BenchError(
                f"--device {cut(text)} given; expected auto, cpu, cuda, cuda:N, or a list such as "
                "cuda:0,cuda:1"
            )
    if len(set(names)) < len(names):
        raise BenchError(
            f"--device {cut(text)} given; a GPU is named twice; for several runs on each, add "
            "--per-device"
        )
    return names


def devices_here(text: str, per_device: int = 1) -> Devices:
    """The devices of this machine that a user asks for. Raises BenchError for one it lacks."""
    names = parse_devices(text)
    if text == "cpu":
        return Devices()
    visible = visible_cards()
    if text == "auto":
        return Devices(visible, per_device)
    cards = []
    for name in names:
        number = int(name.partition(":")[2] or 0)
        if number >= len(visible):
            raise BenchError(
                f"--device {cut(text)} given; torch finds {len(visible)} GPUs here; give another "
                "one, or auto"
            )
        cards.append(visible[number])
    return Devices(tuple(cards), per_device, by_name=len(cards) == 1)


def visible_cards() -> tuple[str, ...]:
    """The GPUs that torch would find, as CUDA_VISIBLE_DEVICES names them."""
    if not any(any(Path("/").glob(pattern[1:])) for pattern in DRIVERS):
        return ()
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    names = named or [str(number) for number in range(count)]
    return tuple(names[:count])


class Places:
    """Which cards and cores are taken, and how much memory; all by the folder of a cell."""

    def __init__(
        self, cells: int, devices: Devices = NO_DEVICES, memory_gb: float = 0.0, on_cores: int = 0
    ) -> None:
        self.cells = cells  # at once, on cards or, without any, on cores
        self.cards = devices.cards
        self.per_device = devices.per_device
        self.shows_all = devices.by_name
        self.memory_gb = memory_gb  # of the machine; 0 if that is not known
        self.on_cores = on_cores  # further cells, of methods that use no GPU
        self.taken: dict[Path, tuple[str | None, Needs]] = {}  # with the card; None on cores

    def lacks(self, needs: Needs) -> str:
        """Why a cell can never run here; "" if it can."""
        if needs.gpu and not self.cards:
            return "its method needs a GPU, and none is here"
        if self.memory_gb and needs.memory_gb > self.memory_gb:
            return f"its method needs {needs.memory_gb:g} GB, and {self.memory_gb:.1f} are here"
        return ""

    def has_room(self, needs: Needs) -> bool:
        """Whether a cell may start now."""
        is_for_card = self._is_for_card(needs)
        most = self.on_cores if self.cards and not is_for_card else self.cells
        alike = [card for card, _ in self.taken.values() if (card is not None) == is_for_card]
        if len(alike) >= most or self.lacks(needs):
            return False
        used = sum(other.memory_gb for _, other in self.taken.values())
        if self.memory_gb and used + needs.memory_gb > self.memory_gb:
            return False
        return not is_for_card or self._freest() is not None

    def take(self, folder: Path, needs: Needs) -> str | None:
        """Take a place; returns what the cell is to see as CUDA_VISIBLE_DEVICES, None for all.

        Where all places are taken, the emptiest card is shared.
        """
        card = None
        if self._is_for_card(needs):
            card = self._freest() or min(self.cards, key=self._load)
        self.taken[folder] = (card, needs)
        if self.shows_all and card is not None:
            return None
        if card is None and self.cards:
            return NO_CARD
        return card

    def free(self, folder: Path) -> None:
        """Give a place back."""
        self.taken.pop(folder, None)

    def _is_for_card(self, needs: Needs) -> bool:
        return bool(self.cards) and needs.gpu is not False

    def _freest(self) -> str | None:
        card = min(self.cards, key=self._load)
        return card if self._load(card) < self.per_device else None

    def _load(self, card: str) -> int:
        return sum(taken == card for taken, _ in self.taken.values())


def memory_here_gb() -> float:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def cells_at_once(devices: Devices, threads: int) -> int:
    """How many cells of so many threads run side by side: on GPUs, or without any on cores."""
    return devices.places or cores_for(threads)


def cores_for(threads: int) -> int:
    """How many cells of so many threads the cores take."""
    return max(1, available_cores() // threads)
