"""Masks as COCO's texts of run lengths, many masks at once.

n masks, each of a part of h x w pixels of an image of H x W; t positions, counted by columns, where masks begin or end.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unipan.ops.id_lookup import indices_of
from unipan.ops.segments import true_positions


def texts_of_masks(masks: NDArray[np.bool_], corners: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[bytes]:
    """The text of each mask. Linear in n * h * w, not in n * H * W.

    masks: (n, h, w), where they may be set; elsewhere they are not, nor outside the image. corners: (n, 2) y and x of their first
    pixels. sizes: (n, 2) H and W of their images.
    """
    height, pixels = sizes[:, 0], sizes.prod(1)
    num, part_height, part_width = masks.shape
    changes = np.zeros((num, part_height + 1, part_width), dtype=bool)  # background above and below ends each column's runs
    changes[:, :-1] = masks
    changes[:, 1:] ^= masks
    row = true_positions(changes.ravel())
    column = row % part_width if part_width else row
    row //= max(part_width, 1)
    mask = row // (part_height + 1)
    row -= mask * (part_height + 1)
    top, left = corners.T
    entire = pixels.max(initial=0) + 1  # a run may end past the last pixel
    position = (column + left[mask]) * height[mask]
    position += mask * entire + top[mask] + row
    position.sort()
    goes_on = position[1:] == position[:-1]  # from the bottom of one column to the top of the next
    kept = np.ones(len(position), dtype=bool)
    kept[1:] &= ~goes_on
    kept[:-1] &= ~goes_on
    position = position[kept]
    mask = position // entire
    return _texts(mask, position - mask * entire, num, pixels)


def texts_of_segments(maps: Sequence[tuple[NDArray[np.integer], Sequence[int]]]) -> list[list[bytes]]:
    """The texts of the masks of some images' segments. maps: an image's ids (H, W), and those of them that are wanted."""
    runs = [_runs_by_column(ids, known) for ids, known in maps]
    counts = [len(known) for _, known in maps]
    before = np.cumsum([0, *counts]).tolist()
    mask = np.concatenate([np.zeros(0, np.int64), *(segment + first for (segment, _), first in zip(runs, before, strict=False))])
    position = np.concatenate([np.zeros((0, 2), np.int64), *(ends for _, ends in runs)])
    pixels = np.repeat([ids.size for ids, _ in maps], counts).astype(np.int64)
    texts = _texts(np.repeat(mask, 2), position.ravel(), before[-1], pixels)
    return [texts[first:stop] for first, stop in pairwise(before)]


def _runs_by_column(ids: NDArray[np.integer], known: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The runs of the known ids, in their order: which one's, (r,), and where they begin and end, (r, 2), counted by columns."""
    by_column = ids.T.ravel()
    begins = np.ones(by_column.size, dtype=bool)
    np.not_equal(by_column[1:], by_column[:-1], out=begins[1:])
    starts = true_positions(begins)
    segment = indices_of(by_column.take(starts), known)
    order = np.argsort(segment, kind="stable")[: np.count_nonzero(segment < len(known))]
    return segment[order], np.stack([starts, np.append(starts[1:], by_column.size)], 1)[order]


def _texts(mask: NDArray[np.int64], position: NDArray[np.int64], num: int, pixels: NDArray[np.int64]) -> list[bytes]:
    """mask: (t,) whose position it is, in order; position: (t,) where it begins and ends by turns; pixels: (n,) of its image."""
    last = np.cumsum(np.bincount(mask, minlength=num) + 1) - 1  # each mask has one more run, to the image's end
    edges = np.empty(len(position) + num, dtype=np.int64)
    edges[np.arange(len(position)) + mask] = position
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
    begins = np.cumsum(per_mask) - per_mask
    value = lengths.copy()
    value[2:] -= lengths[:-2]
    for position in range(3):
        kept = begins[per_mask > position] + position
        value[kept] = lengths[kept]
    size = np.where(value < 0, ~value, value)
    digits = np.ones(len(value), dtype=np.int64)
    limits = [16 << 5 * more for more in range(int(size.max(initial=0)).bit_length() // 5)]  # of what one digit holds, two, ...
    for limit in limits:
        digits += size >= limit
    ends = np.cumsum(digits)
    letters = np.empty(digits.sum(), dtype=np.uint8)
    for digit in range(len(limits) + 1):
        long = np.flatnonzero(digits > digit)
        five_bits = (value[long] >> 5 * digit) & 31
        letters[ends[long] - digits[long] + digit] = five_bits + 48 + 32 * (digits[long] > digit + 1)
    text = letters.tobytes()
    stops = np.append(0, ends)[np.append(begins, len(value))].tolist()
    return [text[begin:end] for begin, end in pairwise(stops)]
