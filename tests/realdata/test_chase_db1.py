"""CHASE_DB1 as stored: 28 retinas, left and right eyes of 14 children; all look alike."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.near_duplicates import (
    COPY_SIMILARITY,
    alike_in_outline,
    alike_in_the_gross,
    confirmed,
    similarity,
    thumbnail,
)


def test_no_retina_is_a_copy_of_another(real_data: Path) -> None:
    """With the older rule, a run on CHASE_DB1 lost 3 of 22 training images."""
    files = sorted((real_data / "chase_db1" / "CHASEDB1").glob("*.jpg"))
    if not files:
        pytest.skip(f"no CHASE_DB1 under {real_data}")
    images = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files]
    thumbs = np.stack([thumbnail(image) for image in images])
    pairs = alike_in_outline(alike_in_the_gross(thumbs, thumbs), thumbs, thumbs)
    assert len(pairs) > 500  # of 784: thumbnails do not tell them apart
    scores = [similarity(*pair) for pair in list(combinations(images, 2))[::4]]
    assert max(scores) < COPY_SIMILARITY / 2
    every_pair = np.array(list(combinations(range(len(images)), 2)))
    assert confirmed(every_pair, images.__getitem__, images.__getitem__) == []
    copy = images[0][:, 3:, 3:]
    assert similarity(images[0], copy) >= COPY_SIMILARITY
