"""Masks as COCO's run lengths. H x W pixels of an image, h x w of a part of it."""

import numpy as np
from numpy.typing import NDArray

from unipan.types import Size


def run_lengths(part: NDArray[np.bool_], corner: tuple[int, int], size: Size) -> NDArray[np.int64]:
    """Lengths of the runs of a mask, column by column, background first; they add up to H * W.

    part: (h, w), where the mask may be set; elsewhere it is not. corner: (y, x) of its first pixel.
    Linear in h * w, not in H * W.
    """
    height, width = size
    part_height, part_width = part.shape
    bounded = np.zeros((part_width, part_height + 2), dtype=np.int8)  # background above and below ends each column's runs
    bounded[:, 1:-1] = part.T
    change = np.diff(bounded, axis=1)
    top, left = corner
    (x, begin), (_, end) = (change == 1).nonzero(), (change == -1).nonzero()
    column = (left + x) * height + top
    edges = np.stack([column + begin, column + end], axis=1).ravel()
    joined = edges[1:-1:2] == edges[2::2]  # from the bottom of one column on to the top of the next
    inner = edges[1:-1].reshape(-1, 2)[~joined].ravel()
    lengths = np.diff(np.concatenate([[0], edges[:1], inner, edges[-1:], [height * width]]))
    return lengths if lengths[-1] or len(lengths) == 1 else lengths[:-1]
