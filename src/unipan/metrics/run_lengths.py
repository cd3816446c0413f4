"""Masks as COCO's texts of run lengths, all masks of an image at once.

H x W pixels of an image; n masks, each of a part of h x w pixels; t places, counted by columns, where masks begin or end.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unipan.ops.segments import true_places
from unipan.types import Size


def texts_of_masks(masks: NDArray[np.bool_], corners: NDArray[np.int64], size: Size) -> list[bytes]:
    """The text of each mask. Linear in n * h * w, not in n * H * W.

    masks: (n, h, w), where they may be set; elsewhere they are not, nor outside the image. corners: (n, 2) y and x of their first
    pixels.
    """
    height, width = size
    num, part_height, part_width = masks.shape
    changes = np.zeros((num, part_height + 1, part_width), dtype=bool)  # background above and below ends each column's runs
    changes[:, :-1] = masks
    changes[:, 1:] ^= masks
    row = true_places(changes.ravel())
    column = row % part_width if part_width else row
    row //= max(part_width, 1)
    mask = row // (part_height + 1)
    row -= mask * (part_height + 1)
    top, left = corners.T
    entire = height * width + 1  # a run may end past the last pixel
    place = mask * entire + (left[mask] + column) * height + top[mask] + row
    place.sort()
    goes_on = place[1:] == place[:-1]  # from the bottom of one column to the top of the next
    kept = np.ones(len(place), dtype=bool)
    kept[1:] &= ~goes_on
    kept[:-1] &= ~goes_on
    place = place[kept]
    mask = place // entire
    return _texts(mask, place - mask * entire, num, height * width)


def texts_of_segments(index: NDArray[np.int64], num: int) -> list[bytes]:
    """The texts of the masks of an image's segments. index: (H, W) each pixel's segment, `num` for none."""
    by_column = index.T.ravel()
    begins = np.ones(by_column.size, dtype=bool)
    np.not_equal(by_column[1:], by_column[:-1], out=begins[1:])
    starts = true_places(begins)
    segment = by_column.take(starts)
    order = np.argsort(segment, kind="stable")[: np.count_nonzero(segment < num)]
    ends = np.append(starts[1:], by_column.size)
    return _texts(np.repeat(segment[order], 2), np.stack([starts, ends], 1)[order].ravel(), num, by_column.size)


def _texts(mask: NDArray[np.int64], place: NDArray[np.int64], num: int, pixels: int) -> list[bytes]:
    """mask: (t,) whose place it is, in order; place: (t,) where that mask begins and ends by turns."""
    last = np.cumsum(np.bincount(mask, minlength=num) + 1) - 1  # each mask has one more run, to the image's end
    edges = np.empty(len(place) + num, dtype=np.int64)
    edges[np.arange(len(place)) + mask] = place
    edges[last] = pixels
    first = np.append(0, last[:-1] + 1)[:num]
    lengths = np.diff(edges, prepend=0)
    lengths[first] = edges[first]
    gone = last[(lengths[last] == 0) & (first < last)]  # a mask that ends with the image has no background after it
    lengths = np.delete(lengths, gone)
    per_mask = last - first + 1
    per_mask[np.searchsorted(last, gone)] -= 1
    return _compressed(lengths, per_mask)


def _compressed(lengths: NDArray[np.int64], per_mask: NDArray[np.int64]) -> list[bytes]:
    """COCO's text: each run's length, from the fourth on less that of the last but one, in digits of five bits, lowest first.

    A digit's sixth bit tells that more come; the highest bit of the last one is the sign.
    """
    ends = np.cumsum(per_mask)
    number_in_mask = np.arange(len(lengths)) - np.repeat(ends - per_mask, per_mask)
    rest = lengths.copy()
    rest[2:] -= lengths[:-2] * (number_in_mask[2:] > 2)
    digits: list[NDArray[np.int64]] = []
    more = np.ones(len(rest), dtype=bool)
    while more.any():
        digit = rest & 31
        rest >>= 5
        goes_on = more & (rest != -(digit >> 4))
        digits.append((digit + 48 + 32 * goes_on) * more)
        more = goes_on
    letters = np.stack(digits, 1).astype(np.uint8) if digits else np.zeros((0, 1), np.uint8)
    written = letters > 0
    text = letters[written].tobytes()
    stops = np.append(0, np.cumsum(written.sum(1)))[np.append(0, ends)].tolist()
    return [text[begin:end] for begin, end in pairwise(stops)]
