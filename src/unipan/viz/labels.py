"""Where labels go: into their segment where there is room, and else beside it, with a line that leads to it."""

from collections.abc import Callable, Iterator, Sequence
from math import cos, hypot, inf, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from unipan.class_colors import RGB
from unipan.viz.borders import depth
from unipan.viz.canvas import INK, Plates, Rectangle, line_width

MAX_SIDE_CELLS = 480
"""Places are looked for on a map thinned to this many cells, so that a large image costs no more than a small one."""
OPACITY = 0.9  # of a label's plate
DIRECTIONS = 16  # in which a place beside a segment is looked for, at growing distances
NEAREST, FARTHER = 0.7, 1.3  # the first distance, in heights of a plate, and how much farther the next ones are
MANY, MOST_COVERED = 100, 0.35
"""Where more labels than these would lie beside their segments and cover more than this of the canvas, none does."""
COVERING = 6.0  # what covering things with all of a plate costs, in heights of distance
CROSSING = 2.0  # what a line costs that runs below another plate


class Caption(NamedTuple):
    """What is to be written about a segment."""

    id: int
    box: Rectangle  # tight, pixels of the canvas
    texts: Sequence[str]  # the first that finds room is written
    color: RGB
    always: bool  # beside the segment where it has no room, rather than not at all


class Written(NamedTuple):
    """A label that has found its place."""

    text: str
    plate: Rectangle
    anchor: tuple[float, float] | None  # the pixel of the segment that a line leads to; None where the plate lies in the segment


def lay_out_labels(ids: NDArray[np.int32], captions: Sequence[Caption], plates: Plates) -> dict[int, Written]:
    """Find a place for each label, those inside their segments first, in the order given; by the segments' ids.

    ids: (H, W), the canvas's pixels. Left out is what finds no free place, and all beside that would hide what it is of.
    """
    board = _Board(ids, captions, plates)
    captions = [caption._replace(texts=board.fitting(caption.texts)) for caption in captions]
    written = _placed(board.inside, captions, plates)
    left = [caption for caption in captions if caption.id not in written]
    return written if board.would_hide(left) else written | _placed(board.beside, left, plates)


def _placed(find: Callable[[Caption], Written | None], captions: Sequence[Caption], plates: Plates) -> dict[int, Written]:
    """The labels that find a place, one after the other."""
    written: dict[int, Written] = {}
    for caption in captions:
        if found := find(caption):
            plates.take(found.plate)
            written[caption.id] = found
    return written


def draw_labels(written: dict[int, Written], captions: Sequence[Caption], plates: Plates) -> None:
    """Draw what has found a place: lines first, so that they cross no text."""
    shown = [(caption.color, written[caption.id]) for caption in captions if caption.id in written]
    for color, found in shown:
        _draw_line(plates, color, found)
    for color, found in shown:
        plates.write(found.text, found.plate, color=color, opacity=OPACITY)


