"""How sure a difference of panoptic quality is: a paired bootstrap over images (Efron, 1979).

N images; C classes; B draws of N images each, with replacement; R runs of one method (its seeds).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unipan.metrics.pq import PQCounts

DRAWS = 1000


def draw_images(num_images: int, *, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """(B, N): how often each draw takes each image."""
    return np.random.default_rng(seed).multinomial(num_images, np.full(num_images, 1 / num_images), size=draws)


def drawn_pq(images: Sequence[PQCounts], drawn: NDArray[np.int64], chosen: Sequence[int]) -> NDArray[np.float64]:
    """(B,) PQ over the classes `chosen` that occur, of each draw of the N images; nan where none does."""
    iou, matched, extra, missed = (
        drawn @ np.stack([getattr(image, name)[list(chosen)] for image in images])
        for name in ("iou_sum", "matched", "extra", "missed")
    )
    weight = matched + extra / 2 + missed / 2
    per_class = np.divide(iou, weight, out=np.zeros_like(weight), where=weight > 0)
    occurring = (weight > 0).sum(1)
    return np.divide(per_class.sum(1), occurring, out=np.full(len(drawn), np.nan), where=occurring > 0)


def difference_interval(
    one: Sequence[Sequence[PQCounts]], other: Sequence[Sequence[PQCounts]], chosen: Sequence[int], drawn: NDArray[np.int64]
) -> tuple[float, float]:
    """The middle 95 % of the PQ of `one` less that of `other`: R runs each, of the same N images; their means, draw by draw."""
    means = [np.mean([drawn_pq(images, drawn, chosen) for images in runs], axis=0) for runs in (one, other)]
    low, high = np.nanpercentile(means[0] - means[1], [2.5, 97.5])
    return float(low), float(high)
