"""Where in a segment its label goes: as far from the border as possible, measured by the label's own shape."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unipan.types import PanopticMap
from unipan.viz.canvas import Plates, Rectangle

MAX_SIDE_CELLS = 480
"""Places are looked for on a map thinned to this many cells, so that a large image costs no more than a small one."""


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


def draw_labels(ids: NDArray[np.int32], labels: Iterable[tuple[int, Rectangle, str]], plates: Plates) -> None:
    """Write each label into its segment, in the order given; one that has no room is left out.

    ids: (H, W), the canvas's pixels. labels: segment id, its tight box, text.
    """
    thin = -(-max(ids.shape) // MAX_SIDE_CELLS)
    cells = ids[thin // 2 :: thin, thin // 2 :: thin]
    width, height = plates.size("person")
    room = depth(cells, width / height)
    for segment_id, box, text in labels:
        width, height = plates.size(text)
        x1, y1, x2, y2 = (int(side // thin) for side in box)
        window = np.s_[y1 : y2 + 1, x1 : x2 + 1]
        best = np.where(cells[window] == segment_id, room[window], 0.0)
        for taken in plates.taken:
            _clear(best, taken, (width, height), x1, y1, thin)
        if best.size and best.max() * thin >= height / 2:
            row, column = np.unravel_index(int(best.argmax()), best.shape)
            centre_x, centre_y = (x1 + column + 0.5) * thin, (y1 + row + 0.5) * thin
            plates.put(text, float(centre_x - width / 2), float(centre_y - height / 2))


def _clear(best: NDArray, taken: Rectangle, size: tuple[float, float], x1: int, y1: int, thin: int) -> None:
    """Zero the cells at which a plate of that size would cover the taken one. `best` starts at cell (y1, x1)."""
    left, top, right, bottom = taken
    columns = slice(max(0, int((left - size[0] / 2) // thin) - x1), max(0, int((right + size[0] / 2) // thin) + 1 - x1))
    rows = slice(max(0, int((top - size[1] / 2) // thin) - y1), max(0, int((bottom + size[1] / 2) // thin) + 1 - y1))
    best[rows, columns] = 0.0
