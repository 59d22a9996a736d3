"""Largest connected components of label maps, on the device and without waiting for it."""

from __future__ import annotations

import torch
from torch.nn.functional import max_pool2d, max_pool3d

from methods.losses import class_maps


def largest_components(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Label maps (B *S) with the largest component of each class but 0; corners connect.

    Of two components of one size the one that ends later in memory is kept.
    """
    maps = class_maps(labels, classes)[:, 1:]
    inside = maps.flatten(0, 1).flatten(1)
    roots = component_roots(maps.flatten(0, 1))
    pixels = inside.shape[1]
    sizes = torch.zeros_like(roots).scatter_add_(1, roots, inside.long())
    places = torch.arange(pixels, device=labels.device)
    largest = (sizes * pixels + places).argmax(1, keepdim=True)
    kept = (inside & (roots == largest)).view_as(maps).any(1)
    return labels * kept


def component_roots(maps: torch.Tensor) -> torch.Tensor:
    """For each pixel of maps (M *S) the place (M N) of the last pixel of its component.

    Pixels outside have their own place. Each round hangs trees of pixels under neighbouring trees
    and shortens them by pointer jumping; as the number of rounds is fixed, nothing is read from the
    device. Trees at least double where they meet, so that twice the logarithm of N is enough for
    all shapes that were tried.
    """
    inside = maps.flatten(1)
    pixels = inside.shape[1]
    places = torch.arange(pixels, device=maps.device).expand_as(inside)
    roots = places.contiguous()
    for _ in range(2 * pixels.bit_length()):
        # float32 holds every place of up to 16 million pixels exactly.
        shown = torch.where(inside, roots, -1).float().view_as(maps)
        highest = highest_neighbour(shown).flatten(1).long()
        highest = torch.where(inside, highest, places)
        roots = roots.scatter_reduce(1, roots, highest, "amax")
        roots = torch.maximum(roots, highest)
        roots = roots.gather(1, roots).gather(1, roots)
    return roots


def highest_neighbour(values: torch.Tensor) -> torch.Tensor:
    """The largest value within one pixel of each, corners included, of maps (M *S)."""
    if values.ndim == 3:
        return max_pool2d(values[:, None], 3, 1, 1)[:, 0]
    return max_pool3d(values[:, None], 3, 1, 1)[:, 0]
