"""Where tiles of a large image lie: overlapping windows of one size."""

from collections.abc import Iterable
from operator import index
from typing import NamedTuple

from torch import Tensor

from unipan.errors import InputError
from unipan.types import Size

TileSize = int | tuple[int, ...]
"""The side of a tile in pixels, or (side, overlap)."""


class Tiling(NamedTuple):
    """How an image is cut, in pixels."""

    side: int
    """Of a tile, which is a square unless the image is narrower."""
    overlap: int
    """At least so many pixels are seen by both of two neighbours, where their answers are joined."""


class Span(NamedTuple):
    """A window's place along one side of the image: pixels from `start` up to `end`."""

    start: int
    end: int
    shared: int
    """How many of its first pixels the window before it has too; 0 for the first."""

    @property
    def own(self) -> int:
        """Where it takes over from the window before: at the middle of what they share, where neither is near its edge."""
        return self.start + self.shared // 2


class Window(NamedTuple):
    """A tile's place."""

    rows: Span
    columns: Span

    def of(self, image: Tensor) -> Tensor:
        """Its pixels of an image (3, H, W)."""
        return image[:, self.rows.start : self.rows.end, self.columns.start : self.columns.end]


def tiling_of(tile: TileSize) -> Tiling:
    """The tiling for `PX` or `PX OVERLAP`; without an overlap it is an eighth of the side.

    Raises: InputError for what is no tiling.
    """
    try:
        sides = [index(side) for side in (tile if isinstance(tile, Iterable) else (tile,))]
    except TypeError as error:
        raise InputError(f"tiles of {tile} px came; give whole numbers of pixels.") from error
    if not 1 <= len(sides) <= 2:
        raise InputError(f"{len(sides)} numbers came for tiles; give the side in pixels, and perhaps the overlap: 2048 256.")
    tiling = Tiling(sides[0], sides[1] if len(sides) == 2 else sides[0] // 8)
    if not 0 < tiling.overlap <= tiling.side // 2:
        raise InputError(
            f"tiles of {tiling.side} px with an overlap of {tiling.overlap} came; neighbours are joined where they overlap: give "
            "an overlap of 1 px to half of the side, and a side of at least 2."
        )
    return tiling


def windows(size: Size, tiling: Tiling) -> list[Window]:
    """The tiles of an image, row by row; a single one where the image is no larger than a tile."""
    rows, columns = (_spans(length, tiling) for length in size)
    return [Window(row, column) for row in rows for column in columns]


def _spans(length: int, tiling: Tiling) -> list[Span]:
    """As few as cover the length, equally long, evenly spread."""
    if length <= tiling.side:
        return [Span(0, length, 0)]
    last = -(-(length - tiling.side) // (tiling.side - tiling.overlap))
    starts = [index * (length - tiling.side) // last for index in range(last + 1)]
    ends = [start + tiling.side for start in starts]
    shared = [0, *(end - start for end, start in zip(ends, starts[1:], strict=False))]
    return [Span(*values) for values in zip(starts, ends, shared, strict=True)]
