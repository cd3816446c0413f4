"""Free space for a plate beside a point, the nearest first; most of what is taken is ruled out at once."""

from collections.abc import Iterator
from math import hypot, pi

import numpy as np
from numpy.typing import NDArray

from unipan.viz.canvas import Plates, Rectangle

DIRECTIONS = 16
"""In which a place beside a point is looked for, at growing distances."""
NEAREST, FARTHER = 0.7, 1.3
"""The first distance, in heights of a plate, and how much farther the next ones are."""


class FreeSpace:
    """Where plates may lie on a canvas. Each `thin`-th pixel of it, both ways, is looked at: taken, or free."""

    def __init__(self, plates: Plates, thin: int) -> None:
        self._plates, self._thin = plates, thin
        canvas = plates.canvas
        self._farthest_px = hypot(canvas.width, canvas.height)
        self._taken = np.zeros((-(-canvas.height // thin), -(-canvas.width // thin)), dtype=np.int32)
        self._summed: NDArray[np.int32] | None = None
        self._offsets: dict[tuple[float, float], NDArray[np.float64]] = {}

    def take(self, plate: Rectangle) -> None:
        """Keep others away from a plate."""
        self._plates.take(plate)
        x1, y1, x2, y2 = self._pixels(np.array(plate))
        self._taken[y1:y2, x1:x2] = 1
        self._summed = None

    def around(self, text: str, anchor: tuple[float, float]) -> Iterator[tuple[float, Rectangle]]:
        """Plates around a point: distance in heights, plate. Those moved into the image keep clear of the point.

        Left out is what surely covers another plate; what is left may yet cover the rim of one.
        """
        (width, height), (x, y) = self._plates.size(text), anchor
        distances, across, down = self._offsets_of(width, height)
        x1 = (x + across - width / 2).clip(0, self._plates.canvas.width - width)
        y1 = (y + down - height / 2).clip(0, self._plates.canvas.height - height)
        plates = np.stack([x1, y1, x1 + width, y1 + height])
        clear = (x < plates[0]) | (x > plates[2]) | (y < plates[1]) | (y > plates[3])
        good = clear & ~self._surely_taken(plates)
        for distance, plate in zip(distances[good].tolist(), plates[:, good].T.tolist(), strict=True):
            yield distance, (plate[0], plate[1], plate[2], plate[3])

    def _offsets_of(self, width: float, height: float) -> NDArray[np.float64]:
        """(3, n): distance in heights, and how far the plate's middle lies from the point in x and y."""
        if (width, height) not in self._offsets:
            distances = [NEAREST]
            while distances[-1] * FARTHER < self._farthest_px / height:
                distances.append(distances[-1] * FARTHER)
            distance, turn = np.meshgrid(distances, 2 * pi * np.arange(DIRECTIONS) / DIRECTIONS, indexing="ij")
            reach_x, reach_y = width / 2 + distance * height, height / 2 + distance * height
            self._offsets[width, height] = np.stack([distance, np.cos(turn) * reach_x, np.sin(turn) * reach_y]).reshape(3, -1)
        return self._offsets[width, height]

    def _surely_taken(self, plates: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) of (4, n): whether a pixel that is looked at lies in the plate, and in one that was taken."""
        if self._summed is None:
            self._summed = np.pad(self._taken.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), ((1, 0), (1, 0)))
        x1, y1, x2, y2 = self._pixels(plates)
        total = self._summed
        return total[y2, x2] - total[y1, x2] - total[y2, x1] + total[y1, x1] > 0

    def _pixels(self, plates: NDArray[np.float64]) -> NDArray[np.int64]:
        """The range of pixels that are looked at, x1 y1 x2 y2, whose positions lie in a plate."""
        rows, columns = self._taken.shape
        first = np.ceil(plates / self._thin).astype(np.int64)
        return first.clip(0, np.array([columns, rows, columns, rows]).reshape(4, *[1] * (plates.ndim - 1)))
