"""Drawn shapes to pixels, and shapes over each other. H x W pixels of the image.

A pixel belongs to a shape when its centre (x + 0.5, y + 0.5) lies inside: shapes that share an edge neither overlap nor leave a
gap. Coordinates are in pixels, the image's top left corner is (0, 0).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.errors import InputError
from unipan.types import Size

Points = NDArray[np.float64]
"""(k, 2) corners, x and y; finite."""

CIRCLE_CORNERS = 128
"""Enough that a circle of 500 pixels radius is nowhere off by more than a sixth of a pixel."""

FARTHEST_PX = 1e6
"""A coordinate beyond is a mistake, even of a shape that is to be cut off."""

SLACK_PX = 1.0
"""How far outside the image a point may lie: tools round."""

NOBODY = -1
"""In an owner map: no shape lies there."""


class Patch(NamedTuple):
    """The part of an image in which a shape lies."""

    top: int
    left: int
    mask: NDArray[np.bool_]  # (h, w)

    @property
    def window(self) -> tuple[slice, slice]:
        """Where it lies in the image (H, W)."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def area(self) -> int:
        """Its pixels."""
        return int(np.count_nonzero(self.mask))


class Shape(NamedTuple):
    """Pixels that a segment claims; a segment may have several shapes."""

    segment: int  # 0 or more
    patch: Patch


class Painted(NamedTuple):
    """Who got which pixel."""

    owner: NDArray[np.int32]  # (H, W) segments, NOBODY where no shape lies
    contested_px: int  # pixels that several segments claimed


def polygon_patch(points: Points, size: Size) -> Patch:
    """The pixels inside an outline, cut at the image's border. Where it crosses itself, the even-odd rule holds."""
    limit = np.array([size[1], size[0]])
    left, top = np.floor(points.min(0)).clip(0, limit).astype(int)
    right, bottom = np.ceil(points.max(0)).clip(0, limit).astype(int)
    patch = Patch(int(top), int(left), np.zeros((bottom - top, right - left), dtype=bool))
    return patch._replace(mask=_filled(points, patch))


def union(patches: Sequence[Patch]) -> Patch:
    """All pixels of any of the patches, of which there is at least one."""
    if len(patches) == 1:
        return patches[0]
    top, left = min(patch.top for patch in patches), min(patch.left for patch in patches)
    bottom = max(patch.top + patch.mask.shape[0] for patch in patches)
    right = max(patch.left + patch.mask.shape[1] for patch in patches)
    mask = np.zeros((bottom - top, right - left), dtype=bool)
    for patch in patches:
        mask[Patch(patch.top - top, patch.left - left, patch.mask).window] |= patch.mask
    return Patch(top, left, mask)


def rectangle(first: Sequence[float], second: Sequence[float]) -> Points:
    """The four corners, given two opposite ones."""
    (x1, y1), (x2, y2) = first, second
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], dtype=np.float64)


def circle(center: Sequence[float], on_edge: Sequence[float]) -> Points:
    """A polygon of CIRCLE_CORNERS corners with the circle's own area."""
    corner = 2 * np.pi / CIRCLE_CORNERS
    radius = np.hypot(on_edge[0] - center[0], on_edge[1] - center[1]) * np.sqrt(corner / np.sin(corner))
    angles = np.arange(CIRCLE_CORNERS) * corner
    return np.stack([center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)], axis=1)


def check_points(points: Points, size: Size, *, clip: bool) -> None:
    """Refuse points that lie further than SLACK_PX outside the image, unless what is outside is to be cut off; and no numbers."""
    height, width = size
    if not (np.abs(points) < FARTHEST_PX).all():  # nor is any comparison with NaN true
        raise InputError(f"a coordinate of it is no number below {FARTHEST_PX:g}; mend or remove it.")
    inside = (points >= -SLACK_PX) & (points <= np.array([width, height]) + SLACK_PX)
    if not (inside.all() or clip):
        x, y = points[~inside.all(1)][0]
        raise InputError(
            f"the point ({x:g}, {y:g}) lies outside the image of {width}x{height}; mend it, or cut all shapes at the border "
            "with --clip."
        )


def paint(shapes: Iterable[Shape], size: Size) -> Painted:
    """Lay the shapes over each other, the last on top."""
    owner = np.full(size, NOBODY, dtype=np.int32)
    contested = np.zeros(size, dtype=bool)
    for segment, patch in shapes:
        below = owner[patch.window]
        contested[patch.window] |= patch.mask & (below != NOBODY) & (below != segment)
        below[patch.mask] = segment
    return Painted(owner, int(np.count_nonzero(contested)))


def _filled(points: Points, patch: Patch) -> NDArray[np.bool_]:
    """The pixels of the patch (h, w) whose centres the outline encloses.

    On each row of centres an edge is crossed at one x: from the next centre on, inside and outside change places. All is reckoned
    in the image's own coordinates, and every edge downwards: then an edge that two shapes share is crossed at the very same x.
    """
    height, width = patch.mask.shape
    following = np.roll(points, -1, axis=0)
    downwards = (points[:, 1] <= following[:, 1])[:, None]
    above, below = np.where(downwards, points, following), np.where(downwards, following, points)
    # Rows whose centre line y + 0.5 lies between the ends; half open, so that a corner on a centre line counts once.
    limits = patch.top, patch.top + height
    first, last = (np.ceil(ends[:, 1] - 0.5).clip(*limits).astype(int) for ends in (above, below))
    counts = last - first
    edge = np.repeat(np.arange(len(points)), counts)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    along = (rows + 0.5 - above[edge, 1]) / (below[edge, 1] - above[edge, 1])
    x = above[edge, 0] + along * (below[edge, 0] - above[edge, 0])
    columns = (np.ceil(x - 0.5) - patch.left).clip(0, width).astype(int)
    crossings = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(crossings, (rows - patch.top, columns), 1)
    return (crossings[:, :width].cumsum(1) & 1).astype(bool)
