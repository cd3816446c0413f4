"""Several shapes that claim one pixel: the later one gets it. H x W pixels of the image."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.tools.convert.rasterize import Patch
from unipan.types import Size

NOBODY = -1


class Shape(NamedTuple):
    """Pixels that a segment claims; a segment may have several shapes."""

    segment: int  # 0 or more
    patch: Patch


class Painted(NamedTuple):
    """Who got which pixel."""

    owner: NDArray[np.int32]  # (H, W) segments, NOBODY where no shape lies
    contested_px: int  # pixels that several segments claimed


def paint(shapes: Iterable[Shape], size: Size) -> Painted:
    """Lay the shapes over each other, the last on top."""
    owner = np.full(size, NOBODY, dtype=np.int32)
    contested = np.zeros(size, dtype=bool)
    for segment, patch in shapes:
        below = owner[patch.window]
        contested[patch.window] |= patch.mask & (below != NOBODY) & (below != segment)
        below[patch.mask] = segment
    return Painted(owner, int(np.count_nonzero(contested)))
