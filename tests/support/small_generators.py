"""Settings of the smallest StyleGAN3 that tests train."""

from __future__ import annotations

from typing import Any

STYLEGAN3: dict[str, Any] = {
    "layers": 4,
    "channel_base": 64,
    "channel_max": 4,
    "z_dim": 4,
    "w_dim": 4,
    "batch_size": 2,
    "gamma": 0.1,
}
