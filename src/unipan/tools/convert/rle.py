"""COCO's run lengths: a mask (H, W) column by column, as the lengths of its runs, which begin with background."""

from collections.abc import Sequence

import numpy as np

from unipan.errors import InputError
from unipan.tools.convert.rasterize import Patch
from unipan.types import Size


def patch_from_counts(counts: Sequence[int] | str, size: Size) -> Patch:
    """The tight part of the mask. Linear in the runs and in that part's pixels. counts: run lengths, or COCO's text of them."""
    lengths = _lengths_from_text(counts) if isinstance(counts, str) else counts
    height, width = size
    if min(lengths, default=0) < 0 or sum(lengths) != height * width:  # Python's numbers, which are never too large to add
        raise InputError(
            f"the runs of the RLE add up to {sum(lengths)} pixels, but its mask of {width}x{height} has {height * width}; "
            "export it again."
        )
    ends = np.cumsum(lengths, dtype=np.int64)[1::2]
    inside = np.array(lengths[1::2], dtype=np.int64)
    ends, inside = ends[inside > 0], inside[inside > 0]
    if not inside.size:
        return Patch(0, 0, np.zeros((0, 0), dtype=bool))
    first_columns, first_rows = np.divmod(ends - inside, height)
    last_columns, last_rows = np.divmod(ends - 1, height)
    left, columns = int(first_columns[0]), int(last_columns[-1] - first_columns[0]) + 1
    # A run that goes on in the next column has the last row of the one and the first of the other, so a part of full height.
    whole = bool((first_columns < last_columns).any())
    top, bottom = (0, height) if whole else (int(first_rows.min()), int(last_rows.max()) + 1)
    starts = (first_columns - left) * (bottom - top) + first_rows - top
    edges = np.stack([starts, starts + inside], axis=1).ravel()
    parts = np.diff(edges, prepend=0, append=columns * (bottom - top))
    values = np.arange(len(parts)) % 2 == 1
    return Patch(top, left, np.repeat(values, parts).reshape(columns, bottom - top).T)


def _lengths_from_text(text: str) -> list[int]:
    """Each character holds five bits, lowest first, and a mark that more follow.

    From the fourth on, lengths are given as differences to the last but one.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        piece = ord(character) - 48
        if not 0 <= piece < 64:
            raise InputError(f"the RLE's text holds {character!r}, which no compressed RLE does; export it again.")
        value |= (piece & 31) << shift
        shift += 5
        if piece & 32:
            continue
        if piece & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    return lengths