class _Board:
    """The map that labels are laid on, thinned."""

    def __init__(self, ids: NDArray[np.int32], captions: Sequence[Caption], plates: Plates) -> None:
        self.ids, self.plates = ids, plates
        self.thin = -(-max(ids.shape) // MAX_SIDE_CELLS)
        self.cells = ids[self.thin // 2 :: self.thin, self.thin // 2 :: self.thin]
        width, height = plates.size("person")
        self.room = depth(self.cells, width / height)
        things = np.isin(self.cells, [caption.id for caption in captions if caption.always])
        self.summed = np.pad(things.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def fitting(self, texts: Sequence[str]) -> Sequence[str]:
        """Those texts, each on one line, that the canvas is large enough for; where it is for none, the last, shortened."""
        height, width = self.ids.shape
        lines = [" ".join(text.split()) for text in texts]
        whole = [line for line in lines if self.plates.size(line)[0] <= width] or [self.plates.shortened(lines[-1])]
        return [line for line in whole if line and self.plates.size(line)[1] <= height]

    def would_hide(self, captions: Sequence[Caption]) -> bool:
        """Whether these are too many to stand beside their segments."""
        sizes = [self.plates.size(caption.texts[-1]) for caption in captions if caption.always and caption.texts]
        return len(sizes) > MANY and sum(width * height for width, height in sizes) > MOST_COVERED * self.ids.size

    def inside(self, caption: Caption) -> Written | None:
        """As far from the segment's border as possible, measured by the label's own shape."""
        x1, y1, x2, y2 = (int(side // self.thin) for side in caption.box)
        window = np.s_[y1 : y2 + 1, x1 : x2 + 1]
        own = np.where(self.cells[window] == caption.id, self.room[window], 0.0)
        for text in caption.texts:
            width, height = self.plates.size(text)
            if not own.size or own.max() * self.thin < height / 2:
                continue
            best = own.copy()
            frame = (caption.box[0] - width, caption.box[1] - height, caption.box[2] + width, caption.box[3] + height)
            for taken in self.plates.within(frame):
                _clear(best, taken, (width, height), x1, y1, self.thin)
            row, column = np.unravel_index(int(best.argmax()), best.shape)
            x, y = (x1 + column + 0.5) * self.thin - width / 2, (y1 + row + 0.5) * self.thin - height / 2
            plate = self.plates.fitted(text, float(x), float(y))
            if best.max() * self.thin >= height / 2 and not self.plates.within(plate):
                return Written(text, plate, None)
        return None

    def beside(self, caption: Caption) -> Written | None:
        """At the free place that is nearest, hides least of the things, and is reached without crossing another label."""
        anchor = self._anchor(caption)
        for text in caption.texts if caption.always else ():
            least, found = inf, None
            for distance, plate in self._around(text, anchor):
                if distance >= least:
                    break
                cost = distance + COVERING * self._share_of_things(plate)
                if cost < least and not self.plates.within(plate):
                    cost += CROSSING * self._crosses(anchor, plate)
                    if cost < least:
                        least, found = cost, Written(text, plate, anchor)
            if found:
                return found
        return None

    def _around(self, text: str, anchor: tuple[float, float]) -> Iterator[tuple[float, Rectangle]]:
        """Plates around a point, the nearest first: distance in heights, plate. Those moved into the image keep clear of it."""
        (width, height), (x, y) = self.plates.size(text), anchor
        distance, farthest = NEAREST, hypot(*self.ids.shape) / height
        while distance < farthest:
            for n in range(DIRECTIONS):
                across, down = cos(2 * pi * n / DIRECTIONS), sin(2 * pi * n / DIRECTIONS)
                reach_x, reach_y = width / 2 + distance * height, height / 2 + distance * height
                plate = self.plates.fitted(text, x + across * reach_x - width / 2, y + down * reach_y - height / 2)
                if not (plate[0] <= x <= plate[2] and plate[1] <= y <= plate[3]):
                    yield distance, plate
            distance *= FARTHER

    def _anchor(self, caption: Caption) -> tuple[float, float]:
        """The middle of the segment's deepest cell; of one that fell through the thinned map, a pixel of it."""
        x1, y1, x2, y2 = (int(side // self.thin) for side in caption.box)
        window = np.s_[y1 : y2 + 1, x1 : x2 + 1]
        own = np.where(self.cells[window] == caption.id, self.room[window] + 1, 0.0)
        if own.any():
            row, column = np.unravel_index(int(own.argmax()), own.shape)
            return (x1 + int(column)) * self.thin + self.thin // 2 + 0.5, (y1 + int(row)) * self.thin + self.thin // 2 + 0.5
        left, top, right, bottom = (int(side) for side in caption.box)
        rows, columns = np.nonzero(self.ids[top:bottom, left:right] == caption.id)
        return left + int(columns[len(columns) // 2]) + 0.5, top + int(rows[len(rows) // 2]) + 0.5

    def _share_of_things(self, plate: Rectangle) -> float:
        """How much of a plate lies on things."""
        height, width = self.cells.shape
        x1, x2 = (min(max(round(side / self.thin), 0), width) for side in plate[0::2])
        y1, y2 = (min(max(round(side / self.thin), 0), height) for side in plate[1::2])
        total = self.summed
        return (total[y2, x2] - total[y1, x2] - total[y2, x1] + total[y1, x1]) / max((x2 - x1) * (y2 - y1), 1)

    def _crosses(self, anchor: tuple[float, float], plate: Rectangle) -> bool:
        """Whether the line from a plate to its segment runs below another plate."""
        (x, y), (to_x, to_y) = anchor, _nearest(plate, anchor)
        points = [(x + (to_x - x) * share, y + (to_y - y) * share) for share in (0, 0.2, 0.4, 0.6, 0.8)]
        return any(self.plates.within((x, y, x + 1, y + 1)) for x, y in points)


def _nearest(plate: Rectangle, point: tuple[float, float]) -> tuple[float, float]:
    """The plate's point that is nearest to another."""
    x1, y1, x2, y2 = plate
    return min(max(point[0], x1), x2), min(max(point[1], y1), y2)


def _draw_line(plates: Plates, color: RGB, written: Written) -> None:
    """A line with dark edges from a label to its segment, and a dot there."""
    if written.anchor is None:
        return
    draw, (x, y), end = ImageDraw.Draw(plates.canvas), written.anchor, _nearest(written.plate, written.anchor)
    width = (line_width(plates.canvas) + 1) // 2
    for ink, extra in ((INK, 2), (color, 0)):
        draw.line((x, y, *end), fill=ink, width=width + extra)
        radius = width + extra / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _clear(best: NDArray, taken: Rectangle, size: tuple[float, float], x1: int, y1: int, thin: int) -> None:
    """Zero the cells at which a plate of that size would cover the taken one. `best` starts at cell (y1, x1)."""
    left, top, right, bottom = taken
    columns = slice(max(0, int((left - size[0] / 2) // thin) - x1), max(0, int((right + size[0] / 2) // thin) + 1 - x1))
    rows = slice(max(0, int((top - size[1] / 2) // thin) - y1), max(0, int((bottom + size[1] / 2) // thin) + 1 - y1))
    best[rows, columns] = 0.0
