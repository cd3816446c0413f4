"""Borders between segments, and how far pixels lie from them."""

import numpy as np
from numpy.typing import NDArray

from unipan.types import PanopticMap


def borders(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(H, W): pixels with another segment to their left, right, above or below."""
    found = np.zeros(ids.shape, dtype=bool)
    across, down = ids[:, 1:] != ids[:, :-1], ids[1:] != ids[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found


def widened(flags: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """(H, W): pixels with a flag in the square of `radius` pixels around them."""
    reach = 0
    while reach < radius:  # a flag that reaches so far, laid beside itself on both sides, leaves no gap
        step = min(2 * reach + 1, radius - reach)
        reach += step
        for _ in ("rows", "columns"):
            wider = flags.copy()
            wider[step:] |= flags[:-step]
            wider[:-step] |= flags[step:]
            flags = wider.T
    return flags


def depth(ids: NDArray[np.int32], aspect: float) -> NDArray[np.float32]:
    """(H, W): distance to the segment's own border or the image's, |dx| / aspect + |dy|, in two linear sweeps.

    The nearest border pixel of any segment always belongs to the pixel's own, for a path out of a segment crosses its border.
    """
    inside = np.pad(np.where(borders(ids), 0.0, np.inf), 1).astype(np.float32)
    return _sweep(_sweep(inside.T, 1 / aspect).T, 1.0)[1:-1, 1:-1]


def middles(panoptic: PanopticMap) -> dict[int, tuple[int, int]]:
    """For each segment's id the pixel, (x, y), that lies deepest in it."""
    ids = panoptic.ids.numpy()
    room = depth(ids, aspect=1.0)
    found = {}
    for segment in panoptic.segments:
        x1, y1, x2, y2 = segment.box
        window = np.s_[y1:y2, x1:x2]
        row, column = np.unravel_index(np.where(ids[window] == segment.id, room[window] + 1, 0).argmax(), (y2 - y1, x2 - x1))
        found[segment.id] = (x1 + int(column), y1 + int(row))
    return found


def _sweep(distance: NDArray[np.float32], step: float) -> NDArray[np.float32]:
    """Spread the least distance up and down each column, `step` more for each row."""
    ramp = (np.arange(len(distance), dtype=np.float32) * np.float32(step))[:, None]
    down = np.minimum.accumulate(distance - ramp, axis=0) + ramp
    up = (np.minimum.accumulate((distance + ramp)[::-1], axis=0))[::-1] - ramp
    return np.minimum(down, up)
